package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/testkit"
)

// slow is a request that is on its way: its headers and half of its body are sent.
type slow struct {
	conn net.Conn
	rest string
}

// begin sends the first half of a call of c's.
func begin(t *testing.T, s *Server, c *attack.Client, path, body string) *slow {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	half := len(body) / 2
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: __Host-portcullis=%s\r\nX-CSRF-Token: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, strings.TrimPrefix(s.Base, "http://"), s.Base, c.Cookie, c.CSRF, len(body), body[:half])
	if err != nil {
		t.Fatal(err)
	}
	return &slow{conn, body[half:]}
}

// finish sends the rest and returns the answer.
func (r *slow) finish(t *testing.T) (status int, cookie string) {
	t.Helper()
	if _, err := io.WriteString(r.conn, r.rest); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(r.conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, ck := range res.Cookies() {
		if ck.Name == "__Host-portcullis" {
			cookie = ck.Value
		}
	}
	return res.StatusCode, cookie
}

// wantDead fails the test when one of the cookies signs anybody in.
func wantDead(t *testing.T, c *attack.Client, cookies ...string) {
	t.Helper()
	for _, cookie := range cookies {
		thief := *c
		thief.Cookie = cookie
		if cookie != "" && signedIn(t, &thief) {
			t.Errorf("a cookie signs in after the end of its session")
		}
	}
}

//control:proves session
func TestSession_aRequestInFlightDoesNotReviveIt(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	const makeRoom, newRoom = "/api/rooms", `{"title":"made by a ghost","visibility":"open"}`
	t.Run("begun before the sign-out, finished after it", func(t *testing.T) {
		t.Parallel()
		alice := signUp(t, s, "alice")
		device, old := *alice, alice.Cookie
		request := begin(t, s, alice, makeRoom, newRoom)
		signOut(t, &device)
		status, given := request.finish(t)
		if status != http.StatusUnauthorized {
			t.Errorf("answered %d, want 401", status)
		}
		wantDead(t, alice, old, given, device.Cookie)
	})
	t.Run("the sign-out is the slow one", func(t *testing.T) {
		t.Parallel()
		alice := signUp(t, s, "alice")
		old := alice.Cookie
		socket := open(t, alice, attack.Handshake{})
		request := begin(t, s, alice, "/api/sign-out", `{      }`)
		room(t, alice, "closed") // the session is alive until the sign-out is whole
		status, given := request.finish(t)
		if status != http.StatusNoContent {
			t.Errorf("answered %d, want 204", status)
		}
		wantClose(t, socket, 4403)
		wantDead(t, alice, old, given, alice.Cookie)
	})
	t.Run("inside of a handler that gives out a new cookie", func(t *testing.T) {
		t.Parallel()
		// Changing the password holds a loaded session for as long as two argon2id hashes
		// take, and then gives it a new token. Sign-outs fall around that moment.
		change := func(c *attack.Client) (attack.Answer, error) {
			return c.Call(t.Context(), http.MethodPost, "/api/password", data{"current_password": attack.Password, "new_password": attack.Password + "-next"})
		}
		measured := signUp(t, s, "measured")
		begin := time.Now()
		if a, err := change(measured); err != nil || a.Status != http.StatusNoContent {
			t.Fatal(a.Status, err)
		}
		takes := time.Since(begin)
		for i := range 10 {
			alice := signUp(t, s, "alice")
			device, old := *alice, alice.Cookie
			var changed attack.Answer
			var changing sync.WaitGroup
			changing.Go(func() {
				var err error
				if changed, err = change(alice); err != nil {
					t.Error(err)
				}
			})
			after := takes * time.Duration(80+4*i) / 100
			pause(after)
			out, err := device.Call(t.Context(), http.MethodPost, "/api/sign-out", nothing)
			changing.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if out.Status == http.StatusUnauthorized {
				continue // the change was first: the old cookie signs nobody out any more
			}
			if out.Status != http.StatusNoContent {
				t.Errorf("sign-out: %d %s", out.Status, out.Body)
			}
			wantDead(t, alice, old, alice.Cookie, device.Cookie)
			if t.Failed() {
				t.Fatalf("sign-out was answered with 204, %s after the change began (%d), which takes %s", after, changed.Status, takes)
			}
		}
	})
}

// pause lets a request get some way into its handler: there is nothing to wait for
// but time.
func pause(d time.Duration) { <-time.After(d) }

//control:proves revalidation
//control:proves session
func TestSession_endsAtItsLifetimeWhateverHappens(t *testing.T) {
	t.Parallel()
	const lifetime = 4 * time.Second
	s := startGenerous(t, "PORTCULLIS_SESSION_LIFETIME=4s", "PORTCULLIS_SESSION_IDLE=4s", "PORTCULLIS_PING_EVERY=1s")
	alice := signUp(t, s, "alice")
	old := alice.Cookie
	socket := open(t, alice, attack.Handshake{})
	id := room(t, alice, "closed")
	ask(t, socket, "room.join", data{"room_id": id})
	var hello struct {
		Ends time.Time `json:"session_ends_at"`
	}
	if err := json.Unmarshal(socket.Hello.Data, &hello); err != nil || time.Until(hello.Ends) > lifetime {
		t.Fatalf("hello says %s: %v", socket.Hello.Data, err)
	}
	// Three ways to stay: a request that straddles the end, another device's activity
	// and a socket that is used all the time.
	request := begin(t, s, alice, "/api/rooms", `{"title":"made by a ghost","visibility":"open"}`)
	mark := s.Logs.Mark()
	for time.Until(hello.Ends) > 200*time.Millisecond {
		if _, err := socket.Ask("message.send", data{"room_id": id, "body": "still here"}); err != nil {
			break
		}
		pause(100 * time.Millisecond)
	}
	wantClose(t, socket, 4402)
	if late := time.Since(hello.Ends); late > time.Second {
		t.Errorf("closed %s after the end", late)
	}
	s.wantEvent(t, mark, "session_expired", func(e Event) bool { return e.Reason == "absolute_end" && e.User == alice.User.ID })
	status, given := request.finish(t)
	if status != http.StatusUnauthorized {
		t.Errorf("the straddling request: %d, want 401", status)
	}
	wantDead(t, alice, old, given)
}

//control:proves revalidation
//control:proves idle
func TestSession_endsWhenItsUserDoesNothing(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	s := startGenerous(t, "PORTCULLIS_SESSION_IDLE=2s", "PORTCULLIS_PING_EVERY=1s")
	alice := signUp(t, s, "alice")
	id := room(t, alice, "closed")
	socket := enter(t, alice, id)

	// Messages of the user keep it alive beyond the idle time …
	for end := time.Now().Add(2 * idle); time.Now().Before(end); {
		say(t, socket, id, "typing away")
		pause(300 * time.Millisecond)
	}
	last := time.Now()
	// … and pings, which the client answers while it reads, do not.
	mark := s.Logs.Mark()
	wantClose(t, socket, 4402)
	if took := time.Since(last); took < idle/2 || took > idle+2*time.Second {
		t.Errorf("closed %s after the last message, want about %s", took, idle)
	}
	s.wantEvent(t, mark, "ws_idle_timeout", func(e Event) bool { return e.User == alice.User.ID })
	wantDead(t, alice, alice.Cookie)
}

//control:proves heartbeat
//control:proves idle
func TestSession_whoAnswersEveryPingStays(t *testing.T) {
	t.Parallel()
	// Often, but what the configuration allows is what the limits on frames must allow.
	s := startGenerous(t, "PORTCULLIS_PING_EVERY=300ms")
	alice := signUp(t, s, "alice")
	const quiet, late = 7 * time.Second, 4431 // 23 pings; the client answers while it reads
	for range 3 {
		code, err := open(t, alice, attack.Handshake{}).Closed(quiet)
		if err != nil {
			return // still open
		}
		if code != late { // which says that this machine was too busy to answer in time
			t.Fatalf("closed with %d", code)
		}
	}
}

//control:proves revocation-race
func TestSession_aSocketOpenedDuringTheSignOutDoesNotSurviveIt(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	alice := signUp(t, s, "alice")
	for range 10 {
		device := signIn(t, s, alice)
		ticket, err := device.Ticket(t.Context(), "/ws")
		if err != nil {
			t.Fatal(err)
		}
		copied := *device
		opened := make(chan *attack.Socket, 1)
		go func() {
			socket, err := copied.Open(t.Context(), attack.Handshake{Ticket: ticket})
			if err != nil {
				socket = nil // refused, or closed before hello
			}
			opened <- socket
		}()
		signOut(t, device)
		if socket := <-opened; socket != nil {
			wantClose(t, socket, 4403)
			socket.Close()
		}
	}
	testkit.Eventually(t, soon, func() bool { return s.sockets(t) == 0 })
}

// sockets is how many connections the server counts.
func (s *Server) sockets(t *testing.T) int {
	t.Helper()
	res, err := http.Get("http://" + s.Private + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n := 0
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		var open float64
		if _, value, ok := strings.Cut(lines.Text(), "} "); ok && strings.HasPrefix(lines.Text(), "portcullis_socket_connections{") {
			if _, err := fmt.Sscan(value, &open); err != nil {
				t.Fatal(err)
			}
			n += int(open)
		}
	}
	return n
}
