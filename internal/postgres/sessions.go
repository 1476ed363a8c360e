package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/session"
)

// Sessions is the session.Store.
//
// A session is a row of sessions and lives on while its tokens, rows of
// session_tokens, change. Whether it is live is the condition live below and nothing
// else; no statement clears revoked_at or moves ends_at later. Statements lock the user before
// the session and the session before its token, all of them, so that two cannot wait
// for each other.
type Sessions struct{ db *DB }

var _ session.Store = (*Sessions)(nil)

const (
	// running is true of a session s that has not ended at the time $1.
	//
	//control:name session
	running = `s.revoked_at IS NULL AND s.idle_ends_at > $1 AND s.ends_at > $1`

	// live is true of a session s that may be used at the time $1.
	live = running + ` AND (SELECT u.disabled_at FROM users u WHERE u.id = s.user_id) IS NULL`

	sessionColumns = `s.sid, s.user_id, s.created_at, s.authenticated_at, s.last_seen_at, s.idle_ends_at, s.ends_at, s.ip, s.user_agent`
)

func scanSession(r row) (s session.Session, err error) {
	err = r(&s.SID, intoID{&s.User}, intoTime{&s.CreatedAt}, intoTime{&s.AuthenticatedAt}, intoTime{&s.LastSeenAt},
		intoTime{&s.IdleEndsAt}, intoTime{&s.EndsAt}, &s.IP, &s.UserAgent)
	return s, err
}

const findSession query = `SELECT t.data FROM session_tokens t JOIN sessions s ON s.sid = t.sid
	WHERE t.token_hash = $2 AND t.retired_at IS NULL AND ` + live

// FindCtx reads the data of a token in use of a live session.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		data, found, err = one(ctx, c, value[[]byte], findSession, s.db.now(), session.HashToken(token))
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("find session: %w", err)
	}
	return data, found, nil
}

// commitSession stores a session and its token, or changes nothing.
//
// It inserts a signed-in session only if its user is enabled and still of the
// generation ($13) whose password was proven. The row of the user stays locked until
// the commit, so that a change of it comes wholly before this sign-in, which then
// inserts nothing, or wholly after, and ends the session. Sessions that exist do not
// lock their user: a revocation has found them.
//
// It inserts nothing if the token is retired or another session's, and gives an
// existing session another token only in a renewal ($12). The index
// session_tokens_in_use holds that renewal to having retired the token before. On a
// session that exists, it moves the idle end, if the session is live; that is decided
// on the row's newest version under its lock, so a revocation that commits first wins.
// It does not touch ends_at, created_at, the user, or where the session came from.
//
//control:name session
const commitSession query = `
WITH proven AS MATERIALIZED (
	SELECT 1 FROM users u
	WHERE u.id = $3 AND u.disabled_at IS NULL AND u.credential_gen = $13 AND NOT EXISTS (SELECT 1 FROM sessions x WHERE x.sid = $2)
	FOR SHARE OF u
), saved AS (
	INSERT INTO sessions AS s (sid, user_id, created_at, authenticated_at, last_seen_at, idle_ends_at, ends_at, ip, user_agent)
	SELECT $2::uuid, $3::uuid, $4::timestamptz, $5::timestamptz, $1::timestamptz, least($6::timestamptz, $7::timestamptz), $7::timestamptz, $8, $9
	WHERE least($6::timestamptz, $7::timestamptz) > $1
		AND NOT EXISTS (SELECT 1 FROM session_tokens t WHERE t.token_hash = $10 AND (t.retired_at IS NOT NULL OR t.sid <> $2))
		AND (EXISTS (SELECT 1 FROM session_tokens t WHERE t.token_hash = $10)
			OR NOT EXISTS (SELECT 1 FROM sessions x WHERE x.sid = $2)
			OR $12::boolean)
		AND ($3 IS NULL OR EXISTS (SELECT 1 FROM sessions x WHERE x.sid = $2) OR EXISTS (SELECT 1 FROM proven))
	ON CONFLICT (sid) DO UPDATE SET
		last_seen_at = $1,
		idle_ends_at = least(excluded.idle_ends_at, s.ends_at),
		authenticated_at = greatest(s.authenticated_at, excluded.authenticated_at)
	WHERE s.user_id IS NOT DISTINCT FROM excluded.user_id AND ` + live + `
	RETURNING s.sid
)
INSERT INTO session_tokens (token_hash, sid, data)
SELECT $10, sid, $11 FROM saved
ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data
WHERE session_tokens.retired_at IS NULL AND session_tokens.sid = excluded.sid`

