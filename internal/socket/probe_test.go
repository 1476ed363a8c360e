package socket

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/wire"
)

// Somebody writes guesses beside a name that stands before a secret, some in messages,
// some in edits, from two sockets; others talk.
//
//control:proves detection
func TestProbe_guessesOverSeveralSocketsAreOneEventAboutTheirSender(t *testing.T) {
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.MessagesPerMinute, n.MessageBurst = 6000, 1000 }))
	room := w.chat.room()
	mallory := chat.UserID{UUID: uuid.New()}
	one, two, other := w.loginAs(mallory).connect(), w.loginAs(mallory).connect(), w.login().connect()
	for _, c := range []*client{one, two, other} {
		c.join(room)
	}
	acked := func(c *client, kind wire.Type, data map[string]any) string {
		t.Helper()
		data["room_id"] = room.String()
		f, _ := c.ask(kind, data)
		if f.Type != "ack" {
			t.Fatalf("%s: %+v", kind, f)
		}
		return f.Data.MessageID
	}
	for range 20 {
		acked(other, wire.MessageSend, map[string]any{"body": "good morning everybody"})
	}
	if e, found := w.events.find(audit.CompressionOracle); found {
		t.Fatalf("talk is an event: %+v", e)
	}
	edited := ""
	for i, c := range "0123456789abcdef~" {
		body := map[string]any{"body": "<input name=csrf_token value=7c0f" + string(c)}
		switch {
		case edited == "":
			edited = acked(one, wire.MessageSend, body)
		case i%2 == 0:
			acked(two, wire.MessageSend, body)
		default:
			body["message_id"] = edited
			acked(one, wire.MessageEdit, body)
		}
	}
	w.events.has(t, audit.CompressionOracle, "near_equal_messages")
	if e, _ := w.events.find(audit.CompressionOracle); e.User != mallory.String() || e.Room != room.String() || e.IP == "" || strings.Contains(e.Detail, "7c0f") {
		t.Errorf("event %+v; want one about mallory, without what was written", e)
	}
}
