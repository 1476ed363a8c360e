package e2e

import (
	"net/http"
	"testing"

	"example.com/portcullis/internal/attack"
)

// A thief has a copy of Alice's cookie and uses it beside her. Her session ends, with her
// socket and theirs, by itself; the one on her phone goes on, and so does Bob's, who only
// went from one place to another.
//
//control:proves response
//control:proves detection
func TestSession_thatTwoBrowsersUseByTurnsEnds(t *testing.T) {
	t.Parallel()
	s := startGenerous(t, append(backends(t), "PORTCULLIS_TRUSTED_PROXIES=127.0.0.1/32")...)
	from := func(c *attack.Client, ip, browser string) *attack.Client {
		other := c.At(s.Target(t))
		other.Header = http.Header{"X-Forwarded-For": {ip}, "User-Agent": {browser}}
		return other
	}
	const home, elsewhere = "203.0.113.7", "198.51.100.66"
	ticket := func(c *attack.Client) {
		t.Helper()
		call(t, c, http.MethodPost, "/api/ws-ticket", data{"route": "/ws"}, http.StatusCreated, nil)
	}
	alice, bob := signUp(t, s, "alice"), signUp(t, s, "bob")
	phone, err := s.Target(t).SignIn(t.Context(), alice.User.Username, attack.Password)
	if err != nil {
		t.Fatal(err)
	}
	laptop, thief := from(alice, home, "Firefox"), from(alice, elsewhere, "curl")
	mark := s.Logs.Mark()
	socket, others, bobs := open(t, laptop, attack.Handshake{}), open(t, phone, attack.Handshake{}), open(t, bob, attack.Handshake{})

	ticket(from(bob, home, "Firefox"))
	ticket(from(bob, elsewhere, "Safari"))
	ticket(thief)
	moved := func(user string) func(Event) bool {
		return func(e Event) bool { return e.Reason == "session_moved" && e.User == user }
	}
	for _, user := range []string{alice.User.ID, bob.User.ID} {
		if _, ok := s.Logs.Wait(mark, soon, moved(user)); !ok {
			t.Fatalf("nobody saw the move; there were %v", s.Logs.summary(mark))
		}
	}
	call(t, laptop, http.MethodGet, "/api/rooms", nil, http.StatusOK, nil) // a move ends nothing
	ticket(laptop)
	wantClose(t, socket, 4403)
	for name, c := range map[string]*attack.Client{"the thief": thief, "the laptop": laptop} {
		if a := call(t, c, http.MethodGet, "/api/rooms", nil, http.StatusUnauthorized, nil); a.Code() != "unauthenticated" {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	if _, ok := s.Logs.Wait(mark, soon, func(e Event) bool {
		return e.Name == "response_action" && e.Reason == "end_session_done" && e.User == alice.User.ID
	}); !ok {
		t.Errorf("no event says so; there were %v", s.Logs.summary(mark))
	}
	for name, c := range map[string]*attack.Client{"the phone": phone, "bob": bob} {
		if a := call(t, c, http.MethodGet, "/api/rooms", nil, http.StatusOK, nil); a.Status != http.StatusOK {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	for _, alive := range []*attack.Socket{others, bobs} {
		if f, err := alive.Ask("room.leave", data{"room_id": "0198c0de-0000-4000-8000-00000000000d"}); err != nil || f.Type != "ack" {
			t.Errorf("a socket of another session: %s %v", f.Raw, err)
		}
	}
	again, err := s.Target(t).SignIn(t.Context(), alice.User.Username, attack.Password)
	if err != nil {
		t.Fatalf("its owner cannot come back: %v", err)
	}
	call(t, again, http.MethodGet, "/api/rooms", nil, http.StatusOK, nil)
}
