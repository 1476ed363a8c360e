package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/wire"
)

// joiner is one member in the model: what it has been through and what it knows.
type joiner struct {
	c       *conn
	m       *member
	after   int64 // what it asked for
	seen    int64
	missed  bool
	live    bool
	removed bool
}

// TestJoin_everyInterleavingGivesAGaplessSuffixOnce plays publishers, passes that
// stop after any member, joins that stop after any step, and removals, in any order.
//
//control:proves delivery
//control:proves concurrency
func TestJoin_everyInterleavingGivesAGaplessSuffixOnce(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		id := chat.RoomID{UUID: uuid.New()}
		r := &room{hub: w.server.hub, id: id, running: true} // passes are played by hand
		r.space = sync.NewCond(&r.mu)
		var (
			stored, gathered int64 // seqs in the store, and given to Deliver
			all              []*joiner
			b                *batch // the pass under way
			to               []*member
		)
		change := func(seq int64) []byte {
			return wire.Change(nil, chat.Change{Room: id, Seq: seq, Kind: chat.MessageNew, Message: chat.Message{Seq: seq}})
		}
		pick := func(want func(*joiner) bool) *joiner {
			i := slices.IndexFunc(all, want)
			if i < 0 {
				rt.Skip("nobody")
			}
			fit := slices.DeleteFunc(slices.Clone(all), func(j *joiner) bool { return !want(j) })
			return fit[rapid.IntRange(0, len(fit)-1).Draw(rt, "who")]
		}
		deliverOne := func() {
			if len(to) == 0 {
				if b, to = r.take(nil); b == nil {
					r.running = true
					return
				}
			}
			if len(to) > 0 {
				to[0].deliver(b)
				to = to[1:]
			}
		}
		gather := func() {
			gathered++
			r.gather(change(gathered), gathered)
		}
		missed := func(j *joiner) {
			for seq := j.seen + 1; seq <= stored; seq++ {
				j.c.put(entry{b: appendFrame(nil, opText, change(seq)), member: j.m})
			}
			j.seen, j.missed = stored, true
		}
		release := func(j *joiner) {
			done, err := j.m.release(j.seen)
			if err != nil || !done {
				rt.Fatalf("release: %v %v", done, err)
			}
			j.live = true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"store": func(*rapid.T) { stored++ },
			"gather": func(rt *rapid.T) {
				if gathered == stored {
					rt.Skip("nothing stored")
				}
				gather()
			},
			"deliver to one member": func(*rapid.T) { deliverOne() },
			"hold": func(rt *rapid.T) {
				j := &joiner{c: stuck(t, w, chat.UserID{UUID: uuid.New()}), after: rapid.Int64Range(0, stored).Draw(rt, "after")}
				j.seen = j.after
				j.m = &member{conn: j.c, room: r, mayRead: true, holding: true}
				j.c.addMember(j.m)
				r.refs++
				r.add(j.m)
				all = append(all, j)
			},
			"missed":  func(*rapid.T) { missed(pick(func(j *joiner) bool { return !j.missed && !j.removed })) },
			"release": func(*rapid.T) { release(pick(func(j *joiner) bool { return j.missed && !j.live && !j.removed })) },
			"remove": func(rt *rapid.T) {
				j := pick(func(j *joiner) bool { return !j.removed })
				r.refs++ // the model has no subscription to end
				if !w.server.hub.leave(j.m) {
					rt.Fatal("not removed")
				}
				j.removed = true
				if len(j.c.out.queued()) > 0 {
					rt.Fatal("something is still queued for a removed member")
				}
			},
		})
		for gathered < stored {
			gather()
		}
		for _, j := range all {
			if !j.missed && !j.removed {
				missed(j)
			}
			if !j.live && !j.removed {
				release(j)
			}
		}
		for b != nil || len(to) > 0 || len(r.pending) > 0 {
			deliverOne()
		}
		for _, j := range all {
			var want, got []int64
			for seq := j.after + 1; seq <= stored && !j.removed; seq++ {
				want = append(want, seq)
			}
			for _, p := range payloads(t, j.c.out.queued()) {
				var f frame
				if err := json.Unmarshal([]byte(p), &f); err != nil {
					rt.Fatal(err)
				}
				got = append(got, f.Seq)
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("after %d of %d (removed %v): got %v, want %v", j.after, stored, j.removed, got, want)
			}
		}
	})
}

