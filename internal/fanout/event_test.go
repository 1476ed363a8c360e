package fanout

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

var (
	roomA = chat.RoomID{UUID: uuid.MustParse("0190b6a0-5f3e-7c1a-9d2b-6f0c5d1e2a01")}
	roomB = chat.RoomID{UUID: uuid.MustParse("0190b6a0-5f3e-7c1a-9d2b-6f0c5d1e2a02")}
	alice = chat.Person{ID: chat.UserID{UUID: uuid.MustParse("0190b6a0-1111-7aaa-8bbb-000000000001")}, Username: "alice", DisplayName: "Alice"}
)

func change(room chat.RoomID, seq int64) chat.Change {
	at := time.Date(2026, 11, 23, 15, 4, 5, 678_000_000, time.UTC)
	return chat.Change{
		Room: room, Seq: seq, Kind: chat.MessageNew, By: alice.ID, At: at, Epoch: 1,
		Message: chat.Message{ID: chat.MessageID{UUID: uuid.Max}, Room: room, Seq: seq, Author: alice, Body: "Good morning 🦉\n<b>", CreatedAt: at,
			Reactions: []chat.Reaction{{Emoji: "👍", Users: []chat.UserID{alice.ID}}},
			Uploads:   []chat.Upload{{ID: chat.UploadID{UUID: uuid.Max}, Name: "berths.png", Mime: "image/png", Size: 4711, Width: 40, Height: 30}}},
	}
}

func sessionEnd() chat.Revocation {
	return chat.Revocation{Session: chat.SessionID{UUID: uuid.New()}, User: alice.ID, Reason: "sign_out", At: time.Now().UTC().Truncate(time.Microsecond)}
}

