package site

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/headers"
)

// pages are the parsed templates by name.
type pages map[string]*template.Template

// parsePages reads templates/layout.html and the pages that fill it. Escaping is
// html/template's and depends on the place in the page; no template has functions of
// ours that could say "this is safe already".
//
//control:name output
func parsePages(web fs.FS) (pages, error) {
	p := pages{}
	for _, name := range []string{"sign-in", "sign-up", "step-up", "chat", "sessions", "error", "controls", "control", "source", "security"} {
		t, err := template.New(name).Option("missingkey=error").ParseFS(web, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("site: parse page: %w", err)
		}
		p[name] = t
	}
	return p, nil
}

// page is what every template gets.
type page struct {
	Title, Nonce, CSRF string
	AssetBase          string // where static files are, hash included
	Path               string
	User               *userView // nil: nobody is signed in
	OpenSignUp         bool
	Controls           bool // there are pages about the controls
	Flash              flash
	OldBrowser         bool   // the browser does not say where its requests come from
	Notice             string // what the session has to be told, once; empty: nothing
	RequestID          string
	Data               any // one of the types below
}

type userView struct{ ID, Username, DisplayName, Role string }

type flash struct{ Kind, Text string }

// The Data of the pages, by template.
type (
	form struct { // sign-in, sign-up
		Username, DisplayName, Next, Error string
		Demo                               []string
		Passkeys                           bool // offer them; on step-up.html: this user has one
		Renew                              bool // sign-in: the password was made for one sign-in, and a new one is to be chosen
	}
	sessionsView struct { // sessions
		Sessions    []sessionView
		Limit       int // of them
		Passkeys    []passkeyView
		Offer       bool   // passkeys can be used here
		DeleteError string // why the account was not deleted; empty: nobody tried
	}
	passkeyView struct{ ID, Name, Created, LastUsed string }
	sessionView struct {
		SID, Created, LastSeen, IP, Device, UserAgent string
		Sockets                                       int
		This                                          bool
	}
	errorView struct { // error
		Status              int
		Heading, Text, Next string
	}
)

// flashes are the results that a redirect can announce. The address names one of
// them; text of an address is never shown.
var flashes = map[string]flash{
	"signed-out":      {"ok", "You are signed out."},
	"account-deleted": {"ok", "Your account is deleted. What you wrote is emptied within the hour."},
	"ended":           {"ok", "The session has ended, and its sockets are closed."},
	"passkey-removed": {"ok", "The passkey is removed. It opens nothing here any more; you may delete it on the device too."},
	"socket-closed":   {"ok", "The socket is closed."},
	"session-ended":   {"ok", "The session has ended, and its sockets are closed, on every node."},
	"user-disabled":   {"ok", "The account is disabled; its sessions have ended and its sockets are closed."},
	"blocked":         {"ok", "Blocked. It ends by itself, and can be lifted below."},
	"lifted":          {"ok", "Lifted. It holds on every node within two seconds."},
	"announced":       {"ok", "Announced to everybody."},
	"all-ended":       {"ok", "Every other session has ended, and their sockets are closed."},
}

// parting are the results after which nothing of a person stays in the browser.
var parting = map[string]bool{"signed-out": true, "account-deleted": true}

// render answers with a page. Executing comes first, so that a failure is a 500 and
// not half a page.
func (s *Site) render(w http.ResponseWriter, c *call, status int, name, title string, data any) error {
	p := page{
		Title: title, Nonce: headers.Nonce(c.Context()), AssetBase: s.assets.base(), Path: c.URL.Path,
		OpenSignUp: s.o.OpenSignUp, Controls: s.o.Source != nil, OldBrowser: old(c.Request), Flash: flashes[c.URL.Query().Get("done")], RequestID: c.id, Data: data,
	}
	if c.signedIn() {
		p.User = &userView{c.actor.User.String(), c.actor.Username, c.actor.DisplayName, string(c.actor.Role)}
	}
	// A page with a form makes a visitor's session; one that is only read makes none.
	if !onlyRead[name] || c.session.SID != uuid.Nil && status < http.StatusInternalServerError {
		p.CSRF = csrf.Mask(s.o.Sessions.CSRFSecret(c.Context()))
	}
	if c.signedIn() && c.Method == http.MethodGet && status == http.StatusOK {
		p.Notice = s.o.Sessions.Notice(c.Context())
	}
	var body bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&body, "layout", p); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // a failure is the client's, who is gone
	return nil
}

