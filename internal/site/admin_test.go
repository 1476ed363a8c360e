package site_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/csrf"
	responses "example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/site"
)

// watched reports whether a route of this policy is only there for some.
func watched(p site.Policy) bool {
	return p == site.WatchPage || p == site.WatchStream || p == site.AdminPage
}

// What the pages and calls cannot ask for, no hole in them can be talked into.
//
//control:proves admin-separation
func TestAccounts_cannotAdministerFromHere(t *testing.T) {
	have := reflect.TypeFor[site.Accounts]()
	for _, method := range []string{"SetRole", "SetDisabled", "Disable", "ResetPassword", "Create", "List"} {
		if _, found := have.MethodByName(method); found {
			t.Errorf("site can call %s, which is for the command line", method)
		}
	}
	if have.NumMethod() == 0 {
		t.Error("there is nothing to look at")
	}
}

//control:proves admin-separation
func TestSignUp_takesNoRole(t *testing.T) {
	for _, field := range []string{"role", "site_role", "admin", "is_admin"} {
		w := newWorld(t)
		b := w.browser()
		b.refresh()
		before := w.changes()
		res := b.send("POST", "/api/sign-up", `{"username":"eve","password":"`+password+`","`+field+`":"admin"}`)
		if res.Code != http.StatusBadRequest || w.changes() != before {
			t.Errorf("%s: %d, changed %v", field, res.Code, w.changes() != before)
		}
		if !strings.Contains(join(w.events.names()), string(audit.MaliciousExtra)) {
			t.Errorf("%s: events %v", field, w.events.names())
		}
	}
}

// acts is, for each route that acts, an address and a form that succeed, and the event's reason.
func (w *world) adminActs(other *browser) map[string]struct {
	target, reason string
	form           url.Values
} {
	w.admin.sockets = []site.Connection{{ID: "c1", Username: "mallory", User: other.user, Network: "198.51.100.7/32"}}
	w.admin.users["mallory"] = true
	return map[string]struct {
		target, reason string
		form           url.Values
	}{
		"POST /admin/security/sockets/{conn}/close": {"/admin/security/sockets/c1/close", "close_socket", nil},
		"POST /admin/security/sessions/{ref}/end":   {"/admin/security/sessions/" + audit.Ref(other.sid()) + "/end", "end_session", url.Values{"user": {other.user.String()}}},
		"POST /admin/security/users/disable":        {"/admin/security/users/disable", "disable_user", url.Values{"username": {"mallory"}}},
		"POST /admin/security/blocks":               {"/admin/security/blocks", "block", url.Values{"subject": {"198.51.100.7"}, "minutes": {"15"}, "reason": {"a flood"}}},
		"POST /admin/security/responses/{id}/lift":  {"/admin/security/responses/1/lift", "lift", nil},
		"POST /admin/security/announcements":        {"/admin/security/announcements", "announce", url.Values{"body": {"Maintenance at ten."}}},
	}
}

// same fails the test unless two answers cannot be told apart by who got them.
func same(t *testing.T, what string, got, want *httptest.ResponseRecorder) {
	t.Helper()
	strip := func(res *httptest.ResponseRecorder) (http.Header, string) {
		h := res.Header().Clone()
		id, nonce := h.Get("X-Request-Id"), h.Get("Content-Security-Policy")
		if _, after, ok := strings.Cut(nonce, "'nonce-"); ok {
			nonce, _, _ = strings.Cut(after, "'")
		}
		h.Del("X-Request-Id")
		h.Del("Content-Security-Policy")
		return h, strings.NewReplacer(id, "ID", nonce, "NONCE").Replace(res.Body.String())
	}
	gh, gb := strip(got)
	wh, wb := strip(want)
	if got.Code != want.Code || gb != wb || !maps.EqualFunc(gh, wh, slices.Equal[[]string]) {
		t.Errorf("%s: %d %v %s\nan unknown address: %d %v %s", what, got.Code, gh, gb, want.Code, wh, wb)
	}
}

