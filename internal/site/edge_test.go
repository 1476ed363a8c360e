package site_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/site"
)

//control:proves errors
func TestErrors_everyKindHasItsStatus(t *testing.T) {
	tests := []struct {
		name       string
		err        error
		status     int
		code, wait string
	}{
		{"invalid", &chat.Error{Kind: chat.Invalid, Public: "No."}, 400, "bad_schema", ""},
		{"denied", chat.ErrDenied, 404, "denied", ""},
		{"denied with a reason", &chat.Error{Kind: chat.Denied, Public: "hunter2 is in a room that you may not see."}, 404, "denied", ""},
		{"conflict", &chat.Error{Kind: chat.Conflict, Public: "No."}, 409, "duplicate", ""},
		{"rate", &chat.Error{Kind: chat.RateLimited, Public: "No.", RetryAfter: 2100e6}, 429, "rate_limited", "3"},
		{"too large", &chat.Error{Kind: chat.TooLarge, Public: "No."}, 413, "too_large", ""},
		{"quota", &chat.Error{Kind: chat.Quota, Public: "No."}, 403, "quota", ""},
		{"busy", &chat.Error{Kind: chat.Busy, Public: "No."}, 503, "busy", "1"},
		{"internal kind", &chat.Error{Public: "password=hunter2"}, 500, "internal", ""},
		{"deadline", fmt.Errorf("read: %w", context.DeadlineExceeded), 503, "busy", "1"},
		{"unknown", errors.New("pq: password=hunter2 at 10.0.0.7"), 500, "internal", ""},
		{"wrapped", &chat.Error{Kind: chat.Busy, Public: "No.", Err: errors.New("hunter2")}, 503, "busy", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn("ada")
			w.rooms.fail = tt.err
			res := b.send("GET", "/api/rooms", "")
			wantError(t, res, tt.status, tt.code)
			if got := res.Header().Get("Retry-After"); got != tt.wait {
				t.Errorf("Retry-After %q, want %q", got, tt.wait)
			}
			if strings.Contains(res.Body.String(), "hunter2") {
				t.Errorf("the inside is shown: %s", res.Body)
			}
		})
	}
}

//control:proves errors
func TestPanic_isA500WithoutDetail(t *testing.T) {
	var logged strings.Builder
	w := newWorld(t, func(o *site.Options) {
		o.Sockets = bomb{}
		o.Log = slog.New(slog.NewTextHandler(&logged, nil))
	})
	b := w.signedIn("ada")
	res := b.send("GET", "/api/sessions", "")
	wantError(t, res, http.StatusInternalServerError, "internal")
	if strings.Contains(res.Body.String(), "hunter2") || strings.Contains(logged.String(), "hunter2") {
		t.Error("the panic's text is shown")
	}
	if !strings.Contains(logged.String(), res.Header().Get("X-Request-Id")) {
		t.Error("the log does not name the request")
	}
	if e := w.wantEvent(audit.Crash, "panic"); e.Level != audit.Critical {
		t.Errorf("event %+v", e)
	}
	if res := b.send("GET", "/sessions", ""); res.Code != http.StatusInternalServerError || !strings.Contains(res.Body.String(), "<h1>Something broke</h1>") {
		t.Errorf("page: %d %s", res.Code, res.Body)
	}
}

type bomb struct{}

func (bomb) SocketsOf(context.Context, chat.UserID) map[chat.SessionID]int {
	panic("row: password=hunter2")
}

//control:proves errors
func TestSessionStoreDown_isBusyAndSaysNothingElse(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	w.sessions.find = errStore
	res := b.send("GET", "/api/rooms", "")
	wantError(t, res, http.StatusServiceUnavailable, "busy")
	if strings.Contains(res.Body.String(), "10.0.0.7") {
		t.Error(res.Body)
	}
	if res := b.send("GET", "/sessions", ""); res.Code != http.StatusServiceUnavailable || !strings.Contains(res.Body.String(), "<h1>") {
		t.Errorf("page: %d %s", res.Code, res.Body)
	}
	// When only saving fails, what the handler found out is withheld.
	w.sessions.find, w.sessions.commit = nil, errStore
	id := w.ownRoom(b)
	res = b.send("GET", "/api/rooms", "")
	wantError(t, res, http.StatusServiceUnavailable, "busy")
	if strings.Contains(res.Body.String(), id) {
		t.Error(res.Body)
	}
}

