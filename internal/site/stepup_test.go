package site_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/csrf"
)

// A thief has the cookie of a session whose owner signed in this morning.
//
//control:proves step-up
func TestStepUp_refusesWhatHurtsMostToAnOldProof(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	other := w.signedIn("ada")
	w.events.reset()
	w.clock.Advance(6 * time.Minute)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/sessions/revoke-others", ""},
		{"DELETE", "/api/sessions/" + other.sid(), ""},
		{"POST", "/api/passkeys/begin", ""},
		{"POST", "/api/passkeys", `{"name":"x","credential":"ada"}`},
		{"DELETE", "/api/passkeys/" + uuid.NewString(), ""},
	} {
		wantError(t, ada.send(c.method, c.path, c.body), http.StatusForbidden, "step_up_required")
	}
	if e := w.wantEvent(audit.AuthzFail, "old_proof"); e.Control != "step-up" || e.User != ada.user.String() {
		t.Errorf("event %+v", e)
	}
	if len(w.revoked.list) != 0 || w.passkeys.writes != 0 {
		t.Error("something was done all the same")
	}
	// What is every day's business goes on.
	if res := ada.send("GET", "/api/sessions", ""); res.Code != http.StatusOK {
		t.Errorf("looking at sessions: %d", res.Code)
	}
	if res := ada.send("POST", "/api/ws-ticket", `{"route":"/ws"}`); res.Code != http.StatusCreated {
		t.Errorf("a ticket: %d", res.Code)
	}
	// The current password in the call itself is a proof.
	if res := ada.send("POST", "/api/password", bodies["POST /api/password"]); res.Code != http.StatusNoContent {
		t.Errorf("a change of password: %d %s", res.Code, res.Body)
	}
}

// A session was seen in two places at once: that the owner proved themselves a minute
// ago says nothing about who holds the cookie now.
//
//control:proves response
func TestStepUp_aSuspectedSessionProvesItselfAgain(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	w.clock.Advance(time.Minute)
	w.suspects.since.Store(audit.Ref(ada.sid()), w.clock.Now())
	wantError(t, ada.send("POST", "/api/sessions/revoke-others", ""), http.StatusForbidden, "step_up_required")
	if res := w.signedIn("ada").send("POST", "/api/sessions/revoke-others", ""); res.Code != http.StatusNoContent && res.Code != http.StatusOK {
		t.Errorf("another session of the same person: %d %s", res.Code, res.Body)
	}
}

//control:proves step-up
func TestStepUp_aProofGivesANewCookieAndAnotherFiveMinutes(t *testing.T) {
	for name, proof := range map[string]string{"password": `{"password":"` + password + `"}`, "passkey": `{"credential":"ada"}`} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ada := w.signedIn("ada")
			sid := ada.sid()
			w.clock.Advance(6 * time.Minute)
			copied := *ada
			res := ada.send("POST", "/api/step-up", proof)
			if res.Code != http.StatusOK {
				t.Fatalf("%d %s", res.Code, res.Body)
			}
			w.wantEvent(audit.SessionRenewed, "step_up")
			ada.token = field[string](t, res, "csrf_token")
			if ada.sid() != sid || ada.cookie == copied.cookie {
				t.Error("the session changed, or its cookie did not")
			}
			if res := ada.send("POST", "/api/sessions/revoke-others", ""); res.Code != http.StatusOK {
				t.Errorf("after the proof: %d %s", res.Code, res.Body)
			}
			wantError(t, copied.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated") // the thief's copy
			w.clock.Advance(5*time.Minute + time.Second)
			wantError(t, ada.send("POST", "/api/sessions/revoke-others", ""), http.StatusForbidden, "step_up_required")
		})
	}
}

//control:proves step-up
func TestStepUp_aWrongProofProvesNothing(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	w.clock.Advance(6 * time.Minute)
	for _, c := range []struct {
		body   string
		status int
		code   string
	}{
		{`{"password":"wrong"}`, http.StatusUnauthorized, "invalid_credentials"},
		{`{"credential":"mallory"}`, http.StatusUnauthorized, "invalid_credentials"},
		{`{"password":"` + password + `","credential":"ada"}`, http.StatusBadRequest, "bad_schema"},
		{`{}`, http.StatusBadRequest, "bad_schema"},
	} {
		cookie := ada.cookie
		wantError(t, ada.send("POST", "/api/step-up", c.body), c.status, c.code)
		wantError(t, ada.send("POST", "/api/sessions/revoke-others", ""), http.StatusForbidden, "step_up_required")
		if ada.cookie != cookie {
			t.Errorf("%s renewed the session", c.body)
		}
	}
}