// Whoever may not use a route must not learn that it is there: with any method, with
// and without a token, from here and from another site.
//
//control:proves admin-separation
//control:proves route-policy
func TestAdmin_existsOnlyForItsRoles(t *testing.T) {
	for _, rt := range newWorld(t).site.Table() {
		if !watched(rt.Policy) {
			if strings.Contains(rt.Pattern, "/admin") {
				t.Errorf("%s %s has no policy of administration", rt.Method, rt.Pattern)
			}
			continue
		}
		name := rt.Method + " " + rt.Pattern
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mallory := w.signedIn("mallory")
			act := w.adminActs(mallory)[name]
			target, unknown := act.target, "/admin/nothing"
			if rt.Method == http.MethodGet {
				target = rt.Pattern
			}
			if strings.HasPrefix(rt.Pattern, "/api/") {
				unknown = "/api/admin/nothing"
			}
			people := map[string]*browser{"a visitor": w.browser(), "a user": w.signedIn("eve"), "a program": w.as("bot", authz.Service), "no role": w.as("ghost", "")}
			if rt.Policy == site.AdminPage {
				people["an auditor"] = w.as("audrey", authz.Auditor)
			}
			for who, b := range people {
				w.events.reset()
				before := w.changes()
				ask := func(to string, change ...func(*http.Request)) *httptest.ResponseRecorder {
					if rt.Method == http.MethodPost {
						return b.submit(to, maps.Clone(act.form), change...)
					}
					return b.send(rt.Method, to, "", change...)
				}
				same(t, who, ask(target), ask(unknown))
				if who != "a visitor" {
					if e := w.wantEvent(audit.AuthzFail, "role"); e.Control != "admin-separation" || e.User != b.user.String() {
						t.Errorf("%s: event %+v", who, e)
					}
				}
				same(t, who+" with a foreign origin", ask(target, header("Sec-Fetch-Site", "cross-site"), header("Origin", evil)), ask(unknown, header("Sec-Fetch-Site", "cross-site"), header("Origin", evil)))
				same(t, who+" from a listed origin", ask(target, header("Origin", listed)), ask(unknown, header("Origin", listed)))
				for _, method := range []string{"PUT", "DELETE", "OPTIONS", "PATCH"} {
					same(t, who+" with "+method, b.send(method, target, ""), b.send(method, unknown, ""))
				}
				if rt.Method == http.MethodPost {
					same(t, who+" without a token", ask(target, func(r *http.Request) { r.Body = readCloser("x="); r.ContentLength = 2 }), ask(unknown))
					same(t, who+" with a body that is too long", b.send("POST", target, "", longBody), b.send("POST", unknown, "", longBody))
				}
				if w.changes() != before {
					t.Errorf("%s changed something", who)
				}
			}
		})
	}
}

//control:proves admin-separation
//control:proves step-up
//control:proves csrf
func TestAdmin_actsTakeARoleAFreshProofAndAToken(t *testing.T) {
	routes := 0
	for _, rt := range newWorld(t).site.Table() {
		if rt.Policy != site.AdminPage {
			continue
		}
		routes++
		name := rt.Method + " " + rt.Pattern
		t.Run(name, func(t *testing.T) {
			set := func() (*world, *browser, func(change ...func(*http.Request)) *httptest.ResponseRecorder, string) {
				w := newWorld(t)
				mallory := w.signedIn("mallory")
				root := w.as("root", authz.Admin)
				act, known := w.adminActs(mallory)[name]
				if !known {
					t.Fatal("not in this test's list")
				}
				w.events.reset()
				return w, root, func(change ...func(*http.Request)) *httptest.ResponseRecorder {
					form := maps.Clone(act.form)
					if form == nil {
						form = url.Values{}
					}
					form.Set("next", "/admin/security")
					return root.submit(act.target, form, change...)
				}, act.reason
			}
			t.Run("an administrator", func(t *testing.T) {
				w, root, send, reason := set()
				before := w.changes()
				res := send()
				if res.Code != http.StatusSeeOther || !strings.HasPrefix(res.Header().Get("Location"), "/admin/security?done=") {
					t.Fatalf("%d %s", res.Code, res.Header().Get("Location"))
				}
				if w.changes() == before {
					t.Error("nothing happened")
				}
				e := w.wantEvent(audit.AuthzAdmin, reason)
				if e.Control != "admin-separation" || e.User != root.user.String() || e.Detail == "" {
					t.Errorf("event %+v", e)
				}
				if page := root.send("GET", res.Header().Get("Location"), ""); !strings.Contains(page.Body.String(), "<i>") || strings.Contains(page.Body.String(), "<i></i>") {
					t.Errorf("the page says nothing about it: %s", page.Body)
				}
			})
			t.Run("a stolen session without a fresh proof", func(t *testing.T) {
				w, _, send, _ := set()
				w.clock.Advance(6 * time.Minute)
				before := w.changes()
				if res := send(); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/step-up?next=%2Fadmin%2Fsecurity" {
					t.Errorf("%d %s", res.Code, res.Header().Get("Location"))
				}
				w.wantEvent(audit.AuthzFail, "old_proof")
				if w.changes() != before {
					t.Error("something happened")
				}
			})
			for what, change := range map[string]func(*http.Request){
				"no token":         func(r *http.Request) { r.Body = readCloser("x="); r.ContentLength = 2 },
				"a foreign origin": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site"); r.Header.Set("Origin", evil) },
				"another's token": func(r *http.Request) {
					b := csrf.Field + "=" + url.QueryEscape(csrf.Mask(csrf.NewSecret()))
					r.Body = readCloser(b)
					r.ContentLength = int64(len(b))
				},
			} {
				t.Run(what, func(t *testing.T) {
					w, _, send, _ := set()
					before := w.changes()
					if res := send(change); res.Code != http.StatusForbidden {
						t.Errorf("%d", res.Code)
					}
					if w.changes() != before || !strings.Contains(join(w.events.names()), string(audit.MaliciousCSRF)) {
						t.Errorf("changed, or no event: %v", w.events.names())
					}
				})
			}
		})
	}
	if routes < 6 {
		t.Errorf("only %d routes", routes)
	}
}

