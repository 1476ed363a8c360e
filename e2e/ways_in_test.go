package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/portcullis/internal/attack"
)

func firstMessage(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	ticket := func(t *testing.T, route string) string {
		t.Helper()
		ticket, err := alice.Ticket(t.Context(), route)
		if err != nil {
			t.Fatal(err)
		}
		s.Logs.Canary(ticket)
		return ticket
	}
	overAuth := attack.Handshake{Route: "/ws/auth"}
	t.Run("a ticket in the first frame is answered with hello", func(t *testing.T) {
		t.Parallel()
		id := room(t, alice, "closed")
		socket := open(t, alice, overAuth)
		if _, err := socket.Send("auth", data{"ticket": ticket(t, "/ws/auth")}); err != nil {
			t.Fatal(err)
		}
		if f, err := socket.Next(soon); err != nil || f.Type != "hello" {
			t.Fatalf("%s %v", f.Raw, err)
		}
		ask(t, socket, "room.join", data{"room_id": id})
		if got := say(t, socket, id, "over the first message"); got.Seq != 1 {
			t.Errorf("%+v", got)
		}
		f, err := socket.Ask("auth", data{"ticket": ticket(t, "/ws/auth")})
		if err != nil || f.Code != "bad_state" {
			t.Errorf("a second auth: %s %v", f.Raw, err)
		}
	})
	for _, tt := range []struct {
		name string
		send func(t *testing.T, socket *attack.Socket) error
	}{
		{"a command before auth", func(t *testing.T, socket *attack.Socket) error {
			_, err := socket.Send("room.join", data{"room_id": commandID(t)})
			return err
		}},
		{"a ticket of another route", func(t *testing.T, socket *attack.Socket) error {
			_, err := socket.Send("auth", data{"ticket": ticket(t, "/ws")})
			return err
		}},
		{"no JSON", func(_ *testing.T, socket *attack.Socket) error { return socket.Text([]byte("let me in")) }},
		{"8 KiB", func(_ *testing.T, socket *attack.Socket) error {
			return socket.Text([]byte(strings.Repeat("a", 8<<10)))
		}},
		{"nothing at all, for 5 s", func(*testing.T, *attack.Socket) error { return nil }},
	} {
		t.Run(tt.name+" closes with 4401 and says nothing", func(t *testing.T) {
			t.Parallel()
			mark := s.Logs.Mark()
			socket := open(t, alice, overAuth)
			if err := tt.send(t, socket); err != nil {
				t.Fatal(err)
			}
			wantClose(t, socket, 4401)
			if len(socket.Seen) != 0 {
				t.Errorf("it said %v", socket.Seen)
			}
			s.wantEvent(t, mark, "ws_handshake_reject", func(e Event) bool { return e.Control == "first-message" })
		})
	}
}

func cliRoute(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	id := room(t, alice, "closed")
	fresh := func() string {
		ticket, err := alice.Ticket(t.Context(), "/ws/cli")
		if err != nil {
			t.Fatal(err)
		}
		return ticket
	}
	socket := open(t, alice, attack.Handshake{Route: "/ws/cli", NoCookie: true, Bearer: fresh()})
	ask(t, socket, "room.join", data{"room_id": id})
	say(t, socket, id, "from a program")

	refusal(t, alice, attack.Handshake{Route: "/ws/cli", NoCookie: true}, http.StatusUnauthorized)
	refusal(t, alice, attack.Handshake{Route: "/ws/cli"}, http.StatusUnauthorized) // the cookie is not read
	mark := s.Logs.Mark()
	refusal(t, alice, attack.Handshake{Route: "/ws/cli", NoCookie: true, Origin: new(s.Base), Bearer: fresh()}, http.StatusForbidden)
	s.wantEvent(t, mark, "malicious_cors", func(e Event) bool { return e.Control == "origin" })

	// A ticket ends with its session, also where no cookie is sent.
	late := fresh()
	signOut(t, alice)
	wantClose(t, socket, 4403)
	refusal(t, alice, attack.Handshake{Route: "/ws/cli", NoCookie: true, Bearer: late}, http.StatusUnauthorized)
}

//control:proves handshake-protocol
//control:proves handshake
func TestHandshake_refusesWithOneStatusOneBodyAndOneEvent(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	alice := signUp(t, s, "alice")
	used, err := alice.Ticket(t.Context(), "/ws")
	if err != nil {
		t.Fatal(err)
	}
	s.Logs.Canary(used)
	open(t, alice, attack.Handshake{Ticket: used})
	gone := signUp(t, s, "gone")
	old, err := gone.Ticket(t.Context(), "/ws")
	if err != nil {
		t.Fatal(err)
	}
	dead := gone.Cookie
	signOut(t, gone)

	bodies := map[int]string{}
	for _, tt := range []struct {
		name    string
		h       attack.Handshake
		status  int
		event   string
		control string
	}{
		{"a replayed ticket", attack.Handshake{Ticket: used}, 401, "authn_token_reuse", "ticket"},
		{"a ticket of nothing", attack.Handshake{Ticket: "a.b.c"}, 401, "ws_handshake_reject", "ticket"},
		{"no ticket", attack.Handshake{NoTicket: true}, 401, "ws_handshake_reject", "ticket"},
		{"no cookie", attack.Handshake{NoCookie: true}, 401, "ws_handshake_reject", "session"},
		{"a cookie that was signed out", attack.Handshake{Cookie: dead, Ticket: old}, 401, "ws_handshake_reject", "session"},
		{"a foreign origin", attack.Handshake{Origin: new("https://evil.example")}, 403, "malicious_cors", "origin"},
		{"the null origin", attack.Handshake{Origin: new("null")}, 403, "malicious_cors", "origin"},
		{"a cookie and no origin", attack.Handshake{Origin: new("")}, 403, "malicious_cors", "origin"},
		{"an unlisted subprotocol", attack.Handshake{Subprotocols: []string{"chat.v9"}}, 400, "ws_handshake_reject", "handshake-protocol"},
		{"another host", attack.Handshake{Host: "evil.test"}, 421, "ws_handshake_reject", "host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mark := s.Logs.Mark()
			r := refusal(t, alice, tt.h, tt.status)
			e := s.wantEvent(t, mark, tt.event, func(e Event) bool { return e.Control == tt.control })
			if e.Reason == "" {
				t.Errorf("the event has no reason: %+v", e)
			}
			var body map[string]string
			if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
				t.Fatalf("%v in %s", err, r.Body)
			}
			if keys := slices.Sorted(maps.Keys(body)); !slices.Equal(keys, []string{"code", "message", "request_id"}) || body["request_id"] == "" {
				t.Errorf("the body is %s", r.Body)
			}
			same := body["code"] + body["message"]
			if before, ok := bodies[tt.status]; ok && before != same {
				t.Errorf("%d says %q here and %q elsewhere: which proof failed can be told", tt.status, same, before)
			}
			bodies[tt.status] = same
			if r.Header.Get("Sec-WebSocket-Protocol") != "" || r.Header.Get("Sec-WebSocket-Accept") != "" {
				t.Errorf("headers of a 101 in a refusal: %v", r.Header)
			}
		})
	}
	t.Run("a plain GET", func(t *testing.T) {
		a, err := alice.Raw(t.Context(), http.MethodGet, "/ws", http.Header{}, nil)
		if err != nil || a.Status != http.StatusUpgradeRequired || a.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("%d %v %v", a.Status, a.Header, err)
		}
	})
}