//control:proves delivery
//control:proves concurrency
func TestJoin_whileOthersWriteLosesAndDoublesNothing(t *testing.T) {
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.MessageBurst, n.MessagesPerMinute = 1000, 6000 }))
	room := w.chat.room()
	const posts, members = chat.MaxMissed, 12 // more, and who joins last gets a resync instead
	var wg sync.WaitGroup
	wg.Go(func() { w.chat.post(room, posts, "x") })
	for i := range members {
		c := w.login().connect()
		wg.Go(func() {
			id := c.send(wire.RoomJoin, map[string]any{"room_id": room.String(), "after_seq": 0})
			acked := false
			for seq := int64(0); seq < posts || !acked; {
				f, err := c.tryRead()
				switch {
				case err != nil:
					t.Errorf("member %d: %v", i, err)
					return
				case f.Re == id:
					acked = true
				case f.Type == "message.new":
					if seq++; f.Seq != seq {
						t.Errorf("member %d received %d, want %d", i, f.Seq, seq)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

//control:proves delivery
func TestJoin_moreThanCanBeHeldIsReadAgain(t *testing.T) {
	w := newWorld(t)
	room := w.chat.room()
	c := w.login().connect()
	rounds := 0
	w.chat.before = func(what string) error {
		if what == "missed" {
			if rounds++; rounds == 2 {
				w.chat.post(room, 80, string(bytes.Repeat([]byte("x"), 4000))) // more than maxHeld
				w.waitForPass(room)
			}
		}
		return nil
	}
	w.chat.post(room, 3, "x")
	w.chat.before("missed")
	answer, before := c.ask(wire.RoomJoin, map[string]any{"room_id": room.String(), "after_seq": 0})
	if answer.Type != "ack" || answer.Data.HeadSeq != 83 || len(before) != 83 {
		t.Fatalf("%d frames, then %+v", len(before), answer)
	}
	if rounds < 3 {
		t.Error("the store was read once only")
	}
	for i, f := range before {
		if f.Seq != int64(i+1) {
			t.Fatalf("frame %d has seq %d", i, f.Seq)
		}
	}
}

// waitForPass returns when everything that a room has gathered is delivered.
func (w *world) waitForPass(id chat.RoomID) {
	if r := w.server.hub.room(id); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for r.running {
			r.mu.Unlock()
			w.server.hub.passes.Wait()
			r.mu.Lock()
		}
	}
}

//control:proves delivery
//control:proves concurrency
func TestJoin_removedWhileJoiningGetsNothing(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	w.chat.post(room, 3, "secret")
	c := w.login().connect()
	w.chat.before = func(what string) error {
		if what == "missed" { // after Enter, before the store is read
			w.chat.setRole(room, c.login.user, "")
		}
		return nil
	}
	f, before := c.ask(wire.RoomJoin, map[string]any{"room_id": room.String(), "after_seq": 0})
	if f.Code != string(wire.Denied) || len(before) != 0 {
		t.Errorf("%+v after %+v, want denied and nothing", f, before)
	}
	w.chat.post(room, 1, "secret")
	w.feed.mu.Lock()
	n := len(w.feed.following)
	w.feed.mu.Unlock()
	if n != 0 {
		t.Error("the room is still followed")
	}
}

// A peer that reads slowly is given its past slowly; the rest of it is not theirs any
// more once they are removed.
//
//control:proves delivery
func TestJoin_removedWhileReadingThePastGetsNoMoreOfIt(t *testing.T) {
	w := newWorld(t)
	room := &room{hub: w.server.hub, id: chat.RoomID{UUID: uuid.New()}}
	room.space = sync.NewCond(&room.mu)
	c := stuck(t, w, chat.UserID{UUID: uuid.New()})
	c.out.writing = true // what is sent waits
	m := &member{conn: c, room: room, mayRead: true, holding: true}
	c.addMember(m)
	room.add(m)
	room.refs++
	past := []chat.Change{{Room: room.id, Seq: 1, Kind: chat.MessageNew, Message: chat.Message{Seq: 1, Body: "the past"}}}
	if seen, err := m.replay(t.Context(), past, 0); err != nil || seen != 1 || !bytes.Contains(c.out.queued(), []byte("the past")) {
		t.Fatalf("a member got %q up to %d: %v", c.out.queued(), seen, err)
	}
	if !w.server.hub.leave(m) {
		t.Fatal("not removed")
	}
	if _, err := m.replay(t.Context(), past, 0); !errors.Is(err, chat.ErrDenied) {
		t.Errorf("the join of a removed member goes on: %v", err)
	}
	if q := c.out.queued(); len(q) != 0 {
		t.Errorf("a removed member is sent %q", q)
	}
}

func TestJoin_aRoomThatCannotBeFollowedIsBusy(t *testing.T) {
	w := newWorld(t, overTCP)
	w.feed.err = fmt.Errorf("redis is away")
	c := w.login().connect()
	if f, _ := c.ask(wire.RoomJoin, map[string]any{"room_id": w.chat.room().String()}); f.Code != string(wire.Busy) {
		t.Errorf("answer %+v, want busy", f)
	}
}

//control:proves delivery
func TestRefresh_aRemovedMemberReceivesNothingMore(t *testing.T) {
	for name, tell := range map[string]func(w *world, room chat.RoomID, user chat.UserID){
		"a newer epoch": func(w *world, room chat.RoomID, _ chat.UserID) {
			if err := w.server.Refresh(context.Background(), room); err != nil {
				t.Error(err)
			}
		},
		"a revocation": func(w *world, room chat.RoomID, user chat.UserID) {
			w.server.Revoke(chat.Revocation{Room: room, User: user, Reason: chat.ReasonRemoved})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			room := w.chat.room()
			a, b := w.login().connect(), w.login().connect()
			a.join(room)
			b.join(room)
			w.chat.setRole(room, a.login.user, "")
			tell(w, room, a.login.user)
			if f := a.read(); f.Type != "room.removed" || f.Data.Reason != chat.ReasonRemoved {
				t.Fatalf("received %+v, want room.removed", f)
			}
			w.chat.post(room, 1, "not for a")
			if f := b.read(); f.Seq != 1 {
				t.Errorf("b received %+v", f)
			}
			if f, before := a.ask(wire.MessageSend, map[string]any{"room_id": room.String(), "body": "x"}); f.Code != string(wire.Denied) || len(before) > 0 {
				t.Errorf("a received %+v and %+v", before, f)
			}
			w.events.has(t, "authz_change", chat.ReasonRemoved)
			w.events.has(t, "authz_fail", "message.send")
		})
	}
}

//control:proves delivery
func TestRefresh_whenTheStandingCannotBeReadTheSocketIsClosed(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	a := w.login().connect()
	a.join(room)
	w.chat.before = func(what string) error {
		if what == "standings" {
			return fmt.Errorf("down")
		}
		return nil
	}
	w.server.Revoke(chat.Revocation{Room: room, User: a.login.user, Reason: chat.ReasonBanned})
	if code := a.closed(); code != int(closeTryLater) {
		t.Errorf("closed with %d, want 1013", code)
	}
}

//control:proves delivery
func TestMuted_membersStillReceive(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	a := w.login().connect()
	a.join(room)
	w.chat.setRole(room, a.login.user, authz.Reader)
	w.server.Revoke(chat.Revocation{Room: room, User: a.login.user, Reason: chat.ReasonRole})
	if f := a.say(room, "x"); f.Code != string(wire.Denied) {
		t.Errorf("a reader wrote: %+v", f)
	}
	w.chat.post(room, 1, "x")
	if f := a.read(); f.Seq != 1 {
		t.Errorf("received %+v", f)
	}
}
