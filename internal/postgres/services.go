package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/session"
)

// Services is the account.ServiceStore.
type Services struct{ db *DB }

var _ account.ServiceStore = (*Services)(nil)

// Services is the account.ServiceStore.
func (db *DB) Services() *Services { return &Services{db} }

const (
	insertServiceKey query = `INSERT INTO service_keys (id, user_id, hash, created_at) VALUES ($1, $2, $3, $4)`

	// serviceUser locks the service, so that a rotation and a ticket come one after the other.
	serviceUser query = `SELECT u.id FROM users u WHERE u.id = $1 AND u.role = 'service' FOR UPDATE OF u`
	endKeys     query = `UPDATE service_keys SET ends_at = least(ends_at, $2) WHERE user_id = $1`

	// endSessionsAt moves the end of the sessions of a service's keys forward to $3, and
	// tells the nodes, whose sockets know another. It locks like endSessions.
	endSessionsAt query = `
WITH sooner AS (
	UPDATE sessions SET ends_at = $3, idle_ends_at = least(idle_ends_at, $3)
	WHERE sid IN (SELECT s.sid FROM sessions s WHERE s.user_id = $2 AND s.ends_at > $3 AND ` + running + ` ORDER BY s.sid FOR UPDATE OF s)
	RETURNING sid, user_id
), outbox AS (
	INSERT INTO revocations (session_id, user_id, reason, until) SELECT sid, user_id, $4, $3 FROM sooner
)
SELECT sid FROM sooner`

	listServices query = `SELECT ` + userColumns + `, (SELECT count(*) FROM service_keys k WHERE k.user_id = u.id AND (k.ends_at IS NULL OR k.ends_at > $1))
		FROM users u WHERE u.role = 'service' ORDER BY u.username LIMIT $2`

	serviceByKey query = `SELECT ` + userColumns + `, k.hash, k.created_at, k.ends_at FROM service_keys k JOIN users u ON u.id = k.user_id
		WHERE k.id = $2 AND (k.ends_at IS NULL OR k.ends_at > $1)`

	// keyUser locks user and key, in the order of all statements: user first.
	keyUser query = `SELECT u.id FROM users u JOIN service_keys k ON k.user_id = u.id
		WHERE k.id = $2 AND u.role = 'service' AND u.disabled_at IS NULL AND (k.ends_at IS NULL OR k.ends_at > $1) FOR UPDATE OF u, k`
	sessionOfKey query = `SELECT ` + sessionColumns + ` FROM service_keys k JOIN sessions s ON s.sid = k.sid WHERE k.id = $2 AND ` + live

	// insertServiceSession ends it with its key at the latest, by what the key says under
	// its lock: a rotation may have come since the key was proven.
	//
	//control:name service-identity
	insertServiceSession query = `
INSERT INTO sessions AS s (sid, user_id, created_at, authenticated_at, last_seen_at, idle_ends_at, ends_at, ip, user_agent)
SELECT $1::uuid, $2::uuid, $3::timestamptz, $3, $3, least($4::timestamptz, $5::timestamptz, k.ends_at), least($5, k.ends_at), $6, $7
FROM service_keys k WHERE k.id = $8
RETURNING ` + sessionColumns
	setKeySession query = `UPDATE service_keys SET sid = $2 WHERE id = $1`
)

// CreateService stores a new service with its key; kind Conflict when the name is taken.
func (s *Services) CreateService(ctx context.Context, u account.User, k account.ServiceKey) error {
	err := s.db.tx(ctx, func(ctx context.Context, c conn) error {
		n, err := exec(ctx, c, insertUser, u.ID.UUID, u.Username, u.DisplayName, string(u.Role), u.PasswordHash, u.CreatedAt, nil)
		if err != nil {
			return err
		}
		if n == 0 {
			return &chat.Error{Kind: chat.Conflict, Public: "That name is taken, or looks too much like one that is."}
		}
		_, err = exec(ctx, c, insertServiceKey, k.ID, u.ID.UUID, k.Hash[:], k.CreatedAt)
		return err
	})
	if err != nil {
		return fmt.Errorf("create service: %w", err)
	}
	return nil
}

