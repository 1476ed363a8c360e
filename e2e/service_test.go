package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/attack"
)

// An operator makes a service; it talks where it is invited; a rotation and then its end
// close its socket at once.
//
//control:proves service-identity
func TestService_fromItsKeyToItsEnd(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	target := s.Target(t)
	made := portcullis(t, s.env, "", "service", "add", "deploy-bot", "-display", "Deploy")
	if made.code != 0 || !strings.HasPrefix(made.out, "pcs_") {
		t.Fatalf("%+v", made)
	}
	bot, err := target.Visit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bot.Cookie = ""
	ticket := func(key string) (int, string) {
		a, err := bot.Raw(t.Context(), http.MethodPost, "/api/service/ticket", http.Header{"Authorization": {"Bearer " + strings.TrimSpace(key)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out struct{ Ticket string }
		_ = json.Unmarshal(a.Body, &out)
		return a.Status, out.Ticket
	}
	open := func(key string) *attack.Socket {
		status, got := ticket(key)
		if status != http.StatusCreated {
			t.Fatalf("a ticket: %d", status)
		}
		sock, err := bot.Open(t.Context(), attack.Handshake{Route: "/ws/cli", Bearer: got, NoCookie: true})
		if err != nil {
			t.Fatal(err)
		}
		return sock
	}
	ends := func(sock *attack.Socket) {
		if code, err := sock.Closed(soon); err != nil || code != 4403 {
			t.Errorf("closed with %d, %v", code, err)
		}
	}
	owner, err := target.Person(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	room, err := owner.Room(t.Context(), "open")
	if err != nil {
		t.Fatal(err)
	}
	sock := open(made.out)
	if f, err := sock.Ask("room.join", map[string]any{"room_id": room}); err != nil || f.Code != "denied" {
		t.Errorf("uninvited in an open room: %+v, %v", f, err)
	}
	if a, err := owner.Call(t.Context(), http.MethodPost, "/api/rooms/"+room+"/members", map[string]string{"username": "deploy-bot"}); err != nil || a.Status >= 300 {
		t.Fatalf("invite: %d %s, %v", a.Status, a.Body, err)
	}
	if f, err := sock.Ask("room.join", map[string]any{"room_id": room}); err != nil || f.Type != "ack" {
		t.Fatalf("invited: %+v, %v", f, err)
	}
	if f, err := sock.Ask("message.send", map[string]any{"room_id": room, "body": "built"}); err != nil || f.Type != "ack" {
		t.Errorf("it may talk: %+v, %v", f, err)
	}
	rotated := portcullis(t, s.env, "", "service", "rotate", "deploy-bot", "-overlap", "0")
	if rotated.code != 0 {
		t.Fatalf("%+v", rotated)
	}
	ends(sock)
	if status, _ := ticket(made.out); status != http.StatusUnauthorized {
		t.Errorf("the old key: %d", status)
	}
	sock = open(rotated.out)
	mark := s.Logs.Mark()
	if got := portcullis(t, s.env, "", "service", "disable", "deploy-bot"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	ends(sock)
	if status, _ := ticket(rotated.out); status != http.StatusUnauthorized {
		t.Errorf("a disabled service: %d", status)
	}
	s.wantEvent(t, mark, "authn_login_fail", func(e Event) bool { return e.Control == "service-identity" && e.Reason == "disabled" })
	if got := portcullis(t, s.env, "", "service", "list"); got.code != 0 || !strings.Contains(got.out, "disabled") {
		t.Errorf("%+v", got)
	}
}

// An operator rotates with an overlap. The old key's sockets on both nodes go on until it
// is over, and end with it; the new key's stay.
//
//control:proves service-identity
func TestService_socketsOfTheOldKeyEndWithTheOverlap(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	open := func(s *Server, key string) *attack.Socket {
		t.Helper()
		bot, err := s.Target(t).Visit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bot.Cookie = ""
		got, err := bot.Raw(t.Context(), http.MethodPost, "/api/service/ticket", http.Header{"Authorization": {"Bearer " + strings.TrimSpace(key)}}, nil)
		if err != nil || got.Status != http.StatusCreated {
			t.Fatalf("a ticket: %d, %v", got.Status, err)
		}
		var out struct{ Ticket string }
		if err := json.Unmarshal(got.Body, &out); err != nil {
			t.Fatal(err)
		}
		sock, err := bot.Open(t.Context(), attack.Handshake{Route: "/ws/cli", Bearer: out.Ticket, NoCookie: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sock.Close)
		return sock
	}
	alive := func(sock *attack.Socket) {
		t.Helper()
		if f, err := sock.Ask("room.join", map[string]any{"room_id": uuid.NewString()}); err != nil || f.Code != "denied" {
			t.Errorf("asked, it answers %+v, %v", f, err)
		}
	}
	made := portcullis(t, a.env, "", "service", "add", "deploy-bot")
	if made.code != 0 {
		t.Fatalf("%+v", made)
	}
	onA, onB := open(a, made.out), open(b, made.out)
	const overlap = 4 * time.Second
	begin := time.Now()
	rotated := portcullis(t, a.env, "", "service", "rotate", "deploy-bot", "-overlap", overlap.String())
	if rotated.code != 0 {
		t.Fatalf("%+v", rotated)
	}
	fresh := open(b, rotated.out)
	alive(onA)
	alive(onB)
	for _, sock := range []*attack.Socket{onA, onB} {
		if code, err := sock.Closed(soon); err != nil || code != 4402 || time.Since(begin) < overlap {
			t.Errorf("closed with %d after %s, %v; want 4402 after %s", code, time.Since(begin), err, overlap)
		}
	}
	alive(fresh)
}
