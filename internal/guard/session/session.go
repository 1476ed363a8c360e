// Package session keeps a browser signed in, and ends that when it must end.
//
// Threat: whoever holds the cookie is the user. An attacker steals it from a log
// or a database dump, plants a known one before sign-in (fixation), or keeps an
// old one alive after the victim signed out. The last is the one that libraries
// get wrong: a request in flight holds a copy of the session, and its commit,
// arriving after the sign-out, brings the session back. A client can cause it at
// will with a slow request body, and a middleware around a WebSocket route does it
// by itself, because the handler returns when the socket closes (CWE-613, CWE-384,
// ASVS 7.2–7.4).
//
// Rule:
//   - The cookie is __Host-portcullis: Secure, HttpOnly, SameSite=Lax, no Domain, so
//     that a sibling host cannot plant it. Two cookies of that name count as none.
//   - The token in it is 256 random bits. It changes at sign-in and whenever the
//     password was proven again. The Store keeps only its SHA-256 hash.
//   - A token that the Store does not know is never adopted: it gives no session.
//   - The truth is the Store. It never revives what was revoked or is past an end,
//     and nothing moves the absolute end; package sessiontest holds it to that.
//   - A sign-in is bound to the credential generation that it proved. If the password,
//     role or standing changes before the session is stored, there is no session.
//   - A sign-out ends the session that the request loaded, also when a renewal has
//     given it another token meanwhile.
//   - SID names the session in lists, logs and sockets. It is no credential.
//   - Wrap hides Hijack and Unwrap, so no socket can be upgraded underneath it.
//     Socket routes read the cookie with Peek, which never extends a session.
//
// Not covered: malware in the browser, and a stolen cookie before its session ends.
// A page that polls keeps its session from idling out. What a handler decided before
// a revocation stands: authorization is asked again at every action. A visitor's
// first call may store an anonymous session; the rate limit per client IP bounds how
// many, and each ends within AnonymousLifetime.
package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"
)

const (
	// CookieName has the prefix that makes browsers insist on Secure, Path=/ and no
	// Domain (RFC 6265bis §4.1.3.2).
	CookieName = "__Host-portcullis"

	// AnonymousLifetime is long enough to fill in a sign-in form, and short enough
	// that visitors who never sign in do not fill the Store.
	AnonymousLifetime = time.Hour

	// maxLifetime is the longest absolute lifetime accepted: NIST SP 800-63B allows 30
	// days between proofs of the password at its lowest level.
	maxLifetime = 30 * 24 * time.Hour

	// recordKey is the only key that scs ever holds.
	recordKey = "record"
)

// ErrNone says that there is no live session.
var ErrNone = errors.New("no live session")

// Options are the numbers of a Manager.
type Options struct {
	Idle     time.Duration    // a session ends after this time without a request
	Lifetime time.Duration    // a session ends after this time whatever happens
	Now      func() time.Time // nil: time.Now

	// Unavailable answers a request whose session could not be read or saved; the
	// handler's own answer is withheld. It must not show err to the client. nil: 503
	// with one fixed sentence.
	Unavailable func(w http.ResponseWriter, r *http.Request, err error)
}

// Manager gives requests their session. The zero Manager is not usable.
type Manager struct {
	scs         *scs.SessionManager
	store       Store
	idle        time.Duration
	lifetime    time.Duration
	now         func() time.Time
	unavailable func(http.ResponseWriter, *http.Request, error)
}

// New returns a Manager over s. Idle and Lifetime must be at least a second, and
// Lifetime at most 30 days.
//
//control:name session
func New(o Options, s Store) (*Manager, error) {
	switch {
	case s == nil:
		return nil, errors.New("session: no store")
	case o.Idle < time.Second:
		return nil, fmt.Errorf("session: idle time %v is under 1s", o.Idle)
	case o.Lifetime < time.Second || o.Lifetime > maxLifetime:
		return nil, fmt.Errorf("session: lifetime %v is not between 1s and %v", o.Lifetime, maxLifetime)
	}
	m := &Manager{store: s, idle: o.Idle, lifetime: o.Lifetime, now: o.Now, unavailable: o.Unavailable}
	if m.now == nil {
		m.now = time.Now
	}
	if m.unavailable == nil {
		m.unavailable = unavailable
	}
	// Not scs.New, which starts a goroutine that nobody can stop. What it would set is set
	// here, but for a context key per manager: a request has one Manager.
	m.scs = &scs.SessionManager{
		Store:            bridge{s, m},
		Codec:            codec{},
		IdleTimeout:      o.Idle,
		Lifetime:         o.Lifetime,
		HashTokenInStore: false, // the Store hashes, also where scs is not involved: Peek
		Cookie: scs.SessionCookie{
			Name:     CookieName,
			Path:     "/",
			Secure:   true,
			HttpOnly: true,
			SameSite: http.SameSiteLaxMode,
			Persist:  true,
		},
	}
	return m, nil
}

