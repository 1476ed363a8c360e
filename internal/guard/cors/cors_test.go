package cors_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/cors"
)

const (
	reader  = "https://status.example.org" // listed, no sockets
	partner = "https://embed.example.org"  // listed, and may open sockets
)

func policy(t *testing.T) *cors.Policy {
	t.Helper()
	p, err := cors.New([]string{reader, partner}, []string{"https://chat.example.com", partner})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(method, origin string, more ...string) *http.Request {
	r := httptest.NewRequest(method, "https://chat.example.com/api/rooms", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for i := 0; i < len(more); i += 2 {
		r.Header.Add(more[i], more[i+1])
	}
	return r
}

// permissions are the headers that let a page read.
func permissions(h http.Header) []string {
	var all []string
	for name, v := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			all = append(all, name+": "+strings.Join(v, ", "))
		}
	}
	slices.Sort(all)
	return all
}

//control:proves cors
func TestAnswer_letsNobodyReadWhoIsNotListed(t *testing.T) {
	for _, origin := range []string{
		"", "null", "*", "https://evil.example", "http://status.example.org", "https://status.example.org.evil.example", "https://evilstatus.example.org",
		"https://status.example.org:8443", "https://status.example.org/", "https://STATUS.example.org", "https://sub.status.example.org", "https://status.example.org\x00", "https://status.example.org ", "https://chat.example.com",
	} {
		h := http.Header{}
		policy(t).Answer(h, request("GET", origin))
		if got := permissions(h); len(got) != 0 {
			t.Errorf("%q got %v", origin, got)
		}
		if h.Get("Vary") != "Origin" {
			t.Errorf("%q: a cache may give this answer to others: %v", origin, h)
		}
	}
	h, twice := http.Header{}, request("GET", reader)
	twice.Header.Add("Origin", reader)
	policy(t).Answer(h, twice)
	if got := permissions(h); len(got) != 0 {
		t.Errorf("two Origin headers got %v", got)
	}
}

func TestAnswer_zeroPolicyLetsNobodyRead(t *testing.T) {
	h := http.Header{}
	new(cors.Policy).Answer(h, request("GET", reader))
	if got := permissions(h); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

//control:proves cors
func TestAnswer_givesCredentialsOnlyToWhomSocketsAreGiven(t *testing.T) {
	for _, c := range []struct {
		name, method, origin string
		want                 []string
	}{
		{"a listed origin reads without cookies", "GET", reader, []string{"Access-Control-Allow-Origin: " + reader}},
		{"and changes nothing", "POST", reader, nil},
		{"a trusted one may use the session", "GET", partner, []string{"Access-Control-Allow-Credentials: true", "Access-Control-Allow-Origin: " + partner}},
		{"and change things", "POST", partner, []string{"Access-Control-Allow-Credentials: true", "Access-Control-Allow-Origin: " + partner}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			policy(t).Answer(h, request(c.method, c.origin))
			if got := permissions(h); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

//control:proves cors
func TestPreflight_allowsOnlyTheMethodsAndHeadersThatThereAre(t *testing.T) {
	methods := []string{"GET", "HEAD", "POST"}
	for _, c := range []struct {
		name, origin, method, headers string
		allowed                       string // Access-Control-Allow-Methods; "": refused
	}{
		{"trusted, changing", partner, "POST", "content-type, x-csrf-token", "GET, HEAD, POST"},
		{"reader, reading", reader, "GET", "", "GET, HEAD"},
		{"reader, changing", reader, "POST", "content-type", ""},
		{"a method that the route has not", partner, "DELETE", "", ""},
		{"a header that nobody reads", partner, "POST", "authorization", ""},
		{"one good and one bad header", partner, "POST", "content-type,x-admin", ""},
		{"not listed", "https://evil.example", "GET", "", ""},
		{"null", "null", "GET", "", ""},
		{"a method in another case", partner, "post", "", ""},
		{"no method", partner, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			err := policy(t).Preflight(h, request("OPTIONS", c.origin, "Access-Control-Request-Method", c.method, "Access-Control-Request-Headers", c.headers), methods)
			if c.allowed == "" {
				if !errors.Is(err, cors.ErrRefused) || len(permissions(h)) != 0 {
					t.Errorf("got %v with %v, want a refusal", err, permissions(h))
				}
				return
			}
			if err != nil || h.Get("Access-Control-Allow-Methods") != c.allowed || h.Get("Access-Control-Allow-Origin") != c.origin {
				t.Errorf("got %v, %v", err, permissions(h))
			}
			if !slices.Equal(methods, []string{"GET", "HEAD", "POST"}) {
				t.Error("the caller's list was changed")
			}
		})
	}
}

func TestNew_takesExactOriginsOnly(t *testing.T) {
	for _, bad := range []string{"*", "null", "", "https://*.example.org", "https://example.org/", "https://Example.org", "ftp://example.org", "https://u@example.org", "https://example.org?x", "example.org"} {
		if _, err := cors.New([]string{bad}, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
