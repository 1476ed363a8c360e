package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/attack"
)

// signUp makes somebody new.
func signUp(t *testing.T, s *Server, name string) *attack.Client {
	t.Helper()
	c, err := s.Target(t).Person(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	s.Logs.Canary(c.Cookie, c.CSRF)
	return c
}

// signIn is another device of somebody.
func signIn(t *testing.T, s *Server, who *attack.Client) *attack.Client {
	t.Helper()
	c, err := s.Target(t).SignIn(t.Context(), who.User.Username, attack.Password)
	if err != nil {
		t.Fatal(err)
	}
	s.Logs.Canary(c.Cookie, c.CSRF)
	return c
}

// call makes a call that must be answered with want, and reads the answer into out.
func call(t *testing.T, c *attack.Client, method, path string, in any, want int, out any) attack.Answer {
	t.Helper()
	a, err := c.Call(t.Context(), method, path, in)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, want)
	}
	if out != nil {
		if err := json.Unmarshal(a.Body, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, a.Body)
		}
	}
	return a
}

// nothing is the body of calls that say everything in their address.
var nothing = struct{}{}

// signOut ends the session of c.
func signOut(t *testing.T, c *attack.Client) {
	t.Helper()
	call(t, c, http.MethodPost, "/api/sign-out", nothing, http.StatusNoContent, nil)
}

// signedIn reports whether the cookie of c still is anybody's.
func signedIn(t *testing.T, c *attack.Client) bool {
	t.Helper()
	copied := *c
	var session struct {
		Authenticated bool `json:"authenticated"`
	}
	call(t, &copied, http.MethodGet, "/api/session", nil, http.StatusOK, &session)
	return session.Authenticated
}

