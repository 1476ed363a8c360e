package session_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/session/sessiontest"
	"github.com/google/uuid"
)

const (
	idle     = 30 * time.Minute
	lifetime = 8 * time.Hour
	dbSecret = "dial tcp 10.0.0.5:5432: password=hunter2"
)

// broken is a store that can be told to fail as a lost database does.
type broken struct {
	*sessiontest.Memory
	find, commit bool
}

func (b *broken) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	if b.find {
		return nil, false, errors.New(dbSecret)
	}
	return b.Memory.FindCtx(ctx, token)
}

func (b *broken) CommitCtx(ctx context.Context, token string, data []byte, idleEnd time.Time) error {
	if b.commit {
		return errors.New(dbSecret)
	}
	return b.Memory.CommitCtx(ctx, token, data, idleEnd)
}

type env struct {
	*testing.T
	m     *session.Manager
	store *broken
	clock *sessiontest.Clock
	user  uuid.UUID
}

func setup(t *testing.T) *env {
	t.Helper()
	clock := sessiontest.NewClock()
	store := &broken{Memory: sessiontest.NewMemory(clock.Now)}
	m, err := session.New(session.Options{Idle: idle, Lifetime: lifetime, Now: clock.Now}, store)
	if err != nil {
		t.Fatal(err)
	}
	return &env{t, m, store, clock, uuid.New()}
}

// do runs one request with the given cookie through Wrap and returns its answer and
// the cookie afterwards: the one that was set, else the one that was sent.
func (e *env) do(token string, h func(w http.ResponseWriter, r *http.Request)) (*http.Response, string) {
	e.Helper()
	w := httptest.NewRecorder()
	e.m.Wrap(http.HandlerFunc(h)).ServeHTTP(w, request(token))
	res := w.Result()
	for _, c := range res.Cookies() {
		if c.Name == session.CookieName {
			token = c.Value
		}
	}
	return res, token
}

func request(tokens ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for _, token := range tokens {
		if token != "" {
			r.AddCookie(&http.Cookie{Name: session.CookieName, Value: token})
		}
	}
	return r
}

// signIn signs e.user in from a browser that holds token.
func (e *env) signIn(token string) (string, session.Session) {
	e.Helper()
	var s session.Session
	_, next := e.do(token, func(_ http.ResponseWriter, r *http.Request) {
		var err error
		if s, err = e.m.SignIn(r.Context(), e.user, 0, "192.0.2.7/32", "test"); err != nil {
			e.Errorf("sign in: %v", err)
		}
	})
	if next == token || next == "" {
		e.Fatalf("sign-in left the token as it was")
	}
	return next, s
}

// current is the session that a page sees.
func (e *env) current(token string) (s session.Session, ok bool) {
	e.Helper()
	e.do(token, func(_ http.ResponseWriter, r *http.Request) { s, ok = e.m.Current(r.Context()) })
	return s, ok
}

func (e *env) dead(token string) {
	e.Helper()
	if s, ok := e.current(token); ok {
		e.Errorf("the cookie still opens session %v", s.SID)
	}
	if _, err := e.m.Peek(e.Context(), request(token)); !errors.Is(err, session.ErrNone) {
		e.Errorf("peek: %v; want ErrNone", err)
	}
}

func nothing(http.ResponseWriter, *http.Request) {}

