package frames

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// spareSize is what a short Read is served from. It must hold a withheld header
// and something more.
const spareSize = 2 * maxHeader

// Conn is a net.Conn whose Read passes on only what the [Auditor] lets through.
// Writing and closing are those of the connection below.
//
// Read must be called by one goroutine at a time; everything else may be called
// by any. After a violation Read returns it (a *[Violation]) for good and the
// connection stays open, so that its owner can send the close code.
type Conn struct {
	net.Conn
	audit  *Auditor
	reader *bufio.Reader // the upgrader's, if Hijack gave it one

	spare  [spareSize]byte // audited, waiting for a Read with room
	unread []byte          // part of spare

	violation       atomic.Pointer[Violation]
	bytesIn, frames atomic.Int64

	mu       sync.Mutex
	deadline time.Time // the owner's read deadline
	due      time.Time // the message deadline; written by Read only
}

// New guards c, the connection of one client right after the handshake. Limits
// that are missing or contradict each other are an error.
func New(c net.Conn, l Limits) (*Conn, error) {
	audit, err := NewAuditor(l, time.Now())
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, audit: audit}, nil
}

// Read reads audited bytes. What the client sent before it broke a rule is
// delivered first, the *[Violation] by the next call.
func (c *Conn) Read(b []byte) (int, error) {
	if len(c.unread) == 0 {
		if len(b) >= spareSize {
			return c.fill(b)
		}
		n, err := c.fill(c.spare[:])
		if err != nil {
			return 0, err
		}
		c.unread = c.spare[:n]
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// fill reads until at least one byte may be passed on, and returns bytes or an
// error, never both. b has room for a withheld header and something more.
func (c *Conn) fill(b []byte) (int, error) {
	for {
		if v := c.violation.Load(); v != nil {
			return 0, v
		}
		held := copy(b, c.audit.Withheld())
		n, err := c.Conn.Read(b[held:])
		c.bytesIn.Add(int64(n))

		now := time.Now()
		if errors.Is(err, os.ErrDeadlineExceeded) && c.messageIsDue() {
			now = c.due // timers are not exact: it has come, whatever the clock says
		}
		pass, v := c.audit.Feed(b[held:held+n], now)
		c.frames.Store(c.audit.Frames())
		c.setDue(c.audit.Due())
		if v != nil {
			c.violation.Store(v)
		}
		switch {
		case pass > 0:
			return pass, nil // an error beside bytes comes again with the next read
		case v != nil:
			return 0, v
		case err != nil:
			return 0, err
		}
	}
}

// SetReadDeadline sets the owner's deadline, zero for none. While a message is
// unfinished, the earlier of it and the message deadline counts: pongs cannot
// buy time for a message.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(c.earlier())
}

// SetDeadline sets the owner's read deadline and the write deadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// setDue moves the message deadline. Most messages arrive in one piece and never
// get here with a change.
func (c *Conn) setDue(due time.Time) {
	if due.Equal(c.due) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = due
	// An error means that the connection is closed, and the next Read says so.
	_ = c.Conn.SetReadDeadline(c.earlier())
}

// messageIsDue reports whether it was the message deadline that ended a read.
func (c *Conn) messageIsDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.due.IsZero() && c.earlier().Equal(c.due)
}

// earlier returns the deadline that counts. The caller holds c.mu.
func (c *Conn) earlier() time.Time {
	if c.deadline.IsZero() || !c.due.IsZero() && c.due.Before(c.deadline) {
		return c.due
	}
	return c.deadline
}

// Violation returns the first broken rule, nil while there is none.
func (c *Conn) Violation() *Violation { return c.violation.Load() }

// Buffered returns how many audited bytes wait to be read, in the upgrader's
// reader and here: while it is more than 0, do not wait for the network. For the
// goroutine that reads only.
func (c *Conn) Buffered() int {
	n := len(c.unread)
	if c.reader != nil {
		n += c.reader.Buffered()
	}
	return n
}

// NetConn returns the connection below, for raw writes and for waiting until it is
// readable. Nothing may be read from it. When waiting ends with an error, call
// the reader above once more: it knows whether a message was due.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// BytesIn returns how many bytes the client has sent, headers included.
func (c *Conn) BytesIn() int64 { return c.bytesIn.Load() }

// FramesIn returns how many frames the client has begun.
func (c *Conn) FramesIn() int64 { return c.frames.Load() }