// room makes a room of c's.
func room(t *testing.T, c *attack.Client, visibility string) string {
	t.Helper()
	id, err := c.Room(t.Context(), visibility)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// open opens a socket that is closed with the test.
func open(t *testing.T, c *attack.Client, h attack.Handshake) *attack.Socket {
	t.Helper()
	s, err := c.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// enter opens a socket and joins a room.
func enter(t *testing.T, c *attack.Client, room string) *attack.Socket {
	t.Helper()
	s := open(t, c, attack.Handshake{})
	ask(t, s, "room.join", data{"room_id": room})
	return s
}

// refusal opens what must be refused with a status, and returns the answer.
func refusal(t *testing.T, c *attack.Client, h attack.Handshake, status int) *attack.Refused {
	t.Helper()
	s, err := c.Open(t.Context(), h)
	if err == nil {
		s.Close()
		t.Fatalf("opened, want %d", status)
	}
	r, ok := errors.AsType[*attack.Refused](err)
	if !ok {
		t.Fatal(err)
	}
	if r.Status != status {
		t.Fatalf("refused with %d %s, want %d", r.Status, r.Body, status)
	}
	return r
}

type data = map[string]any

// reply is everything that an ack may hold.
type reply struct {
	MessageID string `json:"message_id"`
	Seq       int64  `json:"seq"`
	HeadSeq   int64  `json:"head_seq"`
	Role      string `json:"role"`
}

// ask sends a command that must be acknowledged.
func ask(t *testing.T, s *attack.Socket, typ string, d data) reply {
	t.Helper()
	f, err := s.Ask(typ, d)
	if err != nil {
		t.Fatal(err)
	}
	return acked(t, f)
}

func acked(t *testing.T, f attack.Frame) reply {
	t.Helper()
	var r reply
	if f.Type != "ack" {
		t.Fatalf("no ack: %s", f.Raw)
	}
	if err := json.Unmarshal(f.Data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// say sends a message that must be acknowledged.
func say(t *testing.T, s *attack.Socket, room, body string) reply {
	t.Helper()
	return ask(t, s, "message.send", data{"room_id": room, "body": body})
}

// refused sends a command that must be answered with an error of that code.
func refused(t *testing.T, s *attack.Socket, typ string, d data, code string) {
	t.Helper()
	f, err := s.Ask(typ, d)
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != "error" || f.Code != code {
		t.Errorf("%s: got %s, want the error %s", typ, f.Raw, code)
	}
}

// until reads frames until one of a type comes, and returns it.
func until(t *testing.T, s *attack.Socket, typ string) attack.Frame {
	t.Helper()
	f, err := s.Until(soon, func(f attack.Frame) bool { return f.Type == typ })
	if err != nil {
		t.Fatalf("waiting for %s: %v; there were %s", typ, err, types(s.Seen))
	}
	return f
}

// untilSeq reads frames until a change of the room with that seq, or a later one, has come.
func untilSeq(t *testing.T, s *attack.Socket, room string, seq int64) {
	t.Helper()
	if cs := changes(s, room); len(cs) > 0 && cs[len(cs)-1].Seq >= seq {
		return
	}
	if _, err := s.Until(soon, func(f attack.Frame) bool { return f.Room == room && f.Seq >= seq }); err != nil {
		t.Fatalf("waiting for seq %d: %v; there were %s", seq, err, types(s.Seen))
	}
}

// changes are the steps of a room's history that a socket has been sent.
func changes(s *attack.Socket, room string) []attack.Frame {
	return slices.DeleteFunc(slices.Clone(s.Seen), func(f attack.Frame) bool { return f.Room != room || f.Seq == 0 })
}

// wantSeqs fails the test unless a socket got exactly the changes first to last of a
// room, in order and each once.
func wantSeqs(t *testing.T, s *attack.Socket, room string, first, last int64) {
	t.Helper()
	untilSeq(t, s, room, last)
	got := changes(s, room)
	for i, f := range got {
		if f.Seq != first+int64(i) {
			t.Fatalf("change %d has seq %d, want %d: a change is missing, doubled or out of order", i, f.Seq, first+int64(i))
		}
	}
	if int64(len(got)) != last-first+1 {
		t.Fatalf("%d changes, want %d", len(got), last-first+1)
	}
}

func types(frames []attack.Frame) []string {
	var all []string
	for _, f := range frames {
		all = append(all, f.Type+f.Code)
	}
	return all
}

// Message is a message in events and in pages of history.
type Message struct {
	ID     string `json:"id"`
	Seq    int64  `json:"seq"`
	Author struct {
		ID          string `json:"id"`
		Username    string `json:"username"`
		DisplayName string `json:"display_name"`
	} `json:"author"`
	Body      string `json:"body"`
	ClientID  string `json:"client_id"`
	CreatedAt string `json:"created_at"`
	EditedAt  string `json:"edited_at"`
	DeletedAt string `json:"deleted_at"`
	ReplyTo   string `json:"reply_to"`
	Reactions []struct {
		Emoji string   `json:"emoji"`
		Users []string `json:"users"`
	} `json:"reactions"`
}

func messageOf(t *testing.T, f attack.Frame) Message {
	t.Helper()
	var d struct {
		Message Message `json:"message"`
	}
	if err := json.Unmarshal(f.Data, &d); err != nil {
		t.Fatalf("%v in %s", err, f.Raw)
	}
	return d.Message
}

// history reads one page.
func history(t *testing.T, c *attack.Client, room, query string) []Message {
	t.Helper()
	var page struct {
		Messages []Message `json:"messages"`
	}
	call(t, c, http.MethodGet, "/api/rooms/"+room+"/messages"+query, nil, http.StatusOK, &page)
	return page.Messages
}

func bodies(ms []Message) []string {
	all := []string{}
	for _, m := range ms {
		all = append(all, m.Body)
	}
	return all
}

// wantClose fails the test unless a socket is closed soon with that code.
func wantClose(t *testing.T, s *attack.Socket, code int) {
	t.Helper()
	got, err := s.Closed(soon)
	if err != nil || got != code {
		t.Errorf("closed with %d (%v), want %d", got, err, code)
	}
}

func commandID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}
