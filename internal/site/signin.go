package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/session"
)

// clearSiteData empties what the pages left in the browser at sign-out (ASVS 14.3.1):
// "storage" is the queue of unsent messages in IndexedDB and the drafts, "cache" is
// uploaded pictures and the pages that the browser froze to be fast at going back.
// Everything personal is no-store as well; this is for what ignores that. Not "cookies":
// it clears those of every host of our registrable domain, which are not ours to clear
// (measured in Chromium: a sibling's __Host- cookie goes too), while our own is removed
// by Set-Cookie and dead on the server.
const clearSiteData = `"cache", "storage"`

// Reasons of ended sessions, as revocations carry them.
const (
	reasonSignOut = "sign_out"
	reasonRevoked = "revoked_by_user"
)

type sessionBody struct {
	Authenticated bool       `json:"authenticated"`
	CSRFToken     string     `json:"csrf_token"`
	User          *userBody  `json:"user,omitzero"`
	Session       *ownerBody `json:"session,omitzero"`
}

type userBody struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
	Role        string `json:"role"`
}

type ownerBody struct {
	SID        string `json:"sid"`
	IdleEndsAt stamp  `json:"idle_ends_at"`
	EndsAt     stamp  `json:"ends_at"`
}

// getSession tells who is signed in and gives a CSRF token. For a visitor it makes
// the anonymous session that the token belongs to, so that signing in cannot be forged.
func (s *Site) getSession(w http.ResponseWriter, c *call) error {
	body := sessionBody{CSRFToken: csrf.Mask(s.o.Sessions.CSRFSecret(c.Context()))}
	if c.signedIn() {
		body.Authenticated = true
		body.User = &userBody{c.actor.User.String(), c.actor.Username, c.actor.DisplayName, string(c.actor.Role)}
		body.Session = &ownerBody{c.session.SID.String(), stamp{c.session.IdleEndsAt}, stamp{c.session.EndsAt}}
	}
	s.writeJSON(w, http.StatusOK, body)
	return nil
}

