package socket

import (
	"encoding/binary"
	"io"
	"sync"
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
	closeLimit       closeCode = 4405
	closeInvalid     closeCode = 4422
	closeRateLimited closeCode = 4429
	closeSlow        closeCode = 4430
	closeHeartbeat   closeCode = 4431
	closeTunnel      closeCode = 4440
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
	closeLimit:       "session_limit",
	closeInvalid:     "too_many_invalid",
	closeRateLimited: "rate_limited",
	closeSlow:        "slow_consumer",
	closeHeartbeat:   "heartbeat",
	closeTunnel:      "tunnel_policy",
}

const (
	// closeWait is how long a peer may take to receive and answer a close frame.
	closeWait = time.Second
	// lingerBytes is how much of a peer's late data is read and thrown away, so that
	// the kernel does not answer it with a reset that overtakes the close frame.
	lingerBytes = 256 << 10
)

// closeFrame encodes a close frame.
func closeFrame(code closeCode, slug string) []byte {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return appendFrame(nil, opClose, append(payload, slug...))
}

// close begins the end of the connection, once: the first caller's code is the one
// that is sent. It purges what was queued and not begun, queues the close frame as
// the last thing, and wakes the reader, which does the rest. It never blocks.
//
//control:name close
func (c *conn) close(code closeCode) bool { return c.end(code, slugs[code], false) }

// closeAsPeer answers the peer's close with the peer's code, and without a word of
// ours: what a client sends must not look like a decision of the server.
func (c *conn) closeAsPeer(code closeCode) bool { return c.end(code, "", true) }

// end is the one way to close. Whoever comes second changes nothing.
//
//control:name close
func (c *conn) end(code closeCode, slug string, byPeer bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock() // held until the close frame is queued: finish takes it first
	if state(c.state.Swap(int32(closing))) == closing {
		return false
	}
	c.cause, c.byPeer = code, byPeer
	if c.cancel != nil {
		c.cancel()
	}
	if code == closeGone {
		c.out.shut(nil)
	} else {
		c.out.shut(closeFrame(code, slug))
	}
	_ = c.net.SetReadDeadline(time.Now()) // wakes the reader; nobody moves it after this
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
	code, reason := c.cause, closeReason(c.cause, c.byPeer)
	c.mu.Unlock()

	c.linger(code)
	_ = c.out.net.Close()
	c.out.wait()
	for _, back := range c.back {
		defer back() // newest first, each whatever becomes of the others
	}
	c.recordEnd(code, reason)
}

// tooSlow closes a peer whose queue or write deadline is over; false: it was closing.
//
//control:name slow-consumer
func (c *conn) tooSlow() bool {
	if !c.close(closeSlow) {
		return false
	}
	c.server.record(c, audit.SlowConsumer, audit.Warn, "slow-consumer", "slow_consumer")
	return true
}

// linger gives the peer closeWait to take the close frame and to answer it. What it
// sends meanwhile is read and thrown away: a peer that is stuck in sending does not
// read. Half closed, it sees our end at once and need not wait for its own timeout.
func (c *conn) linger(code closeCode) {
	if code == closeGone {
		return
	}
	var flush sync.WaitGroup
	defer flush.Wait()
	nc := c.out.net
	flush.Go(func() {
		c.out.wait() // ends within closeWait: shut has set the write deadline
		if half, ok := nc.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // an error means closed
		}
	})
	if nc.SetReadDeadline(time.Now().Add(closeWait)) == nil {
		_, _ = io.CopyN(io.Discard, nc, lingerBytes)
	}
}

func (c *conn) recordEnd(code closeCode, reason string) {
	s := c.server
	s.metrics.connections.WithLabelValues(c.route.name).Dec()
	s.metrics.closes.WithLabelValues(reason).Inc()
	name, level := audit.Disconnect, audit.Info
	if code == closeGone {
		name, level = audit.AbnormalClose, audit.Warn
	}
	s.record(c, name, level, "close", reason, func(e *audit.Event) {
		e.CloseCode, e.Took, e.Count = int(code), time.Since(c.opened), c.net.BytesIn()
	})
}

// closeReason is the end in one word of a fixed list, for events and metrics.
func closeReason(code closeCode, byPeer bool) string {
	switch {
	case byPeer:
		return "peer"
	case code == closeGone:
		return "gone"
	}
	return slugs[code]
}
