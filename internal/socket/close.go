package socket

import (
	"encoding/binary"
	"io"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// closeCode is a code of RFC 6455 section 7.4 or of our own range. Why 44xx and
// not IANA's 3000 (Unauthorized) or 3003 (Forbidden): the browser must tell an
// ended session from a revoked one, and a lost heartbeat from a full queue.
type closeCode int

// Every code that we send. Clients decide by this number alone.
const (
	closeBye         closeCode = 1000
	closeProtocol    closeCode = 1002
	closeUnsupported closeCode = 1003
	closeNoStatus    closeCode = 1005 // never sent: the peer gave no code
	closeGone        closeCode = 1006 // never sent: the peer is no longer there
	closeEncoding    closeCode = 1007
	closePolicy      closeCode = 1008
	closeTooBig      closeCode = 1009
	closeInternal    closeCode = 1011
	closeRestart     closeCode = 1012
	closeTryLater    closeCode = 1013
	closeAuth        closeCode = 4401
	closeExpired     closeCode = 4402
	closeRevoked     closeCode = 4403
	closeInvalid     closeCode = 4422
	closeRateLimited closeCode = 4429
	closeSlow        closeCode = 4430
	closeHeartbeat   closeCode = 4431
)

// slugs are the reasons that go out with the codes: fixed words, so that nothing
// of a user, of SQL or of our limits can ever be in one.
var slugs = map[closeCode]string{
	closeBye:         "bye",
	closeProtocol:    "protocol_error",
	closeUnsupported: "unsupported_data",
	closeEncoding:    "invalid_payload",
	closePolicy:      "policy",
	closeTooBig:      "too_big",
	closeInternal:    "internal",
	closeRestart:     "restart",
	closeTryLater:    "try_later",
	closeAuth:        "auth_required",
	closeExpired:     "session_expired",
	closeRevoked:     "session_revoked",
	closeInvalid:     "too_many_invalid",
	closeRateLimited: "rate_limited",
	closeSlow:        "slow_consumer",
	closeHeartbeat:   "heartbeat",
}

const (
	// closeWait is how long a peer may take to receive and answer a close frame.
	closeWait = time.Second
	// lingerBytes is how much of a peer's late data is read and thrown away, so that
	// the kernel does not answer it with a reset that overtakes the close frame.
	lingerBytes = 256 << 10
)

// closeFrame encodes the close frame of a code. Codes without a slug are the peer's
// own, sent back.
func closeFrame(code closeCode) []byte {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return appendFrame(nil, opClose, append(payload, slugs[code]...))
}

// close begins the end of the connection, once: the first caller's code is the one
// that is sent. It purges what was queued and not begun, queues the close frame as
// the last thing, and wakes the reader, which does the rest. It never blocks.
//
//control:name close
func (c *conn) close(code closeCode) bool {
	c.mu.Lock()
	if state(c.state.Swap(int32(closing))) == closing {
		c.mu.Unlock()
		return false
	}
	c.cause = code
	_ = c.net.SetReadDeadline(time.Now()) // wakes the reader; nobody moves it after this
	c.mu.Unlock()
	c.cancel()
	if code == closeGone {
		c.out.shut(nil)
	} else {
		c.out.shut(closeFrame(code))
	}
	return true
}

// finish is the end of the connection. Only its reader calls it, once, with the
// close frame on its way.
func (c *conn) finish() {
	s := c.server
	s.wheel.remove(c)
	s.hub.unregister(c)
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	code := c.cause
	c.mu.Unlock()

	c.linger(code)
	_ = c.out.net.Close()
	c.out.wait()
	for _, back := range c.back {
		defer back() // newest first, each whatever becomes of the others
	}
	c.recordEnd(code)
}

// tooSlow closes a peer whose queue or write deadline is over; false: it was closing.
func (c *conn) tooSlow() bool {
	if !c.close(closeSlow) {
		return false
	}
	c.server.record(c, audit.SlowConsumer, audit.Warn, "outbox", "slow_consumer")
	return true
}

// linger gives the peer closeWait to take the close frame and to answer it. Half
// closed, the peer sees our end at once and need not wait for its own timeout.
func (c *conn) linger(code closeCode) {
	if code == closeGone {
		return
	}
	c.out.wait() // ends within closeWait: shut has set the write deadline
	nc := c.out.net
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	if nc.SetReadDeadline(time.Now().Add(closeWait)) == nil {
		_, _ = io.CopyN(io.Discard, nc, lingerBytes)
	}
}

func (c *conn) recordEnd(code closeCode) {
	s := c.server
	s.metrics.connections.WithLabelValues(c.route.name).Dec()
	s.metrics.closes.WithLabelValues(closeLabel(code)).Inc()
	name, level := audit.Disconnect, audit.Info
	if code == closeGone {
		name, level = audit.AbnormalClose, audit.Warn
	}
	s.record(c, name, level, "close", closeReason(code), func(e *audit.Event) {
		e.CloseCode, e.Took, e.Count = int(code), time.Since(c.opened), c.net.BytesIn()
	})
}

func closeReason(code closeCode) string {
	switch slug := slugs[code]; {
	case slug != "":
		return slug
	case code == closeGone:
		return "gone"
	}
	return "peer"
}
