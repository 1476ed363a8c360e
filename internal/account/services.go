package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/secret"
)

// Programs are users of their own kind. A program that signs in as a person has that
// person's password in a file, may do everything the person may, and cannot be stopped
// without stopping the person (ASVS 13.2.1, 13.2.2). So a service has no password but a
// key of 256 random bits that only fetches tickets for one route, no cookie, no rooms of
// its own making, and an end: rotated, or disabled with all of its sockets.

// noPassword is stored where people have a hash. It is none of any password.
const noPassword = "$none$"

const (
	// keyPrefix lets a scanner of repositories recognise a key that leaked.
	keyPrefix = "pcs"
	// keyIDLength is enough to find a key by; it is no secret.
	keyIDLength = 12
	// maxKey caps what is hashed, in bytes: a key has 69.
	maxKey = 128
	// MaxOverlap is how long the key before a rotation may live on.
	MaxOverlap = 30 * 24 * time.Hour
)

// ServiceKey is a key as stored.
type ServiceKey struct {
	ID        string
	Hash      [sha256.Size]byte
	CreatedAt time.Time
	EndsAt    time.Time // zero: at the next rotation
}

// ServiceInfo is a service and how many keys it has.
type ServiceInfo struct {
	User
	Keys int
}

// ServiceStore keeps services and their keys.
type ServiceStore interface {
	// CreateService stores a new user with a key; kind Conflict when the name is taken.
	CreateService(ctx context.Context, u User, k ServiceKey) error
	// RotateServiceKey adds k and lets the keys before it, and their sessions, end at until,
	// if not sooner. It returns the sessions that end sooner for it.
	RotateServiceKey(ctx context.Context, user chat.UserID, k ServiceKey, until time.Time, reason string) ([]chat.SessionID, error)
	// Services lists them by name.
	Services(ctx context.Context, limit int) ([]ServiceInfo, error)
	// ServiceByKey finds a key that has not ended, and its service; ErrNoUser.
	ServiceByKey(ctx context.Context, keyID string) (User, ServiceKey, error)
	// ServiceSession returns the live session of a key, or stores s as its session if it
	// has none; session.ErrNone if the key has ended or its service may not sign in.
	ServiceSession(ctx context.Context, keyID string, s session.Session) (session.Session, error)
}

// Services makes services and lets them in.
type Services struct {
	s              *Service
	store          ServiceStore
	idle, lifetime time.Duration
}

// NewServices adds services to s. Their sessions have the idle time and the lifetime
// of everybody's.
func NewServices(s *Service, store ServiceStore, idle, lifetime time.Duration) (*Services, error) {
	if s == nil || store == nil || idle <= 0 || lifetime <= 0 {
		return nil, errors.New("account: services need the account service, a store and the numbers of a session")
	}
	return &Services{s, store, idle, lifetime}, nil
}

// ErrKeyRefused is the one answer to a key that is none, has ended, or is a disabled
// service's.
var ErrKeyRefused = &chat.Error{Kind: chat.Denied, Public: "That key opens nothing here."}

// Add makes a service and returns its key, which is shown once and stored nowhere.
func (v *Services) Add(ctx context.Context, username, displayName string) (User, secret.Text, error) {
	username = Fold(username)
	if !usernames.MatchString(username) {
		return User{}, secret.Text{}, invalid("A name has 2 to 32 letters a–z, digits, dots, dashes or underscores, and starts and ends with a letter or digit.")
	}
	displayName, err := cleanDisplayName(displayName, username)
	if err != nil {
		return User{}, secret.Text{}, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return User{}, secret.Text{}, fmt.Errorf("make user id: %w", err)
	}
	u := User{ID: chat.UserID{UUID: id}, Username: username, DisplayName: displayName, Role: authz.Service, PasswordHash: noPassword, CreatedAt: v.s.o.Now()}
	k, text := v.newKey()
	if err := v.store.CreateService(ctx, u, k); err != nil {
		return User{}, secret.Text{}, fmt.Errorf("create service: %w", err)
	}
	v.note(ctx, u, "service_add", k.ID)
	return u, text, nil
}

// Rotate makes a new key for a service. The keys before it work for overlap, or stop at
// once when that is zero; their sockets, on every node, end with them.
//
//control:name service-identity
func (v *Services) Rotate(ctx context.Context, username string, overlap time.Duration) (secret.Text, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return secret.Text{}, invalid("The old key works on for 0 to 720h.")
	}
	u, err := v.find(ctx, username)
	if err != nil {
		return secret.Text{}, err
	}
	const reason = "key_rotated"
	k, text := v.newKey()
	now := v.s.o.Now().UTC().Truncate(time.Microsecond)
	until := now.Add(overlap)
	ended, err := v.store.RotateServiceKey(ctx, u.ID, k, until, reason)
	if err != nil {
		return secret.Text{}, fmt.Errorf("rotate key: %w", err)
	}
	if overlap == 0 {
		until = time.Time{}
	}
	for _, sid := range ended {
		v.s.o.Revoker.Revoke(ctx, chat.Revocation{Session: sid, User: u.ID, Reason: reason, At: now, Until: until})
	}
	v.note(ctx, u, "service_rotate", k.ID)
	return text, nil
}

