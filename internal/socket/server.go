package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/frames"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/wire"
)

// Chat is what a socket asks of the core; *chat.Service has it.
type Chat interface {
	Enter(ctx context.Context, a chat.Actor, room chat.RoomID) (chat.Entered, error)
	Missed(ctx context.Context, a chat.Actor, room chat.RoomID, after int64) (chat.Missed, error)
	Send(ctx context.Context, a chat.Actor, d chat.Draft) (c chat.Change, dup bool, err error)
	Edit(ctx context.Context, a chat.Actor, room chat.RoomID, id chat.MessageID, body string) (chat.Change, error)
	Delete(ctx context.Context, a chat.Actor, room chat.RoomID, id chat.MessageID) (chat.Change, error)
	React(ctx context.Context, a chat.Actor, room chat.RoomID, id chat.MessageID, emoji string, add bool) (int64, error)
	Typing(ctx context.Context, a chat.Actor, room chat.RoomID) error
	Mark(ctx context.Context, a chat.Actor, room chat.RoomID, seq int64) (int64, error)

	// Standings reads who of users may still receive in room; users without a standing are absent.
	Standings(ctx context.Context, room chat.RoomID, users []chat.UserID) (epoch int64, _ []chat.Membership, err error)
}

// Sessions reads sessions by hand; *session.Manager has it. Each returns session.ErrNone
// for a session that has ended, and any other error when it cannot tell.
type Sessions interface {
	Peek(ctx context.Context, r *http.Request) (session.Session, error)
	Live(ctx context.Context, sid uuid.UUID) (session.Session, error)
	Touch(ctx context.Context, sid uuid.UUID) (session.Session, error)
}

// Accounts tells who a session's user is.
type Accounts interface {
	Actor(ctx context.Context, s session.Session) (chat.Actor, error)
}

// Tickets redeems tickets; *ticket.Service has it.
type Tickets interface {
	Redeem(ctx context.Context, raw, route, origin string) (ticket.Claims, error)
}

// Checker decides on a request's headers; *host.Policy has it.
type Checker interface {
	Check(r *http.Request) error
}

// Origins decides which pages may connect; *origin.Policy has it.
type Origins interface {
	Checker
	CheckNone(r *http.Request) error
}

// Addresses tells the true client IP; *clientip.Resolver has it.
type Addresses interface {
	IP(r *http.Request) netip.Addr
}

// Gate counts the sockets of this node; *admission.Gate has it.
type Gate interface {
	Enter() (leave func(), ok bool)
}

// Leases counts the sockets of a user over all nodes; *admission.Leases has it.
type Leases interface {
	Acquire(ctx context.Context, user uuid.UUID, conn string, max int) (bool, error)
	Renew(ctx context.Context, held []admission.Lease) error
	Release(ctx context.Context, user uuid.UUID, conn string) error
}

// Feed brings the events of a room to this node. After Follow returns, every change
// newer than its head comes through Deliver, in order, without gaps. Note and Signal
// never block. Enter and Leave count a user's connections in a room over all nodes,
// and Note tells, at once, which of them are here. *fanout.Node has it.
type Feed interface {
	Follow(ctx context.Context, room chat.RoomID) (chat.Head, error)
	Unfollow(room chat.RoomID)
	Note(room chat.RoomID, user chat.UserID, conn string, there bool) (changed bool)
	Enter(ctx context.Context, room chat.RoomID, user chat.UserID, conn string) (first bool, err error)
	Leave(ctx context.Context, room chat.RoomID, user chat.UserID, conn string) (last bool, err error)
	Signal(ctx context.Context, s chat.Signal)
}

// Numbers are the limits that can be configured; see internal/config for their
// floors and ceilings.
type Numbers struct {
	MessagesPerMinute   int
	MessageBurst        int
	HandshakesPerMinute int
	SocketsPerUser      int
	SessionIdle         time.Duration
	RevalidateEvery     time.Duration
	PingEvery           time.Duration
}

// Options are the parts of a Server. All are required.
type Options struct {
	Chat          Chat
	Codec         *wire.Codec
	Sessions      Sessions
	Accounts      Accounts
	Tickets       Tickets
	Host          Checker
	Origin        Origins
	ClientIP      Addresses
	Limits        ratelimit.Source
	Gate          Gate
	Leases        Leases
	Feed          Feed
	Announcements Announcements
	Audit         audit.Recorder
	Log           *slog.Logger
	Registerer    prometheus.Registerer
	Config        Numbers
	Now           func() time.Time // wall clock, for sessions and buckets
}

