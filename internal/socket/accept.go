package socket

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/ticket"
)

// handshakeTimeout bounds all that a handshake asks of Redis and PostgreSQL.
const handshakeTimeout = 5 * time.Second

// handshake is one request on its way to a connection, with what it holds so far.
type handshake struct {
	s       *Server
	r       *http.Request
	w       http.ResponseWriter
	route   route
	request string // request id
	conn    string // id of the connection that it may become

	origin  string
	ip      netip.Addr
	offer   offer
	session session.Session
	service bool // the ticket was made for a service's key
	actor   chat.Actor

	held []func() // what to give back, newest last
}

// accept is the handshake, all of it, in order. Each step costs more than the one
// before, and gives away less to whoever fails it:
//
//   - what the request says about itself (host, protocol, origin) costs nothing and
//     stops other people's pages before a session is looked at;
//   - budgets (rate, cap) come before anything that asks a database;
//   - the ticket is spent last of the proofs, so that a request which would fail
//     anyway cannot burn the ticket of its victim;
//   - the slot of the user is reserved before the 101 and never after;
//   - the connection is registered first and the session read again second: a
//     sign-out before the reading is seen by it, one after it finds the connection.
//
// A failure at any step gives back everything taken before it.
//
//control:name handshake
func (s *Server) accept(w http.ResponseWriter, r *http.Request, rt route) {
	ctx, cancel := context.WithTimeout(r.Context(), handshakeTimeout)
	defer cancel()
	h := &handshake{s: s, r: r, w: w, route: rt, request: requestID(w), conn: rand.Text()}
	defer h.giveBack()

	for _, step := range []struct {
		name string
		do   func(context.Context) *refusal
	}{
		{"host", h.checkHost},
		{"protocol", h.checkProtocol},
		{"origin", h.checkOrigin},
		{"client-ip", h.findClientIP},
		{"handshake-rate", h.takeRate},
		{"node-cap", h.enterNode},
		{"session", h.findSession},
		{"subprotocol", h.readOffer},
		{"ticket", h.redeemTicket},
		{"identity", h.findActor},
		{"lease", h.acquireLease},
	} {
		s.at(step.name)
		if no := step.do(ctx); no != nil {
			s.refuse(h, no)
			return
		}
	}

	s.at("upgrade")
	c, no := h.upgrade()
	if no != nil {
		s.refuse(h, no)
		return
	}
	defer func() { go c.serve() }() // whatever becomes of the rest: only the reader gives back what c holds
	defer c.recovered("register")
	s.at("register")
	switch {
	case !s.hub.register(c):
		c.close(closeRestart)
	case rt.means != byFirstMessage: // where the first frame decides, the reader opens
		c.open(ctx)
	}
}

// open makes a registered connection live: look again, then hello.
//
//control:name revocation-race
func (c *conn) open(ctx context.Context) {
	defer c.recovered("open")
	c.server.at("recheck")
	if c.lookAgain(ctx) {
		c.server.at("hello")
		c.hello()
	}
}

func (h *handshake) checkHost(context.Context) *refusal {
	if err := h.s.Host.Check(h.r); err != nil {
		return &refusal{status: http.StatusMisdirectedRequest, control: "host", reason: "host", err: err}
	}
	return nil
}

func (h *handshake) checkOrigin(context.Context) *refusal {
	if sent := h.r.Header["Origin"]; len(sent) == 1 {
		h.origin = sent[0]
	}
	check := h.s.Origin.Check
	if h.route.means == byBearer {
		check = h.s.Origin.CheckNone
	}
	if err := check(h.r); err != nil {
		return &refusal{status: http.StatusForbidden, control: "origin", reason: "origin", err: err,
			event: audit.MaliciousCORS, level: audit.Critical}
	}
	return nil
}

func (h *handshake) findClientIP(context.Context) *refusal {
	h.ip = h.s.ClientIP.IP(h.r)
	if !h.ip.IsValid() {
		return &refusal{status: http.StatusBadRequest, control: "clientip", reason: "client_ip"}
	}
	return nil
}

func (h *handshake) takeRate(ctx context.Context) *refusal {
	perMinute := h.s.Config.HandshakesPerMinute
	got, err := h.s.Limits.Take(ctx, ratelimit.ForNetwork("handshake", clientip.Prefix(h.ip), ratelimit.Limit{Rate: float64(perMinute) / 60, Burst: perMinute}), 1)
	switch {
	case err != nil:
		return &refusal{status: http.StatusServiceUnavailable, control: "ratelimit", reason: "limiter", err: err, event: audit.FailClosed, level: audit.Critical}
	case !got.Allowed:
		return &refusal{status: http.StatusTooManyRequests, control: "ratelimit", reason: "handshake_rate", retry: got.RetryAfter,
			event: audit.RateLimitExceeded, level: audit.Warn}
	}
	return nil
}

func (h *handshake) enterNode(context.Context) *refusal {
	if !h.s.begin() {
		return &refusal{status: http.StatusServiceUnavailable, control: "admission", reason: "draining"}
	}
	h.hold(h.s.work.Done)
	leave, ok := h.s.Gate.Enter()
	if !ok {
		return &refusal{status: http.StatusServiceUnavailable, control: "admission", reason: "node_full"}
	}
	h.hold(leave)
	return nil
}

