package site

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/cors"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/text"
)

// refusal is why a call did not happen: what the client is told, and what the
// security log is.
type refusal struct {
	status int
	code   string
	public string
	retry  time.Duration
	event  audit.Event // Name, Level, Control and Reason; without a Name there is none
	err    error       // stays inside
}

func (r *refusal) Error() string {
	if r.err != nil {
		return r.code + ": " + r.err.Error()
	}
	return r.code
}

func (r *refusal) Unwrap() error { return r.err }

const (
	publicBusy     = "Not possible right now. Try again in a moment."
	publicDenied   = "This does not exist, or you may not do that."
	publicInternal = "Something broke on our side."
	publicNoCookie = "This browser sent no cookie of this site, and without one nothing can be changed. Allow cookies here, load the page again and retry."
	publicWebKit   = " Safari and others made of WebKit keep none over http: `portcullis devcert` says how to use https."
)

// The refusals of this package itself.
var (
	errSignedOut = &refusal{status: http.StatusUnauthorized, code: "unauthenticated", public: "Sign in first."}
	errStepUp    = &refusal{status: http.StatusForbidden, code: "step_up_required", public: "Prove that it is you once more: this needs your password or passkey from the last minutes.",
		event: audit.Event{Name: audit.AuthzFail, Level: audit.Warn, Control: "step-up", Reason: "old_proof"}}
	errNotFound   = &refusal{status: http.StatusNotFound, code: "not_found", public: "There is nothing at this address."}
	errMethod     = &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", public: "This address does not do that."}
	errCrashed    = &refusal{status: http.StatusInternalServerError, code: "internal", public: publicInternal}
	errTooLarge   = invalidInput(http.StatusRequestEntityTooLarge, "too_large", "That is too large.", "body_size")
	errMediaType  = invalidInput(http.StatusUnsupportedMediaType, "unsupported_media_type", "The body has to be application/json.", "media_type")
	errBrokenBody = invalidInput(http.StatusBadRequest, "bad_json", "The body did not arrive whole.", "broken_body")
	errBadJSON    = invalidInput(http.StatusBadRequest, "bad_json", "The body is not valid JSON.", "json")
	errBadSchema  = invalidInput(http.StatusBadRequest, "bad_schema", "A field has the wrong type or is out of range.", "schema")
)

func invalidInput(status int, code, public, reason string) *refusal {
	return &refusal{status: status, code: code, public: public,
		event: audit.Event{Name: audit.InputFail, Level: audit.Warn, Control: "schema", Reason: reason}}
}

// extraneous is a body with a member that nobody asked for: at best a client of
// another version, at worst somebody who tries "role" (CWE-915).
func extraneous(member string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "bad_schema", public: "There is a field that does not belong here.",
		event: audit.Event{Name: audit.MaliciousExtra, Level: audit.Warn, Control: "schema", Reason: "unknown_member", Detail: member}}
}

func forged(c *call, why *csrf.Refused) *refusal {
	return &refusal{status: http.StatusForbidden, code: "csrf", public: "This page was too old, or the request came from another site. Load the page again and retry.", err: why,
		event: audit.Event{Name: audit.MaliciousCSRF, Level: audit.Warn, Control: "csrf", Reason: string(why.Why), Origin: c.Header.Get("Origin")}}
}

// cookieless is what a browser is told that kept no cookie. Over http, which is for
// development, WebKit keeps no Secure cookie, on loopback neither.
func (s *Site) cookieless() string {
	if s.o.BaseURL.Scheme == "http" {
		return publicNoCookie + publicWebKit
	}
	return publicNoCookie
}

// kinds maps the core's errors. Denied is 404 and never 403, with one fixed
// sentence: "no such room" and "not yours" have to be the same bytes (CWE-203).
//
//control:name existence
var kinds = map[chat.Kind]refusal{
	chat.Invalid:     {status: http.StatusBadRequest, code: "bad_schema", event: audit.Event{Name: audit.InputFail, Level: audit.Warn, Control: "schema", Reason: "rule"}},
	chat.Denied:      {status: http.StatusNotFound, code: "denied", event: audit.Event{Name: audit.AuthzFail, Level: audit.Critical, Control: "authz", Reason: "denied"}},
	chat.Conflict:    {status: http.StatusConflict, code: "duplicate"},
	chat.RateLimited: {status: http.StatusTooManyRequests, code: "rate_limited", retry: time.Second}, // whoever holds the budget recorded it
	chat.TooLarge:    {status: http.StatusRequestEntityTooLarge, code: "too_large", event: audit.Event{Name: audit.InputFail, Level: audit.Warn, Control: "schema", Reason: "size"}},
	chat.Quota:       {status: http.StatusForbidden, code: "quota", event: audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "business-limits", Reason: "quota"}},
	chat.Busy:        {status: http.StatusServiceUnavailable, code: "busy", retry: time.Second},
}

