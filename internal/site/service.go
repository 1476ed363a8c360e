package site

import (
	"fmt"
	"net/http"
	"strings"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ticket"
)

// postServiceTicket gives a program a ticket for the route of programs, for its key. It
// takes no cookie and no page: a request that carries one is somebody's browser that was
// talked into it, or a program that signs in as a person. Both are refused before the
// key is looked at.
//
//control:name service-identity
func (s *Site) postServiceTicket(w http.ResponseWriter, c *call) error {
	for _, name := range []string{"Cookie", "Origin", "Sec-Fetch-Site"} {
		if len(c.Header[name]) > 0 {
			return &refusal{status: http.StatusForbidden, code: "denied", public: "This is for programs: no cookie and no page.",
				event: audit.Event{Name: audit.MaliciousCORS, Level: audit.Warn, Control: "service-identity", Reason: "browser", Origin: c.Header.Get("Origin")}}
		}
	}
	sent := c.Header["Authorization"]
	key := ""
	if len(sent) == 1 {
		key, _ = strings.CutPrefix(sent[0], "Bearer ")
	}
	u, sess, err := s.o.Services.SignIn(c.Context(), c.caller(), key)
	if err != nil {
		return err
	}
	token, expires, id, err := s.o.Tickets.Issue(ticket.Claims{User: u.ID.UUID, Session: sess.SID, Route: routeCLI, Service: true})
	if err != nil {
		return fmt.Errorf("issue ticket: %w", err)
	}
	s.record(c, audit.Event{Name: audit.TokenCreated, Level: audit.Info, Control: "service-identity", Reason: "service_ticket",
		User: u.ID.String(), Session: audit.Ref(sess.SID.String()), Detail: ticket.Ref(id)})
	s.writeJSON(w, http.StatusCreated, struct {
		Ticket    string `json:"ticket"`
		ExpiresAt stamp  `json:"expires_at"`
	}{token.Reveal(), stamp{expires}})
	return nil
}
