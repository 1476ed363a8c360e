package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

const (
	// secretBytes is the size of a CSRF secret: 256 bits, as the token.
	secretBytes = 32

	// maxNotice caps a notice, in characters: three sessions in words fit.
	maxNotice = 500

	// maxUserAgent and maxIP cap text that is kept with every session, in characters.
	// The longest IP prefix, an IPv6 /64, has 43.
	maxUserAgent = 200
	maxIP        = 64
)

// SignIn makes this request's session one of user: with a new token, a new sid and a
// new CSRF secret, so that nothing an attacker planted or read before lives on. The
// session that the request came with is revoked. gen is the user's credential
// generation that the password was proven in: ErrNone if the user has another one by
// now or may not sign in, and the request is left without a session. ip is the
// client's prefix and userAgent its header, both kept to be shown to the user. It
// panics outside Wrap.
//
//control:name session
func (m *Manager) SignIn(ctx context.Context, user uuid.UUID, gen int64, ip, userAgent string) (Session, error) {
	if user == uuid.Nil {
		return Session{}, errors.New("sign in: no user")
	}
	if err := m.scs.RenewToken(ctx); err != nil {
		return Session{}, fmt.Errorf("end the session before sign-in: %w", err)
	}
	r := m.begin(user, m.lifetime)
	r.AuthenticatedAt = r.CreatedAt
	r.IP, r.UserAgent, r.CredentialGen = clean(ip, maxIP), clean(userAgent, maxUserAgent), gen
	m.put(ctx, r)
	// Committed here and not at the end of the request: whoever signs in has to learn
	// whether they did.
	if _, _, err := m.scs.Commit(ctx); err != nil {
		return Session{}, errors.Join(fmt.Errorf("store the new session: %w", err), m.scs.Destroy(ctx))
	}
	return m.session(r), nil
}

// Renew gives this request's session a new token and a new CSRF secret after its user
// proved the password again: a copy of the old cookie dies, the sid and the absolute
// end stay. ErrNone if nobody is signed in, or the session has ended since the request
// began, or another request renewed it. It panics outside Wrap.
//
// Should the Store fail in the middle, the old token is dead and the new one never
// lived: the user has to sign in again.
//
//control:name session
func (m *Manager) Renew(ctx context.Context) error {
	r, ok := m.record(ctx)
	if !ok || r.User == uuid.Nil {
		return ErrNone
	}
	ctx = Renewing(ctx)
	if err := m.scs.RenewToken(ctx); err != nil {
		return fmt.Errorf("end the old token: %w", err)
	}
	r.AuthenticatedAt = m.time()
	r.CSRF = newSecret()
	m.put(ctx, r)
	// Committed here and not at the end of the request: only a commit that is marked as
	// a renewal may give an existing session another token.
	if _, _, err := m.scs.Commit(ctx); err != nil {
		return fmt.Errorf("store the new token: %w", err)
	}
	return nil
}

// SignOut revokes this request's session, whatever token it has by now, with its
// tombstone and its entry in the revocation outbox, and clears the cookie. It panics
// outside Wrap.
func (m *Manager) SignOut(ctx context.Context) error {
	if err := m.scs.Destroy(ctx); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}

// Leave keeps words for the next page of this request's session. A session that is not
// there is not told. It panics outside Wrap.
func (m *Manager) Leave(ctx context.Context, words string) {
	if r, ok := m.record(ctx); ok {
		r.Notice = clean(words, maxNotice)
		m.put(ctx, r)
	}
}

// Notice takes the words that Leave kept; empty: none. Two pages at once may both get
// them. It panics outside Wrap.
//
//control:name session-limit
func (m *Manager) Notice(ctx context.Context) string {
	r, _ := m.record(ctx)
	words := r.Notice
	if words != "" {
		r.Notice = ""
		m.put(ctx, r)
	}
	return words
}

// begin is the record of a session that starts now.
func (m *Manager) begin(user uuid.UUID, lifetime time.Duration) Record {
	now := m.time()
	return Record{SID: uuid.New(), User: user, CreatedAt: now, EndsAt: now.Add(lifetime), CSRF: newSecret()}
}

func newSecret() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails; the program stops if the system has no randomness
	return b
}

// clean makes a header's text fit to be stored and shown: valid UTF-8, nothing that
// controls a terminal or the direction of text, at most limit characters.
func clean(s string, limit int) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n >= limit || r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		n++
		return r
	}, s)
}

type renewingKey struct{}

// Renewing marks ctx for the Store: within it, DeleteCtx ends only the token and not
// the session, and CommitCtx may give that session its next token.
func Renewing(ctx context.Context) context.Context {
	return context.WithValue(ctx, renewingKey{}, true)
}

// IsRenewing reports whether ctx is marked by Renewing.
func IsRenewing(ctx context.Context) bool { return ctx.Value(renewingKey{}) != nil }
