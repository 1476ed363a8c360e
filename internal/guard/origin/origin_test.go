package origin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/origin"
)

const (
	own     = "https://app.example.com"
	partner = "https://partner.example.org:8443"
)

func policy(t testing.TB) *origin.Policy {
	t.Helper()
	p, err := origin.New(own, partner, "http://127.0.0.1:8080", "http://[::1]:8080")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func handshake(h http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://app.example.com/ws", nil)
	r.Header = h
	return r
}

func wantWhy(t *testing.T, err error, want origin.Why) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	refused, ok := errors.AsType[*origin.Refused](err)
	if !ok {
		t.Fatalf("got %v, want a refusal for %q", err, want)
	}
	if refused.Why != want {
		t.Errorf("refused for %q, want %q", refused.Why, want)
	}
}

//control:proves origin
func TestCheck_acceptsExactlyTheListedOrigins(t *testing.T) {
	p := policy(t)
	for _, o := range []string{own, partner, "http://127.0.0.1:8080", "http://[::1]:8080"} {
		if err := p.Check(handshake(http.Header{"Origin": {o}})); err != nil {
			t.Errorf("Check(%q) = %v", o, err)
		}
		if !p.Allowed(o) {
			t.Errorf("Allowed(%q) = false", o)
		}
	}
}

//control:proves origin
func TestCheck_refusesEveryOtherOrigin(t *testing.T) {
	tests := []struct {
		name   string
		origin []string
		why    origin.Why
	}{
		{"other site", []string{"https://evil.example"}, origin.Unlisted},
		{"no header", nil, origin.Missing},
		{"empty header", []string{""}, origin.Empty},
		{"null of a sandboxed frame", []string{"null"}, origin.Null},
		{"NULL in capitals", []string{"NULL"}, origin.Unlisted},
		{"two headers, good first", []string{own, "https://evil.example"}, origin.Several},
		{"two headers, good last", []string{"https://evil.example", own}, origin.Several},
		{"the good one twice", []string{own, own}, origin.Several},
		{"two in one header, comma", []string{own + ", https://evil.example"}, origin.Unlisted},
		{"two in one header, space", []string{own + " https://evil.example"}, origin.Unlisted},
		{"http instead of https", []string{"http://app.example.com"}, origin.Unlisted},
		{"wss instead of https", []string{"wss://app.example.com"}, origin.Unlisted},
		{"default port spelled out", []string{"https://app.example.com:443"}, origin.Unlisted},
		{"the other default port", []string{"https://app.example.com:80"}, origin.Unlisted},
		{"another port", []string{"https://app.example.com:8443"}, origin.Unlisted},
		{"listed host without its port", []string{"https://partner.example.org"}, origin.Unlisted},
		{"listed name as a prefix", []string{"https://app.example.com.evil.example"}, origin.Unlisted},
		{"listed name as a suffix", []string{"https://evil-app.example.com"}, origin.Unlisted},
		{"sub-domain", []string{"https://x.app.example.com"}, origin.Unlisted},
		{"sibling", []string{"https://attacker.example.com"}, origin.Unlisted},
		{"parent", []string{"https://example.com"}, origin.Unlisted},
		{"dot replaced by a letter", []string{"https://appAexample.com"}, origin.Unlisted},
		{"backtick", []string{"https://app.example.com`.evil.example"}, origin.Unlisted},
		{"underscore", []string{"https://app.example.com_.evil.example"}, origin.Unlisted},
		{"escaped NUL", []string{"https://app.example.com%00.evil.example"}, origin.Unlisted},
		{"raw NUL", []string{own + "\x00.evil.example"}, origin.Unlisted},
		{"listed name as user", []string{"https://app.example.com@evil.example"}, origin.Unlisted},
		{"listed name as user and password", []string{"https://app.example.com:443@evil.example"}, origin.Unlisted},
		{"user before the listed name", []string{"https://x@app.example.com"}, origin.Unlisted},
		{"trailing dot", []string{"https://app.example.com."}, origin.Unlisted},
		{"trailing slash", []string{own + "/"}, origin.Unlisted},
		{"path", []string{own + "/ws"}, origin.Unlisted},
		{"query", []string{own + "?"}, origin.Unlisted},
		{"fragment", []string{own + "#"}, origin.Unlisted},
		{"upper-case host", []string{"https://APP.example.com"}, origin.Unlisted},
		{"upper-case scheme", []string{"HTTPS://app.example.com"}, origin.Unlisted},
		{"Cyrillic look-alike", []string{"https://аpp.example.com"}, origin.Unlisted},
		{"punycode look-alike", []string{"https://xn--pp-7kc.example.com"}, origin.Unlisted},
		{"IPv6 in long form", []string{"http://[0:0:0:0:0:0:0:1]:8080"}, origin.Unlisted},
		{"IPv4 in another spelling", []string{"http://127.1:8080"}, origin.Unlisted},
		{"localhost for 127.0.0.1", []string{"http://localhost:8080"}, origin.Unlisted},
		{"leading space", []string{" " + own}, origin.Unlisted},
		{"trailing tab", []string{own + "\t"}, origin.Unlisted},
		{"host only", []string{"app.example.com"}, origin.Unlisted},
		{"scheme-relative", []string{"//app.example.com"}, origin.Unlisted},
		{"backslashes", []string{`https:\\app.example.com`}, origin.Unlisted},
		{"file page", []string{"file://"}, origin.Unlisted},
		{"extension page", []string{"chrome-extension://abcdefghijklmnop"}, origin.Unlisted},
		{"wildcard", []string{"*"}, origin.Unlisted},
		{"10 KB value", []string{own + strings.Repeat("a", 10<<10)}, origin.Unlisted},
	}
	p := policy(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.origin != nil {
				h["Origin"] = tt.origin
			}
			wantWhy(t, p.Check(handshake(h)), tt.why)
			if len(tt.origin) == 1 && p.Allowed(tt.origin[0]) {
				t.Error("Allowed says yes")
			}
		})
	}
}

