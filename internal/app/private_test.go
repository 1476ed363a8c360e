package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/testkit"
)

// A page cannot choose Host, but whoever owns a name can point it here.
//
//control:proves private-listener
func TestPrivate_refusesAReboundAndEveryPage(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, host, header, value string
		want                      int
	}{
		{"a scraper by address", "127.0.0.1:9090", "", "", http.StatusOK},
		{"a scraper by IPv6 address", "[::1]:9090", "", "", http.StatusOK},
		{"a scraper in a container network", "app:9090", "", "", http.StatusOK},
		{"a person at the machine", "localhost:9090", "Sec-Fetch-Site", "none", http.StatusOK},
		{"a name rebound to 127.0.0.1", "rebound.evil.example:9090", "", "", http.StatusMisdirectedRequest},
		{"the public name", "app.portcullis.localhost:9090", "", "", http.StatusMisdirectedRequest},
		{"an address with a dot behind", "127.0.0.1.:9090", "", "", http.StatusMisdirectedRequest},
		{"no name at all", "", "", "", http.StatusMisdirectedRequest},
		{"an image on a page that starts a profile", "127.0.0.1:9090", "Sec-Fetch-Site", "cross-site", http.StatusMisdirectedRequest},
		{"a page on another local port", "localhost:9090", "Sec-Fetch-Site", "same-site", http.StatusMisdirectedRequest},
		{"a fetch with an origin", "127.0.0.1:9090", "Origin", "http://127.0.0.1:9090", http.StatusMisdirectedRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/metrics", nil)
			req.Host = tt.host
			if tt.header != "" {
				req.Header.Set(tt.header, tt.value)
			}
			before := strings.Count(w.log.String(), `"private-listener"`)
			res := httptest.NewRecorder()
			w.Private().ServeHTTP(res, req)
			if res.Code != tt.want {
				t.Errorf("status = %d, want %d", res.Code, tt.want)
			}
			if leaked := strings.Contains(res.Body.String(), "go_goroutines"); leaked != (tt.want == http.StatusOK) {
				t.Errorf("numbers shown = %v", leaked)
			}
			if tt.want != http.StatusOK {
				testkit.Eventually(t, 5*time.Second, func() bool { return strings.Count(w.log.String(), `"private-listener"`) > before })
			}
		})
	}
}

// Everybody may ask whether we are ready; only one look a moment reaches the
// dependencies.
//
//control:proves private-listener
func TestReady_aFloodOfQuestionsIsOneLook(t *testing.T) {
	w := newWorld(t)
	var looks atomic.Int64
	parts := w.Parts
	parts.Ready = map[string]func(context.Context) error{"store": func(context.Context) error { looks.Add(1); return nil }}
	a, err := app.New(parts)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 2000 {
		w.get(t, a.Handler(), base+"/readyz")
	}
	if most := int64(time.Since(start)/(500*time.Millisecond)) + 1; looks.Load() > most {
		t.Errorf("2,000 questions became %d looks, want at most %d", looks.Load(), most)
	}
}