func (s *Site) postSignIn(w http.ResponseWriter, c *call) error {
	var sent struct {
		Username    string `json:"username"`
		Password    string `json:"password"`
		NewPassword string `json:"new_password"` // with a password that was made for one sign-in
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	if err := s.signIn(c, sent.Username, sent.Password, sent.NewPassword); err != nil {
		return err
	}
	return s.getSession(w, c)
}

func (s *Site) postSignUp(w http.ResponseWriter, c *call) error {
	var sent struct {
		Username    string `json:"username"`
		Password    string `json:"password"`
		DisplayName string `json:"display_name"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	if err := s.signUp(c, sent.Username, sent.Password, sent.DisplayName); err != nil {
		return err
	}
	return s.getSession(w, c)
}

func (s *Site) postSignOut(w http.ResponseWriter, c *call) error {
	if err := s.signOut(w, c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postPassword ends every other session of the user, in the transaction that stores
// the new password, and gives this one a new token: a copied cookie dies either way.
// If this session ended meanwhile the password is changed, and who asks is nobody.
func (s *Site) postPassword(w http.ResponseWriter, c *call) error {
	var sent struct {
		Current string `json:"current_password"`
		New     string `json:"new_password"`
	}
	if err := c.decode(&sent); err != nil {
		return err
	}
	if err := s.o.Accounts.ChangePassword(c.Context(), c.caller(), c.actor, sent.Current, sent.New); err != nil {
		return err
	}
	if err := s.renew(c, "password_change"); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// signIn takes next with a password that was made for one sign-in; empty: none.
func (s *Site) signIn(c *call, username, password, next string) error {
	var u account.User
	var err error
	if next == "" {
		u, err = s.o.Accounts.SignIn(c.Context(), c.caller(), username, password)
	} else {
		u, err = s.o.Accounts.SignInAnew(c.Context(), c.caller(), username, password, next)
	}
	if err != nil {
		return err
	}
	return s.begin(c, u)
}

func (s *Site) signUp(c *call, username, password, displayName string) error {
	u, err := s.o.Accounts.SignUp(c.Context(), c.caller(), username, password, displayName)
	if err != nil {
		return err
	}
	return s.begin(c, u)
}

// begin gives the browser a session of u. A session of somebody else that it had
// until now ends like at a sign-out, with its sockets. A password that was changed
// while it was being proven is a wrong one: the event is the last word on it.
//
//control:name session-limit
func (s *Site) begin(c *call, u account.User) error {
	sess, err := s.o.Sessions.SignIn(c.Context(), u.ID.UUID, u.CredentialGen, c.network.String(), c.UserAgent())
	refused := errors.Is(err, session.ErrNone)
	if err != nil && !refused {
		return fmt.Errorf("begin session: %w", err)
	}
	if old := c.session; old.User != uuid.Nil {
		s.ended(c, chat.UserID{UUID: old.User}, old.SID, reasonSignOut)
	}
	c.session, c.actor = sess, chat.Actor{}
	if !refused {
		err := s.derive(c)
		if err != nil && chat.KindOf(err) != chat.Denied {
			return err
		}
		if refused = err != nil; refused { // disabled since the session was stored, and not there any more
			if err := s.o.Sessions.SignOut(c.Context()); err != nil {
				return fmt.Errorf("end refused session: %w", err)
			}
			c.session = session.Session{}
		}
	}
	if refused {
		s.record(c, audit.Event{Name: audit.LoginFail, Level: audit.Warn, Control: "password", Reason: "credential_changed", User: u.ID.String(), Username: u.Username})
		return account.ErrInvalidCredentials
	}
	s.record(c, audit.Event{Name: audit.SessionCreated, Level: audit.Info, Control: "session", Reason: "sign_in"})
	return s.trim(c)
}

// trim ends the user's oldest sessions beyond the limit, after the new one was stored:
// of two sign-ins at once, the later reading sees both. The new session is never the one
// that ends, or whoever filled the list could lock its owner out. Its next page says
// what ended; the user's other sockets are told by the revocation (internal/socket).
//
//control:name session-limit
func (s *Site) trim(c *call) error {
	ended, err := s.o.Devices.Trim(c.Context(), c.actor.User.UUID, c.session.SID, s.o.SessionsPerUser, chat.ReasonSessionLimit)
	if err != nil {
		return fmt.Errorf("limit sessions: %w", err)
	}
	for _, old := range ended {
		s.record(c, audit.Event{Name: audit.SessionsExceeded, Level: audit.Warn, Control: "session-limit", Reason: chat.ReasonSessionLimit,
			User: c.actor.User.String(), Session: audit.Ref(old.SID.String()), Count: int64(s.o.SessionsPerUser)})
		s.ended(c, c.actor.User, old.SID, chat.ReasonSessionLimit)
	}
	if len(ended) > 0 {
		s.o.Sessions.Leave(c.Context(), excess(s.o.SessionsPerUser, ended))
	}
	return nil
}

// signOut ends this session: first in the store, from where nothing brings it back,
// then on the sockets of every node, and last in the browser.
//
//control:name sign-out-cleanup
func (s *Site) signOut(w http.ResponseWriter, c *call) error {
	err := s.o.Sessions.SignOut(c.Context())
	if err != nil && !errors.Is(err, session.ErrNone) {
		return fmt.Errorf("sign out: %w", err)
	}
	s.ended(c, c.actor.User, c.session.SID, reasonSignOut)
	w.Header().Set("Clear-Site-Data", clearSiteData)
	return nil
}

// ended tells the nodes and the security log of a session that the store has ended.
// The client may be gone by now; its sockets are closed all the same.
func (s *Site) ended(c *call, user chat.UserID, sid uuid.UUID, reason string) {
	s.o.Revoker.Revoke(context.WithoutCancel(c.Context()), chat.Revocation{Session: chat.SessionID{UUID: sid}, User: user, Reason: reason, At: s.o.Now()})
	s.record(c, audit.Event{Name: audit.SessionLogout, Level: audit.Info, Control: "session", Reason: reason,
		User: user.String(), Session: audit.Ref(sid.String())})
}
