package socket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	dto "github.com/prometheus/client_model/go"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/wire"
)

func TestPresence_isToldByTheFirstAndTheLast(t *testing.T) {
	w := newWorld(t, overTCP)
	w.feed.presence = true
	room := w.chat.room()
	a, b := w.login().connect(), w.login().connect()
	a.join(room)
	b.join(room)
	for {
		if f := a.read(); f.Type == "presence.changed" {
			break
		}
	}
	_ = b.ws.NetConn().Close()
	for {
		if f := a.read(); f.Type == "presence.changed" {
			break
		}
	}
}

// untold is what the metric counts.
func untold(t *testing.T, w *world) int {
	t.Helper()
	var m dto.Metric
	if err := w.server.metrics.untold.Write(&m); err != nil {
		t.Fatal(err)
	}
	return int(m.GetCounter().GetValue())
}

func TestPresence_thatHangsDelaysNoMessageNoRemovalAndNoClosing(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withNumbers(func(n *Numbers) { n.MessageBurst = 100 }))
		a, removed := w.login().connect(), w.login()
		room := w.chat.room()
		for range 4 {
			c := removed.connect()
			c.join(room)
			watch(c)
		}
		for range 50 {
			a.join(w.chat.room())
		}
		a.join(room)
		synctest.Wait() // all of it is told
		w.feed.mu.Lock()
		w.feed.hangs = true
		w.feed.mu.Unlock()
		start := time.Now()
		w.chat.setRole(room, removed.user, "")
		if err := w.server.Refresh(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		w.chat.post(room, 1, "x")
		if f := a.read(); f.Seq != 1 {
			t.Errorf("received %+v", f)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the message of another came after %v", took)
		}

		_ = a.ws.Close()
		synctest.Wait()
		if took, slots, leases := time.Since(start), w.gate.inside(), w.leases.count(); took != 0 || slots != 4 || leases != 4 {
			t.Errorf("after %v, %d slots and %d leases are held, want 4 of those who stay", took, slots, leases)
		}
		if here, _ := w.feed.present(); here != 0 {
			t.Errorf("%d are still renewed", here)
		}

		w.stop() // fails if Shutdown is late or leaves a goroutine
		if took := time.Since(start); took > presenceTimeout+closeWait {
			t.Errorf("Shutdown took %v", took)
		}
		if n := untold(t, w); n != 55 {
			t.Errorf("%d untold, want 4 removed and 51 closed", n)
		}
	})
}

func TestPresence_everyoneIsToldGoneBeforeShutdownReturns(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		room := w.chat.room()
		for range 20 {
			c := w.login().connect()
			c.join(room)
			watch(c)
		}
		synctest.Wait()
		if _, counted := w.feed.present(); counted != 20 {
			t.Errorf("%d are counted, want 20", counted)
		}
		w.feed.mu.Lock()
		w.feed.takes = presenceTimeout / 40
		w.feed.mu.Unlock()
		w.stop()
		if _, counted := w.feed.present(); counted != 0 {
			t.Errorf("%d are still counted", counted)
		}
		if n := untold(t, w); n != 0 {
			t.Errorf("%d untold", n)
		}
	})
}

func TestPresence_joiningAgainTellsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		room := w.chat.room()
		for range 3 {
			c.join(room)
			synctest.Wait()
		}
		if n := len(w.feed.told); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
		watch(c)
	})
}

