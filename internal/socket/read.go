package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/frames"
)

// keptBuffer is the largest message buffer that goes back to the pool: most
// messages are far smaller, and one of 64 KiB must not stay for ever.
const keptBuffer = 8 << 10

// buffers hold one message while it is read and decoded; a connection that is not
// in the middle of one has none.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// serve is the reader goroutine, which owns the connection from the 101 to the end.
// It was started with go and the HTTP handler has returned, so that the request,
// its buffers and its stack are gone: 10 KB less for every connection.
func (c *conn) serve() {
	defer c.finish()
	defer func() { c.close(closeInternal) }() // whatever else happened, finish finds it closed
	defer c.recovered("reader")
	if c.route.means == byFirstMessage && !c.authenticate() {
		return
	}
	if c.route.door != nil {
		if c.is(ready) {
			c.route.door.Talk(c.life, &Line{c})
			c.close(closeBye)
		}
		return
	}
	if c.route.public {
		c.readOnly()
		return
	}
	for c.is(ready) {
		if err := c.readMessage(c.dispatch); err != nil {
			c.closeFor(err)
			return
		}
	}
}

// readMessage reads one whole message and hands it over. The bytes are the
// handler's only until it returns.
func (c *conn) readMessage(handle func([]byte)) error {
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	if kind != c.encoding.kind() {
		return &frames.Violation{Kind: frames.Binary, Close: int(closeUnsupported)}
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keptBuffer {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	if _, err := buf.ReadFrom(r); err != nil {
		return err
	}
	if kind == websocket.TextMessage && !utf8.Valid(buf.Bytes()) { // RFC 6455 section 8.1; gorilla does not look
		return errNotUTF8
	}
	handle(buf.Bytes())
	return nil
}

var errNotUTF8 = errors.New("text message is not UTF-8")

// authenticate is the first message of /ws/auth: one frame, auth, in time, right.
// Everything else ends the connection with 4401 and no word about why.
func (c *conn) authenticate() bool {
	s := c.server
	c.ws.SetReadLimit(authBytes)
	c.setReadDeadline(c.opened.Add(authWindow))
	why := "timeout"
	err := c.readMessage(func(frame []byte) { why = c.redeem(frame) })
	switch {
	case c.is(ready):
		return true
	case c.is(closing): // revoked or stopping while we looked
		return false
	case err != nil && !timedOut(err):
		if errors.Is(err, websocket.ErrReadLimit) {
			why = "too_big"
		} else {
			c.closeFor(err)
			return false
		}
	}
	s.record(c, audit.HandshakeReject, audit.Warn, "first-message", why)
	c.close(closeAuth)
	return false
}

// redeem spends the ticket of a first message and opens the connection. It returns
// why not.
func (c *conn) redeem(frame []byte) string {
	s := c.server
	ctx, cancel := context.WithTimeout(c.life, handshakeTimeout)
	defer cancel()
	cmd, err := c.decode(frame)
	if err != nil || cmd.Ticket.Empty() {
		return "not_auth"
	}
	claims, err := s.Tickets.Redeem(ctx, cmd.Ticket.Reveal(), c.route.name, c.origin)
	if err != nil {
		no := ticketRefusal(err)
		if no.event != "" {
			s.record(c, no.event, no.level, no.control, no.reason)
		}
		return no.reason
	}
	if claims.Session != c.actor.Session.UUID || claims.User != c.actor.User.UUID {
		return "other_session"
	}
	c.ws.SetReadLimit(messageBytes)
	c.setReadDeadline(time.Now().Add(s.Config.PingEvery + pongWait(s.Config.PingEvery)))
	c.open(ctx)
	return "opened"
}

// closeFor ends the connection for what reading it ended with.
func (c *conn) closeFor(err error) {
	s := c.server
	if c.is(closing) {
		return // it was woken to end
	}
	if v, ok := errors.AsType[*frames.Violation](err); ok {
		c.recordViolation(v)
		c.close(closeCode(v.Close))
		return
	}
	if peer, ok := errors.AsType[*websocket.CloseError](err); ok {
		switch code := closeCode(peer.Code); code {
		case closeGone:
			c.close(closeGone)
		case closeNoStatus:
			c.closeAsPeer(closeBye)
		default:
			c.closeAsPeer(code) // the answer to a close is the same code
		}
		return
	}
	switch {
	case errors.Is(err, errNotUTF8):
		s.record(c, audit.ProtocolError, audit.Warn, "frames", "utf8")
		c.close(closeEncoding)
	case errors.Is(err, websocket.ErrReadLimit):
		s.record(c, audit.MessageTooBig, audit.Warn, "frames", "too_big")
		c.close(closeTooBig)
	case timedOut(err):
		if c.close(closeHeartbeat) {
			s.record(c, audit.HeartbeatLost, audit.Info, "heartbeat", "no_pong")
		}
	case strings.HasPrefix(err.Error(), "websocket: ") && !errors.Is(err, io.EOF):
		// gorilla's own refusals are plain texts; the frame guard leaves few of them:
		// a close frame with a code or text that is not allowed.
		s.record(c, audit.ProtocolError, audit.Warn, "frames", "close_frame")
		c.close(closeProtocol)
	default:
		c.close(closeGone)
	}
}

// timedOut knows a deadline also in the wrapping that gorilla gives it.
func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// recordViolation tells the event stream which rule a frame broke.
func (c *conn) recordViolation(v *frames.Violation) {
	name, level := audit.ProtocolError, audit.Warn
	switch v.Kind {
	case frames.TooBig:
		name = audit.MessageTooBig
	case frames.FragmentFlood, frames.EmptyFragments, frames.ControlFlood, frames.FrameRate, frames.ByteRate,
		frames.SlowMessage, frames.Unmasked, frames.EarlyData:
		name, level = audit.FrameAbuse, audit.Critical
	}
	c.server.record(c, name, level, "frames", string(v.Kind), func(e *audit.Event) {
		e.CloseCode, e.Count = v.Close, v.Frame
	})
}