// old reports whether a page is asked for by a browser without Fetch Metadata, which all
// have since 2023: it is too old for cookies, policies and sockets to be held to what this
// server counts on. It is told so, and not shut out: what decides are the checks
// themselves. What else a page needs, it looks for itself (web/static/js/theme.js).
//
//control:name headers
func old(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Mode") == "" }

// onlyRead are the pages without a form for somebody who is not signed in.
var onlyRead = map[string]bool{"error": true, "controls": true, "control": true, "source": true}

// headings of error pages by status; the text is the refusal's own sentence.
var headings = map[int]string{
	http.StatusUnauthorized:          "Not signed in",
	http.StatusForbidden:             "Not allowed",
	http.StatusNotFound:              "Not found",
	http.StatusMethodNotAllowed:      "Not possible here",
	http.StatusRequestEntityTooLarge: "Too large",
	http.StatusTooManyRequests:       "Too fast",
	http.StatusServiceUnavailable:    "Try again in a moment",
	http.StatusInternalServerError:   "Something broke",
}

func (s *Site) errorPage(w http.ResponseWriter, c *call, r *refusal) {
	heading, known := headings[r.status]
	if !known {
		heading = "That did not work"
	}
	if err := s.render(w, c, r.status, "error", heading, errorView{Status: r.status, Heading: heading, Text: r.public}); err != nil {
		s.o.Log.ErrorContext(c.Context(), "error page not rendered", "request_id", c.id, "error", err)
		http.Error(w, publicInternal, http.StatusInternalServerError)
	}
}

// signInPage is where a sign-out leads to, too.
//
//control:name sign-out-cleanup
func (s *Site) signInPage(w http.ResponseWriter, c *call) error {
	next := localPath(c.URL.Query().Get("next"))
	if c.signedIn() {
		return seeOther(w, c, next)
	}
	// Again, because WebKit heeds it on no redirect, and one led here. A page of another
	// site that links to this address clears nothing.
	if parting[c.URL.Query().Get("done")] && c.Header.Get("Sec-Fetch-Site") == "same-origin" {
		w.Header().Set("Clear-Site-Data", clearSiteData)
	}
	s.reflects(c, next)
	return s.render(w, c, http.StatusOK, "sign-in", "Sign in", form{Next: next, Demo: s.o.Demo, Passkeys: s.o.Passkeys.Available()})
}

// reflects says when the words that a page gives back beside its token are the guesses
// of a compression oracle. What is guessed comes out of the browser of the one who has
// the token, so it accuses nobody.
//
//control:name detection
func (s *Site) reflects(c *call, word string) {
	if s.probes.Run(c.network.String(), word, s.o.Now()) {
		s.record(c, audit.Event{Name: audit.CompressionOracle, Level: audit.Warn, Control: "compression", Reason: "near_equal_reflections"})
	}
}

func (s *Site) signInForm(w http.ResponseWriter, c *call) error {
	f := form{Username: c.PostFormValue("username"), Next: localPath(c.PostFormValue("next")), Demo: s.o.Demo, Passkeys: s.o.Passkeys.Available()}
	next := c.PostFormValue("new_password")
	if err := s.signIn(c, f.Username, c.PostFormValue("password"), next); err != nil {
		f.Renew = next != "" || errors.Is(err, account.ErrNewPassword)
		return s.again(w, c, "sign-in", "Sign in", f, err)
	}
	return seeOther(w, c, f.Next)
}

func (s *Site) signUpPage(w http.ResponseWriter, c *call) error {
	next := localPath(c.URL.Query().Get("next"))
	if c.signedIn() {
		return seeOther(w, c, next)
	}
	s.reflects(c, next)
	return s.render(w, c, http.StatusOK, "sign-up", "Sign up", form{Next: next})
}

func (s *Site) signUpForm(w http.ResponseWriter, c *call) error {
	f := form{Username: c.PostFormValue("username"), DisplayName: c.PostFormValue("display_name"), Next: localPath(c.PostFormValue("next"))}
	if err := s.signUp(c, f.Username, c.PostFormValue("password"), f.DisplayName); err != nil {
		return s.again(w, c, "sign-up", "Sign up", f, err)
	}
	return seeOther(w, c, f.Next)
}

// again shows a form once more with what was wrong, and never with the password.
// What is not the user's to mend is an error page.
func (s *Site) again(w http.ResponseWriter, c *call, name, title string, f form, err error) error {
	r := refusalOf(err)
	if r.status >= http.StatusInternalServerError {
		return err
	}
	f.Error = r.public
	s.note(w, c, r)
	return s.render(w, c, r.status, name, title, f)
}

func (s *Site) signOutForm(w http.ResponseWriter, c *call) error {
	if err := s.signOut(w, c); err != nil {
		return err
	}
	return seeOther(w, c, "/sign-in?done=signed-out")
}

// shown is how pages write a time; scripts may show it in the reader's zone.
const shown = "2 Jan 2006, 15:04 UTC"

func (s *Site) sessionsPage(w http.ResponseWriter, c *call) error {
	return s.showSessions(w, c, http.StatusOK, "")
}

// showSessions is the page with what was wrong about the form at its end.
func (s *Site) showSessions(w http.ResponseWriter, c *call, status int, wrong string) error {
	list, err := s.devices(c)
	if err != nil {
		return err
	}
	views := make([]sessionView, 0, len(list))
	for _, d := range list {
		views = append(views, sessionView{
			SID: d.SID, Created: d.CreatedAt.UTC().Format(shown), LastSeen: d.LastSeenAt.UTC().Format(shown),
			IP: strings.TrimSuffix(d.IP, "/32"), Device: deviceName(d.UserAgent), UserAgent: d.UserAgent, Sockets: d.Sockets, This: d.Current,
		})
	}
	v := sessionsView{Sessions: views, Limit: s.o.SessionsPerUser, Offer: s.o.Passkeys.Available(), DeleteError: wrong}
	keys, err := s.o.Passkeys.List(c.Context(), c.actor)
	if err != nil {
		return err
	}
	for _, k := range keys {
		p := passkeyView{ID: k.ID.String(), Name: k.Name, Created: k.CreatedAt.UTC().Format(shown), LastUsed: "not used yet"}
		if !k.LastUsedAt.IsZero() {
			p.LastUsed = "last used " + k.LastUsedAt.UTC().Format(shown)
		}
		v.Passkeys = append(v.Passkeys, p)
	}
	return s.render(w, c, status, "sessions", "Sessions and devices", v)
}

func (s *Site) revokeForm(w http.ResponseWriter, c *call) error {
	own, err := s.revoke(w, c)
	switch {
	case err != nil:
		return err
	case own:
		return seeOther(w, c, "/sign-in?done=signed-out")
	}
	return seeOther(w, c, "/sessions?done=ended")
}

func (s *Site) revokeOthersForm(w http.ResponseWriter, c *call) error {
	if _, err := s.revokeOthers(c); err != nil {
		return err
	}
	return seeOther(w, c, "/sessions?done=all-ended")
}

// seeOther ends a form: the browser gets the next page, and reloading sends nothing again.
func seeOther(w http.ResponseWriter, c *call, to string) error {
	http.Redirect(w, c.Request, to, http.StatusSeeOther)
	return nil
}

// maxNext is longer than any address of ours.
const maxNext = 512

// localPath returns s if it is an address on this site, and "/" for everything else,
// so that a link to our sign-in page cannot end on a page that looks like ours
// (CWE-601). Browsers read "//" and "/\" as the start of another host, and leave tabs
// and line feeds out before they look; a proxy may decode what is percent-encoded.
func localPath(s string) string {
	switch {
	case len(s) > maxNext || !strings.HasPrefix(s, "/"):
		return "/"
	case strings.HasPrefix(s, "//") || strings.HasPrefix(s, "/%"):
		return "/"
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }):
		return "/"
	}
	return s
}