// CommitCtx stores a session's data; session.ErrNone if it stored nothing, for which
// see session.Store.
// idleEnd is scs's expiry. A new session ends where its own record says.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, idleEnd time.Time) error {
	r, err := session.ParseRecord(data)
	if err != nil {
		return fmt.Errorf("commit session: %w", err)
	}
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		n, err := exec(ctx, c, commitSession, s.db.now(), r.SID, null(r.User), r.CreatedAt, nullTime(r.AuthenticatedAt),
			idleEnd, r.EndsAt, r.IP, r.UserAgent, session.HashToken(token), data, session.IsRenewing(ctx), r.CredentialGen)
		if err == nil && n == 0 {
			return session.ErrNone
		}
		return err
	})
	if violates(err, "session_tokens_in_use") {
		err = session.ErrNone // the session has a token: that of a renewal that was faster, or the one to be renewed
	}
	if err != nil {
		return fmt.Errorf("commit session: %w", err)
	}
	return nil
}

const (
	// signOut asks whose token it is and not whether it is in use: a renewal may have
	// retired it since the request loaded the session, which is to end all the same.
	signOut query = `
WITH ended AS (
	UPDATE sessions s SET revoked_at = $1, revoke_reason = 'sign_out'
	FROM session_tokens t
	WHERE t.token_hash = $2 AND s.sid = t.sid AND s.revoked_at IS NULL
	RETURNING s.sid, s.user_id
)
INSERT INTO revocations (session_id, user_id, reason) SELECT sid, user_id, 'sign_out' FROM ended`

	retireToken  query = `UPDATE session_tokens SET retired_at = $1, data = '' WHERE token_hash = $2 AND retired_at IS NULL`
	retireTokens query = `UPDATE session_tokens SET retired_at = $1, data = ''
	WHERE sid = (SELECT t.sid FROM session_tokens t WHERE t.token_hash = $2) AND retired_at IS NULL`
)

// DeleteCtx ends the session that a token was given for, with all its tokens and the
// entry in the outbox, in one transaction; within session.Renewing only the token.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	hash, now := session.HashToken(token), s.db.now()
	err := s.db.tx(ctx, func(ctx context.Context, c conn) error {
		if session.IsRenewing(ctx) {
			_, err := exec(ctx, c, retireToken, now, hash)
			return err
		}
		if _, err := exec(ctx, c, signOut, now, hash); err != nil {
			return err
		}
		// A statement of its own: it sees the token of a renewal that signOut waited for.
		_, err := exec(ctx, c, retireTokens, now, hash)
		return err
	})
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// Find, Commit and Delete are there because scs.CtxStore asks for them; scs calls the
// forms with a context.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Sessions) Commit(token string, data []byte, idleEnd time.Time) error {
	return s.CommitCtx(context.Background(), token, data, idleEnd)
}

// Delete is DeleteCtx without a context.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

const (
	peekSession query = `SELECT ` + sessionColumns + ` FROM session_tokens t JOIN sessions s ON s.sid = t.sid
		WHERE t.token_hash = $2 AND t.retired_at IS NULL AND ` + live
	liveSession    query = `SELECT ` + sessionColumns + ` FROM sessions s WHERE s.sid = $2 AND ` + live
	touchSession   query = `UPDATE sessions s SET idle_ends_at = least($3, s.ends_at), last_seen_at = $1 WHERE s.sid = $2 AND ` + live + ` RETURNING ` + sessionColumns
	sessionsOfUser query = `SELECT ` + sessionColumns + ` FROM sessions s WHERE s.user_id = $2 AND ` + live + ` ORDER BY s.created_at DESC, s.sid LIMIT 200`
	sessionFrom    query = `SELECT true FROM sessions WHERE user_id = $1 AND ip = $2 LIMIT 1`
)

// Peek reads the live session of a token and changes nothing.
func (s *Sessions) Peek(ctx context.Context, token string) (session.Session, error) {
	return s.read(ctx, "peek at session", peekSession, s.db.now(), session.HashToken(token))
}

// Live reads a live session by sid and changes nothing.
func (s *Sessions) Live(ctx context.Context, sid uuid.UUID) (session.Session, error) {
	return s.read(ctx, "read session", liveSession, s.db.now(), sid)
}

// Touch moves the idle end of a live session, at most to its absolute end.
func (s *Sessions) Touch(ctx context.Context, sid uuid.UUID, idleEnd time.Time) (session.Session, error) {
	return s.read(ctx, "touch session", touchSession, s.db.now(), sid, idleEnd)
}

func (s *Sessions) read(ctx context.Context, op string, q query, args ...any) (got session.Session, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		var found bool
		got, found, err = one(ctx, c, scanSession, q, args...)
		if err == nil && !found {
			return session.ErrNone
		}
		return err
	})
	if err != nil {
		return session.Session{}, fmt.Errorf("%s: %w", op, err)
	}
	return got, nil
}

// OfUser lists the live sessions of a user, newest first, at most 200.
func (s *Sessions) OfUser(ctx context.Context, user uuid.UUID) (list []session.Session, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanSession, sessionsOfUser, s.db.now(), user)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// Seen reports whether user had a session from a network, live or not, as far back as
// tombstones reach: a day after the session's end. It is account.Networks.
func (s *Sessions) Seen(ctx context.Context, user chat.UserID, network string) (seen bool, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		_, seen, err = one(ctx, c, value[bool], sessionFrom, user.UUID, network)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look up network: %w", err)
	}
	return seen, nil
}