// Current returns the session of this request. It is false when the request has none
// yet; a session that is not signed in has a zero User.
func (m *Manager) Current(ctx context.Context) (Session, bool) {
	if ctx.Value(wrappedKey{}) == nil {
		return Session{}, false
	}
	r, ok := m.record(ctx)
	if !ok {
		return Session{}, false
	}
	return m.session(r), true
}

// CSRFSecret returns the 32 bytes that this session's CSRF tokens are made of. A
// request without a session gets an anonymous one. It panics outside Wrap.
func (m *Manager) CSRFSecret(ctx context.Context) []byte {
	r, ok := m.record(ctx)
	if !ok {
		r = m.begin(uuid.Nil, min(m.lifetime, AnonymousLifetime))
		m.put(ctx, r)
	}
	return r.CSRF
}

// Peek reads the signed-in session of a request that is not under Wrap, such as a
// socket handshake. It never extends the session; ErrNone if there is none.
func (m *Manager) Peek(ctx context.Context, r *http.Request) (Session, error) {
	token := m.Token(r)
	if token == "" {
		return Session{}, ErrNone
	}
	return m.signedIn(m.store.Peek(ctx, token))
}

// Live reads a signed-in session by sid without extending it; ErrNone if it has ended.
func (m *Manager) Live(ctx context.Context, sid uuid.UUID) (Session, error) {
	return m.signedIn(m.store.Live(ctx, sid))
}

// Touch moves the idle end of a session to now plus the idle time, for a user who is
// active on a socket; ErrNone if it has ended.
func (m *Manager) Touch(ctx context.Context, sid uuid.UUID) (Session, error) {
	return m.signedIn(m.store.Touch(ctx, sid, m.time().Add(m.idle)))
}

// signedIn passes on what the Store found if it is a signed-in session that has not
// ended by this node's clock either.
func (m *Manager) signedIn(s Session, err error) (Session, error) {
	if err != nil {
		if errors.Is(err, ErrNone) {
			return Session{}, ErrNone
		}
		return Session{}, fmt.Errorf("read session: %w", err)
	}
	if s.SID == uuid.Nil || s.User == uuid.Nil || !s.EndsFirst().After(m.now()) {
		return Session{}, ErrNone
	}
	return s, nil
}

// time is now as it is stored: PostgreSQL keeps microseconds.
func (m *Manager) time() time.Time { return m.now().UTC().Truncate(time.Microsecond) }

// record returns the record of this request's session.
func (m *Manager) record(ctx context.Context) (Record, bool) {
	r, ok := m.scs.Get(ctx, recordKey).(Record)
	return r, ok
}

// put makes r the record of this request's session, with r's own absolute end: scs
// would count a new one from now, at creation and again at every RenewToken.
//
//control:name session
func (m *Manager) put(ctx context.Context, r Record) {
	m.scs.SetDeadline(ctx, r.EndsAt)
	m.scs.Put(ctx, recordKey, r)
}

// session is r as it will be stored when this request is answered.
func (m *Manager) session(r Record) Session {
	now := m.time()
	idleEnd := now.Add(m.idle)
	if r.EndsAt.Before(idleEnd) {
		idleEnd = r.EndsAt
	}
	return Session{
		SID: r.SID, User: r.User,
		CreatedAt: r.CreatedAt, AuthenticatedAt: r.AuthenticatedAt, LastSeenAt: now,
		IdleEndsAt: idleEnd, EndsAt: r.EndsAt,
		IP: r.IP, UserAgent: r.UserAgent,
	}
}
