package site

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/stepup"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/guard/tunnel"
)

const (
	// routeTunnel is the socket route of all tunnels; the target's name follows.
	routeTunnel = "/ws/tunnel/"
	// tunnelTickets is how many a user may ask for in a minute: people open a tunnel a
	// few times a day, and whoever asks more often is looking for names.
	tunnelTickets = 10
	// noTarget is asked of the store where a name is not one of ours: it is no form of
	// a target's name, and costs what a name costs.
	noTarget = "-"
)

// Grants tells who may open a tunnel to which target; the store is the real one. Kind
// Denied: the user may not.
type Grants interface {
	Grant(ctx context.Context, user uuid.UUID, target string, now time.Time) (tunnel.Grant, error)
	OfUser(ctx context.Context, user uuid.UUID, now time.Time) ([]tunnel.Grant, error)
}

type tunnelBody struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	HostKey  string `json:"host_key,omitzero"`
	Until    stamp  `json:"until"`
}

// getTunnels lists the targets that the user has a grant for. Where they are is not
// said: a client has no use for it.
func (s *Site) getTunnels(w http.ResponseWriter, c *call) error {
	grants, err := s.o.Grants.OfUser(c.Context(), c.actor.User.UUID, s.o.Now())
	if err != nil {
		return err
	}
	list := make([]tunnelBody, 0, len(grants))
	for _, g := range grants {
		if t, configured := s.o.Targets.Find(g.Target); configured {
			list = append(list, tunnelBody{t.Name, string(t.Protocol), t.HostKey, stamp{g.Until}})
		}
	}
	s.writeJSON(w, http.StatusOK, struct {
		Tunnels []tunnelBody `json:"tunnels"`
	}{list})
	return nil
}

// postTunnelTicket makes a ticket that opens one tunnel to one target. It wants a
// grant besides the session, and a proof of a password or passkey that is fresh. A
// name that is not configured, and one that the user has no grant for, are one answer
// after the same work.
//
//control:name tunnel
func (s *Site) postTunnelTicket(w http.ResponseWriter, c *call) error {
	if err := s.chargeTunnel(c); err != nil {
		return err
	}
	asked := chi.URLParam(c.Request, "name")
	target, configured := s.o.Targets.Find(asked)
	if !configured {
		target.Name = noTarget
	}
	now := s.o.Now()
	grant, err := s.o.Grants.Grant(c.Context(), c.actor.User.UUID, target.Name, now)
	if !configured || chat.KindOf(err) == chat.Denied {
		return &refusal{status: http.StatusNotFound, code: "denied", public: publicDenied, err: err,
			event: audit.Event{Name: audit.TunnelDenied, Level: audit.Critical, Control: "tunnel", Reason: deniedFor(configured), Detail: asked}}
	}
	if err != nil {
		return err
	}
	within, err := stepup.New(min(s.o.StepUp.Within(), tunnel.FreshFor))
	if err != nil || within.Check(now, c.session.AuthenticatedAt) != nil {
		return errStepUp
	}
	claims := ticket.Claims{User: c.actor.User.UUID, Session: c.session.SID, Route: routeTunnel + target.Name}
	if claims.Origin, err = s.askingOrigin(c); err != nil {
		return err
	}
	token, expires, id, err := s.o.Tickets.Issue(claims)
	if err != nil {
		return fmt.Errorf("issue ticket: %w", err)
	}
	s.record(c, audit.Event{Name: audit.TokenCreated, Level: audit.Info, Control: "tunnel", Reason: "tunnel_ticket",
		Origin: claims.Origin, Detail: claims.Route + " " + ticket.Ref(id)})
	s.writeJSON(w, http.StatusCreated, struct {
		Ticket    string     `json:"ticket"`
		ExpiresAt stamp      `json:"expires_at"`
		Path      string     `json:"path"`
		Target    tunnelBody `json:"tunnel"`
	}{token.Reveal(), stamp{expires}, claims.Route, tunnelBody{target.Name, string(target.Protocol), target.HostKey, stamp{grant.Until}}})
	return nil
}

func deniedFor(configured bool) string {
	if configured {
		return "no_grant"
	}
	return "no_target"
}

// chargeTunnel takes the call out of the user's own budget for tunnels.
func (s *Site) chargeTunnel(c *call) error {
	got, err := s.o.Limits.Take(c.Context(), []ratelimit.Bucket{{Name: "tunnel", Key: c.actor.User.String(),
		Limit: ratelimit.Limit{Rate: float64(tunnelTickets) / 60, Burst: tunnelTickets}}}, 1)
	if err != nil {
		return &chat.Error{Kind: chat.Busy, Public: publicBusy, Err: fmt.Errorf("charge tunnel: %w", err)}
	}
	if !got.Allowed {
		return &refusal{status: http.StatusTooManyRequests, code: "rate_limited", public: "Too many requests. Wait a moment and try again.", retry: got.RetryAfter,
			event: audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "tunnel", Reason: got.By}}
	}
	return nil
}
