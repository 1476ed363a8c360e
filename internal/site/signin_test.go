package site_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/origin"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/site"
)

func TestSession_firstContactSetsTheCookie(t *testing.T) {
	w := newWorld(t)
	res := w.browser().send("GET", "/api/session", "")
	if field[bool](t, res, "authenticated") || field[string](t, res, "csrf_token") == "" {
		t.Errorf("answer %s", res.Body)
	}
	if strings.Contains(res.Body.String(), `"user"`) || strings.Contains(res.Body.String(), `"session"`) {
		t.Errorf("a visitor is told %s", res.Body)
	}
	cookies := res.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	if c := cookies[0]; c.Name != session.CookieName || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %v", c)
	}
}

//control:proves csrf
func TestSignIn_givesANewCookieAndANewToken(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("ada")
	b := w.browser()
	b.refresh()
	cookie, token := b.cookie, b.token
	res := b.send("POST", "/api/sign-in", `{"username":"ada","password":"`+password+`"}`)
	if res.Code != http.StatusOK || !field[bool](t, res, "authenticated") {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	user := field[map[string]any](t, res, "user")
	if user["username"] != "ada" || user["display_name"] != "ADA" || user["role"] != "user" || user["id"] != w.accounts.users["ada"].ID.String() {
		t.Errorf("user %v", user)
	}
	sess := field[map[string]any](t, res, "session")
	for name, after := range map[string]time.Duration{"idle_ends_at": time.Hour, "ends_at": 8 * time.Hour} {
		if want := w.clock.Now().Add(after).Format("2006-01-02T15:04:05.000Z"); sess[name] != want {
			t.Errorf("%s %v, want %s", name, sess[name], want)
		}
	}
	if b.cookie == cookie {
		t.Error("the cookie that the attacker may have planted lives on")
	}
	if e := w.wantEvent(audit.SessionCreated, "sign_in"); e.User != user["id"] || e.Session != audit.Ref(sess["sid"].(string)) || e.IP != "192.0.2.1/32" {
		t.Errorf("event %+v", e)
	}
	// The token of before signs nothing.
	b.token = token
	wantError(t, b.send("POST", "/api/sign-out", ""), http.StatusForbidden, "csrf")
	// The planted cookie is nobody.
	thief := &browser{w: w, cookie: cookie}
	wantError(t, thief.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
}

// Safari keeps no Secure cookie over http. "The page was too old" would have people load it
// again for ever.
func TestSignIn_ofABrowserThatKeepsNoCookieSaysSo(t *testing.T) {
	const noCookie, webkit, old = "This browser sent no cookie", "devcert", "This page was too old"
	for scheme, want := range map[string][]string{"https": {noCookie}, "http": {noCookie, webkit}} {
		origins, err := origin.New(own, "http://chat.example.com")
		must(t, err)
		w := newWorld(t, func(o *site.Options) {
			base := *o.BaseURL
			base.Scheme = scheme
			o.BaseURL, o.Origin = &base, origins
		})
		w.accounts.add("ada")
		b := w.browser()
		b.open("/sign-in")
		kept := b.cookie
		b.cookie = ""
		res := b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}})
		page := html.UnescapeString(res.Body.String())
		if res.Code != http.StatusForbidden || strings.Contains(page, old) || strings.Contains(page, webkit) != slices.Contains(want, webkit) {
			t.Errorf("%s: %d %s", scheme, res.Code, page)
		}
		for _, words := range want {
			if !strings.Contains(page, words) {
				t.Errorf("%s: %q is not on %s", scheme, words, page)
			}
		}
		w.wantEvent(audit.MaliciousCSRF, "invalid")

		// Who has a cookie and a token of yesterday is told to load the page again.
		b.cookie, b.token = kept, "of yesterday"
		if res := b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}}); !strings.Contains(res.Body.String(), old) {
			t.Errorf("%s: an old page is told %s", scheme, res.Body)
		}
	}
}

//control:proves password
func TestSignIn_hasOneAnswerForEveryWrongPair(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("ada")
	b := w.browser()
	b.refresh()
	wrong := b.send("POST", "/api/sign-in", `{"username":"ada","password":"wrong wrong wrong"}`)
	unknown := b.send("POST", "/api/sign-in", `{"username":"nobody","password":"`+password+`"}`)
	wantError(t, wrong, http.StatusUnauthorized, "invalid_credentials")
	wantError(t, unknown, http.StatusUnauthorized, "invalid_credentials")
	if a, b := field[string](t, wrong, "message"), field[string](t, unknown, "message"); a != b {
		t.Errorf("%q and %q", a, b)
	}
	if c := w.accounts.callers[0]; c.Network.String() != "192.0.2.1/32" || c.RequestID == "" {
		t.Errorf("caller %+v", c)
	}
}

