package socket

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"
)

const (
	// pingBytes is the length of a ping's payload: 64 random bits, so that a peer that
	// has stopped reading cannot have its pongs sent by guess.
	pingBytes = 8
	// maxPongWait is how long a pong may take (Centrifugo: 8 s).
	maxPongWait = 10 * time.Second
	// wheelSlots is into how many parts of PingEvery the connections are spread.
	wheelSlots = 32
	// aliveStep is how much of PingEvery must have passed before a message moves the
	// read deadline again: moving it costs more than reading a small frame.
	aliveStep = 16
)

// pongWait is how long after a ping silence means that the peer is dead.
func pongWait(pingEvery time.Duration) time.Duration { return min(maxPongWait, pingEvery) }

// wheel spreads all connections over the slots of one turn of PingEvery: one ticker
// and one goroutine instead of two timers for each. Adding and removing are O(1).
type wheel struct {
	mu    sync.Mutex
	slots [wheelSlots][]*conn
	now   int // the slot that was visited last
}

// notIn is the slot of a connection that is in none.
const notIn = 0

func newWheel() *wheel { return &wheel{} }

// add puts c where its first ping comes after one whole turn.
func (w *wheel) add(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.slot, c.index = w.now+1, len(w.slots[w.now]) // slot counts from 1
	w.slots[w.now] = append(w.slots[w.now], c)
}

func (w *wheel) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.slot == notIn {
		return
	}
	slot := w.slots[c.slot-1]
	last := len(slot) - 1
	slot[c.index] = slot[last]
	slot[c.index].index = c.index
	slot[last] = nil
	w.slots[c.slot-1] = slot[:last]
	c.slot = notIn
}

// turn moves to the next slot and returns who is in it.
func (w *wheel) turn(into []*conn) []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = (w.now + 1) % wheelSlots
	return append(into, w.slots[w.now]...)
}

// ping is the pinger of all connections.
//
//control:name heartbeat
func (s *Server) ping(ctx context.Context) {
	tick := time.NewTicker(s.Config.PingEvery / wheelSlots)
	defer tick.Stop()
	var due []*conn
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due = s.wheel.turn(due[:0])
		for i, c := range due {
			c.sendPing()
			due[i] = nil
		}
	}
}

// sendPing asks the peer for a sign of life that cannot be given without reading.
//
//control:name heartbeat
func (c *conn) sendPing() {
	defer c.recovered("ping")
	c.mu.Lock()
	_, _ = rand.Read(c.ping[:]) // never fails: crypto/rand ends the program instead
	c.pinged = true
	frame := appendFrame(nil, opPing, c.ping[:])
	c.mu.Unlock()
	c.put(entry{b: frame})
}

// onPing answers a client's ping. The frame guard has counted it against the budget
// of control frames; a peer that sends pings and does not read loses the pongs first.
func (c *conn) onPing(payload string) error {
	c.put(entry{b: appendFrame(nil, opPong, []byte(payload)), ephemeral: true})
	return nil
}

// onPong moves the deadline if it answers our last ping. A pong that nobody asked
// for proves nothing: whoever sends them by timer may have stopped reading long ago.
//
//control:name heartbeat
func (c *conn) onPong(payload string) error {
	c.mu.Lock()
	ours := c.pinged && subtle.ConstantTimeCompare([]byte(payload), c.ping[:]) == 1
	if ours {
		c.pinged = false
	}
	c.mu.Unlock()
	if ours {
		c.moveDeadline(time.Now())
	}
	return nil
}

// proveAlive is the other sign of life: a complete, valid command.
func (c *conn) proveAlive() {
	if now := time.Now(); now.Sub(c.alive) > c.server.Config.PingEvery/aliveStep {
		c.moveDeadline(now)
	}
}

// moveDeadline: silence from now until a whole turn and the wait for the pong have
// passed ends the connection. An unfinished message has a deadline of its own in the
// frame guard, which nothing here can move.
func (c *conn) moveDeadline(now time.Time) {
	c.alive = now
	every := c.server.Config.PingEvery
	c.setReadDeadline(now.Add(every + pongWait(every)))
}
