package site_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/site"
)

// bodies hold a valid body for each unsafe route, "" where none is needed. A route
// that is missing here fails TestMatrix: nobody adds one without meeting the attacks.
var bodies = map[string]string{
	"POST /sign-in":                            "username=ada&password=correct+horse+battery",
	"POST /sign-up":                            "username=eve&password=correct+horse+battery",
	"POST /sign-out":                           "x=",
	"POST /sessions/revoke-others":             "x=",
	"POST /sessions/{sid}/revoke":              "x=",
	"POST /account/delete":                     "username=ada",
	"POST /account/export":                     "x=",
	"POST /step-up":                            "password=correct+horse+battery",
	"POST /passkeys/{id}/remove":               "x=",
	"POST /api/step-up/begin":                  "",
	"POST /api/passkeys/begin":                 "",
	"POST /api/passkeys":                       `{"name":"Phone","credential":"ada"}`,
	"DELETE /api/passkeys/{id}":                "",
	"POST /api/passkeys/sign-in/begin":         "",
	"POST /api/passkeys/sign-in":               `{"credential":"ada"}`,
	"POST /api/step-up":                        `{"password":"correct horse battery"}`,
	"POST /api/sign-up":                        `{"username":"eve","password":"correct horse battery"}`,
	"POST /api/sign-in":                        `{"username":"ada","password":"correct horse battery"}`,
	"POST /api/sign-out":                       "",
	"POST /api/password":                       `{"current_password":"correct horse battery","new_password":"another horse battery"}`,
	"POST /api/ws-ticket":                      `{"route":"/ws"}`,
	"POST /api/sessions/revoke-others":         "",
	"DELETE /api/sessions/{sid}":               "",
	"POST /api/rooms":                          `{"title":"New","visibility":"open"}`,
	"POST /api/direct":                         `{"username":"grace"}`,
	"POST /api/rooms/{id}/members":             `{"username":"grace"}`,
	"PATCH /api/rooms/{id}/members/{user_id}":  `{"role":"reader"}`,
	"DELETE /api/rooms/{id}/members/{user_id}": "",
	"PUT /api/rooms/{id}/bans/{user_id}":       "",
	"DELETE /api/rooms/{id}/bans/{user_id}":    `{}`,
	"DELETE /api/account":                      "",
	"POST /api/rooms/{id}/uploads":             form("file", "a.txt", "text/plain", "hello"),
}

// safe are the routes without side effects, and the one without a session.
var safe = map[string]string{
	"GET /": "", "GET /rooms/{id}": "", "GET /sign-in": "", "GET /sign-up": "", "GET /sessions": "", "GET /step-up": "", "GET /api/passkeys": "", "POST /api/service/ticket": "",
	"GET /controls": "?q=origin", "GET /controls/{name}": "", "GET /source/*": "",
	"GET /api/session": "", "GET /api/sessions": "", "GET /api/rooms": "", "GET /api/rooms/{id}/messages": "",
	"GET /api/rooms/{id}/search": "?q=word", "GET /api/rooms/{id}/members": "", "GET /api/uploads/{id}": "", "GET /uploads/{id}": "",
	"GET /static/{hash}/*": "", "GET /schemas/{file}": "", "POST /csp-report": "",
}

//control:proves route-policy
//control:proves csrf
//control:proves step-up
func TestMatrix(t *testing.T) {
	table := newWorld(t).site.Table()
	if len(table) < 30 {
		t.Fatalf("only %d routes", len(table))
	}
	for _, rt := range table {
		name := rt.Method + " " + rt.Pattern
		if watched(rt.Policy) {
			continue // not for everybody: see admin_test.go
		}
		body, unsafe := bodies[name]
		query, known := safe[name]
		if !unsafe && !known {
			t.Errorf("%s: not in this test's lists", name)
			continue
		}
		if rt.Policy == site.Asset || rt.Policy == site.Report || rt.Policy == site.ServiceAPI {
			continue // no session: see their own tests
		}
		page := rt.Policy == site.UserPage || rt.Policy == site.VisitorPage || rt.Policy == site.FreshPage || rt.Policy == site.ExportPage
		fresh := rt.Policy == site.FreshAPI || rt.Policy == site.FreshPage || rt.Policy == site.ExportPage
		upload := rt.Policy == site.UploadAPI
		users := upload || rt.Policy == site.FileAPI || rt.Policy == site.UserAPI || rt.Policy == site.UserPage || fresh
		t.Run(name, func(t *testing.T) {
			set := func(t *testing.T) (*world, *browser, func(*browser, ...func(*http.Request)) (int, string)) {
				w := newWorld(t)
				ada := w.signedIn("ada")
				other := w.signedIn("ada") // a second session, to be revoked
				target := strings.NewReplacer("/uploads/{id}", "/uploads/"+w.ownFile(ada), "{id}", w.ownRoom(ada), "{user_id}", uuid.NewString(), "{sid}", other.sid(), "{name}", "origin", "*", "go.mod").Replace(rt.Pattern) + query
				call := func(b *browser, change ...func(*http.Request)) (int, string) {
					if upload {
						change = append([]func(*http.Request){header("Content-Type", formType)}, change...)
					}
					if page && unsafe {
						change = append([]func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, change...)
					}
					res := b.send(rt.Method, target, body, change...)
					if page && !strings.Contains(res.Header().Get("Content-Type"), "text/html") && res.Code != http.StatusSeeOther && (rt.Policy != site.ExportPage || res.Code != http.StatusOK) {
						t.Errorf("a page answered %d with %q", res.Code, res.Header().Get("Content-Type"))
					}
					if res.Header().Get("Cache-Control") == "" || !strings.Contains(res.Header().Get("Cache-Control"), "no-store") {
						t.Errorf("Cache-Control %q", res.Header().Get("Cache-Control"))
					}
					code := ""
					if res.Code >= 400 && !page {
						code = field[string](t, res, "code")
					}
					return res.Code, code
				}
				w.events.reset()
				return w, ada, call
			}
			// refused is a request that must be stopped and change nothing.
			refused := func(what string, wantStatus int, wantCode string, event audit.Name, from func(*world, *browser) *browser, change ...func(*http.Request)) {
				t.Run(what, func(t *testing.T) {
					w, ada, call := set(t)
					b := from(w, ada)
					w.events.reset()
					before := w.changes()
					status, code := call(b, change...)
					if status != wantStatus || code != wantCode && !page {
						t.Errorf("status %d %q, want %d %q", status, code, wantStatus, wantCode)
					}
					if w.changes() != before {
						t.Error("something was changed all the same")
					}
					if event != "" && !strings.Contains(join(w.events.names()), string(event)) {
						t.Errorf("no event %s among %v", event, w.events.names())
					}
				})
			}
			signedIn := func(_ *world, ada *browser) *browser { return ada }
			visitor := func(w *world, _ *browser) *browser { b := w.browser(); b.refresh(); return b }
			stranger := func(w *world, _ *browser) *browser { return w.browser() }

			t.Run("signed in", func(t *testing.T) {
				w, ada, call := set(t)
				before := w.changes()
				status, code := call(ada)
				if status >= 400 {
					t.Fatalf("status %d %q", status, code)
				}
				if !unsafe && w.changes() != before {
					t.Error("a GET changed something")
				}
			})
			if users {
				want := http.StatusUnauthorized
				if page {
					want = http.StatusSeeOther
				}
				refused("visitor", want, "unauthenticated", "", visitor)
				refused("no session at all", want, "unauthenticated", "", stranger)
				refused("dead cookie", want, "unauthenticated", audit.SessionUseAfterEnd, func(w *world, ada *browser) *browser {
					dead := *ada
					if res := ada.send("POST", "/api/sign-out", ""); res.Code != http.StatusNoContent {
						t.Fatal(res.Code)
					}
					return &dead
				})
				refused("account disabled since", want, "unauthenticated", "", func(w *world, ada *browser) *browser {
					w.accounts.disabled["ada"] = true
					return ada
				})
			}
			if fresh {
				want := http.StatusForbidden
				if page {
					want = http.StatusSeeOther // to the page that asks
				}
				refused("proven too long ago", want, "step_up_required", audit.AuthzFail, func(w *world, ada *browser) *browser {
					w.clock.Advance(6 * time.Minute)
					return ada
				})
			}
			if !unsafe {
				return
			}
			forbidden := func(what string, from func(*world, *browser) *browser, change ...func(*http.Request)) {
				refused(what, http.StatusForbidden, "csrf", audit.MaliciousCSRF, from, change...)
			}
			forbidden("no token", signedIn, func(r *http.Request) { r.Header.Del(csrf.Header) })
			forbidden("token of another session", signedIn, func(r *http.Request) { r.Header.Set(csrf.Header, csrf.Mask(csrf.NewSecret())) })
			forbidden("token in the query", signedIn, func(r *http.Request) {
				r.URL.RawQuery = csrf.Field + "=" + r.Header.Get(csrf.Header)
				r.Header.Del(csrf.Header)
			})
			forbidden("foreign origin with the right token", signedIn, header("Sec-Fetch-Site", "cross-site"), header("Origin", evil))
			forbidden("sibling host with the right token", signedIn, header("Sec-Fetch-Site", "same-site"), header("Origin", "https://attacker.example.com"))
			forbidden("old browser, foreign origin", signedIn, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, header("Origin", evil))
			forbidden("sandboxed frame", signedIn, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, header("Origin", "null"))
			forbidden("foreign origin, nobody signed in", stranger, header("Sec-Fetch-Site", "cross-site"), header("Origin", evil))
			if !users {
				forbidden("forged sign-in without a session", stranger)
			}
			if !page && !upload && body != "" { // uploads_test.go has those of files
				for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""} {
					refused("JSON as "+kind, http.StatusUnsupportedMediaType, "unsupported_media_type", audit.InputFail, signedIn, header("Content-Type", kind))
				}
				refused("64 KiB and one byte", http.StatusRequestEntityTooLarge, "too_large", audit.InputFail, signedIn, longBody)
			}
			refused("over the budget", http.StatusTooManyRequests, "rate_limited", audit.RateLimitExceeded, func(w *world, ada *browser) *browser {
				w.limits.refuse = "http"
				return ada
			})
		})
	}
}

// A method that a route does not have is refused before any session is looked at,
// also one that a foreign page asks about in a preflight.
//
//control:proves route-policy
func TestMatrix_otherMethodsAreRefused(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	before := w.changes()
	for target, methods := range map[string][]string{
		"/api/sign-out":               {"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"},
		"/sign-out":                   {"GET", "HEAD", "OPTIONS"},
		"/api/ws-ticket":              {"GET", "OPTIONS"},
		"/api/sessions/revoke-others": {"GET"},
		"/sessions/revoke-others":     {"GET"},
	} {
		for _, m := range methods {
			res := ada.send(m, target, "")
			if res.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", m, target, res.Code)
			}
			if !strings.Contains(res.Header().Get("Allow"), "POST") && target != "/api/sessions/revoke-others" {
				t.Errorf("%s %s: Allow %q", m, target, res.Header().Get("Allow"))
			}
			for _, h := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Credentials"} {
				if res.Header().Get(h) != "" {
					t.Errorf("%s %s: %s", m, target, h)
				}
			}
		}
	}
	if w.changes() != before {
		t.Error("something was changed all the same")
	}
}

func longBody(r *http.Request) {
	long := `{"x":"` + strings.Repeat("a", 64<<10) + `"}`
	r.Body, r.ContentLength = readCloser(long), int64(len(long))
}

func join(names []audit.Name) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(string(n) + " ")
	}
	return b.String()
}
