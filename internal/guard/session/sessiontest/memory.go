// Package sessiontest holds every session.Store to the same promises: what ended
// stays ended, in whatever order the events arrive. It is for tests.
package sessiontest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/portcullis/internal/guard/session"
	"github.com/google/uuid"
)

// Clock is a time that only moves when a test says so.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a Clock that starts at the present second.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Second)} }

// Now returns the time of the Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the Clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Memory is a session.Store in memory: the double for tests of everything that needs
// one. It passes Contract.
type Memory struct {
	mu       sync.Mutex
	now      func() time.Time
	rows     map[uuid.UUID]*row // by sid; revoked ones stay, as tombstones
	disabled map[uuid.UUID]bool
	gens     map[uuid.UUID]int64 // credential generations; 0 of who is not in it
	order    int
}

type row struct {
	session session.Session
	hash    []byte   // of the token; nil between the two halves of a renewal
	retired [][]byte // of the tokens before it
	data    []byte
	revoked bool
	order   int // of creation
}

// NewMemory returns an empty Memory.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, rows: make(map[uuid.UUID]*row), disabled: make(map[uuid.UUID]bool), gens: make(map[uuid.UUID]int64)}
}

// Disable makes user one who may no longer sign in, as far as Live and new sessions are
// concerned.
func (m *Memory) Disable(user uuid.UUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disabled[user] = true
}

// Change raises the credential generation of user, which is 0 at first, as a new
// password does, and leaves sessions alone.
func (m *Memory) Change(user uuid.UUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gens[user]++
}

func (m *Memory) alive(r *row) bool {
	return r != nil && !r.revoked && r.session.EndsFirst().After(m.now())
}

// byToken finds the row of a token, live or not.
func (m *Memory) byToken(token string) *row {
	hash := session.HashToken(token)
	for _, r := range m.rows {
		if bytes.Equal(r.hash, hash) {
			return r
		}
	}
	return nil
}

// byRetired finds the row that a token was given for before a renewal.
func (m *Memory) byRetired(token string) *row {
	hash := session.HashToken(token)
	for _, r := range m.rows {
		if slices.ContainsFunc(r.retired, func(h []byte) bool { return bytes.Equal(h, hash) }) {
			return r
		}
	}
	return nil
}

// FindCtx implements session.Store.
func (m *Memory) FindCtx(_ context.Context, token string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.byToken(token)
	if !m.alive(r) {
		return nil, false, nil
	}
	return bytes.Clone(r.data), true, nil
}

// CommitCtx implements session.Store.
func (m *Memory) CommitCtx(ctx context.Context, token string, data []byte, idleEnd time.Time) error {
	rec, err := session.ParseRecord(data)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	owner, r := m.byToken(token), m.rows[rec.SID]
	switch {
	case owner == nil && r == nil:
		r = &row{order: m.order + 1, session: session.Session{
			SID: rec.SID, User: rec.User, CreatedAt: rec.CreatedAt, IdleEndsAt: idleEnd, EndsAt: rec.EndsAt,
		}}
		if !m.alive(r) || rec.User != uuid.Nil && (m.disabled[rec.User] || m.gens[rec.User] != rec.CredentialGen) {
			return session.ErrNone
		}
		m.order++
		m.rows[rec.SID] = r
	case owner == nil && r.hash == nil && session.IsRenewing(ctx):
	case owner != nil && owner == r:
	default:
		return session.ErrNone // another session's token, or a token that this session does not have any more
	}
	if !m.alive(r) || r.session.User != rec.User || !idleEnd.After(m.now()) {
		return session.ErrNone
	}
	r.hash, r.data = session.HashToken(token), bytes.Clone(data)
	r.session.AuthenticatedAt, r.session.LastSeenAt = rec.AuthenticatedAt, m.now()
	r.session.IP, r.session.UserAgent = rec.IP, rec.UserAgent
	r.session.IdleEndsAt = earliest(idleEnd, r.session.EndsAt)
	return nil
}

// DeleteCtx implements session.Store.
func (m *Memory) DeleteCtx(ctx context.Context, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.byToken(token)
	if session.IsRenewing(ctx) {
		if r != nil {
			r.retired, r.hash = append(r.retired, r.hash), nil
		}
		return nil
	}
	if r == nil {
		r = m.byRetired(token)
	}
	if r != nil {
		r.revoked = true
	}
	return nil
}

// Peek implements session.Store.
func (m *Memory) Peek(_ context.Context, token string) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read(m.byToken(token))
}

// Live implements session.Store.
func (m *Memory) Live(_ context.Context, sid uuid.UUID) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.read(m.rows[sid])
	if err == nil && m.disabled[s.User] {
		return session.Session{}, session.ErrNone
	}
	return s, err
}

func (m *Memory) read(r *row) (session.Session, error) {
	if !m.alive(r) {
		return session.Session{}, session.ErrNone
	}
	return r.session, nil
}

// Touch implements session.Store.
func (m *Memory) Touch(_ context.Context, sid uuid.UUID, idleEnd time.Time) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[sid]
	if !m.alive(r) {
		return session.Session{}, session.ErrNone
	}
	r.session.LastSeenAt = m.now()
	r.session.IdleEndsAt = earliest(idleEnd, r.session.EndsAt)
	return r.session, nil
}

// OfUser implements session.Store.
func (m *Memory) OfUser(_ context.Context, user uuid.UUID) ([]session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []*row
	for _, r := range m.rows {
		if user != uuid.Nil && r.session.User == user && m.alive(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return b.order - a.order })
	sessions := make([]session.Session, len(rows))
	for i, r := range rows {
		sessions[i] = r.session
	}
	return sessions, nil
}

// Revoke implements session.Store.
func (m *Memory) Revoke(_ context.Context, user, sid uuid.UUID, _ string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[sid]
	if !m.alive(r) || user == uuid.Nil || r.session.User != user {
		return false, nil
	}
	r.revoked = true
	return true, nil
}

// RevokeAll implements session.Store.
func (m *Memory) RevokeAll(_ context.Context, user, keep uuid.UUID, _ string) ([]uuid.UUID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sids []uuid.UUID
	for sid, r := range m.rows {
		if user != uuid.Nil && r.session.User == user && sid != keep && m.alive(r) {
			r.revoked = true
			sids = append(sids, sid)
		}
	}
	return sids, nil
}

// Trim ends the oldest sessions of user until limit are left, and returns them, oldest
// first; keep is never among them.
func (m *Memory) Trim(ctx context.Context, user, keep uuid.UUID, limit int, _ string) (ended []session.Session, err error) {
	all, err := m.OfUser(ctx, user)
	left := 1
	for _, s := range all {
		if s.SID == keep {
			continue
		}
		if left++; left > limit {
			if _, err := m.Revoke(ctx, user, s.SID, ""); err != nil {
				return nil, err
			}
			ended = append(ended, s)
		}
	}
	slices.Reverse(ended)
	return ended, err
}

// The methods without a context are only there because scs.CtxStore embeds them; scs
// never calls them on a store that has the others.
var errNoContext = errors.New("session store: called without a context")

// Find implements scs.Store.
func (m *Memory) Find(string) ([]byte, bool, error) { return nil, false, errNoContext }

// Commit implements scs.Store.
func (m *Memory) Commit(string, []byte, time.Time) error { return errNoContext }

// Delete implements scs.Store.
func (m *Memory) Delete(string) error { return errNoContext }

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
