package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"example.com/portcullis/internal/attack"
)

// Somebody has rented an IPv6 /48, and knocks from a fresh network each time.
//
//control:proves ratelimit
func TestHandshake_aRentedSiteIsNotSixtyThousandClients(t *testing.T) {
	t.Parallel()
	s := start(t, "PORTCULLIS_TRUSTED_PROXIES=127.0.0.1/32")
	mallory, err := s.Target(t).Visit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	knock := func(address string) int {
		t.Helper()
		_, err := mallory.Open(t.Context(), attack.Handshake{Ticket: "not.a.ticket", Header: map[string]string{"X-Forwarded-For": address}})
		r, ok := errors.AsType[*attack.Refused](err)
		if !ok {
			t.Fatal(err)
		}
		return r.Status
	}
	mark, passed := s.Logs.Mark(), 0
	for i := range 300 {
		if knock(fmt.Sprintf("2001:db8:1:%x::1", i)) != http.StatusTooManyRequests {
			passed++
		}
	}
	if passed < 160 || passed > 200 { // sixteen networks' worth, and what comes back meanwhile
		t.Errorf("%d of 300 handshakes were looked at", passed)
	}
	s.wantEvent(t, mark, "excess_rate_limit_exceeded", func(e Event) bool { return e.Control == "ratelimit" && e.Reason == "handshake_rate" })
	if got := knock("2001:db8:2::1"); got != http.StatusUnauthorized {
		t.Errorf("a client from another site: %d", got)
	}
}
