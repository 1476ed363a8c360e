package clientip_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/clientip"
)

var proxies = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/24"),
	netip.MustParsePrefix("2001:db8:ffff::/48"),
	netip.MustParsePrefix("::ffff:192.168.7.0/120"),
}

func request(remote string, forwarded ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	if len(forwarded) > 0 {
		r.Header["X-Forwarded-For"] = forwarded
	}
	return r
}

//control:proves clientip
func TestIP(t *testing.T) {
	tests := []struct {
		name      string
		remote    string
		forwarded []string
		want      string // "" is the zero Addr
	}{
		{"direct", "203.0.113.9:5000", nil, "203.0.113.9"},
		{"direct IPv6", "[2001:db8::9]:5000", nil, "2001:db8::9"},
		{"direct, IPv4 in IPv6", "[::ffff:203.0.113.9]:5000", nil, "203.0.113.9"},
		{"direct, zone dropped", "[fe80::9%eth0]:5000", nil, "fe80::9"},
		{"stranger's header is ignored", "203.0.113.9:5000", []string{"198.51.100.1"}, "203.0.113.9"},
		{"stranger names a proxy", "203.0.113.9:5000", []string{"198.51.100.1, 10.0.0.1"}, "203.0.113.9"},
		{"one proxy", "10.0.0.1:5000", []string{"203.0.113.9"}, "203.0.113.9"},
		{"leftmost is spoofed", "10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{"whole spoofed list on the left", "10.0.0.1:5000", []string{"127.0.0.1, 10.0.0.5, 203.0.113.9"}, "203.0.113.9"},
		{"two proxies", "10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"spoofed line before the proxy's line", "10.0.0.1:5000", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		{"two proxies, a line each", "10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		{"IPv6 proxy and client", "[2001:db8:ffff::1]:5000", []string{"2001:db8::9"}, "2001:db8::9"},
		{"proxy listed as IPv4 in IPv6", "192.168.7.1:5000", []string{"203.0.113.9"}, "203.0.113.9"},
		{"proxy connects as IPv4 in IPv6", "[::ffff:10.0.0.1]:5000", []string{"203.0.113.9"}, "203.0.113.9"},
		{"proxy entry as IPv4 in IPv6", "10.0.0.1:5000", []string{"203.0.113.9, ::ffff:10.0.0.2"}, "203.0.113.9"},
		{"entry with port", "10.0.0.1:5000", []string{"203.0.113.9:1234"}, "203.0.113.9"},
		{"IPv6 entry with port", "10.0.0.1:5000", []string{"[2001:db8::9]:1234"}, "2001:db8::9"},
		{"entry with zone", "10.0.0.1:5000", []string{"fe80::9%x1"}, "fe80::9"},
		{"no spaces, tabs", "10.0.0.1:5000", []string{"198.51.100.1,\t203.0.113.9\t"}, "203.0.113.9"},
		{"proxy without header", "10.0.0.1:5000", nil, "10.0.0.1"},
		{"only proxies", "10.0.0.1:5000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.1"},

		{"garbage at the right", "10.0.0.1:5000", []string{"203.0.113.9, unknown"}, ""},
		{"garbage behind a proxy", "10.0.0.1:5000", []string{"203.0.113.9, _hidden, 10.0.0.2"}, ""},
		{"garbage left of the client", "10.0.0.1:5000", []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		{"empty header", "10.0.0.1:5000", []string{""}, ""},
		{"empty entry", "10.0.0.1:5000", []string{"203.0.113.9, "}, ""},
		{"octal look-alike", "10.0.0.1:5000", []string{"010.0.0.1"}, ""},
		{"Unix socket", "@", []string{"203.0.113.9"}, ""},
		{"no peer", "", []string{"203.0.113.9"}, ""},
	}
	x := clientip.New(proxies)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want netip.Addr
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if got := x.IP(request(tt.remote, tt.forwarded...)); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

//control:proves clientip
func TestIP_ignoresEveryOtherHeader(t *testing.T) {
	for _, h := range []string{"X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Forwarded", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip"} {
		r := request("10.0.0.1:5000", "203.0.113.9")
		r.Header.Set(h, "198.51.100.1")
		if got := clientip.New(proxies).IP(r); got != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("%s: got %v", h, got)
		}
	}
}

//control:proves clientip
func TestIP_trustsNobodyByDefault(t *testing.T) {
	peer := netip.MustParseAddr("10.0.0.1")
	for name, x := range map[string]*clientip.Resolver{"zero": {}, "nil list": clientip.New(nil), "invalid prefix": clientip.New([]netip.Prefix{{}})} {
		if got := x.IP(request("10.0.0.1:5000", "203.0.113.9")); got != peer {
			t.Errorf("%s: got %v, want the peer", name, got)
		}
	}
}

// An operator who trusts the whole Internet must not hand the key to the client.
//
//control:proves clientip
func TestIP_trustingEverybodyNeverBelievesTheLeftmost(t *testing.T) {
	x := clientip.New([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")})
	if got := x.IP(request("203.0.113.9:5000", "198.51.100.1")); got != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("got %v, want the peer", got)
	}
}

//control:proves clientip
func TestPrefix(t *testing.T) {
	tests := []struct{ name, ip, want string }{
		{"IPv4", "203.0.113.9", "203.0.113.9/32"},
		{"IPv4 in IPv6", "::ffff:203.0.113.9", "203.0.113.9/32"},
		{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"IPv6 neighbour shares it", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"},
		{"zone", "fe80::1%eth0", "fe80::/64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clientip.Prefix(netip.MustParseAddr(tt.ip)); got != netip.MustParsePrefix(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if got := clientip.Prefix(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("zero Addr gives %v", got)
	}
}

// What stands left of the first untrusted hop is the client's text: no change of
// it may change the answer.
//
//control:proves clientip
func FuzzClientIP(f *testing.F) {
	for _, s := range []string{"", "198.51.100.1", "10.0.0.2", "a, b", ",", "10.0.0.2,", "::1", "[::1]:80", "\x00", "203.0.113.9,203.0.113.9"} {
		f.Add("203.0.113.9:5000", s)
	}
	x := clientip.New(proxies)
	f.Fuzz(func(t *testing.T, remote, spoof string) {
		want := netip.MustParseAddr("203.0.113.9")
		if got := x.IP(request("10.0.0.1:5000", spoof+",203.0.113.9, 10.0.0.2")); got != want {
			t.Errorf("on the left in one line, %q: got %v", spoof, got)
		}
		if got := x.IP(request("10.0.0.1:5000", spoof, "203.0.113.9")); got != want {
			t.Errorf("in a line before, %q: got %v", spoof, got)
		}
		if got := x.IP(request("203.0.113.9:5000", spoof)); got != want {
			t.Errorf("without a proxy, %q: got %v", spoof, got)
		}
		got := x.IP(request(remote, spoof))
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q %q: %v is not canonical", remote, spoof, got)
		}
		if p := clientip.Prefix(got); p.IsValid() != got.IsValid() || got.IsValid() && !p.Contains(got) {
			t.Errorf("Prefix(%v) = %v", got, p)
		}
		if got.IsValid() && !strings.ContainsAny(remote, ".:") {
			t.Errorf("an address %v out of peer %q", got, remote)
		}
	})
}
