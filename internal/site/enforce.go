package site

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
)

const (
	// maxBody is the protocol's limit for one message; no call needs more.
	maxBody = 64 << 10
	// maxReport fits the longest report that a browser makes of one page, with room.
	maxReport = 16 << 10
	// callTimeout is longer than the queue for password hashing and every statement's
	// own timeout, so it only ends what hangs.
	callTimeout = 10 * time.Second
	// reportsPerMinute is generous for a page that breaks its policy at every click.
	reportsPerMinute = 30
)

// budget names what a request is charged to.
type budget int

const (
	free     budget = iota // answered from memory
	requests               // Options.RequestsPerMinute
	reports                // reportsPerMinute
)

// call is one request that passed the checks of its route: the client, the session
// and who acts. Handlers take identity from here and from nowhere else.
type call struct {
	*http.Request
	rule    rule
	id      string       // our own; the client's X-Request-Id is never read
	network netip.Prefix // zero: a peer without an address
	body    []byte       // the whole body, at most rule.maxBody bytes
	session session.Session
	actor   chat.Actor // zero: nobody is signed in
	room    string     // the room that the call is about, for events
	done    func()     // gives back what admit took; nil: nothing
}

func (c *call) signedIn() bool { return c.actor.User != chat.UserID{} }

func (c *call) caller() account.Caller {
	return account.Caller{Network: c.network, UserAgent: c.UserAgent(), RequestID: c.id}
}

// safe reports whether the method only reads (RFC 9110 section 9.2.1).
func (c *call) safe() bool {
	return c.Method == http.MethodGet || c.Method == http.MethodHead || c.Method == http.MethodOptions
}

type failKey struct{}

// fromElsewhere reports whether the browser says that a page of another site, or of a
// sibling host, had it send this. Such a page cannot read the answer, but the request has
// the victim's cookies: it draws from their budgets, keeps their session from idling out,
// and what is refused to it is in the log under their name.
func (c *call) fromElsewhere() bool {
	site := c.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// enforce puts the checks of a policy in front of a handler. Their order is the
// package comment's: cheap and stateless first, and no session is loaded for a
// request that is refused anyway.
func (s *Site) enforce(ru rule, handle handler) http.Handler {
	return http.HandlerFunc(func(raw http.ResponseWriter, r *http.Request) {
		c := &call{rule: ru, id: rand.Text(), network: clientip.Prefix(s.o.ClientIP.IP(r))}
		w := &response{ResponseWriter: raw}
		w.Header().Set("X-Request-Id", c.id)
		if !ru.page && ru.session && ru.role == nil {
			s.o.CORS.Answer(w.Header(), r)
		}
		defer s.recovered(w, c)

		ctx, cancel := context.WithTimeout(r.Context(), ru.patience())
		defer cancel()
		defer func() {
			if c.done != nil {
				c.done()
			}
		}()
		fail := func(w http.ResponseWriter, err error) { s.fail(w, c, err) }
		c.Request = r.WithContext(context.WithValue(ctx, failKey{}, fail))

		if err := s.admit(raw, c); errors.Is(err, errHidden) {
			s.NotFound(raw, r) // with the same bytes: it is the same answer
			return
		} else if err != nil {
			s.fail(w, c, err)
			return
		}
		if !ru.session {
			if err := handle(w, c); err != nil {
				s.fail(w, c, err)
			}
			return
		}
		s.o.Sessions.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Request = r
			err := s.identify(c)
			if err == nil {
				err = handle(w, c)
			}
			if err != nil {
				s.fail(w, c, err)
			}
		})).ServeHTTP(w, c.Request)
	})
}

// admit is the half that needs no session.
//
//control:name csrf
func (s *Site) admit(raw http.ResponseWriter, c *call) error {
	if err := s.charge(c); err != nil {
		return err
	}
	if c.rule.role != nil {
		if err := s.known(c); err != nil {
			return err
		}
	}
	if c.rule.own && c.safe() && c.fromElsewhere() && !s.o.CORS.Reads(c.Request) {
		return forged(c, &csrf.Refused{Why: csrf.CrossOrigin})
	}
	if c.safe() || c.rule.maxBody == 0 {
		return nil
	}
	if c.rule.upload {
		return s.admitUpload(raw, c)
	}
	if err := c.read(raw); err != nil {
		return err
	}
	if !c.rule.session {
		return nil
	}
	// Without a secret the csrf room can only tell what the browser says about the
	// sender, which is all that is wanted here.
	if refused, ok := errors.AsType[*csrf.Refused](s.o.CSRF.Check(c.Request, nil)); ok && refused.Why == csrf.CrossOrigin {
		return forged(c, refused)
	}
	if !c.rule.page {
		return c.wantJSON()
	}
	return nil
}

// patience is how long a call of this policy may take.
func (ru rule) patience() time.Duration { return max(ru.timeout, callTimeout) }

