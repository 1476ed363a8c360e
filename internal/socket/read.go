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

// serve is the goroutine of a connection, which owns it from the 101 to the end. It was
// started with go and the HTTP handler has returned, so that the request, its buffers
// and its stack are gone: 10 KB less for every connection. Its own stack stays at 2 KB,
// because it only waits: what is to be read, others read.
func (c *conn) serve() {
	defer c.finish()
	defer func() { c.close(closeInternal) }() // whatever else happened, finish finds it closed
	defer c.recovered("reader")
	if c.route.means == byFirstMessage {
		c.borrow((*conn).authenticate)
	}
	switch {
	case !c.is(ready):
	case c.route.door != nil:
		c.talk()
	case c.route.public:
		c.borrow(c.server.board.join)
		defer c.server.board.leave(c)
		c.read((*conn).readOnly)
	default:
		c.read((*conn).readCommands)
	}
}

// talk leaves the connection to its door.
func (c *conn) talk() {
	ctx, cancel := c.whileOpen(context.WithCancel(context.Background()))
	defer cancel()
	c.route.door.Talk(ctx, &Line{c})
	c.close(closeBye)
}

// read waits until the peer has sent something and has turn deal with it, again and
// again until the connection closes. turn returns when it has read all that is there,
// or closes the connection.
func (c *conn) read(turn func(*conn)) {
	for c.is(ready) {
		c.await()
		c.borrow(turn)
	}
}

// await returns when there is something to read, or waiting has ended for another reason:
// a deadline, a close, a peer that is gone. Reading tells which. Where the system cannot
// tell when a connection is readable it returns at once, and reading waits.
func (c *conn) await() {
	if c.out.raw != nil && c.net.Buffered() == 0 {
		waitReadable(c.out.raw)
	}
}

// borrow has somebody of the crew do it, on their stack. A connection that cannot wait
// without reading would hold them for life, and does it itself.
func (c *conn) borrow(do func(*conn)) {
	if c.out.raw != nil {
		c.server.crew.do(c, do)
	} else {
		do(c)
	}
}

// readCommands is a turn of a chat's connection: the messages that are there.
func (c *conn) readCommands() {
	for c.is(ready) && c.takeControls() {
		if err := c.readMessage(c.dispatch); err != nil {
			c.closeFor(err)
			return
		}
		if c.net.Buffered() == 0 {
			return
		}
	}
}

// takeControls deals with the pings and pongs that are next; true: a message is next, or
// the end. gorilla would deal with them too, and then wait for a message.
func (c *conn) takeControls() bool {
	for {
		switch op, payload := c.net.Control(); op {
		case opPing:
			_ = c.onPing(string(payload)) // never an error, nor the next
		case opPong:
			_ = c.onPong(string(payload))
		default:
			return true
		}
		if c.net.Buffered() == 0 {
			return false
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
//
//control:name first-message
func (c *conn) authenticate() {
	s := c.server
	c.ws.SetReadLimit(authBytes)
	c.setReadDeadline(c.opened.Add(authWindow))
	why := "timeout"
	err := c.readMessage(func(frame []byte) { why = c.redeem(frame) })
	switch {
	case c.is(ready), c.is(closing): // closing: revoked or stopping while we looked
		return
	case err != nil && !timedOut(err):
		if !errors.Is(err, websocket.ErrReadLimit) {
			c.closeFor(err)
			return
		}
		why = "too_big"
	}
	s.record(c, audit.HandshakeReject, audit.Warn, "first-message", why)
	c.close(closeAuth)
}

// redeem spends the ticket of a first message and opens the connection. It returns
// why not.
func (c *conn) redeem(frame []byte) string {
	s := c.server
	ctx, cancel := c.whileOpen(context.WithTimeout(context.Background(), handshakeTimeout))
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
