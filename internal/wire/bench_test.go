package wire

import (
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
)

func BenchmarkDecode(b *testing.B) {
	codec := newCodec(b)
	for name, f := range map[string]string{
		"send":        send(`"Good morning, how are you?"`),
		"send_4096":   send(`"` + strings.Repeat("a", chat.MaxBody) + `"`),
		"typing":      frame(TypingStart, `{"room_id":"`+room+`"}`),
		"bad_schema":  frame(MessageSend, `{"room_id":"`+room+`"}`),
		"bad_json":    send(`"a`),
		"64KiB_text":  send(`"` + strings.Repeat("a", MaxFrame-len(send(`""`))) + `"`),
		"64KiB_depth": strings.Repeat("[", MaxFrame),
	} {
		b.Run(name, func(b *testing.B) {
			data := []byte(f)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = codec.Decode(data)
			}
		})
	}
}

func BenchmarkChange(b *testing.B) {
	c := chat.Change{
		Room: chat.RoomID{UUID: mustID(room)}, Seq: 42, Kind: chat.MessageNew,
		Message: chat.Message{
			ID: chat.MessageID{UUID: mustID(message)}, Seq: 42, Author: chat.Person{Username: "alice", DisplayName: "Alice"},
			ClientID: chat.ClientID{UUID: mustID(command)}, Body: "Good morning, how are you?", CreatedAt: time.Unix(1_795_446_245, 0),
		},
	}
	b.Run("fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = Change(nil, c)
		}
	})
	b.Run("reused", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 4096)
		for b.Loop() {
			dst = Change(dst[:0], c)
		}
	})
}

func TestEncoders_allocateAtMostOnce(t *testing.T) {
	re := chat.ClientID{UUID: mustID(command)}
	person := chat.Person{Username: "alice", DisplayName: strings.Repeat("長", 64)}
	msg := chat.Message{Author: person, Body: strings.Repeat("🦉", chat.MaxBody), CreatedAt: time.Unix(0, 0), EditedAt: time.Unix(1, 0),
		Reactions: []chat.Reaction{{Emoji: "👍", Users: make([]chat.UserID, 100)}}}
	// The race detector makes one growth of a slice count twice.
	var grown []byte
	one := testing.AllocsPerRun(100, func() { grown = slices.Grow([]byte(nil), 512) })
	_ = grown
	for name, encode := range map[string]func(){
		"hello":  func() { Hello(nil, HelloData{ConnID: "c", User: person}) },
		"ack":    func() { Ack(nil, re, AckData{HeadSeq: 1 << 50, Role: "moderator"}) },
		"error":  func() { ErrorFrame(nil, command, RateLimited, time.Hour) },
		"change": func() { Change(nil, chat.Change{Kind: chat.ReactionChanged, Message: msg}) },
		"signal": func() {
			Signal(nil, chat.Signal{Kind: chat.MemberChanged, User: person, Role: "member", Muted: time.Unix(0, 0)})
		},
		"resync": func() { Resync(nil, chat.RoomID{}, 1<<50) },
	} {
		if n := testing.AllocsPerRun(100, encode); n > one {
			t.Errorf("%s: %v allocations, want at most 1", name, n)
		}
	}
}
