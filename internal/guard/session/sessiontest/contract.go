package sessiontest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/session"
	"github.com/google/uuid"
)

// Fixture is a store under test and what the contract needs around it.
type Fixture struct {
	Store   session.Store
	User    func(t *testing.T) uuid.UUID       // makes a user who may sign in
	Disable func(t *testing.T, user uuid.UUID) // takes that away, and leaves sessions alone
	Change  func(t *testing.T, user uuid.UUID) // raises the credential generation, 0 at first, and leaves sessions alone
}

const (
	idle     = 30 * time.Minute
	lifetime = 8 * time.Hour
)

// Contract checks every promise of session.Store. open returns an empty store that
// reads all its times from now; it is called once for each subtest.
func Contract(t *testing.T, open func(t *testing.T, now func() time.Time) Fixture) {
	for _, c := range []struct {
		claim string
		check func(t *testing.T, f *fixture)
	}{
		{"a committed session is found", found},
		{"an unknown token is no session", unknown},
		{"a commit in flight does not revive a revoked session", inFlightRevoke},
		{"a commit in flight does not revive a signed-out session", inFlightDelete},
		{"a request that straddles the idle end does not revive the session", straddleIdle},
		{"a request that straddles the absolute end does not revive the session", straddleEnd},
		{"a commit or touch never moves the absolute end", absoluteEnd},
		{"a session that starts in the past is not created", bornDead},
		{"a renewal keeps the sid and kills the old token", renewal},
		{"a commit in flight does not revive the old token of a renewed session", inFlightRenewal},
		{"a session that was revoked during its renewal stays dead", revokedRenewal},
		{"a session that ended during its renewal stays dead", endedRenewal},
		{"a sign-out that a renewal overtakes ends the session", overtakenSignOut},
		{"a renewal that a sign-out overtakes renews nothing", overtakenRenewal},
		{"a second token for a session is refused outside a renewal", secondToken},
		{"a sign-in whose credential changed meanwhile becomes no session", staleSignIn},
		{"a sign-in of a user who was disabled meanwhile becomes no session", disabledSignIn},
		{"a session goes on after a change of credential that kept it", keptSession},
		{"a token cannot be moved to another session or user", identitySwap},
		{"peek and live do not extend a session", reading},
		{"touch extends a live session only", touch},
		{"live refuses a disabled user", disabled},
		{"of user lists the live sessions of one user, newest first", ofUser},
		{"revoke ends one live session of its owner, once", revoke},
		{"revoke all ends the others and says which", revokeAll},
		{"nobody is the owner of anonymous sessions", anonymous},
		{"commits that race with a revocation leave it dead", race},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			f := open(t, clock.Now)
			c.check(t, &fixture{T: t, Fixture: f, clock: clock, ctx: t.Context()})
		})
	}
}

type fixture struct {
	*testing.T
	Fixture
	clock *Clock
	ctx   context.Context
}

// token is a fresh token of the same shape as the Manager's.
func token() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// record is a fresh record; a zero user is anonymous.
func (f *fixture) record(user uuid.UUID) session.Record {
	now := f.clock.Now()
	r := session.Record{
		SID: uuid.New(), User: user, CreatedAt: now, EndsAt: now.Add(lifetime),
		CSRF: []byte("0123456789abcdef0123456789abcdef"), IP: "192.0.2.7/32", UserAgent: "contract",
	}
	if user != uuid.Nil {
		r.AuthenticatedAt = now
	}
	return r
}

// commit stores r under token as a request does that ends now. It is false if the
// store says that it stored nothing.
func (f *fixture) commit(ctx context.Context, token string, r session.Record) bool {
	f.Helper()
	data, err := session.Encode(r)
	if err != nil {
		f.Fatal(err)
	}
	idleEnd := earliest(f.clock.Now().Add(idle), r.EndsAt)
	err = f.Store.CommitCtx(ctx, token, data, idleEnd)
	if err != nil && !errors.Is(err, session.ErrNone) {
		f.Fatalf("commit: %v", err)
	}
	return err == nil
}

// refused demands that a commit stores nothing and says so.
func (f *fixture) refused(ctx context.Context, token string, r session.Record) {
	f.Helper()
	if f.commit(ctx, token, r) {
		f.Error("commit: no error; want ErrNone")
	}
}

// start stores a new session of a new user.
func (f *fixture) start() (string, session.Record) {
	f.Helper()
	tok, r := token(), f.record(f.User(f.T))
	if !f.commit(f.ctx, tok, r) {
		f.Fatal("commit: ErrNone for a new session")
	}
	f.alive(tok, r.SID)
	return tok, r
}

func (f *fixture) alive(token string, sid uuid.UUID) session.Session {
	f.Helper()
	data, found, err := f.Store.FindCtx(f.ctx, token)
	if err != nil || !found {
		f.Fatalf("find: found %v, error %v; want a live session", found, err)
	}
	if r, err := session.ParseRecord(data); err != nil || r.SID != sid {
		f.Fatalf("find: sid %v, error %v; want %v", r.SID, err, sid)
	}
	s, err := f.Store.Peek(f.ctx, token)
	if err != nil || s.SID != sid {
		f.Fatalf("peek: sid %v, error %v; want %v", s.SID, err, sid)
	}
	return s
}

// dead demands that no door opens to token.
func (f *fixture) dead(token string) {
	f.Helper()
	if _, found, err := f.Store.FindCtx(f.ctx, token); err != nil || found {
		f.Fatalf("find: found %v, error %v; want none", found, err)
	}
	if _, err := f.Store.Peek(f.ctx, token); !errors.Is(err, session.ErrNone) {
		f.Fatalf("peek: error %v; want ErrNone", err)
	}
}

// ended demands that the session is over, by token and by sid.
func (f *fixture) ended(token string, r session.Record) {
	f.Helper()
	f.dead(token)
	if _, err := f.Store.Live(f.ctx, r.SID); !errors.Is(err, session.ErrNone) {
		f.Fatalf("live: error %v; want ErrNone", err)
	}
	if _, err := f.Store.Touch(f.ctx, r.SID, f.clock.Now().Add(idle)); !errors.Is(err, session.ErrNone) {
		f.Fatalf("touch: error %v; want ErrNone", err)
	}
	if s, err := f.Store.OfUser(f.ctx, r.User); err != nil || len(s) != 0 {
		f.Fatalf("of user: %d sessions, error %v; want none", len(s), err)
	}
}

func (f *fixture) revoke(r session.Record) {
	f.Helper()
	if ok, err := f.Store.Revoke(f.ctx, r.User, r.SID, "contract"); err != nil || !ok {
		f.Fatalf("revoke: %v, error %v; want true", ok, err)
	}
}

func (f *fixture) delete(ctx context.Context, token string) {
	f.Helper()
	if err := f.Store.DeleteCtx(ctx, token); err != nil {
		f.Fatalf("delete: %v", err)
	}
}