func (h *handshake) findSession(ctx context.Context) *refusal {
	if h.route.means == byBearer {
		return nil // cookies are ignored: the ticket names the session
	}
	var err error
	h.session, err = h.s.Sessions.Peek(ctx, h.r)
	return h.sessionRefusal(err)
}

func (h *handshake) sessionRefusal(err error) *refusal {
	switch {
	case errors.Is(err, session.ErrNone):
		return &refusal{status: http.StatusUnauthorized, control: "session", reason: "no_session"}
	case err != nil:
		return &refusal{status: http.StatusServiceUnavailable, control: "session", reason: "session_store", err: err, event: audit.FailClosed, level: audit.Critical}
	}
	return nil
}

// redeemTicket spends the ticket and requires that it is this session's: a ticket
// stolen from somebody else is of no use with the thief's own cookie.
//
//control:name handshake
func (h *handshake) redeemTicket(ctx context.Context) *refusal {
	if h.route.means == byFirstMessage {
		return nil // conn.authenticate does the same with the first frame
	}
	if h.offer.ticket.Empty() {
		return &refusal{status: http.StatusUnauthorized, control: "ticket", reason: "no_ticket"}
	}
	claims, err := h.s.Tickets.Redeem(ctx, h.offer.ticket.Reveal(), h.route.name, h.origin)
	if err != nil {
		return ticketRefusal(err)
	}
	if h.route.means == byBearer {
		if h.session, err = h.s.Sessions.Live(ctx, claims.Session); err != nil {
			return h.sessionRefusal(err)
		}
	}
	if claims.Session != h.session.SID || claims.User != h.session.User {
		return &refusal{status: http.StatusUnauthorized, control: "ticket", reason: "other_session", level: audit.Critical}
	}
	h.service = claims.Service
	return nil
}

func ticketRefusal(err error) *refusal {
	no := &refusal{status: http.StatusUnauthorized, control: "ticket", reason: "ticket", err: err}
	refused, ok := errors.AsType[*ticket.Refused](err)
	switch {
	case !ok:
		no.status, no.reason, no.event, no.level = http.StatusServiceUnavailable, "ticket_store", audit.FailClosed, audit.Critical
	case refused.Why == ticket.Reused:
		no.reason, no.event, no.level = string(refused.Why), audit.TokenReuse, audit.Critical
	case refused.Why == ticket.Unavailable:
		no.status, no.reason, no.event, no.level = http.StatusServiceUnavailable, string(refused.Why), audit.FailClosed, audit.Critical
	default:
		no.reason = string(refused.Why)
	}
	return no
}

// findActor reads who the session is of. A ticket that says program opens only a program's
// socket, and one that does not only a person's.
//
//control:name service-identity
func (h *handshake) findActor(ctx context.Context) *refusal {
	var err error
	if h.actor, err = h.s.Accounts.Actor(ctx, h.session); err != nil {
		if chat.KindOf(err) == chat.Denied {
			return &refusal{status: http.StatusUnauthorized, control: "session", reason: "account", err: err}
		}
		return &refusal{status: http.StatusServiceUnavailable, control: "session", reason: "account_store", err: err, event: audit.FailClosed, level: audit.Critical}
	}
	if h.service != (h.actor.Role == authz.Service) {
		return &refusal{status: http.StatusUnauthorized, control: "service-identity", reason: "other_audience", level: audit.Critical}
	}
	h.actor.Client = h.prefix() // whose budgets the commands of this socket are charged to
	return nil
}

func (h *handshake) acquireLease(ctx context.Context) *refusal {
	s, user, conn := h.s, h.actor.User.UUID, h.conn
	leases, most := h.route.leases(s)
	ok, err := leases.Acquire(ctx, user, conn, most)
	if err == nil && !ok {
		return &refusal{status: http.StatusTooManyRequests, control: "admission", reason: "user_full", retry: leaseEvery,
			event: audit.SessionsExceeded, level: audit.Warn}
	}
	// After an error the lease may have been taken: giving back is harmless, keeping is not.
	h.hold(func() { s.releaseLease(leases, user, conn) })
	if err != nil {
		return &refusal{status: http.StatusServiceUnavailable, control: "admission", reason: "lease_store", err: err, event: audit.LeaseUnavailable, level: audit.Critical}
	}
	return nil
}

// hold remembers how to give something back.
func (h *handshake) hold(back func()) { h.held = append(h.held, back) }

// giveBack returns what no connection took over, newest first.
func (h *handshake) giveBack() {
	for i := len(h.held) - 1; i >= 0; i-- {
		h.held[i]()
	}
	h.held = nil
}

// prefix is the client as budgets and events know it, also of what is refused before a
// budget is asked: who hammers at the door of another origin is somebody.
func (h *handshake) prefix() string {
	if !h.ip.IsValid() {
		h.ip = h.s.ClientIP.IP(h.r)
	}
	if !h.ip.IsValid() {
		return ""
	}
	return clientip.Prefix(h.ip).String()
}
