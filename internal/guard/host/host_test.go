package host_test

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/host"
)

func request(name string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = name
	return r
}

func policy(t testing.TB) *host.Policy {
	t.Helper()
	p, err := host.New("https://kiosk.example.com", "http://app.portcullis.localhost:8080", "http://plain.example", "https://[2001:db8::1]")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

//control:proves host
func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		host string
		ok   bool
	}{
		{"listed", "kiosk.example.com", true},
		{"default port may be said", "kiosk.example.com:443", true},
		{"case does not matter", "KIOSK.Example.com", true},
		{"listed with its port", "app.portcullis.localhost:8080", true},
		{"http default port", "plain.example:80", true},
		{"IPv6", "[2001:db8::1]", true},
		{"IPv6 with default port", "[2001:db8::1]:443", true},

		{"rebound name", "evil.example", false},
		{"rebound name on our port", "evil.example:8080", false},
		{"the address itself", "127.0.0.1:8080", false},
		{"localhost", "localhost:8080", false},
		{"empty", "", false},
		{"port missing", "app.portcullis.localhost", false},
		{"other port", "app.portcullis.localhost:8081", false},
		{"port of the other scheme", "kiosk.example.com:80", false},
		{"empty port", "kiosk.example.com:", false},
		{"sub-domain", "x.kiosk.example.com", false},
		{"prefix", "kiosk.example.com.evil.example", false},
		{"suffix", "evilkiosk.example.com", false},
		{"trailing dot", "kiosk.example.com.", false},
		{"user name", "kiosk.example.com@evil.example", false},
		{"two names", "kiosk.example.com,evil.example", false},
		{"space", "kiosk.example.com ", false},
		{"NUL", "kiosk.example.com\x00", false},
		{"Kelvin sign for k", "\u212aiosk.example.com", false},
		{"bare IPv6", "2001:db8::1", false},
		{"long", strings.Repeat("a", 10<<10), false},
	}
	p := policy(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := p.Check(request(tt.host))
			if tt.ok {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			refused, ok := errors.AsType[*host.Refused](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if want := tt.host[:min(len(tt.host), 256)]; refused.Host != want {
				t.Errorf("kept %q, want %q", refused.Host, want)
			}
		})
	}
}

//control:proves host
func TestCheck_ignoresForwardedHost(t *testing.T) {
	r := request("evil.example")
	r.Header.Set("X-Forwarded-Host", "kiosk.example.com")
	r.Header.Set("Forwarded", "host=kiosk.example.com")
	r.Header.Set("X-Original-Host", "kiosk.example.com")
	if policy(t).Check(r) == nil {
		t.Error("a forwarded name was believed")
	}
}

// The request line wins over the Host header (RFC 9112 section 3.2.2): a proxy
// that checked the header would have looked at the wrong one.
//
//control:proves host
func TestCheck_looksAtAnAbsoluteRequestTarget(t *testing.T) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET http://evil.example/ws HTTP/1.1\r\nHost: kiosk.example.com\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if policy(t).Check(r) == nil {
		t.Error("the absolute target evil.example passed")
	}
}

//control:proves host
func TestCheck_zeroPolicyRefuses(t *testing.T) {
	var p host.Policy
	for _, h := range []string{"", "kiosk.example.com"} {
		if p.Check(request(h)) == nil {
			t.Errorf("the zero Policy let %q in", h)
		}
	}
}

//control:proves host
func TestNew_refusesWhatIsNoOrigin(t *testing.T) {
	for _, o := range []string{"", "*", "https://*.example.com", "kiosk.example.com", "kiosk.example.com:443", "https://", "https://:443", "https://kiosk.example.com:",
		"https://kiosk.example.com/", "https://kiosk.example.com/x", "https://kiosk.example.com?", "https://u@kiosk.example.com",
		"https://Kiosk.example.com", "HTTPS://kiosk.example.com", "ftp://kiosk.example.com", "https://a,b", "https://a b"} {
		if _, err := host.New(o); err == nil {
			t.Errorf("New(%q) accepted it", o)
		}
	}
	if _, err := host.New(); err == nil {
		t.Error("New() accepted an empty list")
	}
}
