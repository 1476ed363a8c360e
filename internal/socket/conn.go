package socket

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/frames"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/wire"
)

// state is where a connection is in its life. It only moves forward:
//
//	fresh   upgraded; nothing is delivered; only /ws/auth may send, and only auth
//	ready   hello was sent
//	closing the close frame is the last thing that was, or will be, sent
type state int32

const (
	fresh state = iota
	ready
	closing
)

// conn is one connection. Its reader owns it: the goroutine of serve, or the one that it
// has borrowed and waits for, alone reads, dispatches and, at the end, gives everything
// back. Others may send to it and close it, which never blocks.
type conn struct {
	server  *Server
	id      string
	route   route
	request string
	origin  string
	ip      string // client prefix
	opened  time.Time

	encoding encoding
	deflated bool // permessage-deflate was agreed on

	ws  *websocket.Conn // for reading only
	net *frames.Conn
	out outbox

	back []func() // what the handshake held: slot, lease, the count of Shutdown

	actor chat.Actor // does not change: a socket is one user's for its life

	state atomic.Int32

	bucket  *ratelimit.Local // reader only, as are the next four
	invalid strikes
	refused strikes
	told    time.Time // when rate_limited was last answered
	alive   time.Time // when the read deadline was last moved

	mu        sync.Mutex
	cancel    context.CancelFunc // of what the reader is doing; nil: nothing that waits
	cause     closeCode          // why it is closing
	byPeer    bool               // the peer closed it, with a code of its choice
	session   session.Session
	nextCheck time.Time // when the session is read again at the latest
	touched   time.Time // when user activity was last stored
	limitTold time.Time // when it was last told that the limit ended another session
	timer     *time.Timer
	rooms     map[chat.RoomID]*member
	ping      [pingBytes]byte // payload that a pong must carry
	pinged    bool            // a ping is unanswered

	slot, index int // place in the wheel, guarded by it
}

func (s *Server) newConn(h *handshake, ws *websocket.Conn, fc *frames.Conn) *conn {
	now := time.Now()
	c := &conn{
		server: s, id: h.conn, route: h.route, request: h.request, origin: h.origin, ip: h.prefix(), opened: now, encoding: h.offer.encoding, deflated: h.offer.deflate,
		ws: ws, net: fc, back: h.held, actor: h.actor, session: h.session,
		bucket: ratelimit.NewLocal(messageLimit(s.Config), byteLimit(s.Config), s.Now),
	}
	c.out.conn, c.out.net = c, fc.NetConn()
	c.out.raw = rawConn(fc.NetConn())
	ws.SetReadLimit(wire.MaxFrame)
	ws.SetPingHandler(c.onPing)
	ws.SetPongHandler(c.onPong)
	ws.SetCloseHandler(func(int, string) error { return nil }) // the reader answers
	c.setReadDeadline(now.Add(s.Config.PingEvery + pongWait(s.Config.PingEvery)))
	s.record(c, audit.HandshakeAccept, audit.Info, "", "")
	s.metrics.handshakes.WithLabelValues(c.route.name, "accepted").Inc()
	s.metrics.connections.WithLabelValues(c.route.name).Inc()
	return c
}

// hello makes the connection ready: what follows may be delivered and dispatched.
func (c *conn) hello() {
	s := c.server
	c.mu.Lock()
	ends := c.session.EndsFirst()
	c.mu.Unlock()
	frame := wire.Hello(nil, wire.HelloData{
		ConnID: c.id, ServerTime: s.Now(), SessionEndsAt: ends,
		User: chat.Person{ID: c.actor.User, Username: c.actor.Username, DisplayName: c.actor.DisplayName},
		Role: c.actor.Role, Protocol: c.encoding.name(),
		Limits: wire.Limits{
			MessagesPerMinute: s.Config.MessagesPerMinute, Burst: s.Config.MessageBurst, RoomsPerConnection: maxRooms,
		},
		PingEvery: s.Config.PingEvery,
	})
	if c.route.door == nil { // a door has its own first words
		c.send(frame) // a connection that was closed meanwhile sends nothing more
	}
	if !c.state.CompareAndSwap(int32(fresh), int32(ready)) {
		return
	}
	s.wheel.add(c)
	c.arm()
	s.record(c, audit.Connect, audit.Info, "", "")
}

// send queues one frame with the given payload, after all that was queued before.
func (c *conn) send(payload []byte) { c.put(entry{b: c.encoding.append(nil, payload)}) }

// is reports whether the connection is in the given state.
func (c *conn) is(s state) bool { return state(c.state.Load()) == s }

// setReadDeadline moves the read deadline, unless the connection is closing: the
// end that was set then is final.
func (c *conn) setReadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(closing) {
		_ = c.net.SetReadDeadline(t) // an error means closed, which the next read says
	}
}

// whileOpen makes a context that was just made end when the connection begins to close
// too. It is for what the reader does, one thing after the other. A context that lived
// as long as the connection would cost 500 bytes of it.
func (c *conn) whileOpen(ctx context.Context, cancel context.CancelFunc) (context.Context, context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(closing) {
		cancel()
	}
	c.cancel = cancel
	return ctx, c.over
}

// over ends what whileOpen began.
func (c *conn) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel()
	c.cancel = nil
}

// recovered is deferred where code of one connection runs: a panic ends that
// connection and hurts no other (CWE-248).
func (c *conn) recovered(where string) {
	if p := recover(); p != nil {
		c.panicked(where, p)
	}
}

// panicked closes the connection whose code panicked. The event has the place and
// no value: a panic's text can hold a message.
func (c *conn) panicked(where string, p any) {
	c.server.Log.Error("panic in a connection", "where", where, "conn_id", c.id, "kind", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	c.server.record(c, audit.Crash, audit.Critical, "", where)
	c.close(closeInternal)
}

// record fills an event with what is known of the connection.
func (s *Server) record(c *conn, name audit.Name, level audit.Level, control, reason string, more ...func(*audit.Event)) {
	e := audit.Event{
		Name: name, Level: level, Control: control, Reason: reason,
		User: userText(c.actor.User.UUID), Session: sessionRef(c.actor.Session.UUID),
		Conn: c.id, Request: c.request, IP: c.ip, Origin: c.origin,
	}
	for _, add := range more {
		add(&e)
	}
	s.Audit.Record(context.WithoutCancel(s.life), e)
}

func userText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func sessionRef(sid uuid.UUID) string {
	if sid == uuid.Nil {
		return ""
	}
	return audit.Ref(sid.String())
}