//control:proves revocation
func TestSignIn_overAnotherSessionEndsItAndItsSockets(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("grace")
	b := w.signedIn("ada")
	old, sid := *b, b.sid()
	if res := b.send("POST", "/api/sign-in", `{"username":"grace","password":"`+password+`"}`); res.Code != http.StatusOK {
		t.Fatal(res.Code)
	}
	if len(w.revoked.list) != 1 || w.revoked.list[0].Session.String() != sid || w.revoked.list[0].User != old.user || w.revoked.list[0].Reason != "sign_out" {
		t.Errorf("revoked %+v", w.revoked.list)
	}
	wantError(t, old.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
}

// The password is changed while a thief proves the old one.
//
//control:proves session
func TestSignIn_withACredentialThatChangedMeanwhileIsAWrongPassword(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(b *browser) *httptest.ResponseRecorder
	}{
		{"call", func(b *browser) *httptest.ResponseRecorder {
			return b.send("POST", "/api/sign-in", `{"username":"ada","password":"`+password+`"}`)
		}},
		{"form", func(b *browser) *httptest.ResponseRecorder {
			return b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.accounts.add("ada")
			b := w.signedIn("grace") // a session that the sign-in ends
			old, sid := *b, b.sid()
			w.accounts.during = func() { w.sessions.Change(w.accounts.users["ada"].ID.UUID) }
			res := c.send(b)
			if res.Code != http.StatusUnauthorized || !strings.Contains(res.Body.String(), account.ErrInvalidCredentials.Public) {
				t.Errorf("%d %s", res.Code, res.Body)
			}
			if strings.Contains(res.Body.String(), "grace") {
				t.Error("the answer is still to the user of before")
			}
			if e := w.wantEvent(audit.LoginFail, "credential_changed"); e.User != w.accounts.users["ada"].ID.String() || e.Username != "ada" || e.Level != audit.Warn {
				t.Errorf("event %+v", e)
			}
			if slices.Contains(w.events.names(), audit.SessionCreated) {
				t.Error("an event of a session that there is not")
			}
			wantError(t, b.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
			wantError(t, old.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
			if len(w.revoked.list) != 1 || w.revoked.list[0].Session.String() != sid {
				t.Errorf("revoked %+v, want the session that the browser had", w.revoked.list)
			}
			for _, user := range []string{"ada", "grace"} {
				if all, err := w.sessions.OfUser(t.Context(), w.accounts.users[user].ID.UUID); err != nil || len(all) != 0 {
					t.Errorf("%d sessions of %s, error %v", len(all), user, err)
				}
			}
			now := w.accounts.users["ada"]
			now.CredentialGen = 1
			w.accounts.users["ada"] = now
			b.refresh()
			if res := b.send("POST", "/api/sign-in", `{"username":"ada","password":"`+password+`"}`); res.Code != http.StatusOK {
				t.Errorf("the next sign-in: %d %s", res.Code, res.Body)
			}
		})
	}
}

// Disabled between the session and the answer: no other answer, and nothing left.
//
//control:proves session
func TestSignIn_ofAUserDisabledMeanwhileIsAWrongPassword(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("ada")
	b := w.browser()
	b.refresh()
	w.accounts.during = func() { w.accounts.disabled["ada"] = true }
	wantError(t, b.send("POST", "/api/sign-in", `{"username":"ada","password":"`+password+`"}`), http.StatusUnauthorized, "invalid_credentials")
	w.wantEvent(audit.LoginFail, "credential_changed")
	if b.cookie != "" {
		t.Error("a cookie of a session that was refused")
	}
	if all, err := w.sessions.OfUser(t.Context(), w.accounts.users["ada"].ID.UUID); err != nil || len(all) != 0 {
		t.Errorf("%d sessions, error %v", len(all), err)
	}
}

func TestSignUp(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.refresh()
	res := b.send("POST", "/api/sign-up", `{"username":"eve","password":"`+password+`","display_name":"Eve"}`)
	if res.Code != http.StatusOK || !field[bool](t, res, "authenticated") {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	b = w.browser()
	b.refresh()
	wantError(t, b.send("POST", "/api/sign-up", `{"username":"eve","password":"`+password+`"}`), http.StatusConflict, "duplicate")
	wantError(t, b.send("POST", "/api/sign-up", `{"username":"eva","password":"short"}`), http.StatusBadRequest, "bad_schema")
	wantError(t, b.send("POST", "/api/sign-up", `{"username":"eva","password":"`+password+`","role":"admin"}`), http.StatusBadRequest, "bad_schema")
	if e := w.wantEvent(audit.MaliciousExtra, "unknown_member"); e.Detail != "/role" {
		t.Errorf("detail %q", e.Detail)
	}
	if w.accounts.writes != 1 {
		t.Errorf("%d accounts made", w.accounts.writes)
	}
}

func TestSignUp_isRefusedInWordsWhenClosed(t *testing.T) {
	w := newWorld(t, func(o *site.Options) { o.OpenSignUp = false })
	b := w.browser()
	b.refresh()
	res := b.send("POST", "/api/sign-up", bodies["POST /api/sign-up"])
	wantError(t, res, http.StatusForbidden, "denied")
	if got := field[string](t, res, "message"); got != account.ErrSignUpClosed.Public {
		t.Errorf("message %q", got)
	}
	if res := b.submit("/sign-up", nil); res.Code != http.StatusForbidden || !strings.Contains(res.Body.String(), "Sign-up is closed") {
		t.Errorf("page: %d %s", res.Code, res.Body)
	}
}

//control:proves revocation
//control:proves sign-out-cleanup
func TestSignOut_endsTheSessionItsSocketsAndWhatTheBrowserStored(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	sid, cookie := b.sid(), b.cookie
	res := b.send("POST", "/api/sign-out", "")
	if res.Code != http.StatusNoContent || res.Body.Len() != 0 {
		t.Fatalf("%d %q", res.Code, res.Body)
	}
	if got := res.Header().Get("Clear-Site-Data"); got != `"cache", "storage"` {
		t.Errorf("Clear-Site-Data %q", got)
	}
	if c := res.Result().Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("cookies %v", c)
	}
	if len(w.revoked.list) != 1 {
		t.Fatalf("%d revocations", len(w.revoked.list))
	}
	if r := w.revoked.list[0]; r.Session.String() != sid || r.User != b.user || r.Reason != "sign_out" || !r.At.Equal(w.clock.Now()) || r.Room.String() != "00000000-0000-0000-0000-000000000000" {
		t.Errorf("revocation %+v", r)
	}
	if e := w.wantEvent(audit.SessionLogout, "sign_out"); e.Session != audit.Ref(sid) || e.User != b.user.String() {
		t.Errorf("event %+v", e)
	}
	b.cookie = cookie // a copy
	wantError(t, b.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
	w.wantEvent(audit.SessionUseAfterEnd, "no_live_session")

	// And the same browser can sign in again at once.
	b.cookie = ""
	b.refresh()
	if res := b.send("POST", "/api/sign-in", bodies["POST /api/sign-in"]); res.Code != http.StatusOK {
		t.Errorf("sign in again: %d %s", res.Code, res.Body)
	}
}

// WebKit does not look at Clear-Site-Data on a redirect, and a form's answer is one.
//
//control:proves sign-out-cleanup
func TestSignOut_ofAFormEmptiesTheBrowserOnThePageThatItLeadsToToo(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		target, from string
		signedIn     bool
		want         string
	}{
		{"/sign-in?done=signed-out", "same-origin", false, `"cache", "storage"`},
		{"/sign-in?done=account-deleted", "same-origin", false, `"cache", "storage"`},
		{"/sign-in?done=signed-out", "cross-site", false, ""}, // a link that somebody laid
		{"/sign-in?done=signed-out", "same-site", false, ""},
		{"/sign-in?done=signed-out", "none", false, ""},
		{"/sign-in?done=signed-out", "same-origin", true, ""}, // what is stored is theirs
		{"/sign-in", "same-origin", false, ""},
	} {
		b := w.browser()
		if tt.signedIn {
			b = w.signedIn("ada")
		}
		if got := b.send("GET", tt.target, "", header("Sec-Fetch-Site", tt.from)).Header().Get("Clear-Site-Data"); got != tt.want {
			t.Errorf("%+v: Clear-Site-Data %q", tt, got)
		}
	}
}

// A sign-out that the store could not keep must not look like one.
func TestSignOut_failsLoudlyWhenTheStoreDoes(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	w.sessions.remove = errStore
	res := b.send("POST", "/api/sign-out", "")
	wantError(t, res, http.StatusInternalServerError, "internal")
	if res.Header().Get("Clear-Site-Data") != "" || len(w.revoked.list) != 0 {
		t.Error("half a sign-out")
	}
}

//control:proves session
func TestPassword_renewsThisSession(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	copied, sid := *b, b.sid()
	copied.cookie = b.cookie
	wantError(t, b.send("POST", "/api/password", `{"current_password":"no","new_password":"another horse battery"}`), http.StatusUnauthorized, "invalid_credentials")
	res := b.send("POST", "/api/password", bodies["POST /api/password"])
	if res.Code != http.StatusNoContent {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	w.wantEvent(audit.SessionRenewed, "password_change")
	if b.cookie == copied.cookie {
		t.Error("the cookie stayed")
	}
	if got := b.sid(); got != sid {
		t.Errorf("sid %s, was %s: the sockets of this tab would close", got, sid)
	}
	wantError(t, b.send("POST", "/api/sign-out", ""), http.StatusForbidden, "csrf") // with the token of before
	b.refresh()
	wantError(t, copied.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
	if res := b.send("GET", "/api/rooms", ""); res.Code != http.StatusOK {
		t.Errorf("own cookie: %d", res.Code)
	}
}

// A session that is ended or renewed while it changes the password gets no new cookie,
// and no answer that says that it has one.
//
//control:proves session
func TestPassword_doesNotSayDoneWhenItsSessionEndedMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(w *world, other *browser) int
	}{
		{"signed out", func(_ *world, other *browser) int { return other.send("POST", "/api/sign-out", "").Code }},
		{"renewed", func(_ *world, other *browser) int {
			return other.send("POST", "/api/password", bodies["POST /api/password"]).Code
		}},
		{"revoked", func(w *world, other *browser) int {
			if _, err := w.sessions.RevokeAll(t.Context(), other.user.UUID, uuid.Nil, "disabled"); err != nil {
				t.Error(err)
			}
			return http.StatusNoContent
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn("ada")
			other := *b
			w.accounts.during = func() {
				if code := c.meanwhile(w, &other); code != http.StatusNoContent {
					t.Errorf("meanwhile: %d", code)
				}
				w.events.reset()
			}
			res := b.send("POST", "/api/password", bodies["POST /api/password"])
			wantError(t, res, http.StatusUnauthorized, "unauthenticated")
			if len(res.Result().Cookies()) != 0 {
				t.Errorf("cookies %v", res.Result().Cookies())
			}
			w.wantEvent(audit.SessionUseAfterEnd, "no_live_session")
			if slices.Contains(w.events.names(), audit.SessionRenewed) {
				t.Error("an event of a renewal that there was not")
			}
			wantError(t, b.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
		})
	}
}

// The thief renews, with a change of the password, the session that its owner signs
// out of: 204 has to mean that it is over.
//
//control:proves session
func TestSignOut_endsASessionThatIsRenewedMeanwhile(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	thief := *b
	w.sessions.removing = func() {
		if res := thief.send("POST", "/api/password", bodies["POST /api/password"]); res.Code != http.StatusNoContent {
			t.Errorf("renewal: %d %s", res.Code, res.Body)
		}
	}
	if res := b.send("POST", "/api/sign-out", ""); res.Code != http.StatusNoContent {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if thief.cookie == "" || thief.cookie == b.cookie {
		t.Fatal("nothing was renewed")
	}
	wantError(t, thief.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
}

// A client that dribbles its body keeps the request open across its own sign-out.
// Had the session been loaded at the start, the call would still be signed in.
//
//control:proves session
func TestSignOut_stopsACallWhoseBodyIsStillArriving(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	slow := *b
	body, feed := io.Pipe()
	answer := make(chan *httptest.ResponseRecorder)
	go func() {
		answer <- slow.send("POST", "/api/ws-ticket", "{}", func(r *http.Request) { r.Body, r.ContentLength = body, -1 })
	}()
	if _, err := feed.Write([]byte(`{"route":`)); err != nil { // returns when the server has read it
		t.Fatal(err)
	}
	if res := b.send("POST", "/api/sign-out", ""); res.Code != http.StatusNoContent {
		t.Fatal(res.Code)
	}
	if _, err := feed.Write([]byte(`"/ws"}`)); err != nil {
		t.Fatal(err)
	}
	must(t, feed.Close())
	wantError(t, <-answer, http.StatusUnauthorized, "unauthenticated")
	if len(w.tickets.issued) != 0 {
		t.Error("a ticket was issued for a session that had ended")
	}
}
