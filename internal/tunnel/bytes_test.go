package tunnel

import (
	"io"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
)

// What a user does in the chat is said to all of their sockets; a tunnel carries the
// target's bytes and not one more.
//
//control:proves tunnel
func TestTunnel_nothingOfTheChatIsBetweenTheBytes(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	w := newWorld(t, s.target)
	n := w.node()
	p := w.granted("bastion")
	c := begin(t, n, p, "bastion")
	n.server.Signal(chat.Signal{Kind: chat.ReadMarked, Room: chat.RoomID{UUID: p.sid}, User: chat.Person{ID: p.user}, Seq: 7})
	_, err := io.WriteString(c, "pong")
	must(t, err)
	got := make([]byte, len("pong"))
	_ = c.SetReadDeadline(time.Now().Add(testWait))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "pong" {
		t.Errorf("between the bytes of the target came %q, %v", got, err)
	}
}
