package headers_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/portcullis/internal/guard/headers"
)

func options(t testing.TB, base string) headers.Options {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return headers.Options{BaseURL: u, ReportPath: "/csp-report"}
}

func policy(t testing.TB, base string) *headers.Policy {
	t.Helper()
	p, err := headers.New(options(t, base))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func serve(p *headers.Policy, h http.HandlerFunc) *http.Response {
	w := httptest.NewRecorder()
	p.Wrap(h).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Result()
}

//control:proves headers
func TestWrap_setsEveryHeader(t *testing.T) {
	var nonce string
	res := serve(policy(t, "https://app.example.com"), func(w http.ResponseWriter, r *http.Request) {
		nonce = headers.Nonce(r.Context())
		w.WriteHeader(http.StatusNoContent)
	})
	want := http.Header{
		"Content-Security-Policy": {"default-src 'none'; script-src 'nonce-" + nonce + "' 'strict-dynamic'; style-src 'self'; img-src 'self' blob:; " +
			"connect-src 'self' wss://app.example.com; font-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'; " +
			"require-trusted-types-for 'script'; trusted-types 'none'; report-uri /csp-report; report-to csp"},
		"Reporting-Endpoints":          {`csp="/csp-report"`},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"same-origin"},
		"Permissions-Policy": {"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), " +
			"magnetometer=(), microphone=(), midi=(), payment=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"},
		"Cache-Control":             {"no-store"},
		"Strict-Transport-Security": {"max-age=63072000; includeSubDomains"},
	}
	if diff := cmp.Diff(want, res.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

//control:proves headers
func TestWrap_nonceIsLongAndNeverRepeats(t *testing.T) {
	p := policy(t, "https://app.example.com")
	seen := map[string]bool{}
	for range 1000 {
		serve(p, func(w http.ResponseWriter, r *http.Request) {
			nonce := headers.Nonce(r.Context())
			if len(nonce) < 26 { // base32: 5 bits each
				t.Fatalf("nonce %q has less than 128 bits", nonce)
			}
			if seen[nonce] {
				t.Fatalf("nonce %q came twice", nonce)
			}
			seen[nonce] = true
		})
	}
}

func TestNonce_isEmptyOutsideOfWrap(t *testing.T) {
	if got := headers.Nonce(t.Context()); got != "" {
		t.Errorf("got %q", got)
	}
}

//control:proves headers
func TestWrap_coversErrorsAndRefusals(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"not found":         http.NotFound,
		"refused handshake": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"server error":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirect":          func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/sign-in", http.StatusSeeOther) },
		"nothing written":   func(http.ResponseWriter, *http.Request) {},
	} {
		res := serve(policy(t, "https://app.example.com"), h)
		for _, k := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Strict-Transport-Security", "Cross-Origin-Opener-Policy"} {
			if res.Header.Get(k) == "" {
				t.Errorf("%s: no %s", name, k)
			}
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
	}
}

func TestWrap_realServerShowsNoBanner(t *testing.T) {
	s := httptest.NewServer(policy(t, "https://app.example.com").Wrap(http.NotFoundHandler()))
	defer s.Close()
	res, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, k := range []string{"Server", "X-Powered-By", "Via"} {
		if v := res.Header.Get(k); v != "" {
			t.Errorf("%s: %s", k, v)
		}
	}
}

func TestWrap_aHandlerMayAllowCaching(t *testing.T) {
	res := serve(policy(t, "https://app.example.com"), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	})
	if got := res.Header["Cache-Control"]; !cmp.Equal(got, []string{"public, max-age=31536000, immutable"}) {
		t.Errorf("got %q", got)
	}
}

// The socket must be reachable, and nothing else: no bare scheme, no wildcard.
//
//control:proves headers
func TestWrap_connectsToExactOriginsOnly(t *testing.T) {
	tests := []struct {
		name, base string
		extra      []string
		want       string
	}{
		{"https", "https://app.example.com", nil, "'self' wss://app.example.com"},
		{"https with port", "https://app.example.com:8443", nil, "'self' wss://app.example.com:8443"},
		{"development", "http://app.portcullis.localhost:8080", nil, "'self' ws://app.portcullis.localhost:8080"},
		{"IPv6", "http://[::1]:8080", nil, "'self' ws://[::1]:8080"},
		{"path of the base URL is dropped", "https://app.example.com/", nil, "'self' wss://app.example.com"},
		{"extra", "https://app.example.com", []string{"wss://ws2.example.com"}, "'self' wss://app.example.com wss://ws2.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, tt.base)
			o.ExtraConnect = tt.extra
			p, err := headers.New(o)
			if err != nil {
				t.Fatal(err)
			}
			csp := serve(p, func(http.ResponseWriter, *http.Request) {}).Header.Get("Content-Security-Policy")
			_, rest, _ := strings.Cut(csp, "connect-src ")
			if got, _, _ := strings.Cut(rest, ";"); got != tt.want {
				t.Errorf("connect-src %s, want %s", got, tt.want)
			}
		})
	}
}

//control:proves headers
//control:proves hsts
func TestWrap_sendsHSTSOnlyWhereItBelongs(t *testing.T) {
	for base, want := range map[string]bool{
		"https://app.example.com":                 true,
		"https://localhost.example.com":           true,
		"http://app.example.com":                  false,
		"https://localhost:8443":                  false,
		"https://app.portcullis.localhost":        false,
		"https://127.0.0.1:8443":                  false,
		"https://[::1]:8443":                      false,
		"http://app.portcullis.localhost:8080":    false,
		"https://app.portcullis.localhost.evil.x": true,
	} {
		h := serve(policy(t, base), func(http.ResponseWriter, *http.Request) {}).Header
		if got := h.Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: HSTS sent: %v, want %v", base, got, want)
		}
	}
}

//control:proves headers
func TestNew_refusesTextThatWouldWidenThePolicy(t *testing.T) {
	for _, extra := range []string{"", "*", "wss:", "wss://*", "wss://*.example.com", "'unsafe-inline'", "wss://a.example;script-src *",
		"wss://a.example x", "wss://a.example,b", "wss://a.example/path", "data:", "javascript://a", "wss://a.example\r\nX: y", "wss://u@a.example"} {
		o := options(t, "https://app.example.com")
		o.ExtraConnect = []string{extra}
		if _, err := headers.New(o); err == nil {
			t.Errorf("connect source %q was accepted", extra)
		}
	}
	for _, path := range []string{"", "csp", "/a b", "/a;b", `/a"b`, "/a,b", "/a\r\nb", "//evil.example/report", "https://evil.example/"} {
		o := options(t, "https://app.example.com")
		o.ReportPath = path
		if _, err := headers.New(o); err == nil {
			t.Errorf("report path %q was accepted", path)
		}
	}
	for _, base := range []string{"", "https:///x", "ftp://a.example", "//a.example", "https://a*b"} {
		if _, err := headers.New(options(t, base)); err == nil {
			t.Errorf("base URL %q was accepted", base)
		}
	}
	if _, err := headers.New(headers.Options{ReportPath: "/csp-report"}); err == nil {
		t.Error("no base URL was accepted")
	}
}
