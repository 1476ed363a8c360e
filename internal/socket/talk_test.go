package socket

import (
	"testing"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/wire"
)

func TestTalk_aMessageReachesEveryMemberAndIsAcknowledged(t *testing.T) {
	for name, options := range map[string][]worldOption{"pipe": nil, "tcp": {overTCP}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options...)
			room := w.chat.room()
			a, b := w.login().connect(), w.login().connect()
			if got := a.join(room); got.Data.Role != "member" {
				t.Errorf("role is %q", got.Data.Role)
			}
			b.join(room)
			answer, _ := a.ask(wire.MessageSend, map[string]any{"room_id": room.String(), "body": "hi"})
			if answer.Type != "ack" && answer.Type != "message.new" {
				t.Fatalf("answer: %+v", answer)
			}
			if f := b.read(); f.Type != "message.new" || f.Seq != 1 {
				t.Errorf("b received %+v", f)
			}
			if n := w.server.Count(chat.SessionID{UUID: a.login.sid}); n != 1 {
				t.Errorf("Count = %d, want 1", n)
			}
			w.stop()
			if code := b.closed(); code != int(closeRestart) {
				t.Errorf("closed with %d, want 1012", code)
			}
		})
	}
}
