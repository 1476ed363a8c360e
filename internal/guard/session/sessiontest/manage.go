package sessiontest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/session"
	"github.com/google/uuid"
)

// The claims about reading, extending, listing and revoking.

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
					if err := f.Store.CommitCtx(f.ctx, tok, data, f.clock.Now().Add(idle)); err != nil && !errors.Is(err, session.ErrNone) {
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
