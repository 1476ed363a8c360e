package site

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/fstest"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
)

//control:proves csrf
//control:proves route-policy
func TestEnforceAll_refusesRouteWithoutPolicy(t *testing.T) {
	answer := func(http.ResponseWriter, *call) error { return nil }
	for name, p := range map[string]Policy{"none": 0, "unknown": 99} {
		if _, err := (&Site{}).enforceAll([]route{{http.MethodGet, "/", p, answer}}); err == nil {
			t.Errorf("policy %s was taken", name)
		}
	}
	if _, err := (&Site{}).enforceAll([]route{{http.MethodGet, "/", UserAPI, answer}}); err != nil {
		t.Error(err)
	}
}

// The rules are data; these are the sentences that must stay true of them.
//
//control:proves route-policy
func TestRules(t *testing.T) {
	for p, ru := range rules {
		if ru.signedIn && !ru.session {
			t.Errorf("policy %d wants a user without loading a session", p)
		}
		if ru.maxBody > 0 && ru.budget == free {
			t.Errorf("policy %d reads bodies for nothing", p)
		}
		if ru.session && ru.maxBody == 0 {
			t.Errorf("policy %d loads a session before the body has arrived", p)
		}
	}
}

// everyRoute is the list with what only some installations have.
func everyRoute() []route { return (&Site{o: Options{Source: fstest.MapFS{}}}).routes() }

//control:proves csrf
//control:proves route-policy
func TestRoutes_everyUnsafeRouteHasASessionOrIsAReport(t *testing.T) {
	for _, rt := range everyRoute() {
		if rt.method != http.MethodGet && !rules[rt.policy].session && rt.policy != Report && rt.policy != ServiceAPI {
			t.Errorf("%s %s changes something without the csrf room", rt.method, rt.pattern)
		}
	}
}

// The matrix takes a route's policy from the list, so it believes a wrong one. Whoever
// opens a route to people who are not signed in has to say so here, too.
//
//control:proves route-policy
func TestRoutes_visitorsReachOnlyThese(t *testing.T) {
	open := []string{
		"GET /sign-in", "POST /sign-in", "GET /sign-up", "POST /sign-up",
		"GET /controls", "GET /controls/{name}", "GET /source/*",
		"GET /api/session", "POST /api/sign-up", "POST /api/sign-in",
		"POST /api/passkeys/sign-in/begin", "POST /api/passkeys/sign-in",
		"POST /api/service/ticket", // proves itself by its key
		"POST /csp-report", "GET /static/{hash}/*", "GET /schemas/{file}",
	}
	for _, rt := range everyRoute() {
		if name := rt.method + " " + rt.pattern; !rules[rt.policy].signedIn && !slices.Contains(open, name) {
			t.Errorf("%s answers people who are not signed in", name)
		}
	}
}

type silent struct{}

func (silent) Record(context.Context, audit.Event) {}

// An answer that broke in the middle must reach the client as broken, or a list
// without its end passes for the whole one.
func TestEnforce_cutsTheConnectionAfterHalfAnAnswer(t *testing.T) {
	s := &Site{o: Options{ClientIP: clientip.New(nil), Audit: silent{}, Log: slog.New(slog.DiscardHandler)}}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
			t.Errorf("panic %v, want http.ErrAbortHandler", v)
		}
	}()
	s.enforce(rule{}, func(w http.ResponseWriter, _ *call) error {
		_, _ = w.Write([]byte(`{"rooms":[`))
		panic("half way")
	}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
