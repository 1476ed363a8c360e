package wire

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"example.com/portcullis/internal/chat"
)

const (
	room    = "0190b6a0-5f3e-7c1a-9d2b-6f0c5d1e2a01"
	message = "0190b6a1-7c55-7d10-a1b2-93f0aa5e7701"
	command = "0190b6a1-7c40-7b6e-8f21-2b9d44c0aa10"
)

func newCodec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec(os.DirFS("../../web/schemas"))
	if err != nil {
		t.Fatalf("NewCodec: %v", err)
	}
	return c
}

// frame makes the frame of a command from its type and the text of its data.
func frame(t Type, data string) string {
	return `{"v":1,"id":"` + command + `","type":"` + string(t) + `","data":` + data + `}`
}

func send(body string) string {
	return frame(MessageSend, `{"room_id":"`+room+`","body":`+body+`}`)
}

// encode is the inverse of Decode, for tests: only what the command's type has.
func encode(t testing.TB, c Command) []byte {
	t.Helper()
	data := map[string]any{}
	if c.Type != Auth {
		data["room_id"] = c.Room.String()
	}
	switch c.Type {
	case Auth:
		data["ticket"] = c.Ticket.Reveal()
	case RoomJoin:
		if c.Resume {
			data["after_seq"] = c.AfterSeq
		}
	case MessageSend:
		data["body"] = c.Body
		if ids := c.Files(); len(ids) > 0 {
			data["upload_ids"] = ids
		}
		if c.ReplyTo != (chat.MessageID{}) {
			data["reply_to"] = c.ReplyTo.String()
		}
	case MessageEdit:
		data["message_id"], data["body"] = c.Message.String(), c.Body
	case MessageDelete:
		data["message_id"] = c.Message.String()
	case ReactionAdd, ReactionRemove:
		data["message_id"], data["emoji"] = c.Message.String(), c.Emoji
	case ReadMark:
		data["seq"] = c.Seq
	case RoomLeave, TypingStart:
	default:
		t.Fatalf("%s is new: give it a case in encode, in wire_test.go", c.Type)
	}
	b, err := json.Marshal(map[string]any{"v": 1, "id": c.ID.String(), "type": c.Type, "data": data})
	if err != nil {
		t.Fatalf("encode %s: %v", c.Type, err)
	}
	return b
}

func nested(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