func TestNew_refusesWeakOptions(t *testing.T) {
	store := sessiontest.NewMemory(time.Now)
	for _, c := range []struct {
		name string
		o    session.Options
		s    session.Store
	}{
		{"zero", session.Options{}, store},
		{"no store", session.Options{Idle: idle, Lifetime: lifetime}, nil},
		{"no idle end", session.Options{Lifetime: lifetime}, store},
		{"no absolute end", session.Options{Idle: idle}, store},
		{"for ever", session.Options{Idle: idle, Lifetime: 365 * 24 * time.Hour}, store},
	} {
		if _, err := session.New(c.o, c.s); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

//control:proves session
func TestWrap_setsCookieThatSiblingHostsCannotPlantNorScriptsRead(t *testing.T) {
	e := setup(t)
	res, token := e.do("", func(_ http.ResponseWriter, r *http.Request) { e.m.CSRFSecret(r.Context()) })
	c := res.Cookies()
	if len(c) != 1 {
		t.Fatalf("%d cookies, want 1", len(c))
	}
	if c[0].Name != "__Host-portcullis" || !c[0].Secure || !c[0].HttpOnly || c[0].Path != "/" || c[0].Domain != "" || c[0].SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie flags: %s", res.Header.Get("Set-Cookie"))
	}
	if c[0].MaxAge < int(idle.Seconds())-5 || c[0].MaxAge > int(idle.Seconds())+5 {
		t.Errorf("Max-Age %d, want the idle time", c[0].MaxAge)
	}
	if b, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(b) != 32 {
		t.Errorf("token has %d bytes, want 32 random ones", len(b))
	}
	if res.Header.Get("Vary") != "Cookie" {
		t.Errorf("Vary: %q", res.Header.Get("Vary"))
	}
}

func TestWrap_storesNothingForRequestWithoutNeed(t *testing.T) {
	e := setup(t)
	res, _ := e.do("", nothing)
	if len(res.Cookies()) != 0 {
		t.Errorf("a request that asked for nothing got a session: %v", res.Cookies())
	}
	if _, ok := e.m.Current(t.Context()); ok {
		t.Error("Current outside Wrap gives a session")
	}
}

//control:proves session
func TestWrap_neverAdoptsPlantedToken(t *testing.T) {
	e := setup(t)
	planted := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	_, got := e.do(planted, func(_ http.ResponseWriter, r *http.Request) { e.m.CSRFSecret(r.Context()) })
	if got == planted {
		t.Fatal("an unknown token became a session")
	}
	e.dead(planted)
}

//control:proves session
func TestSignIn_endsPlantedSession(t *testing.T) {
	e := setup(t)
	var before, after []byte
	_, planted := e.do("", func(_ http.ResponseWriter, r *http.Request) { before = e.m.CSRFSecret(r.Context()) })
	anonymous, ok := e.current(planted)
	if !ok || anonymous.User != uuid.Nil {
		t.Fatalf("no anonymous session: %+v %v", anonymous, ok)
	}
	token, s := e.signIn(planted)
	e.do(token, func(_ http.ResponseWriter, r *http.Request) { after = e.m.CSRFSecret(r.Context()) })
	if s.SID == anonymous.SID || string(before) == string(after) || len(after) != 32 {
		t.Error("the signed-in session shares its sid or its CSRF secret with the planted one")
	}
	e.dead(planted)
	now, ok := e.current(token)
	if !ok || now != s || now.User != e.user || now.AuthenticatedAt != e.clock.Now() {
		t.Errorf("session after sign-in\n got %+v\nwant %+v", now, s)
	}
}

func TestSignIn_refusesNobody(t *testing.T) {
	e := setup(t)
	e.do("", func(_ http.ResponseWriter, r *http.Request) {
		if _, err := e.m.SignIn(r.Context(), uuid.Nil, 0, "", ""); err == nil {
			t.Error("signed nobody in")
		}
	})
}

func TestSignIn_keepsNoControlCharactersOfHeaders(t *testing.T) {
	e := setup(t)
	_, token := e.do("", func(_ http.ResponseWriter, r *http.Request) {
		agent := "\x1b[2J\u202eevil\xff\x00" + strings.Repeat("é", 5000)
		if _, err := e.m.SignIn(r.Context(), e.user, 0, "192.0.2.7/32\r\nX: y", agent); err != nil {
			t.Error(err)
		}
	})
	s, ok := e.current(token)
	if !ok || s.IP != "192.0.2.7/32X: y" || s.UserAgent != "[2Jevil"+strings.Repeat("é", 193) {
		t.Errorf("%v ip %q agent %q", ok, s.IP, s.UserAgent)
	}
}

// A thief signs in with the old password while its owner changes it.
//
//control:proves session
func TestSignIn_ofACredentialThatChangedMeanwhileLeavesNoSession(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(*env)
	}{
		{"changed", func(e *env) { e.store.Change(e.user) }},
		{"disabled", func(e *env) { e.store.Disable(e.user) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := setup(t)
			old, _ := e.signIn("") // of the browser; it ends in any case
			res, token := e.do(old, func(_ http.ResponseWriter, r *http.Request) {
				c.meanwhile(e)
				if _, err := e.m.SignIn(r.Context(), e.user, 0, "192.0.2.7/32", "test"); !errors.Is(err, session.ErrNone) {
					t.Errorf("error %v; want ErrNone", err)
				}
				if s, ok := e.m.Current(r.Context()); ok {
					t.Errorf("the request goes on as %+v", s)
				}
			})
			if cookies := res.Cookies(); len(cookies) != 1 || cookies[0].MaxAge >= 0 || token != "" {
				t.Errorf("cookies %v, want the old one cleared", cookies)
			}
			e.dead(old)
			if all, err := e.store.OfUser(t.Context(), e.user); err != nil || len(all) != 0 {
				t.Errorf("%d sessions, error %v", len(all), err)
			}
		})
	}
}

