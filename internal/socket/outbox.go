package socket

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// Limits of what waits for a slow peer.
const (
	// maxQueueBytes is what one peer that does not read can make us hold (Centrifugo: 1 MiB).
	maxQueueBytes = 1 << 20
	// maxQueueEntries bounds the same by count: many small frames cost more than their bytes.
	maxQueueEntries = 256
	// writeTimeout is how long one entry may take: 64 KiB in 10 s is the slowest link that counts.
	writeTimeout = 10 * time.Second
	// joinBytes is how much is joined into one write where there is no file
	// descriptor to write to: the size of a TLS record.
	joinBytes = 16 << 10
)

// entry is whole frames that wait. b is shared by all members of a pass: never change it.
type entry struct {
	b         []byte
	sent      int
	member    *member // whose room it came from; nil: the connection's own
	ephemeral bool    // may be lost
}

// outbox is everything that goes to one peer, in order. A frame is written at once
// by whoever sends it, with one write(2) that never waits. Only when the socket is
// full is the rest queued, and a temporary goroutine writes it with a deadline; it
// ends with the queue. So an idle or healthy connection has no queue, no channel
// and no writer. Over the bound the peer is too slow and is closed.
//
// The mutex is held across a write that cannot block, and never across one that can.
type outbox struct {
	conn *conn
	net  net.Conn
	raw  syscall.RawConn // nil: only the temporary writer writes

	mu      sync.Mutex
	queue   []entry
	bytes   int           // of queue, not yet written
	writing bool          // the temporary writer is at work
	last    time.Time     // after shut: when writing ends, whatever is left
	closed  bool          // nothing more is accepted
	space   chan struct{} // closed when the queue has shrunk to half; nil: nobody waits
	writer  sync.WaitGroup
}

// put sends an entry of the connection's own.
func (c *conn) put(e entry) {
	if !c.out.accept(e) {
		c.tooSlow()
	}
}

// accept is write with the lock, which a panic gives back too.
func (o *outbox) accept(e entry) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.write(e)
}

// deliver sends what a room has gathered to one of its members. It is the last
// check of who may receive (delivery-side authorization): standing, and what the
// member has seen already, are read under the same lock as the write.
//
//control:name delivery
func (m *member) deliver(b *batch) {
	if !m.accept(b.in(m.conn.encoding)) {
		m.conn.tooSlow()
	}
}

// accept writes, queues or holds back what m may see of b; false: the queue is full.
func (m *member) accept(b *batch) bool {
	o := &m.conn.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !m.mayRead || o.closed:
		return true
	case m.holding:
		m.holdBack(b)
		return true
	}
	part := b.after(m.seen)
	return len(part) == 0 || o.write(entry{b: part, member: m, ephemeral: b.ephemeral})
}

// write writes or queues e; false: the queue is full. The caller holds o.mu.
//
//control:name slow-consumer
func (o *outbox) write(e entry) bool {
	if o.closed {
		return true // nothing flows after the close frame
	}
	if !o.writing && o.raw != nil {
		n, err := tryWrite(o.raw, e.b)
		if err != nil {
			return true // the peer is gone; the reader sees it too, and closes
		}
		if n == len(e.b) {
			return true
		}
		e.sent = n
	}
	rest := len(e.b) - e.sent
	if e.ephemeral && e.sent == 0 && o.overHalf() {
		o.conn.server.metrics.dropped.Inc()
		return true
	}
	if o.bytes+rest > maxQueueBytes || len(o.queue) >= maxQueueEntries {
		return false
	}
	o.enqueue(e)
	return true
}

// enqueue appends e and sees to it that somebody writes. The caller holds o.mu.
func (o *outbox) enqueue(e entry) {
	o.queue = append(o.queue, e)
	o.bytes += len(e.b) - e.sent
	if !o.writing {
		o.writing = true
		o.writer.Go(o.drain)
	}
}

func (o *outbox) overHalf() bool {
	return o.bytes > maxQueueBytes/2 || len(o.queue) > maxQueueEntries/2
}

// purge drops what is queued of a room and not begun. After it, not one more frame
// of that room goes out: who lost a right must not read what was on its way.
//
//control:name delivery
func (o *outbox) purge(m *member) {
	o.keep(func(e entry) bool { return e.member != m })
}

// keep drops the entries that are not wanted, except the rest of a frame that the
// peer has the beginning of. The caller holds o.mu.
func (o *outbox) keep(wanted func(entry) bool) {
	kept := o.queue[:0]
	o.bytes = 0
	for _, e := range o.queue {
		if !wanted(e) {
			if e.b = e.b[:begunEnd(e.b, e.sent)]; len(e.b) == e.sent {
				continue
			}
		}
		kept = append(kept, e)
		o.bytes += len(e.b) - e.sent
	}
	clear(o.queue[len(kept):])
	o.queue = kept
}

// shut makes frame (nil: none) the last thing that is sent, within closeWait.
func (o *outbox) shut(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep(func(entry) bool { return false })
	o.last = time.Now().Add(closeWait)
	if o.writing {
		_ = o.net.SetWriteDeadline(o.last) // an error means closed, which the writer sees
	}
	if frame != nil {
		e := entry{b: frame}
		if !o.writing && o.raw != nil {
			n, err := tryWrite(o.raw, frame)
			if e.sent = n; err != nil {
				e.sent = len(frame)
			}
		}
		if e.sent < len(frame) {
			o.enqueue(e)
		}
	}
	o.closed = true
	o.wake()
}

// wait returns when the temporary writer has ended.
func (o *outbox) wait() { o.writer.Wait() }

// room waits until the queue is at most half full, so that whoever answers a
// command with many frames goes at the peer's pace and not at ours.
func (o *outbox) room(ctx context.Context) error {
	for {
		o.mu.Lock()
		if o.closed || !o.overHalf() {
			o.mu.Unlock()
			return ctx.Err()
		}
		if o.space == nil {
			o.space = make(chan struct{})
		}
		space := o.space
		o.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flushed waits until all that was sent before has gone out, or nothing will any more.
func (o *outbox) flushed(ctx context.Context) {
	for {
		o.mu.Lock()
		if o.closed || !o.writing && len(o.queue) == 0 {
			o.mu.Unlock()
			return
		}
		if o.space == nil {
			o.space = make(chan struct{})
		}
		space := o.space
		o.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return
		}
	}
}

// wake tells who waits in room or flushed. The caller holds o.mu.
func (o *outbox) wake() {
	if o.space != nil && (o.closed || !o.overHalf()) {
		close(o.space)
		o.space = nil
	}
}
