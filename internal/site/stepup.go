package site

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/session"
)

// fresh asks for a proof from the last minutes where the route's policy wants one, and
// of a session that was seen in two places at once for one from after that.
//
//control:name step-up
func (s *Site) fresh(c *call) error {
	if !c.rule.fresh {
		return nil
	}
	proven := c.session.AuthenticatedAt
	if s.o.StepUp.Check(s.o.Now(), proven) != nil || proven.Before(s.o.Suspects.ProofAfter(audit.Ref(c.session.SID.String()))) {
		return errStepUp
	}
	return nil
}

// stepUpAddress leads to the page that asks, and from there back: to what was to be
// seen, or to the page that the refused form names. The form itself is not sent again:
// whoever pressed the button has to press it as the person they have proven to be.
//
//control:name step-up
func stepUpAddress(c *call) string {
	next := c.PostFormValue("next")
	if c.safe() {
		next = c.URL.RequestURI()
	}
	return "/step-up?" + url.Values{"next": {localPath(next)}}.Encode()
}

func (s *Site) postStepUp(w http.ResponseWriter, c *call) error {
	var sent struct {
		Password   *string        `json:"password"`
		Credential jsontext.Value `json:"credential"` // the answer of a passkey
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	var err error
	switch {
	case (sent.Password == nil) == (sent.Credential == nil):
		return errBadSchema
	case sent.Password != nil:
		err = s.o.Accounts.ProvePassword(c.Context(), c.caller(), c.actor, *sent.Password)
	default:
		err = s.o.Passkeys.StepUp(c.Context(), c.caller(), c.actor, sent.Credential)
	}
	if err != nil {
		return err
	}
	if err := s.renew(c, "step_up"); err != nil {
		return err
	}
	return s.getSession(w, c)
}

func (s *Site) stepUpPage(w http.ResponseWriter, c *call) error {
	f, err := s.stepUpView(c, c.URL.Query().Get("next"))
	if err != nil {
		return err
	}
	s.reflects(c, f.Next)
	return s.render(w, c, http.StatusOK, "step-up", "Prove that it is you", f)
}

func (s *Site) stepUpView(c *call, next string) (form, error) {
	keys, err := s.o.Passkeys.List(c.Context(), c.actor)
	return form{Username: c.actor.Username, Next: localPath(next), Passkeys: len(keys) > 0 && s.o.Passkeys.Available()}, err
}

func (s *Site) stepUpForm(w http.ResponseWriter, c *call) error {
	f, err := s.stepUpView(c, c.PostFormValue("next"))
	if err != nil {
		return err
	}
	if err := s.o.Accounts.ProvePassword(c.Context(), c.caller(), c.actor, c.PostFormValue("password")); err != nil {
		return s.again(w, c, "step-up", "Prove that it is you", f, err)
	}
	if err := s.renew(c, "step_up"); err != nil {
		return err
	}
	return seeOther(w, c, f.Next)
}

// renew gives the session another token after its user proved who they are. If it ended
// while that was proven, the proof was for nothing: it is not made alive again.
func (s *Site) renew(c *call, reason string) error {
	switch err := s.o.Sessions.Renew(c.Context()); {
	case errors.Is(err, session.ErrNone): // ended or renewed by another request meanwhile
		s.record(c, audit.Event{Name: audit.SessionUseAfterEnd, Level: audit.Warn, Control: "session", Reason: "no_live_session"})
		return errSignedOut
	case err != nil:
		return fmt.Errorf("renew session: %w", err)
	}
	s.record(c, audit.Event{Name: audit.SessionRenewed, Level: audit.Info, Control: "session", Reason: reason})
	c.session, _ = s.o.Sessions.Current(c.Context())
	return nil
}
