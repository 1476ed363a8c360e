// Package account is about people: signing up and in, passwords, roles, disabling.
//
// Threat: guessing passwords (many for one account, one for many accounts, from
// one address or from thousands), learning which accounts exist from an answer or
// from its timing, using the guard against guessing to lock a victim out, and
// signing in with a session that should have ended (CWE-307, CWE-204, ASVS 6.3.1,
// 6.3.8, 7.4.2).
//
// Rule: one answer and equal work for a wrong password and an unknown name; tries
// are budgeted per account and client prefix together, per client prefix, and
// over all, so that an attacker elsewhere cannot use up the victim's own tries; a change of
// password, role or standing ends the user's other sessions in one transaction
// and tells every node. Proving a password takes a tenth of a second, in which it
// can be changed: every change raises the user's credential generation, and what
// was proven in another generation neither becomes a session nor changes a password.
//
// Not covered: a password that the attacker knows already, and a user who signs in
// on a machine that the attacker controls.
package account

import (
	"context"
	"errors"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// User is an account as stored.
type User struct {
	ID           chat.UserID
	Username     string // lower-case ASCII, unique
	DisplayName  string
	Role         authz.SiteRole
	PasswordHash string // argon2id in PHC form
	// CredentialGen rises with every change of password, role or standing. Whatever is
	// decided by this User holds as long as the stored one is the same.
	CredentialGen int64
	Disabled      bool
	CreatedAt     time.Time
	// InitialUntil is when a password that nobody has chosen stops opening anything; zero:
	// the user has chosen it.
	InitialUntil time.Time
}

// Errors of a Store. They never reach a client.
var (
	// ErrNoUser says that there is no such account.
	ErrNoUser = errors.New("no such user")
	// ErrChanged says that the password, role or standing is not the verified one any more.
	ErrChanged = errors.New("credential changed meanwhile")
)

// Store keeps accounts. The three Set methods raise the user's credential generation
// and end sessions in the same transaction, with entries in the revocation outbox, and
// return the ended sids. They change the user first and end sessions second: a sign-in
// that is stored at the same time is then either refused or ended.
type Store interface {
	// Create stores a new user; *chat.Error of kind Conflict when the name is taken.
	Create(ctx context.Context, u User) error
	// ByUsername and ByID return ErrNoUser when there is none.
	ByUsername(ctx context.Context, username string) (User, error)
	ByID(ctx context.Context, id chat.UserID) (User, error)
	// SetPassword replaces the hash and ends every session of the user but keep. It is
	// ErrChanged, and nothing happens, if verified is given and not the stored generation,
	// or keep is given and has ended since. initial is the new User.InitialUntil.
	SetPassword(ctx context.Context, id chat.UserID, hash string, verified *int64, keep chat.SessionID, reason string, initial time.Time) ([]chat.SessionID, error)
	// SetRole changes the site role and ends every session of the user.
	SetRole(ctx context.Context, id chat.UserID, role authz.SiteRole, reason string) ([]chat.SessionID, error)
	// SetDisabled disables or enables an account; both end every session.
	SetDisabled(ctx context.Context, id chat.UserID, disabled bool, reason string) ([]chat.SessionID, error)
	// Erase makes an account nobody's and ends every session of it; ErrNoUser if it is already.
	Erase(ctx context.Context, id chat.UserID, reason string) ([]chat.SessionID, error)
	// Rehash replaces oldHash by newHash if it is still the stored one.
	Rehash(ctx context.Context, id chat.UserID, oldHash, newHash string) error
	// List returns users by name, at most limit.
	List(ctx context.Context, limit int) ([]User, error)
}
