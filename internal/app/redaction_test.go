package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
)

// Secrets go through every door that writes something down: the log, answers, metrics,
// profiles and the printed configuration, while everything that can fail does.
//
//control:proves audit
//control:proves secrets
func TestHandler_noPlantedSecretComesOutAnywhere(t *testing.T) {
	key := func(b byte) string {
		raw := make([]byte, 32)
		for i := range raw {
			raw[i] = b + byte(i*7)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	const password, cookie, ticket, csrf = "canary-password-1", "canary-cookie-2", "canary.ticket.3", "canary-csrf-4"
	database, proxy := testkit.DatabaseURL(t), testkit.NewProxy(t, testkit.RedisURL(t))
	ticketKey, auditKey := key(3), key(101)
	c, err := config.Load([]string{"DATABASE_URL=" + database, "REDIS_URL=" + proxy.URL(), "PORTCULLIS_BASE_URL=" + base,
		"PORTCULLIS_TICKET_KEYS=k1:" + ticketKey, "PORTCULLIS_AUDIT_KEY=" + auditKey})
	if err != nil {
		t.Fatal(err)
	}
	var everything safeBuffer
	log := slog.New(slog.NewJSONHandler(&everything, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: audit.Escape}))
	b, err := app.OpenBackends(t.Context(), c, t.TempDir(), log, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := app.Hardened(t.Context(), c, b, log, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(parts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })

	ask := func(h http.Handler, method, url, body string) {
		r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Cookie", "session="+cookie+"; __Host-session="+cookie)
		r.Header.Set("X-CSRF-Token", csrf)
		r.Header.Set("Sec-WebSocket-Protocol", "portcullis.v1, ticket."+ticket)
		r.Header.Set("Authorization", "Bearer "+ticket)
		res := httptest.NewRecorder()
		h.ServeHTTP(res, r)
		fmt.Fprintln(&everything, res.Code, res.Header(), res.Body)
	}
	round := func() {
		for _, path := range []string{"/", "/sign-in", "/api/rooms", "/no/such/page", "/ws", "/ws/auth", "/ws/cli", "/readyz"} {
			ask(a.Handler(), http.MethodGet, base+path, "")
		}
		for _, path := range []string{"/sign-in", "/api/sign-in", "/api/ws-ticket", "/api/password"} {
			ask(a.Handler(), http.MethodPost, base+path, `{"username":"nobody","password":"`+password+`"}`)
		}
		for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline"} {
			ask(a.Private(), http.MethodGet, private+path, "")
		}
	}
	round()
	proxy.Cut() // Redis fails
	round()
	b.DB.Close() // and PostgreSQL
	round()
	cancel()
	wg.Wait()
	if err := c.Print(&everything); err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&everything, "%v %+v %#v", c, c, c)
	_, err = config.Load([]string{"PORTCULLIS_AUDIT_KEY=" + password, "PORTCULLIS_TICKET_KEYS=k:" + password})
	fmt.Fprintln(&everything, err)
	_ = b.Close(context.Background())

	out := everything.String()
	secrets := map[string]string{"password": password, "cookie": cookie, "ticket": ticket, "csrf token": csrf, "ticket key": ticketKey, "audit key": auditKey, "database URL": database, "Redis URL": proxy.URL()}
	for name, s := range secrets {
		if strings.Contains(out, s) {
			i := strings.Index(out, s)
			t.Errorf("the %s came out: …%q", name, out[max(0, i-200):i+len(s)])
		}
	}
	if !bytes.Contains([]byte(out), []byte(`"msg":"security"`)) || !strings.Contains(out, "portcullis_security_events_total") || !strings.Contains(out, "goroutine ") {
		t.Error("log, metrics and profiles were not all looked at")
	}
}