//control:proves ratelimit
func TestBudget(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	w.limits.refuse = "http"
	res := b.send("GET", "/api/session", "")
	wantError(t, res, http.StatusTooManyRequests, "rate_limited")
	if got := res.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q: the client would come too early", got)
	}
	if b.cookie != "" {
		t.Error("a session was stored for a refused request")
	}
	if e := w.wantEvent(audit.RateLimitExceeded, "http"); e.Control != "ratelimit" {
		t.Errorf("event %+v", e)
	}
	if got := w.limits.seen[0]; got.Key != "192.0.2.1/32" || got.Limit.Rate != 10 || got.Limit.Burst != 100 {
		t.Errorf("bucket %+v", got)
	}
	seen := len(w.limits.seen)
	b.send("GET", "/api/session", "", func(r *http.Request) { r.RemoteAddr = "[2001:db8:1:2::3]:1" })
	if got := w.limits.seen[seen:]; len(got) != 2 || got[0].Key != "2001:db8:1:2::/64" || got[1].Key != "2001:db8:1::/48" || got[1].Limit.Burst != 1600 {
		t.Errorf("buckets of an IPv6 network %+v", got)
	}
	if res := b.send("GET", "/sign-in", ""); res.Code != http.StatusTooManyRequests || !strings.Contains(res.Body.String(), "<h1>Too fast</h1>") {
		t.Errorf("page: %d %s", res.Code, res.Body)
	}
	w.limits.refuse, w.limits.err = "", errStore
	wantError(t, b.send("GET", "/api/session", ""), http.StatusServiceUnavailable, "busy")
}

func TestRequestID_isOursAndNeverTheClients(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 3 {
		res := w.browser().send("GET", "/api/session", "", header("X-Request-Id", "mine\r\nevil: 1"))
		id := res.Header().Get("X-Request-Id")
		if len(id) < 20 || strings.Contains(id, "mine") || seen[id] {
			t.Errorf("request id %q", id)
		}
		seen[id] = true
	}
}

func TestNotFound(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for _, m := range []string{"GET", "POST", "DELETE"} {
		wantError(t, b.send(m, "/api/nothing", ""), http.StatusNotFound, "not_found")
	}
	for _, target := range []string{"/nothing", "/static/", "/rooms", "/sessions/", "/admin/", "/.git/config", "/api"} {
		res := b.send("GET", target, "")
		if res.Code != http.StatusNotFound || !strings.Contains(res.Body.String(), "<h1>Not found</h1>") || res.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %s", target, res.Code, res.Body)
		}
	}
	if b.cookie != "" {
		t.Error("a session was stored for nothing")
	}
}

func TestHead_isGetWithoutEffect(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	before := w.changes()
	for _, target := range []string{"/", "/sessions", "/api/rooms", "/schemas/defs.v1.json"} {
		if res := b.send("HEAD", target, ""); res.Code != http.StatusOK {
			t.Errorf("%s: %d", target, res.Code)
		}
	}
	if w.changes() != before {
		t.Error("something was changed")
	}
}

func TestAssets(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	page := b.open("/sign-in")
	_, rest, _ := strings.Cut(page, `src="`)
	src, _, _ := strings.Cut(rest, `"`)
	res := b.send("GET", src, "", header("Cookie", "__Host-portcullis=x"))
	if res.Code != http.StatusOK || res.Body.String() != `"use strict";` {
		t.Fatalf("%s: %d %s", src, res.Code, res.Body)
	}
	for name, want := range map[string]string{"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"} {
		if got := res.Header().Get(name); got != want {
			t.Errorf("%s %q", name, got)
		}
	}
	if len(res.Result().Cookies()) != 0 || res.Header().Get("Vary") != "Accept-Encoding" {
		t.Error("a static file carries a session")
	}
	larger := files()
	larger["schemas/defs.v1.json"].Data = []byte(strings.Repeat(`{"type": "object"} `, 50))
	large := newWorld(t, func(o *site.Options) { o.Web = larger }).browser()
	schema := large.send("GET", "/schemas/defs.v1.json", "", header("Accept-Encoding", "br, gzip"))
	plain := large.send("GET", "/schemas/defs.v1.json", "")
	zipped, err := gzip.NewReader(schema.Body)
	if err != nil || schema.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
		t.Fatalf("compressed: %q %v", schema.Header().Get("Content-Encoding"), err)
	}
	if got, err := io.ReadAll(zipped); err != nil || string(got) != plain.Body.String() {
		t.Errorf("the compressed file is another: %v", err)
	}
	if b.send("GET", "/sign-in", "", header("Accept-Encoding", "gzip")).Header().Get("Content-Encoding") != "" {
		t.Error("a page with a token in it was compressed")
	}
	base := strings.TrimSuffix(src, "/js/main.js")
	for _, target := range []string{
		"/static/0000000000000000/js/main.js", base + "/js/none.js", base + "/js", base + "/", base + "/../schemas/defs.v1.json", base + "/js/../../../templates/layout.html",
		base + "/..%2f..%2ftemplates%2flayout.html", base + "/js//main.js", "/schemas/..%2ftemplates%2flayout.html", "/schemas/none.json",
	} {
		if res := b.send("GET", target, ""); res.Code != http.StatusNotFound || strings.Contains(res.Header().Get("Cache-Control"), "public") {
			t.Errorf("%s: %d", target, res.Code)
		}
	}
	if res := b.send("GET", "/schemas/defs.v1.json", ""); res.Code != http.StatusOK || res.Header().Get("Content-Type") != "application/json" {
		t.Errorf("schema: %d", res.Code)
	}
	changed := files()
	changed["static/js/main.js"].Data = []byte(`"use strict"; `)
	other := newWorld(t, func(o *site.Options) { o.Web = changed }).browser()
	if other.send("GET", src, "").Code != http.StatusNotFound {
		t.Error("the address did not change with the file")
	}
	changed["static/run.exe"] = changed["static/js/main.js"]
	var full site.Options
	newWorld(t, func(o *site.Options) { full = *o })
	full.Web = changed
	if _, err := site.New(full); err == nil {
		t.Error("a file of unknown kind was taken")
	}
}