// The Host header is the attacker's under DNS rebinding: it must not count.
//
//control:proves origin
func TestCheck_refusesAnOriginThatOnlyEqualsTheHost(t *testing.T) {
	r := handshake(http.Header{"Origin": {"https://evil.example"}})
	r.Host = "evil.example"
	wantWhy(t, policy(t).Check(r), origin.Unlisted)
}

//control:proves origin
func TestCheck_hearsSecFetchWhenPresent(t *testing.T) {
	tests := []struct {
		name   string
		origin string
		site   []string
		mode   []string
		why    origin.Why
	}{
		{"absent", own, nil, nil, ""},
		{"same origin, websocket", own, []string{"same-origin"}, []string{"websocket"}, ""},
		{"only the site", own, []string{"same-origin"}, nil, ""},
		{"only the mode", own, nil, []string{"websocket"}, ""},
		{"own origin from a sibling", own, []string{"same-site"}, []string{"websocket"}, origin.FetchSite},
		{"own origin from another site", own, []string{"cross-site"}, []string{"websocket"}, origin.FetchSite},
		{"typed by the user", own, []string{"none"}, []string{"websocket"}, origin.FetchSite},
		{"unknown site", own, []string{"SAME-ORIGIN"}, nil, origin.FetchSite},
		{"empty site", own, []string{""}, nil, origin.FetchSite},
		{"two sites", own, []string{"same-origin", "cross-site"}, nil, origin.FetchSite},
		{"fetch instead of a socket", own, []string{"same-origin"}, []string{"cors"}, origin.FetchMode},
		{"navigation", own, nil, []string{"navigate"}, origin.FetchMode},
		{"empty mode", own, nil, []string{""}, origin.FetchMode},
		{"two modes", own, nil, []string{"websocket", "cors"}, origin.FetchMode},
		{"partner as another site", partner, []string{"cross-site"}, []string{"websocket"}, ""},
		{"partner as a sibling", partner, []string{"same-site"}, []string{"websocket"}, ""},
		{"partner serves the app itself", partner, []string{"same-origin"}, []string{"websocket"}, ""},
		{"partner typed by the user", partner, []string{"none"}, nil, origin.FetchSite},
		{"unlisted stays unlisted", "https://evil.example", []string{"same-origin"}, []string{"websocket"}, origin.Unlisted},
	}
	p := policy(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Origin": {tt.origin}}
			if tt.site != nil {
				h["Sec-Fetch-Site"] = tt.site
			}
			if tt.mode != nil {
				h["Sec-Fetch-Mode"] = tt.mode
			}
			wantWhy(t, p.Check(handshake(h)), tt.why)
		})
	}
}