// Disable ends a service, its sessions and its sockets on every node.
func (v *Services) Disable(ctx context.Context, username string) error {
	u, err := v.find(ctx, username)
	if err != nil {
		return err
	}
	if err := v.s.SetDisabled(ctx, u.Username, true); err != nil {
		return err
	}
	v.note(ctx, u, "service_disable", "")
	return nil
}

// List returns the services by name.
func (v *Services) List(ctx context.Context, limit int) ([]ServiceInfo, error) {
	return v.store.Services(ctx, limit)
}

// SignIn proves a key and returns the service with the session that its sockets belong
// to. That session has no token: no cookie opens it. Unknown, wrong and ended keys and
// disabled services have one answer.
//
//control:name service-identity
func (v *Services) SignIn(ctx context.Context, c Caller, key string) (User, session.Session, error) {
	if err := v.s.budget(ctx, c, "service", v.s.network(c)); err != nil {
		return User{}, session.Session{}, err
	}
	id, ok := keyID(key)
	if !ok {
		return User{}, session.Session{}, v.refuse(ctx, c, User{}, "malformed")
	}
	u, k, err := v.store.ServiceByKey(ctx, id)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return User{}, session.Session{}, fmt.Errorf("find key: %w", err)
	}
	hash := sha256.Sum256([]byte(key))
	switch {
	case err != nil:
		return User{}, session.Session{}, v.refuse(ctx, c, User{}, "unknown_key")
	case subtle.ConstantTimeCompare(hash[:], k.Hash[:]) != 1:
		return User{}, session.Session{}, v.refuse(ctx, c, u, "wrong_key")
	case u.Disabled || u.Role != authz.Service:
		return User{}, session.Session{}, v.refuse(ctx, c, u, "disabled")
	}
	now := v.s.o.Now().UTC().Truncate(time.Microsecond)
	ends := now.Add(v.lifetime)
	if !k.EndsAt.IsZero() && k.EndsAt.Before(ends) {
		ends = k.EndsAt
	}
	s, err := v.store.ServiceSession(ctx, id, session.Session{SID: uuid.New(), User: u.ID.UUID, CreatedAt: now, AuthenticatedAt: now, LastSeenAt: now,
		IdleEndsAt: now.Add(v.idle), EndsAt: ends, IP: c.Network.String(), UserAgent: "service"})
	if errors.Is(err, session.ErrNone) {
		return User{}, session.Session{}, v.refuse(ctx, c, u, "ended_meanwhile")
	}
	if err != nil {
		return User{}, session.Session{}, fmt.Errorf("begin session: %w", err)
	}
	return u, s, nil
}

func (v *Services) refuse(ctx context.Context, c Caller, u User, reason string) error {
	e := audit.Event{Name: audit.LoginFail, Level: audit.Warn, Control: "service-identity", Reason: reason}
	if u.ID != (chat.UserID{}) {
		e.User = u.ID.String()
	}
	v.s.record(ctx, c, e)
	return ErrKeyRefused
}

func (v *Services) find(ctx context.Context, username string) (User, error) {
	u, err := v.s.Find(ctx, username)
	if err == nil && u.Role != authz.Service {
		return User{}, invalid(u.Username + " is a person; see `portcullis user -h`.")
	}
	return u, err
}

// newKey makes a key of 260 random bits.
func (v *Services) newKey() (ServiceKey, secret.Text) {
	id := strings.ToLower(rand.Text()[:keyIDLength])
	text := keyPrefix + "_" + id + "_" + rand.Text() + rand.Text()
	return ServiceKey{ID: id, Hash: sha256.Sum256([]byte(text)), CreatedAt: v.s.o.Now()}, secret.NewText(text)
}

// keyID reads the public part of a key.
func keyID(key string) (string, bool) {
	parts := strings.Split(key, "_")
	if len(key) > maxKey || len(parts) != 3 || parts[0] != keyPrefix || len(parts[1]) != keyIDLength || strings.Trim(parts[1], "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return "", false
	}
	return parts[1], true
}

func (v *Services) note(ctx context.Context, u User, reason, key string) {
	v.s.o.Audit.Record(ctx, audit.Event{Name: audit.AuthzAdmin, Level: audit.Warn, Control: "service-identity", Reason: reason, User: u.ID.String(), Detail: key})
}
