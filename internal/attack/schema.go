package attack

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

func schemaAttacks() []Attack {
	const id = `"0198c0de-0000-7000-8000-00000000000a"`
	message := func(room string, extra string) string {
		return fmt.Sprintf(`{"v":1,"id":%s,"type":"message.send","data":{"room_id":"%s","body":"hi"%s}}`, newID(), room, extra)
	}
	return []Attack{
		jsonAttack("schema", "a duplicate key, one for the check and one for the use", func(room string) string {
			return strings.Replace(message(room, ""), `"body":"hi"`, `"body":"hi","body":"other"`, 1)
		}),
		jsonAttack("schema", "a key in another case, which a lax decoder takes for the same", func(room string) string { return message(room, `,"Body":"other"`) }),
		jsonAttack("schema", "a field that makes the sender somebody else", func(room string) string { return message(room, `,"author":`+id) }),
		jsonAttack("schema", "a field that makes the sender an owner", func(room string) string { return message(room, `,"role":"owner"`) }),
		jsonAttack("schema", "__proto__, for a client that merges objects", func(room string) string { return message(room, `,"__proto__":{"admin":true}`) }),
		jsonAttack("schema", "10,000 levels of nesting", func(room string) string {
			return message(room, `,"x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000))
		}),
		jsonAttack("schema", "a second value behind the first", func(room string) string { return message(room, "") + `{"v":1}` }),
		jsonAttack("schema", "a lone surrogate, which is text for one parser and not for another", func(room string) string {
			return strings.Replace(message(room, ""), "hi", `\ud800`, 1)
		}),
		jsonAttack("schema", "a byte order mark", func(room string) string { return "\ufeff" + message(room, "") }),
		jsonAttack("schema", "a type that does not exist", func(room string) string {
			return strings.Replace(message(room, ""), "message.send", "admin.shutdown", 1)
		}),
		jsonAttack("schema", "a room id in upper case, another spelling of the same room", func(room string) string { return message(strings.ToUpper(room), "") }),
		jsonAttack("schema", "a bidi override that makes text read backwards", func(room string) string {
			return strings.Replace(message(room, ""), "hi", "pay \u202Eecila", 1)
		}),
		jsonAttack("schema", "4,097 characters", func(room string) string {
			return strings.Replace(message(room, ""), "hi", strings.Repeat("a", 4097), 1)
		}),
	}
}

// jsonAttack sends one hostile command to a room of the attacker's own, so that
// nothing but the shape of the command is wrong, and wins if it is acknowledged.
func jsonAttack(control, title string, make func(room string) string) Attack {
	return Attack{Control: control, Title: title, Run: func(ctx context.Context, t *Target) (Outcome, error) {
		mallory, err := t.Person(ctx, "mallory")
		if err != nil {
			return Outcome{}, err
		}
		room, err := mallory.Room(ctx, "closed")
		if err != nil {
			return Outcome{}, err
		}
		s, err := mallory.Open(ctx, Handshake{})
		if err != nil {
			return Outcome{}, err
		}
		defer s.Close()
		if f, err := s.Ask("room.join", map[string]any{"room_id": room}); err != nil || f.Type != "ack" {
			return Outcome{}, fmt.Errorf("join: %s %w", f.Raw, err)
		}
		if err := s.Text([]byte(make(room))); err != nil {
			return Outcome{}, err
		}
		f, err := s.Until(callTime, func(f Frame) bool { return f.Type == "ack" || f.Type == "error" || f.Type == "message.new" })
		if err != nil {
			return lost("closed: %v", err)
		}
		if f.Type != "error" {
			return won("answered %s", f.Raw)
		}
		return lost("error %s", f.Code)
	}}
}

func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return `""`
	}
	return `"` + id.String() + `"`
}
