package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/password"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/text"
)

// Passwords hashes and checks passwords; guard/password is the real one.
type Passwords interface {
	// Check refuses weak passwords with an error whose text may be shown.
	Check(password, username string) error
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, hash, password string) (ok, rehash bool, err error)
	// VerifyUnknown does the work of Verify for a user that does not exist.
	VerifyUnknown(ctx context.Context, password string) error
}

// Networks tells where users have signed in from before.
type Networks interface {
	// Seen reports whether user has had a session from this network recently.
	Seen(ctx context.Context, user chat.UserID, network string) (bool, error)
}

// Revoker tells every node that a session ended. The Store has stored it already.
type Revoker interface {
	Revoke(ctx context.Context, r chat.Revocation)
}

// Options of New. All are required.
type Options struct {
	Store     Store
	Networks  Networks
	Passwords Passwords
	// Owners is Passwords with a queue of its own, for those who come from a network that
	// their account knows: strangers who fill the other are not in front of them.
	Owners  Passwords
	Limits  ratelimit.Source
	Revoker Revoker
	Audit   audit.Recorder
	Now     func() time.Time

	// TriesPerMinute is the budget of one client prefix for sign-in and sign-up.
	TriesPerMinute int
	// OpenSignUp lets anybody create an account.
	OpenSignUp bool
}

// Service is what the pages and the command line do with accounts.
type Service struct{ o Options }

// New validates the options.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Networks == nil || o.Passwords == nil || o.Owners == nil || o.Limits == nil || o.Revoker == nil || o.Audit == nil || o.Now == nil {
		return nil, errors.New("account: every dependency is required")
	}
	if o.TriesPerMinute <= 0 {
		return nil, errors.New("account: TriesPerMinute must be positive")
	}
	return &Service{o}, nil
}

// Caller is the client behind a call, for budgets and events. It is no identity.
type Caller struct {
	Network   netip.Prefix // /32 or /64
	UserAgent string
	RequestID string
}

// Errors of this package; their texts may be shown.
var (
	// ErrInvalidCredentials is the one answer to a wrong password, an unknown name and a disabled account.
	ErrInvalidCredentials = &chat.Error{Kind: chat.Denied, Public: "The user name or the password is wrong."}
	// ErrNewPassword says that the password is right and was made for one sign-in, at
	// which its owner has to choose another: call SignInAnew.
	ErrNewPassword = &chat.Error{Kind: chat.Denied, Public: "This password was made for one sign-in. Type it again, and choose your own."}
	// ErrSignUpClosed says that accounts are made by the administrator.
	ErrSignUpClosed = &chat.Error{Kind: chat.Denied, Public: "Sign-up is closed here. Ask the administrator for an account."}
)

