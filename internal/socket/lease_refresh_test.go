package socket

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/wire"
)

// change edits the stored session of a client.
func (w *world) change(c *client, f func(*session.Session)) {
	s, err := w.sessions.Live(w.t.Context(), c.login.sid)
	if err != nil {
		w.t.Fatal(err)
	}
	f(&s)
	w.sessions.mu.Lock()
	defer w.sessions.mu.Unlock()
	w.sessions.live[c.login.sid] = s
}

// Whatever the store says of the session later, an open socket does not become somebody
// else's: it ends.
//
//control:proves lease-refresh
func TestLease_neverSwapsWhoASocketActsFor(t *testing.T) {
	for name, swap := range map[string]func(*session.Session){
		"another user":    func(s *session.Session) { s.User = uuid.New() },
		"another session": func(s *session.Session) { s.SID = uuid.New() },
		"nobody":          func(s *session.Session) { s.User = uuid.Nil },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, c *client) {
				start := time.Now()
				end := watch(c)
				w.change(c, swap)
				endsAfter(t, end, start, 9*time.Minute, 11*time.Minute, closeRevoked)
				w.events.has(t, audit.RevokedClose, "session_gone")
			})
		})
	}
}

//control:proves lease-refresh
func TestLease_neverExtendsPastTheEndThatTheSocketBeganWith(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		end := watch(c)
		w.change(c, func(s *session.Session) {
			s.EndsAt, s.IdleEndsAt = s.EndsAt.Add(30*24*time.Hour), s.EndsAt.Add(30*24*time.Hour)
		})
		endsAfter(t, end, start, 8*time.Hour, 8*time.Hour+time.Second, closeExpired)
		w.events.has(t, audit.SessionExpired, "absolute_end")
	})
}

// A ticket of somebody else's, handed in on an open socket, changes nothing.
//
//control:proves lease-refresh
func TestLease_anOpenSocketTakesNoTicket(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		victim := w.login()
		stolen := w.tickets.issue(victim, "/ws/auth")
		before := w.tickets.spent()
		c.send(wire.Auth, map[string]any{"ticket": stolen})
		if f := c.read(); f.Type != "error" || f.Code != "bad_state" {
			t.Errorf("answered %+v", f)
		}
		if w.tickets.spent() != before {
			t.Error("the ticket was spent")
		}
		w.events.has(t, audit.SequenceFail, "auth")
	})
}

// A person's ticket opens no service's socket, and the other way round.
//
//control:proves service-identity
func TestCLI_keepsPeopleAndServicesApart(t *testing.T) {
	for _, c := range []struct {
		name    string
		service bool // the ticket is one of a key
		role    authz.SiteRole
		opens   bool
	}{
		{"a person with a person's ticket", false, authz.User, true},
		{"a service with a service's ticket", true, authz.Service, true},
		{"a person with a service's ticket", true, authz.Admin, false},
		{"a service with a person's ticket", false, authz.Service, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			w.tickets.svc, w.accounts.role = c.service, c.role
			_, res, err := w.try(w.loginAs(chat.UserID{UUID: uuid.New()}).request("/ws/cli"))
			if c.opens != (err == nil) {
				t.Fatalf("error %v", err)
			}
			if !c.opens {
				if res.StatusCode != 401 {
					t.Errorf("status %d", res.StatusCode)
				}
				w.events.has(t, audit.HandshakeReject, "other_audience")
			}
		})
	}
}
