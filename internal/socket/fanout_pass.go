package socket

import (
	"runtime"
	"sync"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/wire"
)

// Fan-out. A change is encoded once, into the frame that every member gets, and
// appended to what the room has gathered. If nobody is writing for the room, a
// pass begins: it takes all that has gathered and gives it to every member with one
// write(2) each; what comes meanwhile gathers for the next. So one change goes out
// at once when the room is quiet, and when it is busy the system calls, which are
// 94 % of the cost, are shared by all changes of a pass. No timer, no delay, and
// still one frame per change.

const (
	// passBytes is what a pass writes to a member at most: it fits the socket buffer
	// of a peer that reads.
	passBytes = 64 << 10
	// maxPending is what may gather before whoever publishes has to wait.
	maxPending = 1 << 20
	// sliceFrom is the number of members from which two goroutines share a pass: below,
	// starting the second costs more than it saves.
	sliceFrom = 500
)

// batch is frames that were gathered for one pass, shared by all members and never
// changed once a pass has it.
type batch struct {
	buf       []byte
	marks     []mark // one per change, by seq
	ephemeral bool

	once   sync.Once
	packed *batch // the same in MessagePack; see in
}

// mark is where the frame of a change ends.
type mark struct {
	seq int64
	end int
}

// after returns the frames of changes newer than seq. For all but those who joined
// a moment ago, that is everything.
func (b *batch) after(seq int64) []byte {
	start := 0
	for _, m := range b.marks {
		if m.seq > seq {
			break
		}
		start = m.end
	}
	return b.buf[start:]
}

// Deliver sends changes of one room, in seq order, to its members on this node. It
// waits while more than maxPending bytes have gathered, so a room that is written
// faster than it can be sent slows its writers and not the server's memory.
func (s *Server) Deliver(changes []chat.Change) {
	if len(changes) == 0 {
		return
	}
	r := s.hub.room(changes[0].Room)
	if r == nil {
		return
	}
	var payload []byte
	for _, c := range changes {
		payload = wire.Change(payload[:0], c)
		r.gather(payload, c.Seq)
	}
	s.metrics.changes.Add(float64(len(changes)))
}

// Signal sends something ephemeral: to the members of its room on this node, or, a
// read marker, only to the other sockets of the one whose it is.
//
//control:name tunnel
func (s *Server) Signal(sig chat.Signal) {
	payload := wire.Signal(nil, sig)
	if len(payload) == 0 {
		return
	}
	if sig.Kind == chat.ReadMarked {
		b := &batch{buf: appendFrame(nil, opText, payload)}
		for _, c := range s.hub.ofUser(sig.User.ID) {
			// Not a door: a frame between the bytes of somebody's SSH would be one of them.
			if c.is(ready) && !c.route.public && c.route.door == nil {
				c.put(entry{b: b.in(c.encoding).buf, ephemeral: true})
			}
		}
		return
	}
	if r := s.hub.room(sig.Room); r != nil {
		r.gatherSignal(payload)
	}
}

// gather appends the frame of one change and starts a pass if none is under way.
func (r *room) gather(payload []byte, seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.bytes > maxPending {
		r.space.Wait()
	}
	if len(r.members) == 0 {
		return
	}
	size := maxHeader + len(payload)
	var b *batch
	if n := len(r.pending); n > 0 {
		b = r.pending[n-1]
	}
	if b == nil || len(b.buf) > 0 && len(b.buf)+size > passBytes {
		b = &batch{}
		r.pending = append(r.pending, b)
	}
	before := len(b.buf)
	b.buf = appendFrame(b.buf, opText, payload)
	b.marks = append(b.marks, mark{seq, len(b.buf)})
	r.bytes += len(b.buf) - before
	r.start()
}

// gatherSignal appends the frame of something ephemeral; over the size of one pass
// it is lost, which is what ephemeral means.
func (r *room) gatherSignal(payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.members) == 0 {
		return
	}
	if r.signals == nil {
		r.signals = &batch{ephemeral: true}
	}
	if len(r.signals.buf)+len(payload) > passBytes {
		r.hub.server.metrics.dropped.Inc()
		return
	}
	r.signals.buf = appendFrame(r.signals.buf, opText, payload)
	r.start()
}

// start begins a pass unless one is under way. The caller holds r.mu.
func (r *room) start() {
	if r.running {
		return
	}
	if !r.hub.startPass() { // stopping: every member is being closed
		r.pending, r.bytes, r.signals = nil, 0, nil
		return
	}
	r.running = true
	go func() {
		defer r.hub.passes.Done()
		r.pass()
	}()
}

// take returns what the next pass writes, and to whom; nil: nothing is left, and
// the pass has ended.
func (r *room) take(to []*member) (*batch, []*member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b *batch
	switch {
	case len(r.pending) > 0:
		b = r.pending[0]
		r.pending[0] = nil
		r.pending = r.pending[1:]
		r.bytes -= len(b.buf)
		r.space.Broadcast()
	case r.signals != nil:
		b, r.signals = r.signals, nil
	default:
		r.pending = nil
		r.running = false
		return nil, to
	}
	return b, append(to[:0], r.members...)
}

// pass writes what has gathered until nothing has.
func (r *room) pass() {
	var to []*member
	for {
		var b *batch
		if b, to = r.take(to); b == nil {
			return
		}
		if len(to) < sliceFrom || runtime.GOMAXPROCS(0) == 1 {
			deliverAll(to, b)
			runtime.Gosched() // let those who publish gather more
			continue
		}
		half := len(to) / 2
		var other sync.WaitGroup
		other.Go(func() { deliverAll(to[half:], b) })
		deliverAll(to[:half], b)
		other.Wait()
	}
}

// deliverAll gives b to each member. A panic ends that member's connection and
// nobody else's.
func deliverAll(to []*member, b *batch) {
	for next := 0; next < len(to); {
		next += deliverSome(to[next:], b)
	}
}

// deliverSome delivers until the end or a panic, and returns how many were tried.
func deliverSome(to []*member, b *batch) (tried int) {
	defer func() {
		if p := recover(); p != nil {
			to[tried].conn.panicked("pass", p)
			tried++
		}
	}()
	for tried < len(to) {
		to[tried].deliver(b)
		tried++
	}
	return tried
}
