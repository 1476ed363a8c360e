package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	base    = "http://app.portcullis.localhost:8080"
	private = "http://127.0.0.1:9090"
)

// world is a whole application on real servers, without a listener.
type world struct {
	*app.App
	log   *safeBuffer
	redis *testkit.Proxy
	db    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newNode(t, testkit.DatabaseURL(t), testkit.RedisURL(t))
}

// newNode is one more node of a service with this database and this Redis.
func newNode(t *testing.T, database, redis string) *world {
	t.Helper()
	w := &world{log: &safeBuffer{}, redis: testkit.NewProxy(t, redis), db: database}
	c, err := config.Load([]string{"DATABASE_URL=" + database, "REDIS_URL=" + w.redis.URL(), "PORTCULLIS_BASE_URL=" + base})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	b, err := app.OpenBackends(t.Context(), c, t.TempDir(), log, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	parts, err := app.Hardened(t.Context(), c, b, log, rand.Text(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.App, err = app.New(parts); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

func (w *world) get(t *testing.T, h http.Handler, url string) *httptest.ResponseRecorder {
	t.Helper()
	res := httptest.NewRecorder()
	h.ServeHTTP(res, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))
	return res
}

//control:proves headers
//control:proves hsts
func TestHandler_everyAnswerCarriesTheSecurityHeadersAlsoRefusals(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{"/sign-in": 200, "/": 303, "/no/such/page": 404, "/api/rooms": 401, "/livez": 200, "/ws": 426, "/ws/auth": 426, "/ws/cli": 426} {
		res := w.get(t, w.Handler(), base+path)
		if res.Code != want {
			t.Errorf("%s answered %d, want %d", path, res.Code, want)
		}
		for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy"} {
			if res.Header().Get(h) == "" {
				t.Errorf("%s (%d) lacks %s", path, res.Code, h)
			}
		}
	}
}

//control:proves host
func TestHandler_aReboundNameGetsNothingButHealth(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/sign-in", "/api/session", "/schemas/asyncapi.json", "/csp-report"} {
		if res := w.get(t, w.Handler(), "http://evil.test"+path); res.Code != http.StatusMisdirectedRequest || strings.Contains(res.Body.String(), "csrf") {
			t.Errorf("%s answered %d %s", path, res.Code, res.Body)
		}
	}
	testkit.Eventually(t, 5*time.Second, func() bool {
		return strings.Contains(w.log.String(), `"control":"host"`) && strings.Contains(w.log.String(), "evil.test")
	})
	if res := w.get(t, w.Handler(), "http://10.0.0.7/livez"); res.Code != http.StatusOK {
		t.Errorf("an orchestrator asks by address: %d", res.Code)
	}
}

//control:proves startup
func TestHandler_numbersAndProfilesAreNotPublic(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars"} {
		if res := w.get(t, w.Handler(), base+path); res.Code != http.StatusNotFound {
			t.Errorf("%s is public: %d", path, res.Code)
		}
	}
	testkit.Eventually(t, 5*time.Second, func() bool {
		res := w.get(t, w.Private(), private+"/metrics")
		return res.Code == http.StatusOK && strings.Contains(res.Body.String(), `portcullis_security_events_total{event="sys_startup"} 1`)
	})
}

//control:proves limiter-failure
func TestReady_saysWhichPartIsAwayOnlyInPrivate(t *testing.T) {
	w := newWorld(t)
	if res := w.get(t, w.Handler(), base+"/readyz"); res.Code != http.StatusOK {
		t.Fatalf("readyz = %d %s", res.Code, res.Body)
	}
	w.redis.Cut()
	testkit.Eventually(t, 10*time.Second, func() bool { return w.get(t, w.Handler(), base+"/readyz").Code == http.StatusServiceUnavailable })
	if res := w.get(t, w.Handler(), base+"/readyz"); strings.Contains(strings.ToLower(res.Body.String()), "redis") {
		t.Errorf("the public answer tells what is broken: %s", res.Body)
	}
	var detail struct {
		Failed map[string]string `json:"failed"`
	}
	res := w.get(t, w.Private(), private+"/readyz")
	if err := json.Unmarshal(res.Body.Bytes(), &detail); err != nil || detail.Failed["redis"] == "" {
		t.Errorf("private detail: %s", res.Body)
	}
	testkit.Eventually(t, 10*time.Second, func() bool { // budgets are this node's own now, and that is said
		w.get(t, w.Handler(), base+"/sign-in")
		return strings.Contains(w.log.String(), "ws_limiter_degraded")
	})
	if res := w.get(t, w.Handler(), base+"/livez"); res.Code != http.StatusOK {
		t.Error("a restart would not mend Redis: livez must stay well")
	}
	w.redis.Resume()
}

//control:proves drain
func TestDrain_turnsReadinessOffFirst(t *testing.T) {
	w := newWorld(t)
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := w.get(t, w.Handler(), base+"/readyz"); res.Code != http.StatusServiceUnavailable {
		t.Errorf("readyz = %d while draining", res.Code)
	}
}

//control:proves route-policy
func TestRoutes_areTheOnesOfTheDocument(t *testing.T) {
	w := newWorld(t)
	var got []string
	err := chi.Walk(w.Handler().(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		got = append(got, method+" "+route)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"GET /ws", "GET /ws/auth", "GET /ws/cli", "GET /livez", "GET /readyz", "GET /api/session", "POST /api/sign-up", "POST /api/sign-in", "POST /api/sign-out",
		"POST /api/password", "POST /api/ws-ticket", "GET /api/rooms", "POST /api/rooms", "GET /api/rooms/{id}/messages", "GET /api/rooms/{id}/search", "POST /api/rooms/{id}/members",
		"PUT /api/rooms/{id}/bans/{user_id}", "POST /api/direct", "GET /api/sessions", "DELETE /api/sessions/{sid}", "POST /api/sessions/revoke-others"} {
		if !strings.Contains(all+"\n", want+"\n") {
			t.Errorf("there is no route %s", want)
		}
	}
}

//control:proves startup
func TestNew_refusesAMissingPart(t *testing.T) {
	if _, err := app.New(app.Parts{}); err == nil {
		t.Error("an application without parts must not be made")
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *safeBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// A renewal that does not happen must be heard of weeks before the outage.
//
//control:proves certificates
func TestCertificateChanged_saysThatTheEndIsNear(t *testing.T) {
	w := newWorld(t)
	w.CertificateChanged(certs.Change{Kind: certs.Expiring, Reason: "14_days", Serial: "4711", NotAfter: time.Date(2026, 12, 7, 9, 0, 0, 0, time.UTC)})
	testkit.Eventually(t, 5*time.Second, func() bool {
		log := w.log.String()
		return strings.Contains(log, `"cert_expiring"`) && strings.Contains(log, `"14_days"`) && strings.Contains(log, "serial 4711 ends 2026-12-07 09:00")
	})
}