func TestEvent_survivesTheJourney(t *testing.T) {
	c, r := change(roomA, 7), sessionEnd()
	s := chat.Signal{Kind: chat.MemberChanged, Room: roomA, User: alice, Role: authz.Moderator, Muted: c.At}
	tunnel := r
	tunnel.Session, tunnel.Tunnel = chat.SessionID{}, "bastion"
	later := r
	later.Until = r.At.Add(time.Hour)
	for _, want := range []event{{V: 2, Node: "n", Change: &c}, {V: 2, Node: "n", Signal: &s}, {V: 2, Node: "n", Revocation: &r}, {V: 2, Node: "n", Revocation: &tunnel}, {V: 2, Node: "n", Revocation: &later}} {
		b, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(b)
		if err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestEncode_refusesWhatIsTooLarge(t *testing.T) {
	c := change(roomA, 1)
	c.Message.Reactions[0].Users = make([]chat.UserID, 10_000)
	if _, err := encode(event{Node: "n", Change: &c}); err == nil {
		t.Error("accepted")
	}
}

//control:proves fanout
func TestDecode_refusesHostileEvents(t *testing.T) {
	spoil := func(edit func(*chat.Change)) string {
		c := change(roomA, 7)
		edit(&c)
		b, err := encode(event{Node: "n", Change: &c})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := spoil(func(*chat.Change) {})
	if _, err := decode([]byte(good)); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	revoke := func(edit func(*chat.Revocation)) string {
		r := sessionEnd()
		edit(&r)
		b, err := encode(event{Node: "n", Revocation: &r})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, tt := range []struct {
		name, data string
		want       refusal
	}{
		{"empty", "", otherVersion},
		{"newer version", strings.Replace(good, `{"V":2,`, `{"V":3,"New":true,`, 1), otherVersion},
		{"version 10", strings.Replace(good, `{"V":2,`, `{"V":20,`, 1), otherVersion},
		{"not JSON", `{"V":2,`, malformed},
		{"nothing in it", `{"V":2,"Node":"n"}`, malformed},
		{"two things in it", strings.Replace(good, `"Node":"n"`, `"Node":"n","Signal":{"Kind":"typing","Room":"`+roomA.String()+`"}`, 1), malformed},
		{"unknown key", strings.Replace(good, `"Node":"n"`, `"Node":"n","Extra":1`, 1), malformed},
		{"key twice", strings.Replace(good, `"Node":"n"`, `"Node":"n","Node":"m"`, 1), malformed},
		{"key in another case", strings.Replace(good, `"Node":"n"`, `"node":"n"`, 1), malformed},
		{"no sender", strings.Replace(good, `"Node":"n"`, `"Node":""`, 1), malformed},
		{"bad UTF-8", strings.Replace(good, "Alice", "Al\xffce", 1), malformed},
		{"trailing data", good + good, malformed},
		{"kind", spoil(func(c *chat.Change) { c.Kind = "room.removed" }), malformed},
		{"room is not an id", strings.ReplaceAll(good, roomA.String(), "*"), malformed},
		{"no room", spoil(func(c *chat.Change) { c.Room, c.Message.Room = chat.RoomID{}, chat.RoomID{} }), malformed},
		{"message of another room", spoil(func(c *chat.Change) { c.Message.Room = roomB }), malformed},
		{"seq 0", spoil(func(c *chat.Change) { c.Seq = 0 }), malformed},
		{"negative seq", spoil(func(c *chat.Change) { c.Seq = -1 }), malformed},
		{"fraction", strings.Replace(good, `"Seq":7`, `"Seq":7.5`, 1), malformed},
		{"seq beyond 64 bits", strings.Replace(good, `"Seq":7`, `"Seq":99999999999999999999`, 1), malformed},
		{"message younger than its change", spoil(func(c *chat.Change) { c.Message.Seq = 8 }), malformed},
		{"negative epoch", spoil(func(c *chat.Change) { c.Epoch = -1 }), malformed},
		{"no author", spoil(func(c *chat.Change) { c.Message.Author.ID = chat.UserID{} }), malformed},
		{"no message id", spoil(func(c *chat.Change) { c.Message.ID = chat.MessageID{} }), malformed},
		{"body too long", spoil(func(c *chat.Change) { c.Message.Body = strings.Repeat("a", chat.MaxBody+1) }), malformed},
		{"too large", good + strings.Repeat(" ", maxEvent), tooLarge},
		{"deep", `{"V":2,"Node":"n","Change":` + strings.Repeat(`{"Message":`, 20_000) + `}`, malformed},
		{"signal of an unknown kind", `{"V":2,"Node":"n","Signal":{"Kind":"hello","Room":"` + roomA.String() + `"}}`, malformed},
		{"signal with an unknown role", `{"V":2,"Node":"n","Signal":{"Kind":"member.changed","Room":"` + roomA.String() + `","Role":"god"}}`, malformed},
		{"revocation of nobody", revoke(func(r *chat.Revocation) { r.Session = chat.SessionID{} }), malformed},
		{"standing of nobody", revoke(func(r *chat.Revocation) { r.Room, r.User = roomA, chat.UserID{} }), malformed},
		{"a later end of no session", revoke(func(r *chat.Revocation) { r.Session, r.Room, r.Until = chat.SessionID{}, roomA, r.At }), malformed},
		{"no reason", revoke(func(r *chat.Revocation) { r.Reason = "" }), malformed},
		{"reason is not a slug", revoke(func(r *chat.Revocation) { r.Reason = "a\nb" }), malformed},
		{"long reason", revoke(func(r *chat.Revocation) { r.Reason = strings.Repeat("a", 33) }), malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := decode([]byte(tt.data))
			if got, ok := errors.AsType[refusal](err); !ok || got != tt.want {
				t.Errorf("got %+v, %v, want %s", e, err, tt.want)
			}
		})
	}
}

//control:proves fanout
func FuzzDecode(f *testing.F) {
	c, r := change(roomA, 7), sessionEnd()
	for _, e := range []event{{Node: "n", Change: &c}, {Node: "n", Revocation: &r}} {
		b, err := encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"V":2,"Node":"n","Signal":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decode(data)
		if _, refused := errors.AsType[refusal](err); err != nil && !refused {
			t.Fatalf("%v is not a refusal", err)
		}
		if err != nil {
			return
		}
		b, err := encode(e)
		if err != nil {
			t.Fatalf("taken, but cannot be sent on: %v", err)
		}
		again, err := decode(b)
		// A list that is not there and an empty one are the same to whoever reads it.
		if diff := cmp.Diff(e, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("changed on the way: %s, %v", diff, err)
		}
	})
}
