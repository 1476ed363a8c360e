package site_test

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-chi/chi/v5"

	portcullis "example.com/portcullis"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/cors"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/headers"
	"example.com/portcullis/internal/guard/origin"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/session/sessiontest"
	"example.com/portcullis/internal/guard/stepup"
	"example.com/portcullis/internal/site"
)

const (
	own      = "https://chat.example.com"
	partner  = "https://embed.example.org"  // a listed second origin
	listed   = "https://status.example.org" // listed for CORS, and nowhere else
	evil     = "https://evil.example"
	password = "correct horse battery"
)

// world is a Site over doubles that remember what was done to them.
type world struct {
	suspects suspects
	t        *testing.T
	site     *site.Site
	handler  http.Handler
	clock    *sessiontest.Clock
	sessions *brittle
	accounts *accounts
	rooms    *rooms
	events   *events
	revoked  *revoked
	limits   *limits
	tickets  *tickets
	sockets  sockets
	presence *presence
	budgets  *budgets
	files    *fileStore
	archive  *archive
	passkeys *passkeys
	services *services
	admin    *admin
}

func newWorld(t *testing.T, change ...func(*site.Options)) *world {
	t.Helper()
	clock := sessiontest.NewClock()
	w := &world{
		t: t, clock: clock, sessions: &brittle{Memory: sessiontest.NewMemory(clock.Now)}, accounts: &accounts{},
		events: &events{}, revoked: &revoked{}, limits: &limits{}, tickets: &tickets{}, sockets: sockets{}, presence: &presence{}, budgets: &budgets{}, files: newFileStore(), archive: &archive{}, passkeys: &passkeys{}, services: &services{}, admin: newAdmin(clock.Now),
	}
	w.passkeys.accounts = w.accounts
	w.rooms = &rooms{clock: clock, revoked: w.revoked}
	core, err := chat.New(w.rooms, w.revoked, w.budgets, clock.Now)
	must(t, err)
	uploads, err := chat.NewUploads(w.files, w.files, w.budgets, 1<<30, clock.Now)
	must(t, err)
	manager, err := session.New(session.Options{Idle: time.Hour, Lifetime: 8 * time.Hour, Now: clock.Now, Unavailable: site.Unavailable}, w.sessions)
	must(t, err)
	guard, err := csrf.New(partner)
	must(t, err)
	origins, err := origin.New(own, partner)
	must(t, err)
	readers, err := cors.New([]string{partner, listed}, []string{own, partner})
	must(t, err)
	fresh, err := stepup.New(5 * time.Minute)
	must(t, err)
	base, err := url.Parse(own)
	must(t, err)
	o := site.Options{
		Chat: core, Uploads: uploads, UploadBytes: 1 << 20, Archive: w.archive, Accounts: w.accounts, Sessions: manager, Devices: w.sessions, Tickets: w.tickets, CSRF: guard, CORS: readers, StepUp: fresh, Suspects: &w.suspects, Passkeys: w.passkeys, Services: w.services, SessionsPerUser: 10, Origin: origins,
		ClientIP: clientip.New(nil), Limits: w.limits, Revoker: w.revoked, Sockets: w.sockets, Presence: w.presence, Audit: w.events, Admin: w.admin.parts(),
		Log: slog.New(slog.DiscardHandler), Now: clock.Now, Web: files(), Source: someSource(t), BaseURL: base, RequestsPerMinute: 600, OpenSignUp: true,
	}
	for _, f := range change {
		f(&o)
	}
	w.accounts.closed = !o.OpenSignUp
	w.site, err = site.New(o)
	must(t, err)
	policy, err := headers.New(headers.Options{BaseURL: base, ReportPath: "/csp-report"})
	must(t, err)
	router := chi.NewRouter()
	w.site.Routes(router)
	w.handler = policy.Wrap(router)
	return w
}

