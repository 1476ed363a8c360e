package sessiontest

import (
	"testing"
	"time"

	"example.com/portcullis/internal/guard/session"
)

// The claims about what ends a session and keeps it ended.

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
	f.refused(f.ctx, tok, r) // the request that began before
	f.ended(tok, r)
	f.clock.Advance(time.Minute)
	f.refused(f.ctx, tok, r)
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
	f.refused(f.ctx, tok, r)
	f.ended(tok, r)
	f.refused(session.Renewing(f.ctx), tok, r) // not even as a renewal
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
	f.refused(f.ctx, tok, r) // its expiry is not after now; scs's Redis store makes such a session immortal
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
	f.refused(f.ctx, tok, r)
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
	f.refused(f.ctx, tok, r) // between the halves
	f.dead(tok)
	f.commit(session.Renewing(f.ctx), next, r)
	f.refused(f.ctx, tok, r) // and after
	f.dead(tok)
	f.alive(next, r.SID)
}

func overtakenSignOut(_ *testing.T, f *fixture) {
	tok, r := f.start()
	next := token()
	f.delete(session.Renewing(f.ctx), tok)
	f.commit(session.Renewing(f.ctx), next, r)
	f.alive(next, r.SID)
	f.delete(f.ctx, tok) // by a request that had loaded the session before
	f.ended(next, r)

	tok, r = f.start() // between the halves
	next = token()
	f.delete(session.Renewing(f.ctx), tok)
	f.delete(f.ctx, tok)
	f.refused(session.Renewing(f.ctx), next, r)
	f.ended(next, r)
}

func overtakenRenewal(_ *testing.T, f *fixture) {
	tok, r := f.start()
	next := token()
	f.delete(f.ctx, tok)
	f.delete(session.Renewing(f.ctx), tok)
	f.refused(session.Renewing(f.ctx), next, r)
	f.ended(next, r)
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
	f.refused(f.ctx, second, r)
	f.dead(second)
	f.refused(session.Renewing(f.ctx), second, r) // its token lives: nothing to renew
	f.dead(second)
	f.alive(tok, r.SID)
}

func identitySwap(_ *testing.T, f *fixture) {
	tokA, a := f.start()
	tokB, b := f.start()
	f.refused(f.ctx, tokA, b) // A's token with B's record
	f.alive(tokA, a.SID)
	f.alive(tokB, b.SID)
	stranger := a
	stranger.User = b.User
	f.refused(f.ctx, tokA, stranger)
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
	f.refused(f.ctx, tokA, fresh) // a fresh sid under a token in use
	f.alive(tokA, a.SID)
}
