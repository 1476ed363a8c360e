package sessiontest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
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
		{"a second token for a session is refused outside a renewal", secondToken},
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

// commit stores r under token as a request does that ends now.
func (f *fixture) commit(ctx context.Context, token string, r session.Record) {
	f.Helper()
	data, err := session.Encode(r)
	if err != nil {
		f.Fatal(err)
	}
	idleEnd := earliest(f.clock.Now().Add(idle), r.EndsAt)
	if err := f.Store.CommitCtx(ctx, token, data, idleEnd); err != nil {
		f.Fatalf("commit: %v", err)
	}
}

// start stores a new session of a new user.
func (f *fixture) start() (string, session.Record) {
	f.Helper()
	tok, r := token(), f.record(f.User(f.T))
	f.commit(f.ctx, tok, r)
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

func found(_ *testing.T, f *fixture) {
	tok, r := f.start()
	s := f.alive(tok, r.SID)
	want := session.Session{
		SID: r.SID, User: r.User, CreatedAt: r.CreatedAt, AuthenticatedAt: r.AuthenticatedAt,
		LastSeenAt: f.clock.Now(), IdleEndsAt: f.clock.Now().Add(idle), EndsAt: r.EndsAt, IP: r.IP, UserAgent: r.UserAgent,
	}
	if !same(s, want) {
		f.Errorf("got  %+v\nwant %+v", s, want)
	}
	live, err := f.Store.Live(f.ctx, r.SID)
	if err != nil || !same(live, want) {
		f.Errorf("live: %+v, error %v\nwant %+v", live, err, want)
	}
}

func same(a, b session.Session) bool {
	times := a.CreatedAt.Equal(b.CreatedAt) && a.AuthenticatedAt.Equal(b.AuthenticatedAt) &&
		a.LastSeenAt.Equal(b.LastSeenAt) && a.IdleEndsAt.Equal(b.IdleEndsAt) && a.EndsAt.Equal(b.EndsAt)
	return times && a.SID == b.SID && a.User == b.User && a.IP == b.IP && a.UserAgent == b.UserAgent
}

func unknown(_ *testing.T, f *fixture) {
	f.start()
	for _, tok := range []string{token(), "", "'; drop table sessions; --"} {
		f.dead(tok)
		f.delete(f.ctx, tok)
	}
	f.ended(token(), f.record(f.User(f.T)))
}

func inFlightRevoke(_ *testing.T, f *fixture) {
	tok, r := f.start()
	f.revoke(r)
	f.ended(tok, r)
	f.commit(f.ctx, tok, r) // the request that began before
	f.ended(tok, r)
	f.clock.Advance(time.Minute)
	f.commit(f.ctx, tok, r)
	f.ended(tok, r)

	tok, r = f.start() // the other order
	f.commit(f.ctx, tok, r)
	f.revoke(r)
	f.ended(tok, r)
}

func inFlightDelete(_ *testing.T, f *fixture) {
	tok, r := f.start()
	f.delete(f.ctx, tok)
	f.ended(tok, r)
	f.commit(f.ctx, tok, r)
	f.ended(tok, r)
	f.commit(session.Renewing(f.ctx), tok, r) // not even as a renewal
	f.ended(tok, r)
	f.delete(f.ctx, tok) // again is no error

	tok, r = f.start()
	f.commit(f.ctx, tok, r)
	f.delete(f.ctx, tok)
	f.ended(tok, r)
}

func straddleIdle(_ *testing.T, f *fixture) {
	tok, r := f.start()
	f.clock.Advance(idle - time.Second)
	f.commit(f.ctx, tok, r)
	f.clock.Advance(idle - time.Second)
	f.alive(tok, r.SID)
	f.clock.Advance(time.Second) // exactly the idle end: over
	f.ended(tok, r)
	f.commit(f.ctx, tok, r)
	f.ended(tok, r)
}

func straddleEnd(_ *testing.T, f *fixture) {
	tok, r := f.start()
	for f.clock.Now().Add(idle).Before(r.EndsAt) {
		f.clock.Advance(idle - time.Minute)
		f.commit(f.ctx, tok, r)
	}
	f.clock.Advance(r.EndsAt.Sub(f.clock.Now()) - time.Second)
	f.alive(tok, r.SID)
	f.clock.Advance(time.Second)
	f.ended(tok, r)
	f.commit(f.ctx, tok, r) // its expiry is not after now; scs's Redis store makes such a session immortal
	f.ended(tok, r)
	f.clock.Advance(100 * time.Hour)
	f.ended(tok, r)
}

func absoluteEnd(_ *testing.T, f *fixture) {
	tok, r := f.start()
	end := r.EndsAt
	r.EndsAt = end.Add(1000 * time.Hour)
	f.commit(f.ctx, tok, r)
	data, err := session.Encode(r)
	if err != nil {
		f.Fatal(err)
	}
	if err := f.Store.CommitCtx(f.ctx, tok, data, r.EndsAt); err != nil {
		f.Fatal(err)
	}
	s, err := f.Store.Touch(f.ctx, r.SID, r.EndsAt)
	if err != nil || !s.EndsAt.Equal(end) || s.IdleEndsAt.After(end) {
		f.Fatalf("idle end %v, end %v, error %v; want both at %v", s.IdleEndsAt, s.EndsAt, err, end)
	}
	f.clock.Advance(end.Sub(f.clock.Now()))
	f.ended(tok, r)
}

func bornDead(_ *testing.T, f *fixture) {
	tok, r := token(), f.record(f.User(f.T))
	f.clock.Advance(lifetime) // a request that took longer than the session may live
	f.commit(f.ctx, tok, r)
	f.ended(tok, r)
	f.clock.Advance(-lifetime)
	f.ended(tok, r)
}

func renewal(_ *testing.T, f *fixture) {
	tok, r := f.start()
	f.clock.Advance(time.Minute)
	renewed := r
	renewed.AuthenticatedAt = f.clock.Now()
	next := token()
	f.delete(session.Renewing(f.ctx), tok)
	f.dead(tok)
	if s, err := f.Store.Live(f.ctx, r.SID); err != nil || s.SID != r.SID {
		f.Fatalf("live between the halves of a renewal: %v", err) // its sockets go on
	}
	f.commit(session.Renewing(f.ctx), next, renewed)
	s := f.alive(next, r.SID)
	if !s.AuthenticatedAt.Equal(f.clock.Now()) || !s.CreatedAt.Equal(r.CreatedAt) || !s.EndsAt.Equal(r.EndsAt) {
		f.Errorf("after renewal %+v", s)
	}
	f.dead(tok)
	f.commit(f.ctx, next, renewed) // the same request, at its end
	f.alive(next, r.SID)
	if all, err := f.Store.OfUser(f.ctx, r.User); err != nil || len(all) != 1 {
		f.Errorf("%d sessions, error %v; want 1", len(all), err)
	}
}

func inFlightRenewal(_ *testing.T, f *fixture) {
	tok, r := f.start()
	next := token()
	f.delete(session.Renewing(f.ctx), tok)
	f.commit(f.ctx, tok, r) // between the halves
	f.dead(tok)
	f.commit(session.Renewing(f.ctx), next, r)
	f.commit(f.ctx, tok, r) // and after
	f.dead(tok)
	f.alive(next, r.SID)
	f.delete(f.ctx, tok) // a sign-out with the dead token ends nothing
	f.alive(next, r.SID)
}

func revokedRenewal(_ *testing.T, f *fixture) {
	tok, r := f.start()
	next := token()
	f.delete(session.Renewing(f.ctx), tok)
	f.revoke(r)
	f.commit(session.Renewing(f.ctx), next, r)
	f.ended(next, r)
	f.ended(tok, r)

	tok, r = f.start()
	f.revoke(r)
	next = token()
	f.delete(session.Renewing(f.ctx), tok)
	f.commit(session.Renewing(f.ctx), next, r)
	f.ended(next, r)
	f.ended(tok, r)
}

func endedRenewal(_ *testing.T, f *fixture) {
	tok, r := f.start()
	next := token()
	f.delete(session.Renewing(f.ctx), tok)
	f.clock.Advance(lifetime)
	f.commit(session.Renewing(f.ctx), next, r)
	f.ended(next, r)
}

func secondToken(_ *testing.T, f *fixture) {
	tok, r := f.start()
	second := token()
	f.commit(f.ctx, second, r)
	f.dead(second)
	f.commit(session.Renewing(f.ctx), second, r) // its token lives: nothing to renew
	f.dead(second)
	f.alive(tok, r.SID)
}

func identitySwap(_ *testing.T, f *fixture) {
	tokA, a := f.start()
	tokB, b := f.start()
	f.commit(f.ctx, tokA, b) // A's token with B's record
	f.alive(tokA, a.SID)
	f.alive(tokB, b.SID)
	stranger := a
	stranger.User = b.User
	f.commit(f.ctx, tokA, stranger)
	if s := f.alive(tokA, a.SID); s.User != a.User {
		f.Errorf("session changed its user")
	}
	data, _, err := f.Store.FindCtx(f.ctx, tokA)
	if err != nil {
		f.Fatal(err)
	}
	if r, err := session.ParseRecord(data); err != nil || r.User != a.User {
		f.Errorf("the record changed its user; error %v", err)
	}
	fresh := f.record(b.User)
	f.commit(f.ctx, tokA, fresh) // a fresh sid under a token in use
	f.alive(tokA, a.SID)
}

func reading(_ *testing.T, f *fixture) {
	tok, r := f.start()
	end := f.clock.Now().Add(idle)
	for range 3 {
		f.clock.Advance(idle / 4)
		s := f.alive(tok, r.SID)
		live, err := f.Store.Live(f.ctx, r.SID)
		if err != nil || !live.IdleEndsAt.Equal(end) || !s.IdleEndsAt.Equal(end) {
			f.Fatalf("idle end %v and %v, error %v; want %v", s.IdleEndsAt, live.IdleEndsAt, err, end)
		}
	}
	f.clock.Advance(idle / 4)
	f.ended(tok, r)
}

func touch(_ *testing.T, f *fixture) {
	tok, r := f.start()
	f.clock.Advance(idle - time.Second)
	want := f.clock.Now().Add(idle)
	s, err := f.Store.Touch(f.ctx, r.SID, want)
	if err != nil || !s.IdleEndsAt.Equal(want) || !s.LastSeenAt.Equal(f.clock.Now()) || s.SID != r.SID || s.User != r.User {
		f.Fatalf("touch: %+v, error %v; want idle end %v", s, err, want)
	}
	f.clock.Advance(time.Minute)
	f.alive(tok, r.SID)
	f.clock.Advance(idle)
	f.ended(tok, r) // ended also tries Touch
	f.ended(tok, r)
}

func disabled(_ *testing.T, f *fixture) {
	_, r := f.start()
	f.Disable(f.T, r.User)
	if _, err := f.Store.Live(f.ctx, r.SID); !errors.Is(err, session.ErrNone) {
		f.Errorf("live: error %v; want ErrNone", err)
	}
}

func ofUser(_ *testing.T, f *fixture) {
	user := f.User(f.T)
	var want []uuid.UUID
	for range 3 {
		r := f.record(user)
		f.commit(f.ctx, token(), r)
		want = append([]uuid.UUID{r.SID}, want...)
		f.clock.Advance(time.Second)
	}
	f.start() // somebody else's
	dead := f.record(user)
	f.commit(f.ctx, token(), dead)
	f.revoke(dead)
	if got := f.sids(user); !slices.Equal(got, want) {
		f.Errorf("got %v, want %v", got, want)
	}
	f.clock.Advance(idle)
	if got := f.sids(user); len(got) != 0 {
		f.Errorf("after the idle end: %v", got)
	}
}

func (f *fixture) sids(user uuid.UUID) []uuid.UUID {
	f.Helper()
	all, err := f.Store.OfUser(f.ctx, user)
	if err != nil {
		f.Fatal(err)
	}
	sids := make([]uuid.UUID, len(all))
	for i, s := range all {
		sids[i] = s.SID
	}
	return sids
}

func revoke(_ *testing.T, f *fixture) {
	tok, r := f.start()
	_, other := f.start()
	for _, c := range []struct {
		name      string
		user, sid uuid.UUID
	}{{"another user's", other.User, r.SID}, {"unknown", r.User, uuid.New()}, {"nobody's", uuid.Nil, r.SID}} {
		if ok, err := f.Store.Revoke(f.ctx, c.user, c.sid, "contract"); err != nil || ok {
			f.Errorf("%s session: %v, error %v; want false", c.name, ok, err)
		}
	}
	f.alive(tok, r.SID)
	f.revoke(r)
	if ok, err := f.Store.Revoke(f.ctx, r.User, r.SID, "contract"); err != nil || ok {
		f.Errorf("twice: %v, error %v; want false", ok, err)
	}
	tok, r = f.start()
	f.clock.Advance(idle)
	if ok, err := f.Store.Revoke(f.ctx, r.User, r.SID, "contract"); err != nil || ok {
		f.Errorf("after its end: %v, error %v; want false", ok, err)
	}
	f.ended(tok, r)
}

func revokeAll(_ *testing.T, f *fixture) {
	user := f.User(f.T)
	var tokens []string
	var all []uuid.UUID
	for range 4 {
		tok, r := token(), f.record(user)
		f.commit(f.ctx, tok, r)
		tokens, all = append(tokens, tok), append(all, r.SID)
	}
	strangerToken, stranger := f.start()
	gone, err := f.Store.RevokeAll(f.ctx, user, all[0], "contract")
	if err != nil {
		f.Fatal(err)
	}
	byText := func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(gone, byText)
	want := slices.SortedFunc(slices.Values(all[1:]), byText)
	if !slices.Equal(gone, want) {
		f.Errorf("got %v, want %v", gone, want)
	}
	f.alive(tokens[0], all[0])
	for _, tok := range tokens[1:] {
		f.dead(tok)
	}
	f.alive(strangerToken, stranger.SID)
	gone, err = f.Store.RevokeAll(f.ctx, user, uuid.Nil, "contract")
	if err != nil || !slices.Equal(gone, all[:1]) {
		f.Errorf("the rest: %v, error %v; want %v", gone, err, all[:1])
	}
	f.dead(tokens[0])
}

func anonymous(_ *testing.T, f *fixture) {
	tok, r := token(), f.record(uuid.Nil)
	f.commit(f.ctx, tok, r)
	if s := f.alive(tok, r.SID); s.User != uuid.Nil {
		f.Errorf("user %v; want none", s.User)
	}
	if got := f.sids(uuid.Nil); len(got) != 0 {
		f.Errorf("of user: %v; want none", got)
	}
	if gone, err := f.Store.RevokeAll(f.ctx, uuid.Nil, uuid.Nil, "contract"); err != nil || len(gone) != 0 {
		f.Errorf("revoke all: %v, error %v; want none", gone, err)
	}
	f.alive(tok, r.SID)
	f.delete(f.ctx, tok) // sign-in ends the session before it
	f.commit(f.ctx, tok, r)
	f.dead(tok)
}

func race(_ *testing.T, f *fixture) {
	const rounds, requests = 5, 8
	for range rounds {
		tok, r := f.start()
		data, err := session.Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for range requests {
			wg.Go(func() {
				<-begin
				for range 3 {
					if err := f.Store.CommitCtx(f.ctx, tok, data, f.clock.Now().Add(idle)); err != nil {
						f.Errorf("commit: %v", err)
					}
				}
			})
		}
		wg.Go(func() {
			<-begin
			if ok, err := f.Store.Revoke(f.ctx, r.User, r.SID, "contract"); err != nil || !ok {
				f.Errorf("revoke: %v, error %v", ok, err)
			}
		})
		close(begin)
		wg.Wait()
		f.ended(tok, r)
	}
}
