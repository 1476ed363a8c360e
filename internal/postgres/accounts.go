package postgres

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Accounts is the account.Store.
type Accounts struct{ db *DB }

var _ account.Store = (*Accounts)(nil)

const userColumns = `u.id, u.username, u.display_name, u.role, u.password_hash, u.credential_gen, u.disabled_at IS NOT NULL, u.created_at, u.initial_until`

func scanUser(r row) (u account.User, err error) {
	err = r(&u.ID.UUID, &u.Username, &u.DisplayName, &u.Role, &u.PasswordHash, &u.CredentialGen, &u.Disabled, intoTime{&u.CreatedAt}, intoTime{&u.InitialUntil})
	return u, err
}

const (
	insertUser query = `INSERT INTO users (id, username, display_name, role, password_hash, created_at, initial_until) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`

	userByUsername query = `SELECT ` + userColumns + ` FROM users u WHERE u.username = $1`
	userByID       query = `SELECT ` + userColumns + ` FROM users u WHERE u.id = $1`
	// listUsers leaves the honey out: an operator who comes across it by mistake would set it off.
	listUsers query = `SELECT ` + userColumns + ` FROM users u
	WHERE NOT EXISTS (SELECT 1 FROM honey h WHERE h.kind = 'username' AND h.value = u.username) ORDER BY u.username LIMIT $1`

	// $3 is the generation in which the old password was verified, or null.
	setPassword query = `UPDATE users SET password_hash = $2, initial_until = $4, credential_gen = credential_gen + 1 WHERE id = $1 AND ($3::bigint IS NULL OR credential_gen = $3)`
	setRole     query = `UPDATE users SET role = $2, credential_gen = credential_gen + 1 WHERE id = $1`
	disable     query = `UPDATE users SET disabled_at = coalesce(disabled_at, $2), credential_gen = credential_gen + 1 WHERE id = $1`
	enable      query = `UPDATE users SET disabled_at = NULL, credential_gen = credential_gen + 1 WHERE id = $1`
	// Read after the user is locked: a revocation that committed before is seen, and one
	// that commits after is one that came after this change.
	stillRunning query = `SELECT true FROM sessions s WHERE s.sid = $2 AND s.user_id = $3 AND ` + running

	rehash query = `UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2`
)

// Create stores a new user; kind Conflict when the name is taken, or looks like one
// that is.
func (a *Accounts) Create(ctx context.Context, u account.User) error {
	err := a.db.do(ctx, func(ctx context.Context, c conn) error {
		n, err := exec(ctx, c, insertUser, u.ID.UUID, u.Username, u.DisplayName, string(u.Role), u.PasswordHash, u.CreatedAt, nullTime(u.InitialUntil))
		if err == nil && n == 0 {
			return &chat.Error{Kind: chat.Conflict, Public: "That user name is taken, or looks too much like one that is."}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return nil
}

// ByUsername finds a user by exact name; account.ErrNoUser if there is none.
func (a *Accounts) ByUsername(ctx context.Context, username string) (account.User, error) {
	return a.find(ctx, userByUsername, username)
}

// ByID finds a user; account.ErrNoUser if there is none.
func (a *Accounts) ByID(ctx context.Context, id chat.UserID) (account.User, error) {
	return a.find(ctx, userByID, id.UUID)
}

func (a *Accounts) find(ctx context.Context, q query, arg any) (u account.User, err error) {
	err = a.db.do(ctx, func(ctx context.Context, c conn) error {
		var found bool
		u, found, err = one(ctx, c, scanUser, q, arg)
		if err == nil && !found {
			return account.ErrNoUser
		}
		return err
	})
	if err != nil {
		return account.User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// SetPassword replaces the hash and ends every session of the user but keep, in one
// transaction with the outbox; account.ErrChanged if verified is not the generation, or
// keep has ended.
func (a *Accounts) SetPassword(ctx context.Context, id chat.UserID, hash string, verified *int64, keep chat.SessionID, reason string, initial time.Time) ([]chat.SessionID, error) {
	set := statement{setPassword, []any{id.UUID, hash, verified, nullTime(initial)}}
	if verified != nil {
		return a.change(ctx, id, set, account.ErrChanged, keep, reason)
	}
	// The administrator's reset: whoever got in may have left a passkey behind. Removed
	// once the user is locked, so that one which was being added is seen.
	return a.change(ctx, id, set, account.ErrNoUser, keep, reason, statement{dropPasskeys, []any{id.UUID}})
}

// SetRole changes the site role and ends every session of the user.
func (a *Accounts) SetRole(ctx context.Context, id chat.UserID, role authz.SiteRole, reason string) ([]chat.SessionID, error) {
	return a.change(ctx, id, statement{setRole, []any{id.UUID, string(role)}}, account.ErrNoUser, chat.SessionID{}, reason)
}

// SetDisabled disables an account or enables it, and ends its sessions.
func (a *Accounts) SetDisabled(ctx context.Context, id chat.UserID, disabled bool, reason string) ([]chat.SessionID, error) {
	set := statement{enable, []any{id.UUID}}
	if disabled {
		set = statement{disable, []any{id.UUID, a.db.now()}}
	}
	return a.change(ctx, id, set, account.ErrNoUser, chat.SessionID{}, reason)
}

// change runs set on one user, then ends the user's sessions, then runs the rest; it is missing if set
// found nobody. In this order, because set locks the user: a sign-in that is stored
// at the same time (proven, in commitSession) has committed before and is ended, or
// waits for us and is refused. The other way round, one could slip between.
func (a *Accounts) change(ctx context.Context, id chat.UserID, set statement, missing error, keep chat.SessionID, reason string, then ...statement) (ended []chat.SessionID, err error) {
	err = a.db.tx(ctx, func(ctx context.Context, c conn) error {
		n, err := exec(ctx, c, set.query, set.args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return missing
		}
		if keep != (chat.SessionID{}) {
			// Whoever asks was signed in when they began; proving a password takes its time.
			if _, found, err := one(ctx, c, value[bool], stillRunning, a.db.now(), keep.UUID, id.UUID); err != nil || !found {
				return cmp.Or(err, account.ErrChanged)
			}
		}
		sids, err := all(ctx, c, value[uuid.UUID], endSessions, a.db.now(), id.UUID, keep.UUID, reason)
		for _, sid := range sids {
			ended = append(ended, chat.SessionID{UUID: sid})
		}
		for _, next := range then {
			if err == nil {
				_, err = exec(ctx, c, next.query, next.args...)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("change user: %w", err)
	}
	return ended, nil
}

// Rehash replaces oldHash if it is still the stored one, and does nothing otherwise: a
// password that was changed meanwhile must not come back.
func (a *Accounts) Rehash(ctx context.Context, id chat.UserID, oldHash, newHash string) error {
	err := a.db.do(ctx, func(ctx context.Context, c conn) error {
		_, err := exec(ctx, c, rehash, id.UUID, oldHash, newHash)
		return err
	})
	if err != nil {
		return fmt.Errorf("rehash password: %w", err)
	}
	return nil
}

// List returns users by name, at most limit.
func (a *Accounts) List(ctx context.Context, limit int) (list []account.User, err error) {
	err = a.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanUser, listUsers, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return list, nil
}