func TestSignIn_provesTheGenerationThatItWasGiven(t *testing.T) {
	e := setup(t)
	e.store.Change(e.user)
	_, token := e.do("", func(_ http.ResponseWriter, r *http.Request) {
		if _, err := e.m.SignIn(r.Context(), e.user, 1, "192.0.2.7/32", "test"); err != nil {
			t.Error(err)
		}
	})
	if _, ok := e.current(token); !ok {
		t.Error("no session")
	}
}

// A sign-in that the store could not keep leaves nothing to go on with.
func TestSignIn_leavesNoSessionWhenTheStoreFails(t *testing.T) {
	e := setup(t)
	res, token := e.do("", func(_ http.ResponseWriter, r *http.Request) {
		e.store.commit = true
		_, err := e.m.SignIn(r.Context(), e.user, 0, "192.0.2.7/32", "test")
		if err == nil || errors.Is(err, session.ErrNone) {
			t.Errorf("error %v; want the store's", err)
		}
		e.store.commit = false
	})
	if token != "" {
		t.Errorf("cookies %v", res.Cookies())
	}
	if all, err := e.store.OfUser(t.Context(), e.user); err != nil || len(all) != 0 {
		t.Errorf("%d sessions, error %v", len(all), err)
	}
}

// The session is renewed, with a change of the password, while its owner signs out.
//
//control:proves session
func TestSignOut_endsSessionThatWasRenewedMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*env, context.Context) error
	}{
		{"sign-out", func(e *env, ctx context.Context) error { return e.m.SignOut(ctx) }},
		{"sign-in over it", func(e *env, ctx context.Context) error {
			_, err := e.m.SignIn(ctx, uuid.New(), 0, "192.0.2.7/32", "test")
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := setup(t)
			token, s := e.signIn("")
			var renewed string
			e.do(token, func(_ http.ResponseWriter, r *http.Request) {
				_, renewed = e.do(token, func(_ http.ResponseWriter, r *http.Request) {
					if err := e.m.Renew(r.Context()); err != nil {
						t.Error(err)
					}
				})
				if err := c.end(e, r.Context()); err != nil {
					t.Error(err)
				}
			})
			e.dead(token)
			e.dead(renewed)
			if _, err := e.m.Live(t.Context(), s.SID); !errors.Is(err, session.ErrNone) {
				t.Errorf("live: %v; want ErrNone", err)
			}
		})
	}
}

// A renewal of what has ended or was renewed meanwhile must not pass for one, and its
// answer must not replace the cookie that the browser has from the other answer.
//
//control:proves session
func TestRenew_ofASessionThatEndedOrWasRenewedMeanwhileSaysSo(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(*env, context.Context) error
		lives     bool
	}{
		{"signed out", func(e *env, ctx context.Context) error { return e.m.SignOut(ctx) }, false},
		{"renewed", func(e *env, ctx context.Context) error { return e.m.Renew(ctx) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := setup(t)
			token, s := e.signIn("")
			res, _ := e.do(token, func(_ http.ResponseWriter, r *http.Request) {
				e.do(token, func(_ http.ResponseWriter, r *http.Request) {
					if err := c.meanwhile(e, r.Context()); err != nil {
						t.Error(err)
					}
				})
				if err := e.m.Renew(r.Context()); !errors.Is(err, session.ErrNone) {
					t.Errorf("error %v; want ErrNone", err)
				}
			})
			if len(res.Cookies()) != 0 {
				t.Errorf("cookies %v, want none", res.Cookies())
			}
			if _, err := e.m.Live(t.Context(), s.SID); (err == nil) != c.lives {
				t.Errorf("live: %v", err)
			}
		})
	}
}