func report(b *browser, kind, body string) *httptest.ResponseRecorder {
	return b.send("POST", "/csp-report", body, func(r *http.Request) {
		clear(r.Header)
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Origin", evil)
	})
}

//control:proves headers
func TestReports_becomeEventsWithoutSecrets(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IndzLXRpY2tldCtqd3QifQ.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
	tests := []struct{ name, kind, body, want string }{
		{"reporting API", "application/reports+json",
			`[{"type":"csp-violation","url":"x","age":1,"body":{"effectiveDirective":"connect-src","blockedURL":"wss://evil.example/steal?ticket=` + jwt + `","documentURL":"https://u:p@chat.example.com/rooms/1?token=secret#frag","lineNumber":3}}]`,
			"connect-src blocked wss://evil.example/steal in https://chat.example.com/rooms/1 by -"},
		{"report-uri", "application/csp-report",
			`{"csp-report":{"effective-directive":"script-src-elem","blocked-uri":"inline","document-uri":"https://chat.example.com/","source-file":"data:text/javascript,alert('secret')"}}`,
			"script-src-elem blocked inline in https://chat.example.com/ by data:"},
		{"WebKit: one of the reporting API under the type of report-uri", "application/csp-report",
			`{"type":"csp-violation","url":"https://chat.example.com/","body":{"documentURL":"https://chat.example.com/","disposition":"enforce","referrer":"","effectiveDirective":"require-trusted-types-for","blockedURL":"trusted-types-sink","statusCode":200,"sample":"Element innerHTML|<b>x</b>","sourceFile":"https://chat.example.com/","lineNumber":0,"columnNumber":1}}`,
			"require-trusted-types-for blocked trusted-types-sink in https://chat.example.com/ by https://chat.example.com/"},
		{"token in the path", "application/csp-report", `{"csp-report":{"effective-directive":"img-src","blocked-uri":"https://x.example/` + jwt + `/a"}}`,
			"img-src blocked https://x.example/…/a in - by -"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.browser()
			if res := report(b, tt.kind, tt.body); res.Code != http.StatusNoContent || b.cookie != "" {
				t.Fatalf("%d %s", res.Code, res.Body)
			}
			if e := w.wantEvent(audit.CSPViolation, "csp"); e.Detail != tt.want {
				t.Errorf("got  %q\nwant %q", e.Detail, tt.want)
			}
		})
	}
}

//control:proves headers
func TestReports_areBounded(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	one := `{"type":"csp-violation","body":{"effectiveDirective":"` + strings.Repeat("é", 200) + `","blockedURL":"https://` + strings.Repeat("a", 300) + `/"}}`
	if res := report(b, "application/reports+json", "["+strings.Repeat(one+",", 15)+one+"]"); res.Code != http.StatusNoContent {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if all := w.events.all(); len(all) != 8 || len(all[0].Detail) > 400 {
		t.Errorf("%d events, the first %d bytes", len(all), len(all[0].Detail))
	}
	w.events.reset()
	report(b, "application/reports+json", `[{"type":"deprecation","body":{}}]`)
	report(b, "application/csp-report", `{"type":"deprecation"}`)
	if len(w.events.all()) != 0 {
		t.Error("another report became a violation")
	}
	wantError(t, report(b, "application/csp-report", `{"x":"`+strings.Repeat("a", 16<<10)+`"}`), http.StatusRequestEntityTooLarge, "too_large")
	wantError(t, report(b, "application/json", `{}`), http.StatusUnsupportedMediaType, "unsupported_media_type")
	wantError(t, report(b, "", `{}`), http.StatusUnsupportedMediaType, "unsupported_media_type")
	wantError(t, report(b, "application/csp-report", `[]`), http.StatusBadRequest, "bad_json")
	wantError(t, report(b, "application/reports+json", `{`), http.StatusBadRequest, "bad_json")
	w.limits.refuse = "report"
	wantError(t, report(b, "application/csp-report", `{}`), http.StatusTooManyRequests, "rate_limited")
}