func TestPresence_isWhereTheMemberIsWhateverTheOrder(t *testing.T) {
	hold := func(t *testing.T, c *conn, room chat.RoomID) *member {
		t.Helper()
		m, err := c.hold(t.Context(), room)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, tt := range []struct {
		name string
		play func(t *testing.T, w *world, c *conn, room chat.RoomID)
		here int
	}{
		{"removed between release and appear", func(t *testing.T, _ *world, c *conn, room chat.RoomID) {
			m := hold(t, c, room)
			c.depart(m)
			c.appear(m)
		}, 0},
		{"removed twice", func(t *testing.T, _ *world, c *conn, room chat.RoomID) {
			m := hold(t, c, room)
			c.appear(m)
			c.depart(m)
			if c.depart(m) {
				t.Error("both removed it")
			}
		}, 0},
		{"joining again fails", func(t *testing.T, w *world, c *conn, room chat.RoomID) {
			c.appear(hold(t, c, room))
			w.feed.err = errors.New("redis is away")
			if _, err := c.hold(t.Context(), room); err == nil {
				t.Error("joined")
			}
		}, 0},
		{"removed while joining again", func(t *testing.T, _ *world, c *conn, room chat.RoomID) {
			c.appear(hold(t, c, room))
			m := hold(t, c, room)
			c.depart(m)
			c.appear(m)
		}, 0},
		{"joined again before the removal is said", func(t *testing.T, w *world, c *conn, room chat.RoomID) {
			m := hold(t, c, room)
			c.appear(m)
			w.server.hub.leave(m) // the first half of depart
			c.appear(hold(t, c, room))
			c.vanish(room) // the second half
		}, 1},
		{"joining again before the removal is said", func(t *testing.T, w *world, c *conn, room chat.RoomID) {
			m := hold(t, c, room)
			c.appear(m)
			w.server.hub.leave(m)
			c.vanish(room)
			c.appear(hold(t, c, room))
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c := stuck(t, w, chat.UserID{UUID: uuid.New()})
			room := w.chat.room()
			tt.play(t, w, c, room)
			if here, _ := w.feed.present(); here != tt.here {
				t.Errorf("%d are renewed, want %d", here, tt.here)
			}
			w.server.tidings.stop()
			if _, counted := w.feed.present(); counted != tt.here {
				t.Errorf("%d are counted on other nodes, want %d", counted, tt.here)
			}
			if m := c.member(room); m != nil {
				c.depart(m)
			}
		})
	}
}

// The end of the world of each test checks that nobody is left.
func TestPresence_nobodyIsLeftAfterJoinsAndRemovalsAtOnce(t *testing.T) {
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.MessageBurst, n.MessagesPerMinute = 10000, 600000 }))
	room := w.chat.room()
	l := w.login()
	var clients, removals sync.WaitGroup
	for range 4 {
		c := l.connect()
		clients.Go(func() {
			for range 60 {
				if _, err := c.attempt(wire.RoomJoin, room); err != nil {
					t.Error(err)
					return
				}
			}
			_ = c.ws.NetConn().Close()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	removals.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			role := authz.Member
			if i%2 == 0 {
				role = ""
			}
			w.chat.setRole(room, l.user, role)
			if err := w.server.Refresh(ctx, room); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	clients.Wait()
	cancel()
	removals.Wait()
	w.stop()
	if _, counted := w.feed.present(); counted != 0 {
		t.Errorf("%d are still counted on other nodes", counted)
	}
}

// attempt sends a command about a room and waits for its answer, whatever it is.
func (c *client) attempt(kind wire.Type, room chat.RoomID) (frame, error) {
	id := c.send(kind, map[string]any{"room_id": room.String()})
	for {
		f, err := c.tryRead()
		if err != nil {
			return f, fmt.Errorf("%s: %w", kind, err)
		}
		if f.Re == id {
			return f, nil
		}
	}
}

func TestTidings_areBoundedAndOfOnePlaceOnlyTheNewestWaits(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.feed.hangs = true
		c := stuck(t, w, chat.UserID{})
		tidings := w.server.tidings
		note := func(room chat.RoomID, there bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			tidings.note(c, room, there)
		}
		rooms := make([]chat.RoomID, maxTidings+2)
		for i := range rooms {
			rooms[i] = chat.RoomID{UUID: uuid.New()}
			note(rooms[i], true)
			if i == 0 {
				synctest.Wait() // it is being told and waits no more
			}
		}
		if n := untold(t, w); n != 1 || len(tidings.order) != maxTidings {
			t.Fatalf("%d wait, %d were dropped, want the one too many", len(tidings.order), n)
		}
		for _, room := range rooms {
			note(room, false)
		}
		if n := untold(t, w); n != 3 || len(tidings.order) != maxTidings {
			t.Errorf("%d wait, %d were dropped, want also the goings of the one under way and the one dropped", len(tidings.order), n)
		}
		if here, _ := w.feed.present(); here != 0 {
			t.Errorf("%d are renewed, though all have gone", here)
		}
		w.feed.mu.Lock()
		w.feed.hangs = false
		w.feed.mu.Unlock()
		time.Sleep(presenceTimeout)
		synctest.Wait()
		if _, counted := w.feed.present(); counted != 0 || len(tidings.order) != 0 || tidings.working {
			t.Errorf("%d are counted, %d wait", counted, len(tidings.order))
		}
		if n := len(w.feed.told); n != maxTidings+1 {
			t.Errorf("told %d times, want once per place", n)
		}
	})
}