// RotateServiceKey adds a key, sets an end to those before it, and the same end to their
// sessions: now, if that is when it is. It returns those that end sooner for it.
//
//control:name service-identity
func (s *Services) RotateServiceKey(ctx context.Context, user chat.UserID, k account.ServiceKey, until time.Time, reason string) (ended []chat.SessionID, err error) {
	err = s.db.tx(ctx, func(ctx context.Context, c conn) error {
		_, found, err := one(ctx, c, value[uuid.UUID], serviceUser, user.UUID)
		if err != nil {
			return err
		}
		if !found {
			return account.ErrNoUser
		}
		if _, err := exec(ctx, c, endKeys, user.UUID, until); err != nil {
			return err
		}
		if _, err := exec(ctx, c, insertServiceKey, k.ID, user.UUID, k.Hash[:], k.CreatedAt); err != nil {
			return err
		}
		var sids []uuid.UUID
		if now := s.db.now(); until.After(now) {
			sids, err = all(ctx, c, value[uuid.UUID], endSessionsAt, now, user.UUID, until, reason)
		} else {
			sids, err = all(ctx, c, value[uuid.UUID], endSessions, now, user.UUID, uuid.Nil, reason)
		}
		for _, sid := range sids {
			ended = append(ended, chat.SessionID{UUID: sid})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rotate key: %w", err)
	}
	return ended, nil
}

// Services lists services by name, at most limit.
func (s *Services) Services(ctx context.Context, limit int) (list []account.ServiceInfo, err error) {
	err = s.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, func(r row) (v account.ServiceInfo, err error) {
			v.User, err = scanUser(func(targets ...any) error { return r(append(targets, &v.Keys)...) })
			return v, err
		}, listServices, s.db.now(), limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	return list, nil
}

// ServiceByKey finds a key that has not ended and its user; account.ErrNoUser.
func (s *Services) ServiceByKey(ctx context.Context, keyID string) (account.User, account.ServiceKey, error) {
	type found struct {
		user account.User
		key  account.ServiceKey
	}
	var f found
	err := s.db.do(ctx, func(ctx context.Context, c conn) error {
		var ok bool
		var err error
		f, ok, err = one(ctx, c, func(r row) (f found, err error) {
			var hash []byte
			f.key.ID = keyID
			f.user, err = scanUser(func(targets ...any) error {
				return r(append(targets, &hash, intoTime{&f.key.CreatedAt}, intoTime{&f.key.EndsAt})...)
			})
			copy(f.key.Hash[:], hash)
			return f, err
		}, serviceByKey, s.db.now(), keyID)
		if err == nil && !ok {
			return account.ErrNoUser
		}
		return err
	})
	if err != nil {
		return account.User{}, account.ServiceKey{}, fmt.Errorf("find key: %w", err)
	}
	return f.user, f.key, nil
}

// ServiceSession returns the live session of a key, or makes next its session. A change
// of the user or a rotation comes wholly before, and refuses it, or wholly after, and
// finds the session.
func (s *Services) ServiceSession(ctx context.Context, keyID string, next session.Session) (got session.Session, err error) {
	err = s.db.tx(ctx, func(ctx context.Context, c conn) error {
		now := s.db.now()
		user, found, err := one(ctx, c, value[uuid.UUID], keyUser, now, keyID)
		if err != nil {
			return err
		}
		if !found || user != next.User {
			return session.ErrNone
		}
		if got, found, err = one(ctx, c, scanSession, sessionOfKey, now, keyID); err != nil || found {
			return err
		}
		if got, _, err = one(ctx, c, scanSession, insertServiceSession, next.SID, next.User, next.CreatedAt, next.IdleEndsAt, next.EndsAt, next.IP, next.UserAgent, keyID); err != nil {
			return err
		}
		_, err = exec(ctx, c, setKeySession, keyID, next.SID)
		return err
	})
	if err != nil {
		return session.Session{}, fmt.Errorf("session of a service: %w", err)
	}
	return got, nil
}
