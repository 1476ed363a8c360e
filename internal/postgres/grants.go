package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/tunnel"
)

// Grants keeps who may open a tunnel to which target, until when.
type Grants struct{ db *DB }

// Grants returns the store of tunnel grants.
func (db *DB) Grants() *Grants { return &Grants{db} }

const (
	// lockGrantee makes two grants for one user come one after the other. Both people
	// must be enabled, and who gives a grant an administrator.
	lockGrantee query = `SELECT u.id FROM users u WHERE u.id = $1 AND u.disabled_at IS NULL FOR NO KEY UPDATE OF u`
	// replaceGrant ends the tunnels of the grant before: the new one may be for less.
	replaceGrant query = `
WITH replaced AS (
	UPDATE tunnel_grants SET revoked_at = $3 WHERE user_id = $1 AND target = $2 AND revoked_at IS NULL
	RETURNING user_id, target
)
INSERT INTO revocations (user_id, tunnel, reason) SELECT user_id, target, 'tunnel_replaced' FROM replaced`
	giveGrant query = `
INSERT INTO tunnel_grants (user_id, target, granted_by, reason, at, until)
SELECT $1::uuid, $2, u.id, $4, $5::timestamptz, $6::timestamptz FROM users u
WHERE u.id = $3 AND u.role = 'admin' AND u.disabled_at IS NULL`

	// takeGrant and its entry in the outbox are one statement.
	takeGrant query = `
WITH taken AS (
	UPDATE tunnel_grants SET revoked_at = $3 WHERE user_id = $1 AND target = $2 AND revoked_at IS NULL
	RETURNING user_id, target
), outbox AS (
	INSERT INTO revocations (user_id, tunnel, reason) SELECT user_id, target, $4 FROM taken
)
SELECT user_id FROM taken`

	grantColumns = `g.user_id, g.target, g.granted_by, g.reason, g.at, g.until`

	grantOf query = `SELECT ` + grantColumns + ` FROM tunnel_grants g JOIN users u ON u.id = g.user_id
	WHERE g.user_id = $1 AND g.target = $2 AND g.revoked_at IS NULL AND g.until > $3 AND u.disabled_at IS NULL`
	grantsOfUser query = `SELECT ` + grantColumns + ` FROM tunnel_grants g JOIN users u ON u.id = g.user_id
	WHERE g.user_id = $1 AND g.revoked_at IS NULL AND g.until > $2 AND u.disabled_at IS NULL ORDER BY g.target LIMIT 100`
	allGrants query = `SELECT ` + grantColumns + ` FROM tunnel_grants g
	WHERE g.revoked_at IS NULL AND g.until > $1 ORDER BY g.until LIMIT 1000`
)

func scanGrant(r row) (g tunnel.Grant, err error) {
	err = r(intoID{&g.User}, &g.Target, intoID{&g.GrantedBy}, &g.Reason, intoTime{&g.At}, intoTime{&g.Until})
	return g, err
}

// Give stores g instead of what g.User had for the target. Kind Denied: there is no
// such user, or who gives it is no administrator.
func (s *Grants) Give(ctx context.Context, g tunnel.Grant) error {
	if err := g.Check(); err != nil {
		return &chat.Error{Kind: chat.Invalid, Public: err.Error(), Err: err}
	}
	err := s.db.tx(ctx, func(ctx context.Context, c conn) error {
		_, found, err := one(ctx, c, value[uuid.UUID], lockGrantee, g.User)
		if err != nil {
			return err
		}
		if !found {
			return chat.ErrDenied
		}
		if _, err := exec(ctx, c, replaceGrant, g.User, g.Target, g.At); err != nil {
			return err
		}
		n, err := exec(ctx, c, giveGrant, g.User, g.Target, g.GrantedBy, g.Reason, g.At, g.Until)
		if err == nil && n == 0 {
			return chat.ErrDenied
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("give tunnel grant: %w", err)
	}
	return nil
}

// Take ends the grant of user for target, in one statement with its entry in the
// outbox; false if there was none.
func (s *Grants) Take(ctx context.Context, user uuid.UUID, target, reason string) (taken bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		_, taken, err = one(ctx, c, value[uuid.UUID], takeGrant, user, target, s.db.now(), reason)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take tunnel grant: %w", err)
	}
	return taken, nil
}

// Grant reads the live grant of user for target; kind Denied if there is none. It asks
// the same of the database for every name.
func (s *Grants) Grant(ctx context.Context, user uuid.UUID, target string, now time.Time) (g tunnel.Grant, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		var found bool
		g, found, err = one(ctx, c, scanGrant, grantOf, user, target, now)
		if err == nil && !found {
			return chat.ErrDenied
		}
		return err
	})
	if err != nil {
		return tunnel.Grant{}, fmt.Errorf("read tunnel grant: %w", err)
	}
	return g, nil
}

// OfUser lists the live grants of user, by target.
func (s *Grants) OfUser(ctx context.Context, user uuid.UUID, now time.Time) (list []tunnel.Grant, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanGrant, grantsOfUser, user, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tunnel grants: %w", err)
	}
	return list, nil
}

// All lists every live grant, those that end first first.
func (s *Grants) All(ctx context.Context, now time.Time) (list []tunnel.Grant, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanGrant, allGrants, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tunnel grants: %w", err)
	}
	return list, nil
}
