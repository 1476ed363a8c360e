package site

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"example.com/portcullis/internal/chat"
)

// Sessions and devices: what a user sees of their own sessions, and ends of them.
// The user id comes from the call and goes into every statement, so that somebody
// else's sid is a session that does not exist.

type deviceBody struct {
	SID             string `json:"sid"`
	CreatedAt       stamp  `json:"created_at"`
	AuthenticatedAt stamp  `json:"authenticated_at"`
	LastSeenAt      stamp  `json:"last_seen_at"`
	IdleEndsAt      stamp  `json:"idle_ends_at"`
	EndsAt          stamp  `json:"ends_at"`
	IP              string `json:"ip"`
	UserAgent       string `json:"user_agent"`
	Sockets         int    `json:"sockets"`
	Current         bool   `json:"current"`
}

func (s *Site) getSessions(w http.ResponseWriter, c *call) error {
	list, err := s.devices(c)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, struct {
		Sessions []deviceBody `json:"sessions"`
	}{list})
	return nil
}

func (s *Site) devices(c *call) ([]deviceBody, error) {
	sessions, err := s.o.Devices.OfUser(c.Context(), c.actor.User.UUID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	sockets := s.o.Sockets.SocketsOf(c.Context(), c.actor.User)
	list := make([]deviceBody, 0, len(sessions))
	for _, d := range sessions {
		list = append(list, deviceBody{
			SID: d.SID.String(), CreatedAt: stamp{d.CreatedAt}, AuthenticatedAt: stamp{d.AuthenticatedAt}, LastSeenAt: stamp{d.LastSeenAt},
			IdleEndsAt: stamp{d.IdleEndsAt}, EndsAt: stamp{d.EndsAt}, IP: d.IP, UserAgent: d.UserAgent,
			Sockets: sockets[chat.SessionID{UUID: d.SID}], Current: d.SID == c.session.SID,
		})
	}
	return list, nil
}

func (s *Site) deleteSession(w http.ResponseWriter, c *call) error {
	if _, err := s.revoke(w, c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// revoke ends the session of the address. The current one is signed out, so that
// its cookie goes too; own then is true.
func (s *Site) revoke(w http.ResponseWriter, c *call) (own bool, err error) {
	sid, err := chat.ParseSessionID(chi.URLParam(c.Request, "sid"))
	if err != nil {
		return false, chat.ErrDenied
	}
	if sid.UUID == c.session.SID {
		return true, s.signOut(w, c)
	}
	found, err := s.o.Devices.Revoke(c.Context(), c.actor.User.UUID, sid.UUID, reasonRevoked)
	if err != nil {
		return false, fmt.Errorf("revoke session: %w", err)
	}
	if !found {
		return false, chat.ErrDenied
	}
	s.ended(c, c.actor.User, sid.UUID, reasonRevoked)
	return false, nil
}

func (s *Site) postRevokeOthers(w http.ResponseWriter, c *call) error {
	n, err := s.revokeOthers(c)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, struct {
		Revoked int `json:"revoked"`
	}{n})
	return nil
}

// revokeOthers ends every session of the user but this one, in one transaction.
func (s *Site) revokeOthers(c *call) (int, error) {
	sids, err := s.o.Devices.RevokeAll(c.Context(), c.actor.User.UUID, c.session.SID, reasonRevoked)
	if err != nil {
		return 0, fmt.Errorf("revoke sessions: %w", err)
	}
	for _, sid := range sids {
		s.ended(c, c.actor.User, sid, reasonRevoked)
	}
	return len(sids), nil
}