// someSource is a part of the program's own source that is quick to read.
func someSource(t testing.TB) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	for _, path := range []string{"go.mod", "docs/controls/origin.md", "internal/guard/origin/origin.go", "internal/guard/origin/origin_test.go", "internal/attack/origin.go", "internal/kill/mutants_handshake.go", "web/templates/layout.html"} {
		b, err := fs.ReadFile(portcullis.Source(), path)
		must(t, err)
		m[path] = &fstest.MapFile{Data: b}
	}
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files are templates that show every field of their data.
func files() fstest.MapFS {
	const form = `{{define "main"}}<form method="post"><input name="csrf_token" value="{{.CSRF}}"><input name="username" value="{{.Data.Username}}"><input name="next" value="{{.Data.Next}}"><p>{{.Data.Error}}</p>{{if .Data.Renew}}<input name="new_password">{{end}}</form>{{end}}`
	m := fstest.MapFS{}
	for name, text := range map[string]string{
		"templates/layout.html":   `{{define "layout"}}<title>{{.Title}}</title><script nonce="{{.Nonce}}" src="{{.AssetBase}}/js/main.js"></script><b>{{with .User}}{{.Username}}{{end}}</b><i>{{.Flash.Text}}</i><u>{{.Notice}}</u>{{if .OldBrowser}}<em>old</em>{{end}}{{block "main" .}}{{end}}{{end}}`,
		"templates/sign-in.html":  form,
		"templates/sign-up.html":  form,
		"templates/chat.html":     `{{define "main"}}<main data-room="{{.Data.RoomID}}" data-given="{{.Data.Given}}" data-csrf="{{.CSRF}}"></main>{{end}}`,
		"templates/sessions.html": `{{define "main"}}{{range .Data.Passkeys}}<p>{{.Name}} {{.LastUsed}}</p>{{end}}{{range .Data.Sessions}}<p>{{.SID}} {{.Created}} {{.IP}} {{.UserAgent}} sockets={{.Sockets}} this={{.This}}</p>{{end}}<p>{{.Data.DeleteError}}</p>{{end}}`,
		"templates/controls.html": `{{define "main"}}{{range .Data.Groups}}{{range .Rows}}{{if .Shown}}<p>{{.Name}} {{.Threat}}</p>{{end}}{{end}}{{end}}{{end}}`,
		"templates/control.html":  `{{define "main"}}<h1>{{.Data.Title}}</h1>{{end}}`,
		"templates/source.html":   `{{define "main"}}{{range .Data.Lines}}<p>{{.Text}}</p>{{end}}{{end}}`,
		"templates/step-up.html":  form,
		"templates/security.html": `{{define "main"}}<p>acts={{.Data.Acts}}</p>{{range .Data.Events}}<p>{{.ID}} {{.Name}} {{.UserAgent}}</p>{{end}}{{range .Data.Offenders}}<p>{{.Kind}} {{.Shown}} {{.Refused}}</p>{{end}}{{range .Data.Sockets}}<p>{{.ID}} {{.Masked}}</p>{{end}}{{end}}`,
		"templates/error.html":    `{{define "main"}}<h1>{{.Data.Heading}}</h1><p>{{.Data.Text}}</p><code>{{.RequestID}}</code>{{end}}`,
		"static/js/main.js":       `"use strict";`,
		"static/css/base.css":     `body{}`,
		"schemas/defs.v1.json":    `{}`,
	} {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// browser keeps one cookie and one CSRF token, as a tab does.
type browser struct {
	w      *world
	cookie string
	token  string
	user   chat.UserID
}

func (w *world) browser() *browser { return &browser{w: w} }

// signedIn is a browser in which name has signed in through the API.
func (w *world) signedIn(name string) *browser {
	w.t.Helper()
	w.accounts.add(name)
	b := w.browser()
	b.refresh()
	res := b.send("POST", "/api/sign-in", `{"username":"`+name+`","password":"`+password+`"}`)
	if res.Code != http.StatusOK {
		w.t.Fatalf("sign in: %d %s", res.Code, res.Body)
	}
	b.token = field[string](w.t, res, "csrf_token")
	b.user = w.accounts.users[name].ID
	w.events.reset()
	return b
}

func (b *browser) refresh() {
	b.w.t.Helper()
	b.token = field[string](b.w.t, b.send("GET", "/api/session", ""), "csrf_token")
}

// sid reads this browser's session id from the API.
func (b *browser) sid() string {
	b.w.t.Helper()
	return field[map[string]any](b.w.t, b.send("GET", "/api/session", ""), "session")["sid"].(string)
}

// send is what a script of our own page does. change edits the request.
func (b *browser) send(method, target, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	b.w.t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, own+target, nil)
	} else {
		r = httptest.NewRequest(method, own+target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	if b.cookie != "" {
		r.Header.Set("Cookie", session.CookieName+"="+b.cookie)
	}
	if method != "GET" && method != "HEAD" {
		r.Header.Set("Origin", own)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set(csrf.Header, b.token)
	}
	for _, f := range change {
		f(r)
	}
	res := httptest.NewRecorder()
	b.w.handler.ServeHTTP(res, r)
	for _, c := range res.Result().Cookies() {
		if c.Name == session.CookieName {
			b.cookie = c.Value
		}
	}
	return res
}

// submit is what a plain form does.
func (b *browser) submit(target string, fields url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	b.w.t.Helper()
	if fields == nil {
		fields = url.Values{}
	}
	if !fields.Has(csrf.Field) {
		fields.Set(csrf.Field, b.token)
	}
	asForm := func(r *http.Request) {
		r.Header.Del(csrf.Header)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.send("POST", target, fields.Encode(), append([]func(*http.Request){asForm}, change...)...)
}

func header(key, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

// field reads one member of a JSON answer.
func field[T any](t testing.TB, res *httptest.ResponseRecorder, name string) T {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(res.Body.Bytes(), &all); err != nil {
		t.Fatalf("answer %d %q is not a JSON object: %v", res.Code, res.Body, err)
	}
	v, ok := all[name].(T)
	if !ok {
		t.Fatalf("answer %d %s: no fitting %q", res.Code, res.Body, name)
	}
	return v
}

func wantError(t testing.TB, res *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if res.Code != status {
		t.Errorf("status %d, want %d: %s", res.Code, status, res.Body)
		return
	}
	if got := field[string](t, res, "code"); got != code {
		t.Errorf("code %q, want %q", got, code)
	}
	if id := field[string](t, res, "request_id"); id == "" || id != res.Header().Get("X-Request-Id") {
		t.Errorf("request id %q in the body, %q in the header", id, res.Header().Get("X-Request-Id"))
	}
	if field[string](t, res, "message") == "" {
		t.Error("no message")
	}
}

func (w *world) wantEvent(name audit.Name, reason string) audit.Event {
	w.t.Helper()
	for _, e := range w.events.all() {
		if e.Name == name && e.Reason == reason {
			if e.Request == "" || e.IP == "" {
				w.t.Errorf("event %s without request id or address: %+v", name, e)
			}
			return e
		}
	}
	w.t.Errorf("no event %s (%s) among %v", name, reason, w.events.names())
	return audit.Event{}
}

// changes counts everything that any call has changed.
func (w *world) changes() int {
	return w.admin.acts() + w.files.writes + w.rooms.writes + w.accounts.writes + w.passkeys.writes + len(w.revoked.list) + len(w.tickets.issued)
}
