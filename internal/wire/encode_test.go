package wire

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Generators of everything that the core can hand to an encoder.

func ids() *rapid.Generator[uuid.UUID] {
	return rapid.Custom(func(t *rapid.T) uuid.UUID {
		var u uuid.UUID
		copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		u[6], u[8] = u[6]&0x0f|0x70, u[8]&0x3f|0x80
		return u
	})
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		ms := rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "ms")
		return time.UnixMilli(ms).In(time.FixedZone("", rapid.IntRange(-12, 12).Draw(t, "zone")*3600))
	})
}

func persons() *rapid.Generator[chat.Person] {
	return rapid.Custom(func(t *rapid.T) chat.Person {
		return chat.Person{ID: chat.UserID{UUID: ids().Draw(t, "user")}, Username: rapid.String().Draw(t, "username"), DisplayName: rapid.String().Draw(t, "display name")}
	})
}

func messages() *rapid.Generator[chat.Message] {
	return rapid.Custom(func(t *rapid.T) chat.Message {
		m := chat.Message{
			ID: chat.MessageID{UUID: ids().Draw(t, "message")}, Seq: rapid.Int64Range(0, 1<<53-1).Draw(t, "seq"),
			Author: persons().Draw(t, "author"), ClientID: chat.ClientID{UUID: ids().Draw(t, "client id")},
			Body: rapid.String().Draw(t, "body"), CreatedAt: times().Draw(t, "created"),
		}
		if rapid.Bool().Draw(t, "reply") {
			m.ReplyTo = chat.MessageID{UUID: ids().Draw(t, "reply to")}
		}
		if rapid.Bool().Draw(t, "edited") {
			m.EditedAt = times().Draw(t, "edited at")
		}
		if rapid.Bool().Draw(t, "deleted") {
			m.DeletedAt = times().Draw(t, "deleted at")
		}
		for range rapid.IntRange(0, 3).Draw(t, "reactions") {
			r := chat.Reaction{Emoji: rapid.String().Draw(t, "emoji")}
			for range rapid.IntRange(0, 3).Draw(t, "users") {
				r.Users = append(r.Users, chat.UserID{UUID: ids().Draw(t, "reactor")})
			}
			m.Reactions = append(m.Reactions, r)
		}
		return m
	})
}

func TestChange_holdsToItsSchema(t *testing.T) {
	codec := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]chat.ChangeKind{chat.MessageNew, chat.MessageEdited, chat.MessageDeleted, chat.ReactionChanged}).Draw(t, "kind")
		c := chat.Change{
			Room: chat.RoomID{UUID: ids().Draw(t, "room")}, Seq: rapid.Int64Range(0, 1<<53-1).Draw(t, "seq"), Kind: kind,
			By: chat.UserID{UUID: ids().Draw(t, "by")}, At: times().Draw(t, "at"), Message: messages().Draw(t, "message"),
		}
		frame := Change(nil, c)
		checkEvent(t, codec, Type(kind), frame)

		var got struct {
			Room uuid.UUID `json:"room_id"`
			Seq  int64
			Data struct {
				Message struct {
					ID        uuid.UUID
					Body      string
					CreatedAt time.Time `json:"created_at"`
					Author    struct {
						DisplayName string `json:"display_name"`
					}
					Reactions []any
				}
			}
		}
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Fatal(err)
		}
		m := got.Data.Message
		if got.Room != c.Room.UUID || got.Seq != c.Seq || m.ID != c.Message.ID.UUID || !m.CreatedAt.Equal(c.Message.CreatedAt) {
			t.Fatalf("lost on the way: %+v became %s", c, frame)
		}
		if c.Message.DeletedAt.IsZero() {
			if utf8.ValidString(c.Message.Body) && m.Body != c.Message.Body {
				t.Fatalf("body %q became %q", c.Message.Body, m.Body)
			}
		} else if m.Body != "" || m.Reactions != nil {
			t.Fatalf("a deleted message shows its content: %s", frame)
		}
	})
}

func TestSignal_holdsToItsSchema(t *testing.T) {
	codec := newCodec(t)
	kinds := []chat.SignalKind{chat.Typing, chat.Presence, chat.MemberChanged, chat.RoomChanged, chat.ReadMarked}
	rapid.Check(t, func(t *rapid.T) {
		s := chat.Signal{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Room: chat.RoomID{UUID: ids().Draw(t, "room")}, User: persons().Draw(t, "user"),
			Role: rapid.SampledFrom([]authz.Role{"", authz.Reader, authz.Member, authz.Moderator, authz.Owner}).Draw(t, "role"), Online: rapid.Bool().Draw(t, "online"),
			Seq: rapid.Int64Range(0, 1<<53-1).Draw(t, "seq"), Title: rapid.String().Draw(t, "title"),
		}
		if rapid.Bool().Draw(t, "muted") {
			s.Muted = times().Draw(t, "muted until")
		}
		checkEvent(t, codec, Type(s.Kind), Signal(nil, s))
	})
	if got := Signal([]byte("kept"), chat.Signal{Kind: "other"}); string(got) != "kept" {
		t.Errorf("unknown kind became %q", got)
	}
}