var usernames = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])$`)

// maxDisplayName fits one line of the member list.
const maxDisplayName = 64

// SignUp creates an account for anybody, if that is open.
//
//control:name throttle
func (s *Service) SignUp(ctx context.Context, c Caller, username, pw, displayName string) (User, error) {
	if !s.o.OpenSignUp {
		return User{}, ErrSignUpClosed
	}
	if err := s.budget(ctx, c, "sign_up", s.strangers(c)...); err != nil {
		return User{}, err
	}
	u, err := s.Create(ctx, username, pw, displayName, authz.User)
	if err == nil {
		s.record(ctx, c, audit.Event{Name: audit.UserCreated, Level: audit.Info, Control: "password", User: u.ID.String()})
	}
	return u, err
}

// Create makes an account with a password that its owner has chosen.
func (s *Service) Create(ctx context.Context, username, pw, displayName string, role authz.SiteRole) (User, error) {
	return s.create(ctx, username, pw, displayName, role, time.Time{})
}

func (s *Service) create(ctx context.Context, username, pw, displayName string, role authz.SiteRole, initial time.Time) (User, error) {
	username = Fold(username)
	if !usernames.MatchString(username) {
		return User{}, invalid("A user name has 2 to 32 letters a–z, digits, dots, dashes or underscores, and starts and ends with a letter or digit.")
	}
	displayName, err := cleanDisplayName(displayName, username)
	if err != nil {
		return User{}, err
	}
	if taken, err := s.passesFor(ctx, displayName, username); err != nil {
		return User{}, err
	} else if taken {
		return User{}, &chat.Error{Kind: chat.Invalid, Public: "That display name looks like somebody else's name.", Err: text.LooksLike}
	}
	if !authz.KnownSite(role) {
		return User{}, invalid("A role is user, auditor or admin.")
	}
	if err := s.o.Passwords.Check(pw, username); err != nil {
		return User{}, invalid(err.Error())
	}
	hash, err := s.o.Passwords.Hash(ctx, pw)
	if err != nil {
		return User{}, busy(err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return User{}, fmt.Errorf("make user id: %w", err)
	}
	u := User{ID: chat.UserID{UUID: id}, Username: username, DisplayName: displayName, Role: role, PasswordHash: hash, CreatedAt: s.o.Now(), InitialUntil: initial}
	if err := s.o.Store.Create(ctx, u); err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	return u, nil
}

// SignIn proves a password. Wrong password, unknown name and disabled account
// have one answer and take the work of one argon2id hash each. The proof is of the
// User's CredentialGen: give it to session.Manager.SignIn, which refuses a later one.
//
//control:name password
func (s *Service) SignIn(ctx context.Context, c Caller, username, pw string) (User, error) {
	u, err := s.prove(ctx, c, username, pw)
	if err != nil {
		return User{}, err
	}
	if !u.InitialUntil.IsZero() {
		return User{}, ErrNewPassword
	}
	s.record(ctx, c, audit.Event{Name: audit.LoginSuccess, Level: audit.Info, Control: "password", User: u.ID.String()})
	return u, nil
}

// prove returns whose password it is. A name that nobody has costs the same work.
//
//control:name password
func (s *Service) prove(ctx context.Context, c Caller, username, pw string) (User, error) {
	username = Fold(username)
	u, err := s.o.Store.ByUsername(ctx, username)
	unknown := errors.Is(err, ErrNoUser) || u.Role == authz.Service // a program has no password
	if err != nil && !unknown {
		return User{}, fmt.Errorf("find user: %w", err)
	}
	passwords, err := s.throttle(ctx, c, username, u)
	if err != nil {
		return User{}, err
	}
	if unknown {
		if err := passwords.VerifyUnknown(ctx, pw); err != nil {
			return User{}, busy(err)
		}
		return User{}, s.refuse(ctx, c, username, u, "unknown_user")
	}
	ok, rehash, err := passwords.Verify(ctx, u.PasswordHash, pw)
	switch {
	case err != nil:
		return User{}, busy(err)
	case !ok:
		return User{}, s.refuse(ctx, c, username, u, "wrong_password")
	case u.Disabled:
		return User{}, s.refuse(ctx, c, username, u, "disabled")
	case !u.InitialUntil.IsZero() && !u.InitialUntil.After(s.o.Now()):
		return User{}, s.refuse(ctx, c, username, u, "initial_too_old")
	}
	if rehash {
		// A failure here costs nothing but another try at the next sign-in.
		if hash, err := passwords.Hash(ctx, pw); err == nil {
			_ = s.o.Store.Rehash(ctx, u.ID, u.PasswordHash, hash)
		}
	}
	return u, nil
}

// ChangePassword replaces a's password and ends every other session of a. Of two
// changes that prove the same password at once, one is made.
func (s *Service) ChangePassword(ctx context.Context, c Caller, a chat.Actor, current, next string) error {
	u, err := s.o.Store.ByID(ctx, a.User)
	if err != nil {
		return fmt.Errorf("find user: %w", err)
	}
	passwords, err := s.throttle(ctx, c, u.Username, u)
	if err != nil {
		return err
	}
	ok, _, err := passwords.Verify(ctx, u.PasswordHash, current)
	if err != nil {
		return busy(err)
	}
	if !ok {
		s.record(ctx, c, audit.Event{Name: audit.PasswordChangeFail, Level: audit.Critical, Control: "password", Reason: "wrong_password", User: u.ID.String()})
		return ErrInvalidCredentials
	}
	if err := s.o.Passwords.Check(next, u.Username); err != nil {
		return invalid(err.Error())
	}
	switch err := s.setPassword(ctx, passwords, u.ID, next, &u.CredentialGen, a.Session, time.Time{}); {
	case errors.Is(err, ErrChanged):
		s.record(ctx, c, audit.Event{Name: audit.PasswordChangeFail, Level: audit.Critical, Control: "password", Reason: "credential_changed", User: u.ID.String()})
		return ErrInvalidCredentials
	case err != nil:
		return err
	}
	s.record(ctx, c, audit.Event{Name: audit.PasswordChange, Level: audit.Info, Control: "password", User: u.ID.String()})
	return nil
}

// ProvePassword is the sign-in of somebody who is signed in already, before something
// that needs a fresh proof. It has the budgets of guessing, and the one answer.
func (s *Service) ProvePassword(ctx context.Context, c Caller, a chat.Actor, pw string) error {
	u, err := s.o.Store.ByID(ctx, a.User)
	if err != nil {
		return fmt.Errorf("find user: %w", err)
	}
	passwords, err := s.throttle(ctx, c, u.Username, u)
	if err != nil {
		return err
	}
	switch ok, _, err := passwords.Verify(ctx, u.PasswordHash, pw); {
	case err != nil:
		return busy(err)
	case !ok:
		return s.refuse(ctx, c, u.Username, u, "step_up")
	}
	return nil
}

// person finds a user who is no program: those have no password and no other role.
func (s *Service) person(ctx context.Context, username string) (User, error) {
	u, err := s.Find(ctx, username)
	if err == nil && u.Role == authz.Service {
		return User{}, invalid(u.Username + " is a service; see `portcullis service -h`.")
	}
	return u, err
}

func (s *Service) setPassword(ctx context.Context, passwords Passwords, id chat.UserID, pw string, verified *int64, keep chat.SessionID, initial time.Time) error {
	hash, err := passwords.Hash(ctx, pw)
	if err != nil {
		return busy(err)
	}
	const reason = "password_change"
	ended, err := s.o.Store.SetPassword(ctx, id, hash, verified, keep, reason, initial)
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	s.announce(ctx, id, ended, reason)
	return nil
}

// SetRole changes what a user may do outside rooms and ends their sessions, so that
// no socket lives on with the old rights.
//
//control:name admin-separation
func (s *Service) SetRole(ctx context.Context, username string, role authz.SiteRole) error {
	if !authz.KnownSite(role) {
		return invalid("A role is user, auditor or admin.")
	}
	u, err := s.person(ctx, username)
	if err != nil {
		return err
	}
	const reason = "role_change"
	ended, err := s.o.Store.SetRole(ctx, u.ID, role, reason)
	if err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	s.announce(ctx, u.ID, ended, reason)
	s.o.Audit.Record(ctx, audit.Event{Name: audit.AuthzChange, Level: audit.Warn, Control: "authz", User: u.ID.String(), Detail: string(role)})
	return nil
}

// SetDisabled disables an account or enables it again. Both end its sessions: what
// was stored meanwhile does not wake up.
func (s *Service) SetDisabled(ctx context.Context, username string, disabled bool) error {
	u, err := s.Find(ctx, username)
	if err != nil {
		return err
	}
	const reason = "disabled"
	ended, err := s.o.Store.SetDisabled(ctx, u.ID, disabled, reason)
	if err != nil {
		return fmt.Errorf("set disabled: %w", err)
	}
	s.announce(ctx, u.ID, ended, reason)
	e := audit.Event{Name: audit.UserUpdated, Level: audit.Warn, Control: "session", User: u.ID.String(), Reason: "enabled"}
	if disabled {
		e.Name, e.Reason = audit.UserDisabled, reason
	}
	s.o.Audit.Record(ctx, e)
	return nil
}

// Erase ends an account for good, for its user or an operator: nothing of the person
// stays in it, and what they wrote is emptied within the hour.
//
//control:name retention
func (s *Service) Erase(ctx context.Context, id chat.UserID) error {
	const reason = "erased"
	ended, err := s.o.Store.Erase(ctx, id, reason)
	if err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	s.announce(ctx, id, ended, reason)
	s.o.Audit.Record(ctx, audit.Event{Name: audit.UserDeleted, Level: audit.Warn, Control: "retention", Reason: reason, User: id.String()})
	return nil
}

// Find reads a user by name for the command line.
func (s *Service) Find(ctx context.Context, username string) (User, error) {
	u, err := s.o.Store.ByUsername(ctx, Fold(username))
	if err != nil {
		return User{}, fmt.Errorf("find user %q: %w", username, err)
	}
	return u, nil
}

// List returns users by name.
func (s *Service) List(ctx context.Context, limit int) ([]User, error) {
	return s.o.Store.List(ctx, limit)
}

// Actor derives who acts from a live session: the only place where an Actor is made.
func (s *Service) Actor(ctx context.Context, sess session.Session) (chat.Actor, error) {
	if sess.User == uuid.Nil {
		return chat.Actor{}, chat.ErrDenied
	}
	u, err := s.o.Store.ByID(ctx, chat.UserID{UUID: sess.User})
	if errors.Is(err, ErrNoUser) || err == nil && u.Disabled {
		return chat.Actor{}, chat.ErrDenied
	}
	if err != nil {
		return chat.Actor{}, fmt.Errorf("find user: %w", err)
	}
	return chat.Actor{User: u.ID, Session: chat.SessionID{UUID: sess.SID}, Username: u.Username, DisplayName: u.DisplayName, Role: u.Role}, nil
}

func (s *Service) announce(ctx context.Context, id chat.UserID, ended []chat.SessionID, reason string) {
	for _, sid := range ended {
		s.o.Revoker.Revoke(ctx, chat.Revocation{Session: sid, User: id, Reason: reason, At: s.o.Now()})
	}
}

func (s *Service) refuse(ctx context.Context, c Caller, username string, u User, reason string) error {
	e := audit.Event{Name: audit.LoginFail, Level: audit.Warn, Control: "password", Reason: reason, Username: username}
	if u.ID != (chat.UserID{}) {
		e.User = u.ID.String()
	}
	s.record(ctx, c, e)
	return ErrInvalidCredentials
}

func (s *Service) record(ctx context.Context, c Caller, e audit.Event) {
	e.IP, e.UserAgent, e.Request = c.Network.String(), c.UserAgent, c.RequestID
	s.o.Audit.Record(ctx, e)
}

// Fold is the one spelling of a user name: lower-case, compatibility forms folded.
func Fold(username string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimSpace(username)))
}

// cleanDisplayName brings a name to the form in which it is shown: see the package text.
func cleanDisplayName(name, username string) (string, error) {
	name, rule := text.Name(name)
	switch {
	case rule == text.Mixed:
		return "", &chat.Error{Kind: chat.Invalid, Public: "A display name cannot mix alphabets that look alike.", Err: rule}
	case rule != "":
		return "", &chat.Error{Kind: chat.Invalid, Public: "A display name cannot hold invisible, control or unknown characters.", Err: rule}
	case name == "":
		return username, nil
	case utf8.RuneCountInString(name) > maxDisplayName:
		return "", invalid("A display name has at most 64 characters.")
	}
	return name, nil
}

// reserved are names that people trust, whether somebody has them or not.
var reserved = []string{"admin", "administrator", "moderator", "operator", "portcullis", "root", "security", "support", "system"}

// passesFor reports whether name, in letters that are not ASCII, looks like a user name
// that somebody else has or that people trust. ASCII names are shown with the user name
// beside them, which tells them apart; a look-alike is made to be overlooked.
//
//control:name unicode
func (s *Service) passesFor(ctx context.Context, name, username string) (bool, error) {
	looks := text.Skeleton(name)
	ascii := !strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII })
	if ascii || looks == username {
		return false, nil
	}
	if slices.Contains(reserved, looks) {
		return true, nil
	}
	if !usernames.MatchString(looks) {
		return false, nil
	}
	_, err := s.o.Store.ByUsername(ctx, looks)
	switch {
	case errors.Is(err, ErrNoUser):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("find user: %w", err)
	}
	return true, nil
}

// busy explains that passwords cannot be worked on right now: the queue for the
// processor is full, which is what bounds the cost of a flood of sign-ins.
func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return &chat.Error{Kind: chat.Busy, Public: "Many people are signing in right now. Try again in a moment.", RetryAfter: time.Second, Err: err}
	}
	return fmt.Errorf("work on password: %w", err)
}

func invalid(public string) error { return &chat.Error{Kind: chat.Invalid, Public: public} }
