package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/secret"
)

func mustID(s string) uuid.UUID { return uuid.MustParse(s) }

//control:proves schema
func TestDecode_readsEveryCommand(t *testing.T) {
	codec := newCodec(t)
	in := func(c Command) Command {
		c.ID = chat.ClientID{UUID: mustID(command)}
		if c.Type != Auth {
			c.Room = chat.RoomID{UUID: mustID(room)}
		}
		return c
	}
	msg := chat.MessageID{UUID: mustID(message)}
	commands := []Command{
		in(Command{Type: Auth, Ticket: secret.NewText("a.b-c_d.e")}),
		in(Command{Type: RoomJoin}),
		in(Command{Type: RoomJoin, Resume: true}),
		in(Command{Type: RoomJoin, Resume: true, AfterSeq: 1<<53 - 1}),
		in(Command{Type: RoomLeave}),
		in(Command{Type: MessageSend, Body: "Good morning"}),
		in(Command{Type: MessageSend, Body: "two\nlines\tand a tab"}),
		in(Command{Type: MessageSend, Body: "family 👨‍👩‍👧‍👦, flag 🏴󠁧󠁢󠁳󠁣󠁴󠁿, keycap 1️⃣"}),
		in(Command{Type: MessageSend, Body: "مرحبا بالعالم — שלום \u200f(RTL)\u200e"}),
		in(Command{Type: MessageSend, Body: "e\u0301 stays decomposed, \u00e9 stays composed"}),
		in(Command{Type: MessageSend, Body: "<script>alert(1)</script> ' OR 1=1 -- ${x}"}),
		in(Command{Type: MessageSend, Body: strings.Repeat("🦉", chat.MaxBody)}),
		in(Command{Type: MessageSend, Body: "yes", ReplyTo: msg}),
		in(Command{Type: MessageEdit, Message: msg, Body: "better"}),
		in(Command{Type: MessageDelete, Message: msg}),
		in(Command{Type: ReactionAdd, Message: msg, Emoji: "👍🏽"}),
		in(Command{Type: ReactionRemove, Message: msg, Emoji: "👍"}),
		in(Command{Type: TypingStart}),
		in(Command{Type: ReadMark, Seq: 42}),
	}
	seen := map[Type]bool{}
	for _, want := range commands {
		got, err := codec.Decode(encode(t, want))
		if err != nil {
			t.Errorf("%s: %v", want.Type, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b secret.Text) bool { return a.Reveal() == b.Reveal() })); diff != "" {
			t.Errorf("%s: -want +got\n%s", want.Type, diff)
		}
		seen[want.Type] = true
	}
	for _, typ := range Types() {
		if !seen[typ] {
			t.Errorf("no example of %s: give it a line in commands of this test", typ)
		}
	}
}

//control:proves schema
func TestDecode_acceptsEscapesAndSpace(t *testing.T) {
	codec := newCodec(t)
	for name, frame := range map[string]string{
		"surrogate pair":      send(`"\ud83e\udd89"`),
		"escaped key":         strings.Replace(send(`"a"`), `"body"`, `"\u0062ody"`, 1),
		"space all around":    " \r\n\t" + strings.ReplaceAll(send(`"a"`), ":", " : ") + " \n",
		"brackets in strings": send(`"[[[[[[[[[[{{{{{{{{{{ \" [[[[[[[["`),
		"escaped backslash":   send(`"\\"`),
	} {
		if _, err := codec.Decode([]byte(frame)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecode_returnsIdOfRefusedCommand(t *testing.T) {
	codec := newCodec(t)
	for _, tt := range []struct {
		name, frame, want string
	}{
		{"schema", frame(RoomJoin, `{}`), command},
		{"unknown type", frame("nope", `{}`), command},
		{"poisoned key", frame(RoomJoin, `{"__proto__":1}`), command},
		{"fraction", frame(ReadMark, `{"room_id":"`+room+`","seq":1.5}`), command},
		{"id is text of the client", `{"v":1,"id":"<script>","type":"room.join","data":{}}`, ""},
		{"not JSON", frame(RoomJoin, `{`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := codec.Decode([]byte(tt.frame))
			refused, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("error %v is not an *Error", err)
			}
			if refused.Re != tt.want {
				t.Errorf("Re = %q, want %q", refused.Re, tt.want)
			}
		})
	}
}

//control:proves schema
func TestDecode_sameFrameSameAnswer(t *testing.T) {
	codec := newCodec(t)
	// Many rules broken at once: the validator meets them in random order.
	bad := frame(MessageSend, `{"room_id":1,"body":"`+"\u202e"+`","reply_to":"x"}`)
	for range 50 {
		_, err := codec.Decode([]byte(bad))
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Code != BadSchema || refused.Detail != "pattern /data/body" {
			t.Fatalf("got %v, want bad_schema (pattern /data/body)", err)
		}
	}
}

//control:proves schema
func TestDecode_refusesDeepFrameWithoutAllocating(t *testing.T) {
	bomb := []byte(strings.Repeat("[", MaxFrame))
	if n := testing.AllocsPerRun(100, func() {
		if !tooDeep(bomb, MaxDepth) {
			t.Fatal("not refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

//control:proves schema
func FuzzDecode(f *testing.F) {
	codec := newCodec(f)
	for _, h := range hostile() {
		f.Add([]byte(h.frame))
	}
	for _, typ := range Types() {
		for _, example := range examples(f, "client."+string(typ)) {
			f.Add(example)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := codec.Decode(data)
		if err != nil {
			refused, ok := errors.AsType[*Error](err)
			if !ok || !refused.Code.Known() || refused.Code == Internal || refused.Detail == "" {
				t.Fatalf("bad refusal: %#v", err)
			}
			if _, err := chat.ParseClientID(refused.Re); refused.Re != "" && err != nil {
				t.Fatalf("Re %q is not an id", refused.Re)
			}
			return
		}
		again, err := codec.Decode(encode(t, c))
		if err != nil {
			t.Fatalf("accepted, but not its own encoding: %v", err)
		}
		if again != c {
			t.Fatalf("changed on the way: %+v, then %+v", c, again)
		}
	})
}