//control:proves origin
func TestCheckNone_refusesEveryBrowser(t *testing.T) {
	p := policy(t)
	if err := p.CheckNone(handshake(http.Header{"Cookie": {"a=b"}})); err != nil {
		t.Errorf("a program without Origin: %v", err)
	}
	for _, sent := range [][]string{{own}, {"null"}, {""}, {}, {"https://evil.example"}, {own, own}} {
		wantWhy(t, p.CheckNone(handshake(http.Header{"Origin": sent})), origin.Present)
	}
}

//control:proves origin
func TestCheck_zeroPolicyRefuses(t *testing.T) {
	var p origin.Policy
	wantWhy(t, p.Check(handshake(http.Header{"Origin": {own}})), origin.Unlisted)
	wantWhy(t, p.Check(handshake(http.Header{})), origin.Missing)
	wantWhy(t, p.Check(handshake(http.Header{"Origin": {""}})), origin.Empty)
}

func TestRefused_keepsAtMost256Bytes(t *testing.T) {
	err := policy(t).Check(handshake(http.Header{"Origin": {strings.Repeat("x", 10<<10)}}))
	refused, ok := errors.AsType[*origin.Refused](err)
	if !ok || len(refused.Origin) != 256 {
		t.Fatalf("kept %d bytes", len(refused.Origin))
	}
	if strings.Contains(refused.Error(), "xx") {
		t.Error("the error text repeats the attacker's value")
	}
}

//control:proves origin
func TestNew_refusesWhatNoBrowserSends(t *testing.T) {
	for _, o := range []string{
		"", "*", "https://*", "https://*.example.com", "https://.*example.com", "null", "app.example.com", "//app.example.com",
		"https://", "https:app.example.com", "ws://app.example.com", "wss://app.example.com", "ftp://app.example.com", "file://",
		"https://app.example.com/", "https://app.example.com/chat", "https://app.example.com?", "https://app.example.com#",
		"https://app.example.com?x=1", "https://app.example.com#x", "https://user@app.example.com", "https://u:p@app.example.com",
		"https://app.example.com:443", "http://app.example.com:80", "https://app.example.com:", "https://app.example.com:0",
		"https://app.example.com:08443", "https://app.example.com:65536", "https://app.example.com:x",
		"HTTPS://app.example.com", "https://App.example.com", "https://app.example.com.", "https://.example.com", "https://a..b",
		"https://bücher.example", "https://app_1.example.com", "https://app.example.com ", " https://app.example.com",
		"https://a,b", "https://app%2eexample.com", "http://[0:0:0:0:0:0:0:1]", "http://[::1", "http://[::1%25eth0]", "http://[FE80::1]",
		"https://a.example,https://b.example",
	} {
		if _, err := origin.New(o); err == nil {
			t.Errorf("New(%q) accepted it", o)
		}
		if _, err := origin.New(own, o); err == nil {
			t.Errorf("New(own, %q) accepted it", o)
		}
	}
	if _, err := origin.New(); err == nil {
		t.Error("New() accepted an empty list")
	}
}

//control:proves origin
func FuzzOrigin(f *testing.F) {
	for _, o := range []string{own, partner, "null", "", "https://app.example.com:443", "https://app.example.com@evil.example", "HTTPS://APP.EXAMPLE.COM", own + "\x00", own + "/"} {
		f.Add(o, "same-origin")
	}
	p := policy(f)
	f.Fuzz(func(t *testing.T, o, site string) {
		h := http.Header{"Origin": {o}}
		if site != "" {
			h["Sec-Fetch-Site"] = []string{site}
		}
		err := p.Check(handshake(h))
		listed := o == own || o == partner || o == "http://127.0.0.1:8080" || o == "http://[::1]:8080"
		switch {
		case err == nil && !listed:
			t.Errorf("accepted %q", o)
		case err != nil && listed && site == "same-origin":
			t.Errorf("refused %q: %v", o, err)
		}
		// What New takes, Check must recognise: both speak of the same bytes.
		if own, err := origin.New(o); err == nil {
			if err := own.Check(handshake(http.Header{"Origin": {o}})); err != nil {
				t.Errorf("New accepts %q, Check refuses it: %v", o, err)
			}
		}
	})
}
