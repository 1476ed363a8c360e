package ratelimit_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/ratelimit"
)

// Who has a /48 has 65,536 networks, and a full budget in each of them.
//
//control:proves ratelimit
func TestForNetwork_oneIPv6SiteIsSixteenNetworksAndNoMore(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	s := ratelimit.NewMemory(func() time.Time { return now })
	knock := func(address string) ratelimit.Result {
		r, err := s.Take(t.Context(), ratelimit.ForNetwork("handshake", clientip.Prefix(netip.MustParseAddr(address)), ratelimit.Limit{Rate: 10.0 / 60, Burst: 10}), 1)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	passed := 0
	for i := range 1000 {
		if knock(fmt.Sprintf("2001:db8:1:%x::%x", i%100, i)).Allowed {
			passed++
		}
	}
	if passed != 160 {
		t.Errorf("%d handshakes of one site at once, want 160", passed)
	}
	if r := knock("2001:db8:1:ffff::1"); r.Allowed || r.By != "handshake_site" {
		t.Errorf("a fresh network of it: %+v", r)
	}
	if r := knock("2001:db8:2::1"); !r.Allowed {
		t.Errorf("another site: %+v", r)
	}
	for i := range 100 { // addresses of IPv4 have no site: a neighbour's number says nothing
		if r := knock(fmt.Sprintf("192.0.2.%d", i)); !r.Allowed {
			t.Errorf("IPv4: %+v", r)
		}
	}
	if got := ratelimit.ForNetwork("http", netip.Prefix{}, ratelimit.Limit{Rate: 1, Burst: 1}); len(got) != 1 || got[0].Limit.Burst != 1 {
		t.Errorf("clients without an address: %+v", got)
	}
}
