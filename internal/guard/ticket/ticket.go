// Package ticket proves that a socket handshake was wanted by the page it names.
//
// Threat: a browser attaches the session cookie to every handshake, also to one that a
// hostile page starts (cross-site WebSocket hijacking, CWE-1385). The Origin check
// stops that, unless its list is wrong or a listed origin is taken over; a second,
// independent proof must hold then. A proof that travels in a handshake may also end up
// in a log of some proxy, so whoever reads it there must be too late. And a proof that
// is a JWT invites forgery: alg=none, another algorithm under the same key, a foreign
// key id, a token made for another purpose or another route (RFC 8725, ASVS 9.1–9.2).
//
// Rule: a page with a session and a CSRF token asks for a ticket and gets a JWT that is
// bound to the user, the session, the origin and one route, lives for seconds and opens
// one socket. The verifier accepts exactly what the issuer writes: HS256, three header
// members, a key id of a closed set, nine claims of fixed types, at most 60 s from iat
// to exp. Only when everything else fits is the ticket spent, by its random jti and
// never by its text, as one token has many spellings. A ticket whose spending cannot
// be recorded is refused: without that record it could be used twice.
//
// Whoever redeems must still compare Claims.Session with the session of the cookie. For
// a route without a cookie the ticket alone is the proof, and its origin claim is empty.
//
// Not covered: a ticket stolen and used before its owner uses it; the owner is then
// refused and the reuse is an event. A ticket outlives a sign-out by seconds: the socket
// re-checks the session after it registered.
package ticket

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/portcullis/internal/secret"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	// MaxLifetime is the longest time from iat to exp: a page uses its ticket at once.
	MaxLifetime = 60 * time.Second

	// leeway is how far the clocks of two nodes may be apart.
	leeway = 2 * time.Second

	// afterlife is how long a spent ticket is remembered after its end. It is longer
	// than leeway on purpose: a node whose clock is a minute late must refuse it too.
	afterlife = time.Minute

	// maxSize caps a token in bytes before anything parses it: real ones have about
	// 500, and CVE-2025-30204 was a header of many dots.
	maxSize = 2048

	// minKey is the size of a key in bytes: that of the hash (RFC 7518 §3.2). The JWT
	// library takes an empty key without a word.
	minKey = 32

	// maxKeys bounds the closed set: one that signs, and the ones before it.
	maxKeys = 8

	// maxText caps origin, route and issuer, in bytes, so that a token fits maxSize.
	maxText = 300

	typ = "ws-ticket+jwt" // explicit typing, RFC 8725 §3.11
)

// Claims is what a ticket says.
type Claims struct {
	ID        string // jti: 130 random bits
	User      uuid.UUID
	Session   uuid.UUID
	Origin    string // of the page that asked; "" for clients that are no browser
	Route     string // the path of the one socket route it opens
	Service   bool   // for a program with a key of its own, and for no session of a browser
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Spent remembers which tickets were used.
type Spent interface {
	// Spend reports whether id is spent now for the first time, and remembers it for
	// ttl, for all nodes at once.
	Spend(ctx context.Context, id string, ttl time.Duration) (first bool, err error)
}

// Key is one signing key.
type Key struct {
	ID     string // kid: 1 to 32 of A–Z a–z 0–9 _ -
	Secret secret.Bytes
}

// Options are what a Service is made of.
type Options struct {
	Keys     []Key            // the first signs, all verify
	Issuer   string           // base URL of this server
	Lifetime time.Duration    // of a ticket, 1 s to MaxLifetime
	Now      func() time.Time // nil: time.Now
}

// Service issues and redeems tickets.
type Service struct {
	sign     Key
	keys     map[string][]byte
	issuer   string
	lifetime time.Duration
	now      func() time.Time
	parser   *jwt.Parser
	spent    Spent
}

// New returns a Service that records used tickets in spent.
//
//control:name ticket
func New(o Options, spent Spent) (*Service, error) {
	switch {
	case spent == nil:
		return nil, errors.New("ticket: no record of spent tickets")
	case o.Issuer == "" || len(o.Issuer) > maxText: // an empty one would switch the check off
		return nil, errors.New("ticket: no issuer, or one that is too long")
	case o.Lifetime < time.Second || o.Lifetime > MaxLifetime:
		return nil, fmt.Errorf("ticket: lifetime %v is not between 1s and %v", o.Lifetime, MaxLifetime)
	case len(o.Keys) == 0 || len(o.Keys) > maxKeys:
		return nil, fmt.Errorf("ticket: %d keys, want 1 to %d", len(o.Keys), maxKeys)
	}
	s := &Service{
		sign: o.Keys[0], keys: make(map[string][]byte, len(o.Keys)),
		issuer: o.Issuer, lifetime: o.Lifetime, now: o.Now, spent: spent,
	}
	if s.now == nil {
		s.now = time.Now
	}
	for _, k := range o.Keys {
		if k.ID == "" || len(k.ID) > 32 || !only(k.ID, base64url) {
			return nil, fmt.Errorf("ticket: key id %q is not 1 to 32 of A-Z a-z 0-9 _ -", k.ID)
		}
		if s.keys[k.ID] != nil {
			return nil, fmt.Errorf("ticket: two keys with id %q", k.ID)
		}
		if k.Secret.Len() < minKey {
			return nil, fmt.Errorf("ticket: key %q has %d bytes, want %d or more", k.ID, k.Secret.Len(), minKey)
		}
		s.keys[k.ID] = k.Secret.Reveal()
	}
	s.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), // without it HS384 passes too
		jwt.WithStrictDecoding(),
		jwt.WithIssuer(s.issuer),
		jwt.WithExpirationRequired(),
		jwt.WithNotBeforeRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(s.now),
	)
	return s, nil
}

// Issue makes a ticket for c.User in c.Session, asked for by a page of c.Origin, to open
// c.Route. It returns the token, its end and its id; log the id only through Ref.
func (s *Service) Issue(c Claims) (token secret.Text, expires time.Time, id string, err error) {
	switch {
	case c.User == uuid.Nil || c.Session == uuid.Nil:
		return token, expires, "", errors.New("issue ticket: no user or no session")
	case c.Service && c.Origin != "":
		return token, expires, "", errors.New("issue ticket: a service has no origin")
	case !strings.HasPrefix(c.Route, "/") || len(c.Route) > maxText || len(c.Origin) > maxText:
		return token, expires, "", errors.New("issue ticket: route or origin is not one")
	}
	now := s.now().UTC().Truncate(time.Second)
	expires, id = now.Add(s.lifetime), rand.Text()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, &payload{
		Issuer: s.issuer, Subject: c.User.String(), Audience: audience(c.Route, c.Service), ID: id,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), ExpiresAt: expires.Unix(),
		Session: c.Session.String(), Origin: &c.Origin,
	})
	t.Header["typ"], t.Header["kid"] = typ, s.sign.ID
	raw, err := t.SignedString(s.keys[s.sign.ID])
	if err != nil {
		return secret.Text{}, time.Time{}, "", fmt.Errorf("issue ticket: %w", err)
	}
	return secret.NewText(raw), expires, id, nil
}

// audience is the aud claim of a ticket for route. People's tickets and services' have
// two, so that neither can be taken for the other.
func audience(route string, service bool) string {
	if service {
		return "svc:" + route
	}
	return "ws:" + route
}

// Ref is a short hash of a ticket's id, for logs.
func Ref(id string) string {
	h := sha256.Sum256([]byte(id))
	return hex.EncodeToString(h[:8])
}
