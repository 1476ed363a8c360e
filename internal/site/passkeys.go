package site

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
)

// Passkeys over JSON. Each ceremony is two calls: one that gets the options for the
// browser, one that brings what the device says. What lies between is kept by the
// session, so an answer from another browser is one to no question.

type passkeyBody struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	CreatedAt  stamp  `json:"created_at"`
	LastUsedAt *stamp `json:"last_used_at,omitzero"`
}

func bodyOf(p account.Passkey) passkeyBody {
	b := passkeyBody{ID: p.ID.String(), Name: p.Name, CreatedAt: stamp{p.CreatedAt}}
	if !p.LastUsedAt.IsZero() {
		b.LastUsedAt = &stamp{p.LastUsedAt}
	}
	return b
}

func (s *Site) getPasskeys(w http.ResponseWriter, c *call) error {
	list, err := s.o.Passkeys.List(c.Context(), c.actor)
	if err != nil {
		return err
	}
	bodies := make([]passkeyBody, 0, len(list))
	for _, p := range list {
		bodies = append(bodies, bodyOf(p))
	}
	s.writeJSON(w, http.StatusOK, struct {
		Passkeys []passkeyBody `json:"passkeys"`
	}{bodies})
	return nil
}

func (s *Site) postPasskeyBegin(w http.ResponseWriter, c *call) error {
	options, err := s.o.Passkeys.BeginRegister(c.Context(), c.actor)
	return s.options(w, options, err)
}

func (s *Site) postPasskey(w http.ResponseWriter, c *call) error {
	var sent struct {
		Name       string         `json:"name"`
		Credential jsontext.Value `json:"credential"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	p, err := s.o.Passkeys.Register(c.Context(), c.caller(), c.actor, sent.Name, sent.Credential)
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusCreated, bodyOf(p))
	return nil
}

func (s *Site) deletePasskey(w http.ResponseWriter, c *call) error {
	if err := s.removePasskey(c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Site) removePasskeyForm(w http.ResponseWriter, c *call) error {
	if err := s.removePasskey(c); err != nil {
		return err
	}
	return seeOther(w, c, "/sessions?done=passkey-removed")
}

func (s *Site) removePasskey(c *call) error {
	id, err := uuid.Parse(chi.URLParam(c.Request, "id"))
	if err != nil {
		return chat.ErrDenied
	}
	return s.o.Passkeys.Remove(c.Context(), c.caller(), c.actor, id)
}

// postPasskeySignInBegin asks for anybody's passkey: the answer has no user name, and so
// nothing by which a visitor could learn who exists.
func (s *Site) postPasskeySignInBegin(w http.ResponseWriter, c *call) error {
	options, err := s.o.Passkeys.BeginSignIn(c.Context(), c.session.SID)
	return s.options(w, options, err)
}

func (s *Site) postPasskeySignIn(w http.ResponseWriter, c *call) error {
	var sent struct {
		Credential jsontext.Value `json:"credential"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	u, err := s.o.Passkeys.SignIn(c.Context(), c.caller(), c.session.SID, sent.Credential)
	if err != nil {
		return err
	}
	if err := s.begin(c, u); err != nil {
		return err
	}
	return s.getSession(w, c)
}

func (s *Site) postStepUpBegin(w http.ResponseWriter, c *call) error {
	options, err := s.o.Passkeys.BeginStepUp(c.Context(), c.actor)
	return s.options(w, options, err)
}

func (s *Site) options(w http.ResponseWriter, options []byte, err error) error {
	if err != nil {
		return err
	}
	s.writeJSON(w, http.StatusOK, struct {
		Options jsontext.Value `json:"options"`
	}{options})
	return nil
}
