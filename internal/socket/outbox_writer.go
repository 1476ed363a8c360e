package socket

import (
	"errors"
	"os"
	"time"
)

// drain is the temporary writer: it writes until the queue is empty and ends.
func (o *outbox) drain() {
	defer o.conn.recovered("writer")
	for o.next() {
		err := o.step()
		if errors.Is(err, os.ErrDeadlineExceeded) && o.conn.tooSlow() {
			continue // closeWait more, for the rest of the frame and the close frame
		}
		if err != nil {
			o.fail()
			return
		}
	}
}

// next sets the deadline of the next step; false: nothing is left, and the writer
// is no longer there in the same moment, so that the next frame is written directly.
func (o *outbox) next() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.queue = nil
		o.writing = false
		o.wake()
		_ = o.net.SetWriteDeadline(time.Time{})
		return false
	}
	deadline := o.last
	if deadline.IsZero() {
		deadline = time.Now().Add(writeTimeout)
	}
	_ = o.net.SetWriteDeadline(deadline)
	return true
}

// step writes the first entry, or several where they must be joined.
func (o *outbox) step() error {
	if o.raw == nil {
		return o.stepJoined()
	}
	var failed error
	err := o.raw.Write(func(fd uintptr) (done bool) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.queue) == 0 { // purged meanwhile
			return true
		}
		e := &o.queue[0]
		n, err := writeOnce(fd, e.b[e.sent:])
		if err != nil {
			failed = err
			return true
		}
		e.sent += n
		o.bytes -= n
		if e.sent < len(e.b) {
			return false // wait until the socket takes more, without the lock
		}
		o.pop()
		return true
	})
	return errors.Join(err, failed)
}

// stepJoined takes up to joinBytes off the queue and writes them as one. They count
// as begun: a purge no longer reaches them.
func (o *outbox) stepJoined() error {
	o.mu.Lock()
	var b []byte
	for len(o.queue) > 0 && len(b) < joinBytes {
		e := &o.queue[0]
		end := len(e.b)
		if room := joinBytes - len(b); end-e.sent > room {
			end = begunEnd(e.b, e.sent+room) // whole frames
		}
		b = append(b, e.b[e.sent:end]...)
		o.bytes -= end - e.sent
		if e.sent = end; end == len(e.b) {
			o.pop()
		}
	}
	o.mu.Unlock()
	if len(b) == 0 {
		return nil
	}
	_, err := o.net.Write(b)
	return err
}

// pop removes the first entry, which is written. The caller holds o.mu.
func (o *outbox) pop() {
	o.queue[0] = entry{}
	o.queue = o.queue[1:]
	o.wake()
}

// fail gives up on the peer: nothing more is accepted, and the reader wakes up.
func (o *outbox) fail() {
	o.conn.close(closeGone)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue, o.bytes, o.closed = nil, 0, true
	o.wake()
}
