package socket

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/session"
)

const (
	// revalidators is how many sessions are read at once: when a thousand end in the
	// same second, PostgreSQL must not be asked a thousand questions at the same time.
	revalidators = 4
	// maxDue is how many connections may wait for that.
	maxDue = 4096
	// lookTimeout bounds one reading.
	lookTimeout = 5 * time.Second
	// lookAgainAfter is when a connection that found the queue full tries again.
	lookAgainAfter = time.Second
	// maxTouchEvery is how often user activity is stored at most.
	maxTouchEvery = time.Minute
)

// A socket lives as long as its session and no longer. Three things see to it: a
// timer at the session's end, a reading every RevalidateEvery that finds what no
// revocation told us, and revocations themselves (revoke.go). When the store cannot
// be read the socket is closed, not trusted (ASVS 16.5.3).

// arm sets the timer to the session's end or the next revalidation.
func (c *conn) arm() {
	s := c.server
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(closing) {
		return
	}
	now := s.Now()
	if !c.nextCheck.After(now) {
		c.nextCheck = now.Add(jitter(s.Config.RevalidateEvery))
	}
	wait := min(c.session.EndsFirst().Sub(now), c.nextCheck.Sub(now))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.ring)
		return
	}
	c.timer.Reset(wait)
}

// jitter is d ± 10 %, so that sockets opened together are not read together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// ring is the timer: the absolute end needs no reading, everything else does.
func (c *conn) ring() {
	s := c.server
	c.mu.Lock()
	ended := !c.session.EndsAt.After(s.Now())
	c.mu.Unlock()
	if ended {
		c.expire("revalidation", audit.SessionExpired, "absolute_end")
		return
	}
	select {
	case s.due <- c:
	default:
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.is(closing) {
			c.timer.Reset(jitter(lookAgainAfter))
		}
	}
}

// revalidate reads the sessions of connections whose timer rang.
//
//control:name revalidation
func (s *Server) revalidate(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.due:
			c.review(ctx)
		}
	}
}

// review reads the session and goes on, or ends the connection.
//
//control:name revalidation
func (c *conn) review(ctx context.Context) {
	if c.is(closing) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	live, err := c.server.Sessions.Live(ctx, c.actor.Session.UUID)
	if err != nil {
		c.lost(err)
		return
	}
	c.keep(live)
}

// lookAgain is the second look of a connection that was registered a moment ago: a
// session revoked between the first look and the registration is found here, one
// revoked later finds the connection in the hub. In between there is nothing.
//
//control:name revocation-race
func (c *conn) lookAgain(ctx context.Context) bool {
	s := c.server
	live, err := s.Sessions.Live(ctx, c.actor.Session.UUID)
	switch {
	case errors.Is(err, session.ErrNone), err == nil && live.User != c.actor.User.UUID:
		s.record(c, audit.RevokeRaceStop, audit.Critical, "revocation-race", "session_ended")
		c.close(closeRevoked)
		return false
	case err != nil:
		c.lost(err)
		return false
	case c.is(closing): // by the revocation itself, which found us registered
		s.record(c, audit.RevokeRaceStop, audit.Critical, "revocation-race", "revoked_meanwhile")
		return false
	}
	c.mu.Lock()
	c.renewed(live)
	c.mu.Unlock()
	return true
}

// touch stores, once in a while, that the user did something, which moves the
// session's idle end; false: the session has ended. Only commands that a person gives
// get here: pongs and what a page sends by itself move nothing (dispatch.go).
//
//control:name idle
func (c *conn) touch(ctx context.Context) bool {
	s := c.server
	now := s.Now()
	c.mu.Lock()
	due := now.Sub(c.touched) >= min(maxTouchEvery, s.Config.SessionIdle/4)
	if due {
		c.touched = now
	}
	c.mu.Unlock()
	if !due {
		return true
	}
	live, err := s.Sessions.Touch(ctx, c.actor.Session.UUID)
	switch {
	case err == nil:
		c.keep(live)
	case errors.Is(err, session.ErrNone):
		c.lost(err)
		return false
	case !c.is(closing):
		// The idle end did not move, which is the safe side. The timer decides.
		s.Log.Warn("session not touched", "conn_id", c.id, "error", err)
	}
	return true
}

// keep renews the lease by which the connection is open: what was read of the session,
// by a revalidation or because its user did something. A lease is no token of the
// client's. It cannot be handed in on an open socket, where `auth` is out of place, and
// it changes nothing but the idle end: another user or session ends the connection
// instead of changing whom it acts for, and the absolute end that the connection began
// with stays, whatever the store says later.
//
//control:name lease-refresh
func (c *conn) keep(live session.Session) {
	if live.User != c.actor.User.UUID || live.SID != c.actor.Session.UUID || live.SID == uuid.Nil {
		c.lost(session.ErrNone)
		return
	}
	c.mu.Lock()
	c.renewed(live)
	c.mu.Unlock()
	c.arm()
}

// renewed takes what was read of the session, but for a later absolute end: that of the
// connection was told to it, and may have been moved forward since the reading. The
// caller holds c.mu.
//
//control:name lease-refresh
func (c *conn) renewed(live session.Session) {
	if live.EndsAt.After(c.session.EndsAt) {
		live.EndsAt = c.session.EndsAt
	}
	c.session = live
}

// endBy moves the absolute end forward, never back, as when a service's key ends before
// the session that it opened.
//
//control:name service-identity
func (c *conn) endBy(t time.Time) {
	c.mu.Lock()
	if t.Before(c.session.EndsAt) {
		c.session.EndsAt = t
	}
	c.mu.Unlock()
	c.arm()
}

// lost ends a connection whose session is not there any more, or cannot be read.
//
//control:name revalidation
func (c *conn) lost(err error) {
	s := c.server
	c.mu.Lock()
	idle := !c.session.IdleEndsAt.After(s.Now())
	c.mu.Unlock()
	switch {
	case !errors.Is(err, session.ErrNone):
		c.failClosed("revalidation", "session_store", err)
	case idle:
		c.expire("idle", audit.IdleTimeout, "idle_end")
	case c.close(closeRevoked):
		s.record(c, audit.RevokedClose, audit.Info, "revalidation", "session_gone")
	}
}

func (c *conn) expire(control string, name audit.Name, reason string) {
	if c.close(closeExpired) {
		c.server.record(c, name, audit.Info, control, reason)
	}
}
