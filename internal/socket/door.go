package socket

import (
	"context"
	"net/http"
	"strings"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/frames"
)

// BytesSubprotocol is what the client of a Door has to offer beside its ticket.
const BytesSubprotocol = "portcullis.v1.tunnel"

// Door is a way in for bytes that are not the chat's, such as a tunnel. It is the same
// handshake, in the same order, and the same life: the heartbeat, the session's end, a
// revocation, a blind node and Shutdown end such a connection as they end any other.
// All fields are required.
type Door struct {
	Prefix  string                 // of the path; what follows is the name that the client gives
	Known   func(name string) bool // whether there is something of that name
	Frames  frames.Limits
	Leases  Leases // apart from those of the chat
	PerUser int    // connections of one user over all nodes
	// Talk has the connection until it returns. ctx ends when the connection closes.
	Talk func(ctx context.Context, l *Line)
	// Still is asked when something was taken away from the user: nil, or an error of
	// kind chat.Denied when the connection has to end, or any other when it cannot tell.
	Still func(ctx context.Context, l *Line) error
}

// Door returns the handler of a door. A name that is not known goes through the same
// checks as one that is, and fails with the same answer: its route has no slash in
// front, and no ticket can be issued for such a one.
func (s *Server) Door(d *Door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _ := strings.CutPrefix(r.URL.EscapedPath(), d.Prefix)
		rt := route{name: d.Prefix + name, means: byOffer, door: d}
		if !d.Known(name) {
			rt.name = strings.TrimPrefix(d.Prefix, "/")
		}
		s.accept(w, r, rt)
	})
}

// leases are those that the route's connections count against, and how many a user may have.
func (rt route) leases(s *Server) (Leases, int) {
	if rt.door != nil {
		return rt.door.Leases, rt.door.PerUser
	}
	return s.Leases, s.Config.SocketsPerUser
}

// behind is the name of what is behind the route's door, "" without one.
func (rt route) behind() string {
	if rt.door == nil {
		return ""
	}
	return strings.TrimPrefix(rt.name, rt.door.Prefix)
}

// Line is a connection that came through a Door, for its Talk.
type Line struct{ conn *conn }

// Name is what the client asked for, one that is known.
func (l *Line) Name() string { return l.conn.route.behind() }

// Actor is whose connection it is.
func (l *Line) Actor() chat.Actor { return l.conn.actor }

// Opened is when the handshake was accepted.
func (l *Line) Opened() time.Time { return l.conn.opened }

// SessionEnds is the absolute end of the session.
func (l *Line) SessionEnds() time.Time {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	return l.conn.session.EndsAt
}

// Receive reads one whole message of bytes and hands it over; they are the handler's
// only until it returns. While the handler runs nothing more is read, so that a client
// goes at the pace of whoever takes its bytes. After an error the connection is closing.
func (l *Line) Receive(ctx context.Context, handle func([]byte)) error {
	c := l.conn
	if err := c.readMessage(handle); err != nil {
		c.closeFor(err)
		return err
	}
	c.proveAlive()
	c.touch(ctx)
	return nil
}

// Send sends one message of bytes, once less than half of the queue is waiting: whoever
// sends goes at the client's pace. It returns an error when the connection closes.
func (l *Line) Send(ctx context.Context, b []byte) error {
	if err := l.conn.out.room(ctx); err != nil {
		return err
	}
	l.conn.send(b)
	return ctx.Err()
}

// Bye ends the connection in peace, after all that was sent has gone out.
func (l *Line) Bye(ctx context.Context) {
	l.conn.out.flushed(ctx)
	l.conn.close(closeBye)
}

// Refuse ends the connection with 4440; false: it was closing already. The client is
// not told which rule it was.
func (l *Line) Refuse() bool { return l.conn.close(closeTunnel) }

// Unavailable ends the connection because a part that decides does not answer.
func (l *Line) Unavailable(part string, err error) { l.conn.failClosed("tunnel", part, err) }

// Cause is why the connection is closing, as a word of a fixed list.
func (l *Line) Cause() string {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	return closeReason(l.conn.cause, l.conn.byPeer)
}

// Recovered is deferred by goroutines of a Talk: a panic ends this connection alone.
func (l *Line) Recovered(where string) {
	if p := recover(); p != nil {
		l.conn.panicked(where, p)
	}
}

// Record fills an event with what is known of the connection.
func (l *Line) Record(name audit.Name, level audit.Level, control, reason string, more ...func(*audit.Event)) {
	l.conn.server.record(l.conn, name, level, control, reason, more...)
}

// recheckDoors asks again whether a user's connections to what r names may go on, on
// goroutines of their own, which Shutdown waits for. A connection for which that cannot
// be told is closed.
//
//control:name tunnel
func (s *Server) recheckDoors(r chat.Revocation) {
	for _, c := range s.hub.ofUser(r.User) {
		if c.route.door == nil || c.route.behind() != r.Tunnel {
			continue
		}
		if !s.hub.startPass() {
			return // stopping: everything is being closed
		}
		go func() {
			defer s.hub.passes.Done()
			defer c.recovered("door")
			ctx, cancel := context.WithTimeout(s.life, refreshTimeout)
			defer cancel()
			err := s.inTurn(ctx, func() error { return c.route.door.Still(ctx, &Line{c}) })
			switch {
			case err == nil:
			case chat.KindOf(err) == chat.Denied:
				s.closeRevoked(c, closeRevoked, r)
			default:
				c.failClosed("tunnel", "grant", err)
			}
		}()
	}
}