// charge takes the request out of its network's budget.
func (s *Site) charge(c *call) error {
	var name string
	var limit ratelimit.Limit
	switch c.rule.budget {
	case free:
		return nil
	case requests:
		// A page with its calls is a burst: ten seconds' worth at once.
		name, limit = "http", ratelimit.Limit{Rate: float64(s.o.RequestsPerMinute) / 60, Burst: max(1, s.o.RequestsPerMinute/6)}
	case reports:
		name, limit = "report", ratelimit.Limit{Rate: float64(reportsPerMinute) / 60, Burst: reportsPerMinute}
	}
	got, err := s.o.Limits.Take(c.Context(), ratelimit.ForNetwork(name, c.network, limit), 1)
	if err != nil {
		return &chat.Error{Kind: chat.Busy, Public: publicBusy, Err: fmt.Errorf("charge request: %w", err)}
	}
	if !got.Allowed {
		return &refusal{status: http.StatusTooManyRequests, code: "rate_limited", public: "Too many requests. Wait a moment and try again.", retry: got.RetryAfter,
			event: audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "ratelimit", Reason: got.By}}
	}
	return nil
}

// read takes the whole body into memory, so that nothing after it waits for the client.
func (c *call) read(raw http.ResponseWriter) error {
	wait := callTimeout
	if c.rule.upload {
		wait = c.rule.patience()
	}
	// Not every ResponseWriter has deadlines; the server's own ReadTimeout remains.
	_ = http.NewResponseController(raw).SetReadDeadline(time.Now().Add(wait))
	body, err := io.ReadAll(http.MaxBytesReader(raw, c.Body, c.rule.maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errTooLarge
	}
	if err != nil {
		return errBrokenBody
	}
	c.body, c.Body = body, io.NopCloser(bytes.NewReader(body))
	return nil
}

// wantJSON refuses bodies that a plain form could have sent: a form can write JSON,
// but only as text/plain, and a foreign page cannot send application/json without a
// preflight that nobody answers. A call without a body needs no type.
func (c *call) wantJSON() error {
	sent := c.Header.Get("Content-Type")
	if len(c.body) == 0 && sent == "" {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(sent); err != nil || kind != "application/json" {
		return errMediaType
	}
	return nil
}

// identify is the half that needs the session: who acts, and did they mean it.
func (s *Site) identify(c *call) error {
	ctx := c.Context()
	var found bool
	if c.session, found = s.o.Sessions.Current(ctx); !found && s.o.Sessions.Token(c.Request) != "" {
		s.record(c, audit.Event{Name: audit.SessionUseAfterEnd, Level: audit.Warn, Control: "session", Reason: "no_live_session"})
	}
	if c.session.User != uuid.Nil {
		if err := s.derive(c); err != nil && chat.KindOf(err) != chat.Denied {
			return err
		}
	}
	if c.rule.signedIn && !c.signedIn() {
		return errSignedOut
	}
	if c.rule.role != nil && !c.rule.role(c.actor.Role) { // taken away since known looked
		return errNotFound
	}
	if !c.safe() {
		if err := s.meant(c, found); err != nil {
			return err
		}
	}
	return s.fresh(c)
}

// meant passes a call that changes something through the csrf room.
func (s *Site) meant(c *call, found bool) error {
	// A visitor without a session has no secret, and none is made for an unsafe call:
	// the token comes from a page or from GET /api/session, which made one.
	var secret []byte
	if found {
		secret = s.o.Sessions.CSRFSecret(c.Context())
	}
	if refused, ok := errors.AsType[*csrf.Refused](s.o.CSRF.Check(c.Request, secret)); ok {
		r := forged(c, refused)
		if s.o.Sessions.Token(c.Request) == "" {
			r.public = s.cookieless() // an old page is not the cause, and loading it again no help
		}
		return r
	}
	return nil
}

// derive sets who acts from the session of the call. Denied leaves nobody: the
// account is gone or disabled.
func (s *Site) derive(c *call) error {
	actor, err := s.o.Accounts.Actor(c.Context(), c.session)
	if err != nil {
		c.actor = chat.Actor{}
		return fmt.Errorf("derive actor: %w", err)
	}
	actor.Client = c.network.String()
	c.actor = actor
	return nil
}

// recovered turns a panic into the same answer as any other internal error. The
// panic's text may hold anything, so only its type and place are logged.
func (s *Site) recovered(w *response, c *call) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	what := fmt.Sprintf("%T", v)
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	s.record(c, audit.Event{Name: audit.Crash, Level: audit.Critical, Control: "errors", Reason: "panic", Detail: what})
	s.o.Log.ErrorContext(c.Context(), "panic in a handler", "request_id", c.id, "what", what, "stack", string(debug.Stack()))
	if w.begun {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	s.fail(w, c, errCrashed)
}

// response knows whether the answer has begun.
type response struct {
	http.ResponseWriter
	begun bool
}

func (w *response) WriteHeader(status int) {
	w.begun = w.begun || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

// FlushError and SetWriteDeadline are for events; nothing else of the connection shows
// through.
func (w *response) FlushError() error {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *response) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}

func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}
