package fanout

import (
	"context"
	"slices"
	"time"

	"example.com/portcullis/internal/chat"
)

// maxHeads is the most rooms that one read of heads names.
const maxHeads = 500

// sweep compares the heads of followed rooms with what was delivered: all of them
// every few seconds, those newly subscribed at once. It finds what nobody else can,
// the lost last change of a room in which nothing more happens.
func (n *Node) sweep(ctx context.Context) {
	due := time.Now()
	for {
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
			n.markStale()
		case <-n.sweepNow:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
		n.sweepStale(ctx)
		if now := time.Now(); !now.Before(due) || due.Sub(now) > n.interval() {
			due = now.Add(n.interval())
		}
	}
}

// sweepSoon has every followed room swept before the next tick.
func (n *Node) sweepSoon() {
	n.markStale()
	poke(n.sweepNow)
}

func (n *Node) markStale() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range n.rooms {
		n.stale[id] = struct{}{}
	}
}

func (n *Node) sweepStale(ctx context.Context) {
	n.mu.Lock()
	ids := make([]chat.RoomID, 0, len(n.stale))
	for id := range n.stale {
		ids = append(ids, id)
	}
	clear(n.stale)
	n.mu.Unlock()
	for some := range slices.Chunk(ids, maxHeads) {
		short, cancel := context.WithTimeout(ctx, storeTime)
		heads, err := n.source.Heads(short, some)
		cancel()
		if ctx.Err() != nil {
			return
		}
		n.heardStore(err)
		if err != nil {
			n.log.Warn("sweep failed", "error", err)
			return // the next one is at most an interval away
		}
		for _, h := range heads {
			n.behind(h)
		}
	}
}

// behind lets a room catch up with its head.
func (n *Node) behind(h chat.Head) {
	r := n.room(h.Room)
	if r == nil {
		return
	}
	r.mu.Lock()
	r.seq.saw(h.Seq)
	r.mu.Unlock()
	n.wake(r)
}