func (o Options) check() error {
	var missing []error
	for _, part := range []struct {
		name  string
		given bool
	}{
		{"Chat", o.Chat != nil}, {"Codec", o.Codec != nil}, {"Sessions", o.Sessions != nil},
		{"Accounts", o.Accounts != nil}, {"Tickets", o.Tickets != nil}, {"Host", o.Host != nil},
		{"Origin", o.Origin != nil}, {"ClientIP", o.ClientIP != nil}, {"Limits", o.Limits != nil},
		{"Announcements", o.Announcements != nil}, {"Gate", o.Gate != nil}, {"Leases", o.Leases != nil}, {"Feed", o.Feed != nil},
		{"Audit", o.Audit != nil}, {"Log", o.Log != nil}, {"Registerer", o.Registerer != nil},
		{"Now", o.Now != nil},
		{"Config.MessagesPerMinute", o.Config.MessagesPerMinute > 0},
		{"Config.MessageBurst", o.Config.MessageBurst > 0},
		{"Config.HandshakesPerMinute", o.Config.HandshakesPerMinute > 0},
		{"Config.SocketsPerUser", o.Config.SocketsPerUser > 0},
		{"Config.SessionIdle", o.Config.SessionIdle > 0},
		{"Config.RevalidateEvery", o.Config.RevalidateEvery > 0},
		{"Config.PingEvery", o.Config.PingEvery > 0},
	} {
		if !part.given {
			missing = append(missing, fmt.Errorf("socket: %s is missing", part.name))
		}
	}
	return errors.Join(missing...)
}

// Server holds the sockets of this node. It implements fanout.Sink.
type Server struct {
	Options
	hub      *hub
	tidings  *tidings
	board    *board
	wheel    *wheel
	crew     crew
	metrics  *metrics
	upgrader websocket.Upgrader
	frames   frames.Limits
	probes   *detect.Probes
	due      chan *conn    // connections whose session must be read again
	rechecks chan struct{} // bounds the standings that are read at once

	life context.Context // of what is done for connections; ends when Shutdown loses patience
	end  context.CancelFunc

	mu       sync.Mutex
	draining bool
	work     sync.WaitGroup // handshakes and connections

	at func(step string) // tests stop here; see export_test.go
}

// New returns a Server without sockets. Call Run for as long as it lives, and
// Shutdown at its end.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &Server{
		Options:  o,
		metrics:  m,
		wheel:    newWheel(),
		frames:   frameLimits(o.Config),
		probes:   detect.NewProbes(),
		due:      make(chan *conn, maxDue),
		rechecks: make(chan struct{}, maxRechecks),
		at:       func(string) {},
	}
	s.hub = newHub(s)
	s.upgrader = s.newUpgrader()
	s.life, s.end = context.WithCancel(context.Background())
	s.tidings = newTidings(s)
	if s.board, err = newBoard(s); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	return s, nil
}

// frameLimits fits the frame guard to the message limits, so that an honest client
// meets the polite limit first.
func frameLimits(n Numbers) frames.Limits {
	l := frames.Defaults()
	perSecond := (n.MessagesPerMinute + 59) / 60
	// A message of a browser is one frame; half as much again is for pongs and closes.
	l.FramesPerSecond = max(l.FramesPerSecond, perSecond*3/2)
	l.FrameBurst = max(l.FrameBurst, n.MessageBurst*3/2)
	l.BytesPerSecond = max(l.BytesPerSecond, perSecond*averageBytes*2)
	l.ByteBurst = max(l.ByteBurst, n.MessageBurst*averageBytes*2)
	// An answer to every ping of ours, besides what the client says on its own.
	l.ControlFrames += int(l.ControlWindow / n.PingEvery)
	return l
}

// Run does what must be done from time to time: pings, revalidation, leases. It
// returns when ctx ends, with everything that it started ended too.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.ping(ctx) })
	wg.Go(func() { s.board.watch(ctx) })
	wg.Go(func() { s.renewLeases(ctx) })
	for range revalidators {
		wg.Go(func() { s.revalidate(ctx) })
	}
	wg.Wait()
	return nil
}

// begin counts a handshake that may become a connection; false while draining.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.work.Add(1)
	return true
}

// Count returns how many sockets a session has on this node.
func (s *Server) Count(sid chat.SessionID) int { return len(s.hub.ofSession(sid)) }

// SocketsOf counts the sockets of a user on this node, by session.
func (s *Server) SocketsOf(_ context.Context, user chat.UserID) map[chat.SessionID]int {
	n := make(map[chat.SessionID]int)
	for _, c := range s.hub.ofUser(user) {
		n[c.actor.Session]++
	}
	return n
}
