package site

import (
	"fmt"
	"net/http"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ticket"
)

// The socket routes that a ticket can be made for.
const (
	routeWS     = "/ws"
	routeAuth   = "/ws/auth"
	routePublic = "/ws/public"
	routeCLI    = "/ws/cli" // for programs: it refuses every Origin, so the ticket names none
)

// postTicket makes a ticket that opens one socket on one route from one origin.
// That is what a WebSocket handshake has instead of a CSRF token: the handshake
// itself is a GET, which any page in the world can make the browser send with the
// victim's cookies, but no foreign page can read this answer.
func (s *Site) postTicket(w http.ResponseWriter, c *call) error {
	var sent struct {
		Route string `json:"route"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	claims := ticket.Claims{User: c.actor.User.UUID, Session: c.session.SID, Route: sent.Route}
	switch sent.Route {
	case routeCLI:
	case routeWS, routeAuth, routePublic:
		var err error
		if claims.Origin, err = s.askingOrigin(c); err != nil {
			return err
		}
	default:
		return errBadSchema
	}
	token, expires, id, err := s.o.Tickets.Issue(claims)
	if err != nil {
		return fmt.Errorf("issue ticket: %w", err)
	}
	s.record(c, audit.Event{Name: audit.TokenCreated, Level: audit.Info, Control: "ticket", Reason: "ws_ticket",
		Origin: claims.Origin, Detail: sent.Route + " " + ticket.Ref(id)})
	s.writeJSON(w, http.StatusCreated, struct {
		Ticket    string `json:"ticket"`
		ExpiresAt stamp  `json:"expires_at"`
	}{token.Reveal(), stamp{expires}})
	return nil
}

// askingOrigin is the origin of the page that asks, which has to be one that may
// open sockets. Browsers send Origin with every POST. A program that sends none gets
// a ticket for our own origin: it must name that at the handshake, as it could here.
func (s *Site) askingOrigin(c *call) (string, error) {
	sent := c.Header["Origin"]
	switch {
	case len(sent) == 0:
		return s.own, nil
	case len(sent) == 1 && s.o.Origin.Allowed(sent[0]):
		return sent[0], nil
	}
	return "", &refusal{status: http.StatusForbidden, code: "denied", public: "Sockets cannot be opened from that site.",
		event: audit.Event{Name: audit.MaliciousCORS, Level: audit.Critical, Control: "origin", Reason: "ticket", Origin: sent[0]}}
}