// refusalOf finds the row of an error. Errors that no row knows are internal.
//
//control:name errors
//control:name existence
func refusalOf(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	switch {
	case errors.Is(err, account.ErrInvalidCredentials): // the account service recorded it
		return &refusal{status: http.StatusUnauthorized, code: "invalid_credentials", public: account.ErrInvalidCredentials.Public}
	case errors.Is(err, account.ErrNewPassword):
		return &refusal{status: http.StatusForbidden, code: "new_password_required", public: account.ErrNewPassword.Public}
	case errors.Is(err, account.ErrPasskeyRefused), errors.Is(err, account.ErrKeyRefused):
		e, _ := errors.AsType[*chat.Error](err)
		return &refusal{status: http.StatusUnauthorized, code: "invalid_credentials", public: e.Public}
	case errors.Is(err, account.ErrSignUpClosed):
		return &refusal{status: http.StatusForbidden, code: "denied", public: account.ErrSignUpClosed.Public}
	}
	if r, ok := fileRefusal(err); ok {
		return r
	}
	if e, ok := errors.AsType[*chat.Error](err); ok {
		if r, known := kinds[e.Kind]; known {
			r.public, r.err = e.Public, err
			if rule, ok := errors.AsType[text.Rule](err); ok {
				r.event.Control, r.event.Reason = "unicode", string(rule)
			}
			r.retry = max(r.retry, e.RetryAfter)
			if e.Kind == chat.Denied {
				r.public = publicDenied
			}
			return &r
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &refusal{status: http.StatusServiceUnavailable, code: "busy", public: publicBusy, retry: time.Second, err: err}
	}
	return &refusal{status: http.StatusInternalServerError, code: "internal", public: publicInternal, err: err}
}

// note records a refusal that is a control's decision, logs one that is our fault,
// and says when to come back.
//
//control:name detection
func (s *Site) note(w http.ResponseWriter, c *call, r *refusal) {
	if e := r.event; e.Name != "" {
		if e.Name == audit.AuthzFail && c.fromElsewhere() {
			e.Level, e.Reason = audit.Warn, audit.ReasonForeignPage // who followed a link has not asked
		}
		s.record(c, e)
	}
	if r.status >= http.StatusInternalServerError && r.err != nil && !errors.Is(r.err, context.Canceled) {
		s.o.Log.ErrorContext(c.Context(), "request failed", "request_id", c.id, "method", c.Method, "route", pattern(c), "status", r.status, "error", r.err)
	}
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(r.retry.Seconds())), 10))
	}
}

// fail answers with an error, in the form of the route.
func (s *Site) fail(w http.ResponseWriter, c *call, err error) {
	r := refusalOf(err)
	s.note(w, c, r)
	switch {
	case !c.rule.page:
		s.writeJSON(w, r.status, errorBody{r.code, r.public, c.id})
	case r == errSignedOut:
		http.Redirect(w, c.Request, signInAddress(c), http.StatusSeeOther)
	case r == errStepUp:
		http.Redirect(w, c.Request, stepUpAddress(c), http.StatusSeeOther)
	default:
		s.errorPage(w, c, r)
	}
}

type errorBody struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// signInAddress leads to the sign-in page, and from there back to what was wanted
// if that was only to look at something.
func signInAddress(c *call) string {
	if next := localPath(c.URL.RequestURI()); c.safe() && next != "/" {
		return "/sign-in?" + url.Values{"next": {next}}.Encode()
	}
	return "/sign-in"
}

// record adds what is known of the call to an event.
func (s *Site) record(c *call, e audit.Event) {
	e.Request, e.IP, e.UserAgent, e.Room = c.id, c.network.String(), c.UserAgent(), c.room
	if c.signedIn() && e.User == "" {
		e.User = c.actor.User.String()
	}
	if c.session.SID != uuid.Nil && e.Session == "" {
		e.Session = audit.Ref(c.session.SID.String())
	}
	s.o.Audit.Record(c.Context(), e)
}

func pattern(c *call) string {
	if rc := chi.RouteContext(c.Context()); rc != nil {
		return rc.RoutePattern()
	}
	return ""
}

// NotFound answers for every address that is no route.
func (s *Site) NotFound(w http.ResponseWriter, r *http.Request) {
	s.enforce(rule{page: !isAPI(r)}, func(http.ResponseWriter, *call) error { return errNotFound }).ServeHTTP(w, r)
}

// MethodNotAllowed answers for a route's other methods, and says which it has
// (RFC 9110 section 15.5.6). A CORS preflight ends here too: the cors room answers it for
// a listed origin, and nobody is listed unless the operator did.
func (s *Site) MethodNotAllowed(w http.ResponseWriter, r *http.Request) {
	if isAdmin(r) { // "not with this method" would say that there is something
		s.NotFound(w, r)
		return
	}
	s.enforce(rule{page: !isAPI(r)}, func(w http.ResponseWriter, c *call) error {
		methods := allowed(r)
		if isAPI(r) && cors.IsPreflight(r) {
			if s.o.CORS.Preflight(w.Header(), r, methods) == nil {
				w.WriteHeader(http.StatusNoContent)
				return nil
			}
			s.record(c, audit.Event{Name: audit.MaliciousCORS, Level: audit.Warn, Control: "cors", Reason: "preflight", Origin: r.Header.Get("Origin")})
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return errMethod
	}).ServeHTTP(w, r)
}

func allowed(r *http.Request) (methods []string) {
	rc := chi.RouteContext(r.Context())
	if rc == nil || rc.Routes == nil {
		return nil
	}
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if rc.Routes.Match(chi.NewRouteContext(), m, r.URL.Path) {
			methods = append(methods, m)
		}
	}
	return methods
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }
