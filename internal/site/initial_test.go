package site_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// invited is somebody with a password that nobody has chosen.
func (w *world) invited(name string) *browser {
	w.accounts.add(name)
	u := w.accounts.users[name]
	u.InitialUntil = time.Now().Add(time.Hour)
	w.accounts.users[name] = u
	b := w.browser()
	b.refresh()
	return b
}

// No session comes of a password that was handed over, only of the one chosen instead.
//
//control:proves password
func TestSignIn_withAnInitialPasswordAsksForAnother(t *testing.T) {
	t.Run("form", func(t *testing.T) {
		w := newWorld(t)
		carol := w.invited("carol")
		carol.open("/sign-in")
		fields := url.Values{"username": {"carol"}, "password": {password}}
		res := carol.submit("/sign-in", fields)
		if page := res.Body.String(); res.Code != http.StatusForbidden || !strings.Contains(page, `name="new_password"`) || !strings.Contains(page, "made for one sign-in") || strings.Contains(page, password) {
			t.Errorf("%d %s", res.Code, page)
		}
		wantError(t, carol.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
		fields.Set("new_password", "short")
		if res = carol.submit("/sign-in", fields); res.Code != http.StatusBadRequest || !strings.Contains(res.Body.String(), `name="new_password"`) || w.accounts.writes != 0 {
			t.Errorf("a weak one: %d %s", res.Code, res.Body)
		}
		fields.Set("new_password", "another horse battery")
		if res = carol.submit("/sign-in", fields); res.Code != http.StatusSeeOther || w.accounts.writes != 1 {
			t.Errorf("%d %s", res.Code, res.Body)
		}
		if res := carol.send("GET", "/api/rooms", ""); res.Code != http.StatusOK {
			t.Errorf("signed in, it answers %d", res.Code)
		}
	})
	t.Run("call", func(t *testing.T) {
		w := newWorld(t)
		carol := w.invited("carol")
		wantError(t, carol.send("POST", "/api/sign-in", `{"username":"carol","password":"correct horse battery"}`), http.StatusForbidden, "new_password_required")
		wantError(t, carol.send("GET", "/api/rooms", ""), http.StatusUnauthorized, "unauthenticated")
		if res := carol.send("POST", "/api/sign-in", `{"username":"carol","password":"correct horse battery","new_password":"another horse battery"}`); res.Code != http.StatusOK || w.accounts.writes != 1 {
			t.Errorf("%d %s", res.Code, res.Body)
		}
	})
}
