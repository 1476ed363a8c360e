package site

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	responses "example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/guard/session"
)

// The security dashboard: /admin/security and the stream of events behind it.
//
// Threat: what administers is the best thing to take over. A forgotten check on one of
// its routes, a stolen cookie of an administrator, or a foreign page that sends a form
// from their browser ends sessions and locks people out; and a page that shows what
// attackers wrote is where script of theirs would like to run.
//
// Rule: nothing of it is a command of the socket. Its routes say in the table of
// policies which role they are for, and to everybody else they are as unknown as any
// other address, with the same bytes. An auditor reads. To act takes an administrator, a
// proof of identity from the last minutes and a token of the page (csrf), and every act
// is an event (authz_admin) with its author. The stream asks for the session and the
// role again before it says anything.
//
// Not stopped: an administrator who acts within these minutes, or malware in their
// browser. Roles are given by the command line alone.

// Admin is what the dashboard reads and does. Nothing of it is reachable by other routes.
type Admin struct {
	Events    History
	Sockets   AdminSockets
	Responses AdminResponses
	Users     AdminUsers
	Board     AdminBoard
	// Pulse is how this node is doing.
	Pulse func() Pulse
}

func (a Admin) complete() bool {
	return a.Events != nil && a.Sockets != nil && a.Responses != nil && a.Users != nil && a.Board != nil && a.Pulse != nil
}

// History is the stored security log of all nodes; postgres.Events is the real one.
type History interface {
	Since(ctx context.Context, id int64, limit int) ([]audit.Stored, error)
	Before(ctx context.Context, id int64, limit int) ([]audit.Stored, error)
	Activity(ctx context.Context, since time.Time) ([]audit.Activity, error)
}

// AdminSockets are the sockets of this node.
type AdminSockets interface {
	Connections() []Connection
	CloseConnection(id string) bool
}

// AdminResponses is what is done about attackers, on all nodes.
type AdminResponses interface {
	Do(ctx context.Context, r responses.Response) error
	Active(ctx context.Context) ([]responses.Response, error)
	Lift(ctx context.Context, id int64, by string) (found bool, err error)
}

// AdminUsers takes an account away from whoever has it.
type AdminUsers interface {
	SetDisabled(ctx context.Context, username string, disabled bool) error
}

// AdminBoard tells everybody something.
type AdminBoard interface {
	Announce(ctx context.Context, body string) (chat.Announcement, error)
}

// Connection is one socket of this node.
type Connection struct {
	ID, Route                   string
	User                        chat.UserID
	Username                    string
	Session                     string // audit.Ref of its id
	SessionEnds, Since          time.Time
	Network, UserAgent          string
	Rooms, MaxRooms             int
	Queued, MaxQueued, Received int64 // bytes
}

// Pulse is measured on this node over the last minute.
type Pulse struct {
	Sockets           int
	Accepted, Refused float64       // handshakes per minute
	Messages          float64       // per second
	P95               time.Duration // of commands; 0: there were none
}

// errHidden says that to this client there is no such address. It never becomes an
// answer of its own: enforce gives the one of NotFound.
var errHidden = errors.New("hidden")

// known lets those through who may know that the route exists. It looks at the session
// without loading it, before any other check could give the route away.
//
//control:name admin-separation
func (s *Site) known(c *call) error {
	ctx := c.Context()
	sess, err := s.o.Sessions.Peek(ctx, c.Request)
	if errors.Is(err, session.ErrNone) {
		return errHidden
	}
	if err != nil {
		return &chat.Error{Kind: chat.Busy, Public: publicBusy, Err: err}
	}
	actor, err := s.o.Accounts.Actor(ctx, sess)
	switch {
	case err != nil && chat.KindOf(err) == chat.Denied:
		return errHidden
	case err != nil:
		return err
	case !c.rule.role(actor.Role):
		s.record(c, audit.Event{Name: audit.AuthzFail, Level: audit.Critical, Control: "admin-separation", Reason: "role",
			User: actor.User.String(), Session: audit.Ref(sess.SID.String()), Detail: c.Method + " " + pattern(c)})
		return errHidden
	}
	return nil
}

// isAdmin reports whether an address is below those of administration.
func isAdmin(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/admin/") || strings.HasPrefix(r.URL.Path, "/api/admin/")
}

// Drain ends the streams of events, which would otherwise outlast the server. Call it once.
func (s *Site) Drain() { close(s.drained) }
