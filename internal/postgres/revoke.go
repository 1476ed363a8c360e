package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/session"
)

const (
	endSession query = `
WITH ended AS (
	UPDATE sessions s SET revoked_at = $1, revoke_reason = $4
	WHERE s.user_id = $2 AND s.sid = $3 AND ` + running + `
	RETURNING s.sid, s.user_id
), outbox AS (
	INSERT INTO revocations (session_id, user_id, reason) SELECT sid, user_id, $4 FROM ended
)
SELECT sid FROM ended`

	// endSessions takes the rows in the order of their sids, so that two such
	// statements about one user cannot wait for each other. It asks for running and not
	// for live: in the transaction that disables the user, none is live any more.
	endSessions query = `
WITH ended AS (
	UPDATE sessions SET revoked_at = $1, revoke_reason = $4
	WHERE sid IN (SELECT s.sid FROM sessions s WHERE s.user_id = $2 AND s.sid <> $3 AND ` + running + ` ORDER BY s.sid FOR UPDATE OF s)
	RETURNING sid, user_id
), outbox AS (
	INSERT INTO revocations (session_id, user_id, reason) SELECT sid, user_id, $4 FROM ended
)
SELECT sid FROM ended`
)

// Revoke ends one live session of user; false if there was none.
func (s *Sessions) Revoke(ctx context.Context, user, sid uuid.UUID, reason string) (ended bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		_, ended, err = one(ctx, c, value[uuid.UUID], endSession, s.db.now(), user, sid, reason)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("revoke session: %w", err)
	}
	return ended, nil
}

// RevokeAll ends every live session of user but keep, and returns their sids.
func (s *Sessions) RevokeAll(ctx context.Context, user, keep uuid.UUID, reason string) (sids []uuid.UUID, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		sids, err = all(ctx, c, value[uuid.UUID], endSessions, s.db.now(), user, keep, reason)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("revoke sessions: %w", err)
	}
	return sids, nil
}

const usersInside query = `SELECT DISTINCT s.user_id FROM sessions s WHERE ` + running + ` ORDER BY s.user_id`

// Users are those who have a live session.
func (s *Sessions) Users(ctx context.Context) (users []uuid.UUID, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		users, err = all(ctx, c, value[uuid.UUID], usersInside, s.db.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list users with sessions: %w", err)
	}
	return users, nil
}

// trimSessions ends what is beyond the newest limit ($4) of a user, of which keep ($3)
// is one whatever its age. It locks like endSessions, in the order of the sids.
//
//control:name session-limit
const trimSessions query = `
WITH excess AS (
	SELECT s.sid FROM sessions s WHERE s.user_id = $2 AND s.sid <> $3 AND ` + running + ` ORDER BY s.created_at DESC, s.sid OFFSET $4::int - 1
), ended AS (
	UPDATE sessions s SET revoked_at = $1, revoke_reason = $5
	WHERE s.sid IN (SELECT s.sid FROM sessions s WHERE s.sid IN (SELECT sid FROM excess) AND ` + running + ` ORDER BY s.sid FOR UPDATE OF s)
	RETURNING ` + sessionColumns + `
), outbox AS (
	INSERT INTO revocations (session_id, user_id, reason) SELECT sid, user_id, $5 FROM ended
)
SELECT ` + sessionColumns + ` FROM ended s ORDER BY s.created_at, s.sid`

// Trim ends the oldest live sessions of user until limit, at least 1, are left, and
// returns them as they were, oldest first. keep is never among them.
func (s *Sessions) Trim(ctx context.Context, user, keep uuid.UUID, limit int, reason string) (ended []session.Session, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		ended, err = all(ctx, c, scanSession, trimSessions, s.db.now(), user, keep, max(limit, 1), reason)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("trim sessions: %w", err)
	}
	return ended, nil
}

// Revocations is the outbox: what was taken away from live sockets, written in the
// transaction that took it. Nodes hear of it by push and poll it, so that a push that
// is lost makes a revocation late and never void.
type Revocations struct{ db *DB }

// There is no LIMIT: a revocation left out would leave a socket open, and a minute of
// them is small.
const revocationsSince query = `SELECT session_id, user_id, room_id, coalesce(tunnel, ''), reason, at, until FROM revocations
	WHERE at > now() - $1::bigint * interval '1 microsecond' ORDER BY id`

// Since reads what was revoked in the last window, oldest first, by the database's
// clock. A revocation becomes visible when its transaction commits, up to callTime
// after its time, so let consecutive windows overlap by more than that.
func (r *Revocations) Since(ctx context.Context, window time.Duration) (list []chat.Revocation, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, func(r row) (v chat.Revocation, err error) {
			err = r(intoID{&v.Session.UUID}, intoID{&v.User.UUID}, intoID{&v.Room.UUID}, &v.Tunnel, &v.Reason, intoTime{&v.At}, intoTime{&v.Until})
			return v, err
		}, revocationsSince, window.Microseconds())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	return list, nil
}