// If the session ends while the proof is being made, the proof does not bring it back.
//
//control:proves step-up
func TestStepUp_doesNotReviveASessionThatEndedMeanwhile(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	w.accounts.during = func() {
		if _, err := w.sessions.RevokeAll(t.Context(), ada.user.UUID, uuid.Nil, "admin"); err != nil {
			t.Error(err)
		}
	}
	wantError(t, ada.send("POST", "/api/step-up", `{"password":"`+password+`"}`), http.StatusUnauthorized, "unauthenticated")
	wantError(t, ada.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
}

// A form goes to the page that asks, and from there to a page of ours.
//
//control:proves step-up
func TestStepUp_pageLeadsBackToThisSiteOnly(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	w.clock.Advance(6 * time.Minute)
	for next, want := range map[string]string{
		"/sessions": "/sessions", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/", "/%2fevil.example": "/", "": "/", "javascript:alert(1)": "/",
	} {
		res := ada.submit("/sessions/revoke-others", url.Values{"next": {next}})
		to, err := url.Parse(res.Header().Get("Location"))
		if err != nil || res.Code != http.StatusSeeOther || to.Path != "/step-up" || to.Query().Get("next") != want {
			t.Errorf("next %q: %d to %q, %v", next, res.Code, res.Header().Get("Location"), err)
		}
		proven := w.signedIn("ada").submit("/step-up", url.Values{"password": {password}, "next": {next}})
		if proven.Code != http.StatusSeeOther || proven.Header().Get("Location") != want {
			t.Errorf("next %q after the proof: %d to %q", next, proven.Code, proven.Header().Get("Location"))
		}
	}
	if res := ada.submit("/step-up", url.Values{"password": {"wrong"}, "next": {"/sessions"}}); res.Code != http.StatusUnauthorized || !strings.Contains(res.Body.String(), account.ErrInvalidCredentials.Public) {
		t.Errorf("wrong password: %d %s", res.Code, res.Body)
	}
}

// Eleven devices: the oldest goes, with its sockets, and the newest always gets in.
//
//control:proves session-limit
func TestSessionLimit_endsTheOldestAndNeverRefusesTheNewest(t *testing.T) {
	w := newWorld(t)
	var all []*browser
	for range 10 {
		all = append(all, w.signedIn("ada"))
		w.clock.Advance(time.Minute)
	}
	oldest := all[0].sid()
	if len(w.revoked.list) != 0 {
		t.Fatalf("%d ended before the limit", len(w.revoked.list))
	}
	w.events.reset()
	newest := w.browser()
	newest.refresh()
	if res := newest.send("POST", "/api/sign-in", bodies["POST /api/sign-in"]); res.Code != http.StatusOK {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if e := w.wantEvent(audit.SessionsExceeded, "session_limit"); e.Control != "session-limit" || e.Session != audit.Ref(oldest) {
		t.Errorf("event %+v", e)
	}
	if len(w.revoked.list) != 1 || w.revoked.list[0].Session.String() != oldest || w.revoked.list[0].Reason != "session_limit" {
		t.Errorf("revoked %+v", w.revoked.list)
	}
	wantError(t, all[0].send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
	const told = "You were signed in at 11 places, and the limit is 10: the oldest was signed out (an unknown program · 192.0.2.1 · last used "
	if page := newest.open("/sessions"); !strings.Contains(page, told) {
		t.Errorf("the new session is not told: %s", page)
	}
	if page := newest.open("/"); strings.Contains(page, told) {
		t.Error("it is told twice")
	}
	if page := all[1].open("/"); strings.Contains(page, told) {
		t.Error("another session is told what is the new one's")
	}
	for i, b := range append(all[1:], newest) {
		if res := b.send("GET", "/api/rooms", ""); res.Code != http.StatusOK {
			t.Errorf("session %d: %d", i, res.Code)
		}
	}
}

//control:proves passkey
func TestPasskeySignIn_givesANewSessionLikeAPassword(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("ada")
	b := w.browser()
	b.refresh()
	before := b.cookie
	if res := b.send("POST", "/api/passkeys/sign-in/begin", ""); res.Code != http.StatusOK || !strings.Contains(res.Body.String(), `"challenge":"s"`) {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	if len(w.passkeys.asked) != 1 || w.passkeys.asked[0] == uuid.Nil {
		t.Fatalf("asked %v", w.passkeys.asked)
	}
	wantError(t, b.send("POST", "/api/passkeys/sign-in", `{"credential":"nobody"}`), http.StatusUnauthorized, "invalid_credentials")
	res := b.send("POST", "/api/passkeys/sign-in", `{"credential":"ada"}`)
	if res.Code != http.StatusOK || field[map[string]any](t, res, "user")["username"] != "ada" || b.cookie == before {
		t.Fatalf("%d %s, new cookie %v", res.Code, res.Body, b.cookie != before)
	}
	w.wantEvent(audit.SessionCreated, "sign_in")
}

//control:proves service-identity
func TestServiceTicket_takesAKeyAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.services.user = account.User{ID: chat.UserID{UUID: uuid.New()}, Username: "bot", Role: authz.Service}
	w.services.sid = uuid.New()
	ada := w.signedIn("ada")
	program := func(change ...func(*http.Request)) (int, string) {
		bare := func(r *http.Request) {
			for _, h := range []string{"Origin", "Sec-Fetch-Site", "Cookie", csrf.Header} {
				r.Header.Del(h)
			}
			r.Header.Set("Authorization", "Bearer "+serviceKey)
		}
		res := ada.send("POST", "/api/service/ticket", "", append([]func(*http.Request){bare}, change...)...)
		if res.Code == http.StatusCreated {
			return res.Code, ""
		}
		return res.Code, field[string](t, res, "code")
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		tried  bool // the key was looked at
	}{
		{"a page of ours", header("Origin", own), http.StatusForbidden, false},
		{"a foreign page", header("Origin", evil), http.StatusForbidden, false},
		{"a browser without an origin", header("Sec-Fetch-Site", "none"), http.StatusForbidden, false},
		{"a person's cookie", header("Cookie", "__Host-portcullis="+ada.cookie), http.StatusForbidden, false},
		{"any cookie", header("Cookie", "a=b"), http.StatusForbidden, false},
		{"no key", func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized, true},
		{"a wrong key", header("Authorization", "Bearer pcs_x_y"), http.StatusUnauthorized, true},
		{"another scheme", header("Authorization", "Basic "+serviceKey), http.StatusUnauthorized, true},
		{"two keys", func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+serviceKey) }, http.StatusUnauthorized, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.tickets.issued, w.services.keys = nil, nil
			if status, code := program(c.change); status != c.status {
				t.Errorf("%d %s, want %d", status, code, c.status)
			}
			if len(w.tickets.issued) != 0 || (len(w.services.keys) > 0) != c.tried {
				t.Errorf("issued %d, keys tried %v", len(w.tickets.issued), w.services.keys)
			}
		})
	}
	w.wantEvent(audit.MaliciousCORS, "browser")
	if status, code := program(); status != http.StatusCreated {
		t.Fatalf("the key alone: %d %s", status, code)
	}
	got := w.tickets.issued[0]
	if !got.Service || got.Route != "/ws/cli" || got.Origin != "" || got.Session != w.services.sid || got.User != w.services.user.ID.UUID {
		t.Errorf("claims %+v", got)
	}
}