//control:proves admin-separation
func TestAdmin_cannotLockItselfOutNorGoBeyondABlock(t *testing.T) {
	w := newWorld(t)
	root := w.as("root", authz.Admin)
	block := func(subject, minutes, reason string) url.Values {
		return url.Values{"subject": {subject}, "minutes": {minutes}, "reason": {reason}}
	}
	for name, try := range map[string]struct {
		target string
		form   url.Values
		want   int
	}{
		"its own network":       {"/blocks", block("192.0.2.1", "15", "oops"), 400},
		"itself":                {"/blocks", block(root.user.String(), "15", "oops"), 400},
		"two days":              {"/blocks", block("198.51.100.7", "2880", "flood"), 400},
		"no time":               {"/blocks", block("198.51.100.7", "0", "flood"), 400},
		"no reason":             {"/blocks", block("198.51.100.7", "15", " "), 400},
		"everybody":             {"/blocks", block("0.0.0.0/0", "15", "flood"), 400},
		"a whole provider":      {"/blocks", block("2001:db8::/32", "15", "flood"), 400},
		"nobody":                {"/blocks", block("mallory", "15", "flood"), 400},
		"its own session":       {"/sessions/" + audit.Ref(root.sid()) + "/end", url.Values{"user": {root.user.String()}}, 400},
		"its own account":       {"/users/disable", url.Values{"username": {"ROOT"}}, 400},
		"an unknown account":    {"/users/disable", url.Values{"username": {"nobody"}}, 400},
		"an unknown session":    {"/sessions/abc/end", url.Values{"user": {uuid.NewString()}}, 404},
		"a socket elsewhere":    {"/sockets/c9/close", nil, 404},
		"what has ended":        {"/responses/9/lift", nil, 404},
		"an empty announcement": {"/announcements", url.Values{"body": {""}}, 400},
	} {
		before := w.changes()
		if res := root.submit("/admin/security"+try.target, try.form); res.Code != try.want || w.changes() != before {
			t.Errorf("%s: %d, want %d; changed %v", name, res.Code, try.want, w.changes() != before)
		}
	}
	if res := root.submit("/admin/security/blocks", block("2001:db8:1:2::99", "60", "flood")); res.Code != http.StatusSeeOther {
		t.Fatal(res.Code)
	}
	r := w.admin.active[0]
	if r.Kind != responses.Block || r.Subject.Key != "2001:db8:1:2::/64" || r.By != "admin:root" || r.Until.Sub(r.At) != time.Hour {
		t.Errorf("blocked %+v", r)
	}
}

// What an attacker wrote is text on the page, masked where it is an address.
//
//control:proves admin-separation
//control:proves output
func TestSecurityPage_showsWhatAttackersWroteAsText(t *testing.T) {
	w := newWorld(t)
	audrey := w.as("audrey", authz.Auditor)
	const script = `<script>alert(1)</script>`
	for range 3 {
		w.admin.store(audit.Event{Name: audit.MaliciousCORS, Level: audit.Warn, Control: "origin", IP: "198.51.100.7/32", UserAgent: script, Detail: `"><img src=x onerror=alert(1)>`})
	}
	w.admin.store(audit.Event{Name: audit.Connect, Level: audit.Info})
	w.admin.sockets = []site.Connection{{ID: "c1", User: chat.UserID{UUID: uuid.New()}, Network: "2001:db8:aaaa:bbbb::/64", Username: "eve"}}
	body := audrey.send("GET", "/admin/security", "").Body.String()
	for _, want := range []string{"acts=false", "&lt;script&gt;alert(1)&lt;/script&gt;", "network 198.51.100.0/24 3", "c1 2001:db8:aaaa::/48", "4 ws_connect"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, script) || strings.Contains(body, "198.51.100.7") {
		t.Errorf("markup or a whole address: %s", body)
	}
	for query, want := range map[string]int{"?control=origin": 3, "?level=INFO": 1, "?text=ALERT": 3, "?text=nothing": 0} {
		if got := strings.Count(audrey.send("GET", "/admin/security"+query, "").Body.String(), " malicious_cors ") + strings.Count(audrey.send("GET", "/admin/security"+query, "").Body.String(), " ws_connect "); got != want {
			t.Errorf("%s: %d events, want %d", query, got, want)
		}
	}
	w.role("audrey", authz.Admin)
	if body := audrey.send("GET", "/admin/security", "").Body.String(); !strings.Contains(body, "acts=true") {
		t.Error("an administrator has no buttons")
	}
}
