package fanout

import (
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/portcullis/internal/chat"
)

// retryAfter is the pause after a failed read or refresh, long enough not to press
// on a database that is not well.
const retryAfter = 250 * time.Millisecond

// room is one followed room. At most one goroutine delivers for it, and only while
// there is something to deliver.
type room struct {
	id chat.RoomID

	mu      sync.Mutex
	refs    int // Follow minus Unfollow; the room is dropped at 0
	seq     sequencer
	epoch   int64 // of the newest Refresh; 0: never
	working bool
	later   *time.Timer
}

// Follow begins to deliver room here, or counts one more follower. Every change with
// a seq above the returned head is delivered after the call began. Each Follow that
// succeeds needs one Unfollow.
//
// A caller that adds a member must read its standing after it has added it: then a
// removal is either in what it reads, or raises the epoch later and brings a Refresh
// that finds the member.
func (n *Node) Follow(ctx context.Context, id chat.RoomID) (chat.Head, error) {
	r := n.hold(id)
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	heads, err := n.source.Heads(ctx, []chat.RoomID{id})
	n.heardStore(err)
	if err == nil && len(heads) != 1 {
		err = chat.ErrDenied
	}
	if err != nil {
		n.Unfollow(id)
		return chat.Head{}, fmt.Errorf("follow room: %w", err)
	}
	r.mu.Lock()
	r.seq.start(heads[0].Seq)
	r.seq.saw(heads[0].Seq)
	r.mu.Unlock()
	n.wake(r)
	return heads[0], nil
}

// hold returns the room with one more follower. The first one subscribes; nobody
// waits for that, the sweep that follows a subscription finds what came before it.
func (n *Node) hold(id chat.RoomID) *room {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.rooms[id]
	if r == nil {
		r = &room{id: id}
		n.rooms[id] = r
		n.metrics.rooms.Set(float64(len(n.rooms)))
		n.want[id] = true
		poke(n.subscribe)
	}
	r.mu.Lock()
	r.refs++
	r.mu.Unlock()
	return r
}

// Unfollow undoes one Follow.
func (n *Node) Unfollow(id chat.RoomID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.rooms[id]
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs--; r.refs == 0 && !r.working {
		n.drop(r)
	}
}

// drop forgets a room that nobody follows. Both locks are held.
func (n *Node) drop(r *room) {
	if r.later != nil {
		r.later.Stop()
	}
	delete(n.rooms, r.id)
	delete(n.stale, r.id)
	n.metrics.rooms.Set(float64(len(n.rooms)))
	n.want[r.id] = false
	poke(n.subscribe)
}

func (n *Node) room(id chat.RoomID) *room {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.rooms[id]
}

// ingest takes a change that came by itself: from this node or from Redis.
func (n *Node) ingest(c chat.Change, way string) {
	r := n.room(c.Room)
	if r == nil {
		return
	}
	r.mu.Lock()
	verdict := r.seq.offer(c)
	r.mu.Unlock()
	switch verdict {
	case taken:
		n.metrics.changes.WithLabelValues(way).Inc()
	case dropped:
		n.metrics.dropped.WithLabelValues("room_full").Inc()
	case known:
		return
	}
	n.wake(r)
}

// wake makes sure that somebody works on r.
func (n *Node) wake(r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.working {
		r.working = n.spawn(func() { n.work(r) })
	}
}

func (n *Node) wakeAll() {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, r := range n.rooms {
		n.wake(r)
	}
}