//control:proves cors
func TestCORS_isClosedButForTheList(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	get := func(origin string) http.Header {
		return ada.send("GET", "/api/rooms", "", header("Origin", origin)).Header()
	}
	for _, origin := range []string{evil, "null", own, "https://sub." + strings.TrimPrefix(listed, "https://")} {
		for name := range get(origin) {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s got %s", origin, name)
			}
		}
	}
	if h := get(listed); h.Get("Access-Control-Allow-Origin") != listed || h.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
		t.Errorf("listed: %v", h)
	}
	if h := get(partner); h.Get("Access-Control-Allow-Origin") != partner || h.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("partner: %v", h)
	}
	if h := ada.send("GET", "/sessions", "", header("Origin", partner)).Header(); h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages are not for others to read")
	}
	w.events.reset()
	preflight := func(origin, method string) int {
		return ada.send("OPTIONS", "/api/rooms", "", header("Origin", origin), header("Access-Control-Request-Method", method), header("Access-Control-Request-Headers", "x-csrf-token")).Code
	}
	for _, c := range []struct {
		origin, method string
		want           int
	}{{evil, "POST", 405}, {listed, "POST", 405}, {listed, "GET", 204}, {partner, "POST", 204}, {partner, "DELETE", 405}, {"null", "GET", 405}} {
		if got := preflight(c.origin, c.method); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.origin, c.method, got, c.want)
		}
	}
	if e := w.wantEvent(audit.MaliciousCORS, "preflight"); e.Control != "cors" {
		t.Errorf("event %+v", e)
	}
}

// A page signs the victim in to the attacker's account, or out of their own.
//
//control:proves csrf
func TestCSRF_nobodySignsTheVictimInOrOut(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("mallory")
	ada := w.signedIn("ada")
	foreign := []func(*http.Request){header("Origin", evil), header("Sec-Fetch-Site", "cross-site"), func(r *http.Request) { r.Header.Del(csrf.Header) }}
	for _, c := range []struct{ path, body string }{
		{"/api/sign-in", `{"username":"mallory","password":"` + password + `"}`},
		{"/api/passkeys/sign-in", `{"credential":"mallory"}`},
		{"/api/sign-out", ""},
	} {
		cookie := ada.cookie
		wantError(t, ada.send("POST", c.path, c.body, foreign...), http.StatusForbidden, "csrf")
		// The attacker's own token does not help, and neither does our own Origin beside
		// a browser's word that it was another site of our domain.
		stolen := w.browser()
		stolen.refresh()
		wantError(t, ada.send("POST", c.path, c.body, header(csrf.Header, stolen.token)), http.StatusForbidden, "csrf")
		wantError(t, ada.send("POST", c.path, c.body, header("Sec-Fetch-Site", "same-site")), http.StatusForbidden, "csrf")
		if ada.cookie != cookie || len(w.revoked.list) != 0 {
			t.Fatalf("%s did something", c.path)
		}
	}
	w.wantEvent(audit.MaliciousCSRF, "cross_origin")
	w.wantEvent(audit.MaliciousCSRF, "invalid")
	if res := ada.send("GET", "/api/session", ""); field[map[string]any](t, res, "user")["username"] != "ada" {
		t.Errorf("the victim is %s", res.Body)
	}
}
