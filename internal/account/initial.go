package account

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/secret"
)

// initialFor is how long a password that an administrator hands over may lie about.
const initialFor = 24 * time.Hour

// Initial is a password that nobody has chosen: 130 random bits, for one sign-in.
type Initial struct {
	Password secret.Text
	Until    time.Time
}

func (s *Service) initial() Initial {
	return Initial{secret.NewText(rand.Text()), s.o.Now().Add(initialFor).UTC().Truncate(time.Microsecond)}
}

// Invite makes an account for somebody else. Who does it, an administrator with the
// command line, never chooses a password and knows none that goes on working: at the
// first sign-in the new owner has to choose one.
//
//control:name password
func (s *Service) Invite(ctx context.Context, username, displayName string, role authz.SiteRole) (User, Initial, error) {
	in := s.initial()
	u, err := s.create(ctx, username, in.Password.Reveal(), displayName, role, in.Until)
	if err != nil {
		return User{}, Initial{}, err
	}
	s.o.Audit.Record(ctx, audit.Event{Name: audit.AuthzAdmin, Level: audit.Warn, Control: "password", Reason: "user_add", User: u.ID.String(), Detail: string(u.Role)})
	return u, in, nil
}

// ResetPassword is the administrator's: it ends every session of the user, and holds
// whatever the user changes at the same time. The password it makes is initial, too.
func (s *Service) ResetPassword(ctx context.Context, username string) (Initial, error) {
	u, err := s.person(ctx, username)
	if err != nil {
		return Initial{}, err
	}
	in := s.initial()
	if err := s.setPassword(ctx, s.o.Owners, u.ID, in.Password.Reveal(), nil, chat.SessionID{}, in.Until); err != nil {
		return Initial{}, err
	}
	s.o.Audit.Record(ctx, audit.Event{Name: audit.AuthzAdmin, Level: audit.Warn, Control: "password", Reason: "password_reset", User: u.ID.String()})
	return in, nil
}

// SignInAnew proves an initial password, replaces it by next, and is the sign-in. Of two
// that use it at once, one is served.
//
//control:name password
func (s *Service) SignInAnew(ctx context.Context, c Caller, username, pw, next string) (User, error) {
	u, err := s.prove(ctx, c, username, pw)
	switch {
	case err != nil:
		return User{}, err
	case u.InitialUntil.IsZero():
		return User{}, invalid("This password is your own already. Change it on the page of sessions.")
	case next == pw:
		return User{}, invalid("Choose another password than the one you were given.")
	}
	if err := s.o.Passwords.Check(next, u.Username); err != nil {
		return User{}, invalid(err.Error())
	}
	switch err := s.setPassword(ctx, s.o.Owners, u.ID, next, &u.CredentialGen, chat.SessionID{}, time.Time{}); {
	case errors.Is(err, ErrChanged):
		return User{}, s.refuse(ctx, c, u.Username, u, "credential_changed")
	case err != nil:
		return User{}, err
	}
	s.record(ctx, c, audit.Event{Name: audit.PasswordChange, Level: audit.Info, Control: "password", Reason: "initial", User: u.ID.String()})
	s.record(ctx, c, audit.Event{Name: audit.LoginSuccess, Level: audit.Info, Control: "password", User: u.ID.String()})
	u.CredentialGen++ // the one that was made here, whatever came since
	u.InitialUntil = time.Time{}
	return u, nil
}
