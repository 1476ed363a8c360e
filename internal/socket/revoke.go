package socket

import (
	"context"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/wire"
)

const (
	// refreshTimeout bounds the reading of one room's standings.
	refreshTimeout = 3 * time.Second
	// maxRechecks is how many single standings are read at once.
	maxRechecks = 8
	// tellEvery is longer than a revocation is repeated, which is a minute (internal/fanout).
	tellEvery = 5 * time.Minute
	// noticeLimit says that a sign-in beyond the limit ended the user's oldest session.
	noticeLimit = "session_limit"
)

// Revoke does what a revocation says, on this node, now. It never waits: ending
// sessions must not queue behind anything. Doing it twice is doing it once.
//
//control:name revocation
//control:name service-identity
//control:name session-limit
func (s *Server) Revoke(r chat.Revocation) {
	switch {
	case r.Room != (chat.RoomID{}):
		s.recheckMember(r)
		return
	case r.Tunnel != "":
		s.recheckDoors(r)
		return
	}
	conns := s.hub.ofSession(r.Session)
	if r.Session == (chat.SessionID{}) {
		conns = s.hub.ofUser(r.User)
	}
	if !r.Until.IsZero() {
		for _, c := range conns {
			c.endBy(r.Until)
		}
		return
	}
	code := closeRevoked
	if r.Reason == chat.ReasonSessionLimit {
		code = closeLimit
		s.tellOfLimit(r)
	}
	for _, c := range conns {
		s.closeRevoked(c, code, r)
	}
}

func (s *Server) closeRevoked(c *conn, code closeCode, r chat.Revocation) {
	if !c.close(code) {
		return
	}
	took := s.Now().Sub(r.At)
	s.metrics.revocation.Observe(took.Seconds())
	s.record(c, audit.RevokedClose, audit.Info, "revocation", r.Reason, func(e *audit.Event) {
		e.CloseCode, e.Took = int(code), took
	})
}

// tellOfLimit tells the user's other sockets that a sign-in ended their oldest session:
// if it was a thief's, somebody who can act on it learns so. The new session's page says
// it already, so a socket that was opened since is not told. A revocation comes several
// times, and a thief can sign in again and again: each socket is told once in tellEvery.
//
//control:name session-limit
func (s *Server) tellOfLimit(r chat.Revocation) {
	now := s.Now()
	for _, c := range s.hub.ofUser(r.User) {
		if c.actor.Session == r.Session || c.route.door != nil || c.route.public || !c.is(ready) || !c.opened.Before(r.At) {
			continue
		}
		c.mu.Lock()
		due := now.Sub(c.limitTold) >= tellEvery
		if due {
			c.limitTold = now
		}
		c.mu.Unlock()
		if due {
			c.send(wire.Notice(nil, noticeLimit))
		}
	}
}

// recheckMember reads one user's standing in one room again, on a goroutine of its
// own, which Shutdown waits for. When it cannot be read, the user's sockets in the
// room are closed: reconnecting asks the store.
func (s *Server) recheckMember(r chat.Revocation) {
	room := s.hub.room(r.Room)
	if room == nil {
		return
	}
	members := room.of(r.User)
	if len(members) == 0 {
		return
	}
	if !s.hub.startPass() {
		return // stopping: everything is being closed
	}
	go func() {
		defer s.hub.passes.Done()
		ctx, cancel := context.WithTimeout(s.life, refreshTimeout)
		defer cancel()
		err := s.inTurn(ctx, func() error { return s.refresh(ctx, room, r.User, r.Reason) })
		if err != nil {
			for _, m := range members {
				m.conn.failClosed("delivery", "standing", err)
			}
		}
	}()
}

// inTurn runs do when fewer than maxRechecks others run, if that is before ctx ends.
func (s *Server) inTurn(ctx context.Context, do func() error) error {
	select {
	case s.rechecks <- struct{}{}:
		defer func() { <-s.rechecks }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Refresh reads again who of the local members of a room may receive. The fan-out
// calls it before it delivers a change of a newer membership epoch, so that a
// member removed before the change was stored does not get it.
func (s *Server) Refresh(ctx context.Context, id chat.RoomID) error {
	room := s.hub.room(id)
	if room == nil {
		return nil
	}
	return s.refresh(ctx, room, chat.UserID{}, chat.ReasonRemoved)
}

// refresh removes members (of user, or all) without the right to read. Somebody
// who joins while it reads is not asked about here: their own join reads later.
//
//control:name delivery
func (s *Server) refresh(ctx context.Context, room *room, user chat.UserID, reason string) error {
	members := room.of(user)
	seen := make(map[chat.UserID]bool, len(members))
	users := make([]chat.UserID, 0, len(members))
	for _, m := range members {
		if u := m.conn.actor.User; !seen[u] {
			seen[u] = true
			users = append(users, u)
		}
	}
	if len(users) == 0 {
		return nil
	}
	_, standings, err := s.Chat.Standings(ctx, room.id, users)
	if err != nil {
		return err
	}
	may := make(map[chat.UserID]bool, len(standings))
	for _, st := range standings {
		may[st.User] = readable(st.Role)
	}
	for _, m := range members {
		if !may[m.conn.actor.User] && m.conn.depart(m) {
			m.conn.send(wire.RoomRemoved(nil, room.id, reason))
			s.record(m.conn, audit.AuthzChange, audit.Warn, "delivery", reason, func(e *audit.Event) { e.Room = room.id.String() })
		}
	}
	return nil
}

// Blind closes every socket: this node has not heard for so long what happened
// elsewhere that it can no longer say who was revoked.
func (s *Server) Blind() {
	for _, c := range s.hub.everyone() {
		c.failClosed("fanout", "fanout", nil)
	}
}

// failClosed ends a connection because a part that control needs is not available.
func (c *conn) failClosed(control, part string, err error) {
	if !c.close(closeTryLater) {
		return
	}
	if err != nil {
		c.server.Log.Error("closed for want of an answer", "conn_id", c.id, "part", part, "error", err)
	}
	c.server.record(c, audit.FailClosed, audit.Critical, control, part)
}