// TestWrap_doesNotReviveSignedOutSession is the attack on scs's LoadAndSave: a slow
// request begins, the user signs out, the slow request ends.
//
//control:proves session
func TestWrap_doesNotReviveSignedOutSession(t *testing.T) {
	e := setup(t)
	token, _ := e.signIn("")
	res, _ := e.do(token, func(w http.ResponseWriter, r *http.Request) {
		if _, ok := e.m.Current(r.Context()); !ok {
			t.Error("the slow request has no session")
		}
		out, _ := e.do(token, func(_ http.ResponseWriter, r *http.Request) {
			if err := e.m.SignOut(r.Context()); err != nil {
				t.Error(err)
			}
			if _, ok := e.m.Current(r.Context()); ok {
				t.Error("still a session after sign-out")
			}
		})
		if c := out.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" {
			t.Errorf("sign-out does not clear the cookie: %v", c)
		}
		io.WriteString(w, "slow")
	})
	if res.StatusCode != 200 || len(res.Cookies()) != 0 {
		t.Errorf("slow request: %d, cookies %v; want its answer, and the browser's cookie left alone", res.StatusCode, res.Cookies())
	}
	e.dead(token)
}

//control:proves session
func TestWrap_doesNotReviveTokenBeforeRenewal(t *testing.T) {
	e := setup(t)
	token, _ := e.signIn("")
	var renewed string
	e.do(token, func(_ http.ResponseWriter, r *http.Request) {
		_, renewed = e.do(token, func(_ http.ResponseWriter, r *http.Request) {
			if err := e.m.Renew(r.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	e.dead(token)
	if _, ok := e.current(renewed); !ok {
		t.Error("the renewed session is gone")
	}
}

//control:proves session
func TestWrap_doesNotReviveSessionWhoseEndPassesDuringRequest(t *testing.T) {
	e := setup(t)
	token, _ := e.signIn("")
	e.do(token, func(http.ResponseWriter, *http.Request) { e.clock.Advance(lifetime) })
	e.dead(token)
}

func TestRenew_changesTokenAndSecretButNotSessionNorItsEnd(t *testing.T) {
	e := setup(t)
	token, before := e.signIn("")
	e.clock.Advance(10 * time.Minute)
	var secretBefore, secretAfter []byte
	res, renewed := e.do(token, func(_ http.ResponseWriter, r *http.Request) {
		secretBefore = e.m.CSRFSecret(r.Context())
		if err := e.m.Renew(r.Context()); err != nil {
			t.Error(err)
		}
		secretAfter = e.m.CSRFSecret(r.Context())
	})
	if len(res.Cookies()) != 1 || renewed == token {
		t.Fatalf("renewal set cookies %v", res.Cookies())
	}
	after, ok := e.current(renewed)
	want := before
	want.AuthenticatedAt = e.clock.Now()
	want.LastSeenAt = e.clock.Now()
	want.IdleEndsAt = e.clock.Now().Add(idle)
	if !ok || after != want {
		t.Errorf("after renewal\n got %+v\nwant %+v", after, want)
	}
	if string(secretBefore) == string(secretAfter) {
		t.Error("the CSRF secret stayed")
	}
	e.dead(token)
	e.do("", func(_ http.ResponseWriter, r *http.Request) {
		if err := e.m.Renew(r.Context()); !errors.Is(err, session.ErrNone) {
			t.Errorf("renewing nothing: %v; want ErrNone", err)
		}
	})
}

func TestNotice_isGivenOnceToTheSessionItWasLeftFor(t *testing.T) {
	e := setup(t)
	_, token := e.do("", func(_ http.ResponseWriter, r *http.Request) {
		e.m.Leave(r.Context(), "to nobody")
		if _, err := e.m.SignIn(r.Context(), e.user, 0, "192.0.2.1/32", "a"); err != nil {
			t.Error(err)
		}
		e.m.Leave(r.Context(), "one ended\u202e"+strings.Repeat("x", 1000))
	})
	_, token = e.do(token, func(_ http.ResponseWriter, r *http.Request) {
		if err := e.m.Renew(r.Context()); err != nil {
			t.Error(err)
		}
	})
	for i, want := range []string{"one ended" + strings.Repeat("x", 491), "", ""} {
		_, token = e.do(token, func(_ http.ResponseWriter, r *http.Request) {
			if got := e.m.Notice(r.Context()); got != want {
				t.Errorf("page %d: %q, want %q", i, got, want)
			}
		})
	}
	e.do("", func(_ http.ResponseWriter, r *http.Request) {
		if got := e.m.Notice(r.Context()); got != "" {
			t.Errorf("a visitor is told %q", got)
		}
	})
}

//control:proves session
func TestWrap_endsSessionAtIdleAndAbsoluteEnd(t *testing.T) {
	e := setup(t)
	token, s := e.signIn("")
	for e.clock.Now().Before(s.EndsAt.Add(-idle)) {
		e.clock.Advance(idle - time.Second)
		if _, ok := e.current(token); !ok {
			t.Fatal("a page does not renew the idle time")
		}
	}
	e.clock.Advance(s.EndsAt.Sub(e.clock.Now()))
	e.dead(token)

	token, _ = e.signIn("")
	e.clock.Advance(idle)
	e.dead(token)
}

// The library counts a new lifetime at every renewal; the cookie must not show that.
func TestRenew_doesNotLetCookieOutliveSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := session.New(session.Options{Idle: lifetime, Lifetime: lifetime}, sessiontest.NewMemory(time.Now))
		if err != nil {
			t.Fatal(err)
		}
		e := &env{T: t, m: m, user: uuid.New()}
		token, _ := e.signIn("")
		time.Sleep(lifetime - time.Minute)
		res, _ := e.do(token, func(_ http.ResponseWriter, r *http.Request) {
			if err := e.m.Renew(r.Context()); err != nil {
				t.Error(err)
			}
		})
		if c := res.Cookies(); len(c) != 1 || c[0].MaxAge < 59 || c[0].MaxAge > 61 {
			t.Errorf("cookies %v, want one for the last minute", c)
		}
	})
}

func TestWrap_endsAnonymousSessionWithinAnHour(t *testing.T) {
	e := setup(t)
	_, token := e.do("", func(_ http.ResponseWriter, r *http.Request) { e.m.CSRFSecret(r.Context()) })
	for range 3 {
		e.clock.Advance(20*time.Minute - time.Second)
		if _, ok := e.current(token); !ok {
			t.Fatal("ended too early")
		}
	}
	e.clock.Advance(3 * time.Second)
	e.dead(token)
}

//control:proves session
func TestToken_refusesTwoCookiesAndForeignShapes(t *testing.T) {
	e := setup(t)
	token, _ := e.signIn("")
	other, _ := e.signIn("")
	for _, c := range []struct {
		name string
		r    *http.Request
		want string
	}{
		{"one", request(token), token},
		{"none", request(), ""},
		{"two different", request(token, other), ""},
		{"twice the same", request(token, token), ""},
		{"empty", raw(session.CookieName + "="), ""},
		{"short", raw(session.CookieName + "=" + token[1:]), ""},
		{"long", raw(session.CookieName + "=" + token + "A"), ""},
		{"huge", raw(session.CookieName + "=" + strings.Repeat("A", 1<<16)), ""},
		{"not base64url", raw(session.CookieName + "=" + token[:42] + "*"), ""},
		{"second spelling of the last byte", raw(session.CookieName + "=" + strings.Repeat("A", 42) + "B"), ""},
		{"name in lower case", raw("__host-portcullis=" + token), ""},
		{"without the prefix", raw("portcullis=" + token), ""},
	} {
		if got := e.m.Token(c.r); got != c.want {
			t.Errorf("%s: token %q, want %q", c.name, got, c.want)
		}
		if _, err := e.m.Peek(t.Context(), c.r); errors.Is(err, session.ErrNone) != (c.want == "") {
			t.Errorf("%s: peek %v", c.name, err)
		}
	}
}

func raw(cookie string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", cookie)
	return r
}

//control:proves session
func TestPeek_readsWithoutExtending(t *testing.T) {
	e := setup(t)
	token, s := e.signIn("")
	for range 3 {
		e.clock.Advance(idle / 4)
		got, err := e.m.Peek(t.Context(), request(token))
		if err != nil || got.SID != s.SID || got.User != e.user || got.IdleEndsAt != s.IdleEndsAt {
			t.Fatalf("peek: %+v, %v", got, err)
		}
		if got, err = e.m.Live(t.Context(), s.SID); err != nil || got.IdleEndsAt != s.IdleEndsAt {
			t.Fatalf("live: %+v, %v", got, err)
		}
	}
	e.clock.Advance(idle / 4)
	e.dead(token)
}

func TestTouch_extendsByIdleTime(t *testing.T) {
	e := setup(t)
	token, s := e.signIn("")
	e.clock.Advance(idle - time.Second)
	got, err := e.m.Touch(t.Context(), s.SID)
	if err != nil || got.IdleEndsAt != e.clock.Now().Add(idle) {
		t.Fatalf("touch: %+v, %v", got, err)
	}
	e.clock.Advance(idle)
	if _, err := e.m.Touch(t.Context(), s.SID); !errors.Is(err, session.ErrNone) {
		t.Errorf("touch after the end: %v; want ErrNone", err)
	}
	e.dead(token)
}

func TestPeek_refusesAnonymousSession(t *testing.T) {
	e := setup(t)
	var sid uuid.UUID
	_, token := e.do("", func(_ http.ResponseWriter, r *http.Request) {
		e.m.CSRFSecret(r.Context())
		s, _ := e.m.Current(r.Context())
		sid = s.SID
	})
	_, peek := e.m.Peek(t.Context(), request(token))
	_, live := e.m.Live(t.Context(), sid)
	_, touch := e.m.Touch(t.Context(), sid)
	for name, err := range map[string]error{"peek": peek, "live": live, "touch": touch} {
		if !errors.Is(err, session.ErrNone) {
			t.Errorf("%s: %v; want ErrNone", name, err)
		}
	}
}

//control:proves session
func TestWrap_cannotBeUpgradedToSocket(t *testing.T) {
	e := setup(t)
	server := httptest.NewServer(e.m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Hijacker); ok {
			t.Error("the response can be hijacked")
		}
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("the response can be hijacked through Unwrap")
			conn.Close()
		}
	})))
	defer server.Close()
	res, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func TestWrap_answersLostStoreWithOneFixedSentence(t *testing.T) {
	for _, c := range []struct {
		name  string
		broke func(*broken)
	}{
		{"at load", func(b *broken) { b.find = true }},
		{"at save", func(b *broken) { b.commit = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := setup(t)
			token, _ := e.signIn("")
			c.broke(e.store)
			res, _ := e.do(token, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/secret")
				w.Header().Set("Content-Length", "4")
				w.WriteHeader(http.StatusOK)
				if _, err := io.WriteString(w, "mine"); err == nil {
					t.Error("the handler wrote its answer without a session")
				}
			})
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != 503 || res.Header.Get("Location") != "" || len(res.Cookies()) != 0 {
				t.Errorf("status %d, header %v", res.StatusCode, res.Header)
			}
			if got := strings.TrimSpace(string(body)); got != "The service is not available right now. Please try again." {
				t.Errorf("body %q", got)
			}
			if res.Header.Get("Vary") != "Cookie" {
				t.Error("headers from before the handler are lost")
			}
		})
	}
}