func TestFrames_holdToTheirSchemas(t *testing.T) {
	codec := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		room := chat.RoomID{UUID: ids().Draw(t, "room")}
		seq := rapid.Int64Range(0, 1<<53-1).Draw(t, "seq")
		re := chat.ClientID{UUID: ids().Draw(t, "re")}
		checkEvent(t, codec, "resync", Resync(nil, room, seq))
		checkEvent(t, codec, "room.removed", RoomRemoved(nil, room, "banned"))
		checkEvent(t, codec, "notice", Notice(nil, "restarting"))
		for _, a := range []AckData{
			{}, {Seq: seq}, {MessageID: chat.MessageID{UUID: ids().Draw(t, "message")}, Seq: seq}, {HeadSeq: seq, Role: authz.Reader},
		} {
			checkEvent(t, codec, "ack", Ack(nil, re, a))
		}
		retry := time.Duration(rapid.Int64Range(-1, int64(time.Hour)).Draw(t, "retry"))
		code := rapid.SampledFrom(Codes()).Draw(t, "code")
		checkEvent(t, codec, "error", ErrorFrame(nil, re.String(), code, retry))
		checkEvent(t, codec, "error", ErrorFrame(nil, "", code, retry))
		checkEvent(t, codec, "hello", Hello(nil, HelloData{
			ConnID: "c-" + rapid.String().Draw(t, "conn"), ServerTime: times().Draw(t, "now"), SessionEndsAt: times().Draw(t, "end"), User: persons().Draw(t, "user"),
			Role: authz.User, Protocol: rapid.SampledFrom([]string{Subprotocol, SubprotocolPack}).Draw(t, "protocol"), Limits: Limits{MessagesPerMinute: 100, Burst: 20, RoomsPerConnection: 100}, PingEvery: 25 * time.Second,
		}))
	})
}

func TestFrames_areExactly(t *testing.T) {
	roomID := chat.RoomID{UUID: mustID(room)}
	re := chat.ClientID{UUID: mustID(command)}
	alice := chat.Person{ID: chat.UserID{UUID: mustID(room)}, Username: "alice", DisplayName: `A "quoted" </script>` + "\u2028"}
	at := time.Date(2026, 11, 23, 16, 4, 5, 678_999_999, time.FixedZone("", 3600))
	msg := chat.Message{ID: chat.MessageID{UUID: mustID(message)}, Seq: 7, Author: alice, ClientID: re, Body: "a\nb", CreatedAt: at}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"ack of a join in an empty room", Ack(nil, re, AckData{Role: authz.Owner}), `{"v":1,"type":"ack","re":"` + command + `","data":{"head_seq":0,"role":"owner"}}`},
		{"ack of nothing", Ack(nil, re, AckData{}), `{"v":1,"type":"ack","re":"` + command + `","data":{}}`},
		{"error rounds up", ErrorFrame(nil, command, RateLimited, 600*time.Millisecond+1), `{"v":1,"type":"error","re":"` + command + `","code":"rate_limited","retry_ms":601}`},
		{"denied", ErrorFrame(nil, command, Denied, 0), `{"v":1,"type":"error","re":"` + command + `","code":"denied","retry_ms":0}`},
		{"error without id", ErrorFrame(nil, "", BadJSON, 0), `{"v":1,"type":"error","code":"bad_json","retry_ms":0}`},
		{"appends", Notice([]byte("x"), "restarting"), `x{"v":1,"type":"notice","data":{"slug":"restarting"}}`},
		{"message", Change(nil, chat.Change{Room: roomID, Seq: 7, Kind: chat.MessageNew, Message: msg}),
			`{"v":1,"type":"message.new","room_id":"` + room + `","seq":7,"data":{"message":{"id":"` + message + `","seq":7,"author":{"id":"` + room +
				`","username":"alice","display_name":"A \"quoted\" </script>` + "\u2028" + `"},"body":"a\nb","created_at":"2026-11-23T15:04:05.678Z","client_id":"` + command + `"}}}`},
		{"member gone", Signal(nil, chat.Signal{Kind: chat.MemberChanged, Room: roomID, User: chat.Person{ID: alice.ID}}),
			`{"v":1,"type":"member.changed","room_id":"` + room + `","data":{"user":{"id":"` + room + `","username":"","display_name":""},"role":null}}`},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	codec := newCodec(f)
	f.Add(uint8(3), "Good morning 🦉", int64(1), "a.b")
	f.Add(uint8(1), "\u202e\x00\xff", int64(-1), "")
	f.Fuzz(func(t *testing.T, pick uint8, body string, seq int64, ticket string) {
		typ := Types()[int(pick)%len(Types())]
		data := map[string]any{"room_id": room, "message_id": message, "body": body, "seq": seq, "after_seq": seq, "emoji": "👍", "ticket": ticket}
		for key := range data {
			if _, has := read(t, "client."+string(typ)).Properties.Data.Properties[key]; !has {
				delete(data, key)
			}
		}
		frame, err := json.Marshal(map[string]any{"v": 1, "id": command, "type": typ, "data": data})
		if err != nil {
			t.Fatal(err)
		}
		c, err := codec.Decode(frame)
		if err != nil {
			return
		}
		if utf8.ValidString(body) && data["body"] != nil && c.Body != body || data["seq"] != nil && c.Seq != seq ||
			data["after_seq"] != nil && c.AfterSeq != seq || data["ticket"] != nil && c.Ticket.Reveal() != ticket {
			t.Fatalf("%s became %+v", frame, c)
		}
	})
}