// work does what the sequencer says until it says nothing or to wait.
func (n *Node) work(r *room) {
	for {
		r.mu.Lock()
		if r.refs == 0 || n.life.Err() != nil {
			r.mu.Unlock()
			if n.leave(r) {
				return
			}
			continue
		}
		next, epoch := r.seq.next(time.Now(), n.polls.Gap), r.epoch
		if len(next.deliver) == 0 && next.from == 0 {
			n.rest(r, next.wait)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()

		var err error
		if len(next.deliver) > 0 {
			err = n.deliver(r, next.deliver, epoch)
		} else {
			err = n.repair(r, next.from, next.to)
		}
		if err != nil && n.life.Err() == nil {
			n.log.Warn("room held back", "room", r.id, "error", err)
			r.mu.Lock()
			n.rest(r, retryAfter)
			r.mu.Unlock()
			return
		}
	}
}

// rest ends the work on r, to be taken up by the next wake and, with wait, then. r.mu is held.
func (n *Node) rest(r *room, wait time.Duration) {
	r.working = false
	if r.later != nil {
		r.later.Stop()
		r.later = nil
	}
	if wait > 0 {
		r.later = time.AfterFunc(wait, func() { n.wake(r) })
	}
}

// leave ends the work on a room that nobody follows; false if somebody does again.
func (n *Node) leave(r *room) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.life.Err() != nil {
		n.rest(r, 0)
		return true
	}
	if r.refs > 0 {
		return false
	}
	r.working = false
	n.drop(r)
	return true
}

// deliver gives run to the Sink, after a Refresh if one of it is of an epoch that
// the Sink has not seen. Somebody removed since then is removed by a change that is
// not in run. An epoch that the Source does not have yet is invented, and remembering it
// would be to refresh never again: what carries it is dropped and read from the Source.
//
//control:name fanout
func (n *Node) deliver(r *room, run []chat.Change, refreshed int64) error {
	epoch := refreshed
	for _, c := range run {
		epoch = max(epoch, c.Epoch)
	}
	if epoch > refreshed {
		ctx, cancel := context.WithTimeout(n.life, storeTime)
		defer cancel()
		head, err := n.head(ctx, r.id)
		if err != nil {
			return err
		}
		if epoch > head.Epoch {
			n.metrics.refused.WithLabelValues("epoch").Inc()
			r.mu.Lock()
			r.seq.drop(run, head.Seq)
			r.mu.Unlock()
			return fmt.Errorf("epoch %d was invented: the history is at %d", epoch, head.Epoch)
		}
		err = n.sink.Refresh(ctx, r.id)
		n.metrics.refreshes.WithLabelValues(outcome(err)).Inc()
		if err != nil {
			return fmt.Errorf("refresh members: %w", err)
		}
	}
	r.mu.Lock()
	r.epoch = max(r.epoch, epoch)
	r.seq.delivered(run)
	r.mu.Unlock()
	n.sink.Deliver(run)
	return nil
}

// repair reads what did not come. When the Source does not have it either, a seq was
// invented, and its head tells where the history really ends.
func (n *Node) repair(r *room, from, to int64) error {
	ctx, cancel := context.WithTimeout(n.life, 2*storeTime)
	defer cancel()
	found, err := n.source.ChangesBetween(ctx, r.id, from, to)
	n.heardStore(err)
	n.metrics.repairs.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		return fmt.Errorf("read missing changes: %w", err)
	}
	r.mu.Lock()
	r.seq.fill(found)
	r.mu.Unlock()
	n.metrics.changes.WithLabelValues("store").Add(float64(len(found)))
	if len(found) > 0 && found[0].Seq == from {
		return nil
	}
	head, err := n.head(ctx, r.id)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq.settle(head.Seq)
	if head.Seq >= from {
		return fmt.Errorf("change %d is not in the history", from)
	}
	return nil
}

// head reads how far a room has come; the zero Head if there is no such room any more.
func (n *Node) head(ctx context.Context, room chat.RoomID) (chat.Head, error) {
	heads, err := n.source.Heads(ctx, []chat.RoomID{room})
	n.heardStore(err)
	if err != nil {
		return chat.Head{}, fmt.Errorf("read head: %w", err)
	}
	if len(heads) != 1 {
		return chat.Head{}, nil
	}
	return heads[0], nil
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