func TestWrap_handsErrorToUnavailable(t *testing.T) {
	clock := sessiontest.NewClock()
	store := &broken{Memory: sessiontest.NewMemory(clock.Now), commit: true}
	var got error
	m, err := session.New(session.Options{
		Idle: idle, Lifetime: lifetime, Now: clock.Now,
		Unavailable: func(w http.ResponseWriter, _ *http.Request, err error) { got = err; w.WriteHeader(503) },
	}, store)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.CSRFSecret(r.Context()) })).ServeHTTP(w, request())
	if w.Code != 503 || got == nil || !strings.Contains(got.Error(), dbSecret) {
		t.Errorf("status %d, error %v", w.Code, got)
	}
}

func TestWrap_savesBeforeFirstFlushOfStream(t *testing.T) {
	e := setup(t)
	server := httptest.NewServer(e.m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.m.CSRFSecret(r.Context())
		rc := http.NewResponseController(w)
		if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.Flush()); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "data: 1\n\n")
	})))
	defer server.Close()
	res, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if len(res.Cookies()) != 1 {
		t.Errorf("cookies %v, want 1", res.Cookies())
	}
}

func TestWrap_treatsUnreadableRecordAsNoSession(t *testing.T) {
	e := setup(t)
	token, _ := e.signIn("")
	m, err := session.New(session.Options{Idle: idle, Lifetime: lifetime, Now: e.clock.Now}, garbage{e.store})
	if err != nil {
		t.Fatal(err)
	}
	e.m = m
	res, _ := e.do(token, func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := e.m.Current(r.Context()); ok {
			t.Error("a session from garbage")
		}
	})
	if res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
}

type garbage struct{ session.Store }

func (garbage) FindCtx(context.Context, string) ([]byte, bool, error) {
	return []byte(`{"sid":"x"}`), true, nil
}

func TestRenewing_marksContext(t *testing.T) {
	if session.IsRenewing(t.Context()) || !session.IsRenewing(session.Renewing(t.Context())) {
		t.Error("mark is wrong")
	}
}
