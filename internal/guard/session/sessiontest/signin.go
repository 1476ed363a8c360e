package sessiontest

import (
	"testing"

	"example.com/portcullis/internal/guard/session"
)

// The claims about sign-ins: what was proven has to be true when it is stored.

func staleSignIn(_ *testing.T, f *fixture) {
	tok, r := token(), f.record(f.User(f.T))
	f.Change(f.T, r.User)
	f.refused(f.ctx, tok, r)
	f.ended(tok, r)
	f.refused(session.Renewing(f.ctx), tok, r) // nor as a renewal of what never was
	f.ended(tok, r)

	r = f.record(r.User)
	r.CredentialGen = 2 // nobody proved a password of the future
	f.refused(f.ctx, tok, r)
	r.CredentialGen = 1
	if !f.commit(f.ctx, tok, r) {
		f.Error("a sign-in with the new credential is refused")
	}
	f.alive(tok, r.SID)
}

func disabledSignIn(_ *testing.T, f *fixture) {
	tok, r := token(), f.record(f.User(f.T))
	f.Disable(f.T, r.User)
	f.refused(f.ctx, tok, r)
	f.dead(tok)
}

func keptSession(_ *testing.T, f *fixture) {
	tok, r := f.start()
	f.Change(f.T, r.User)
	if !f.commit(f.ctx, tok, r) {
		f.Error("a request of the kept session is refused")
	}
	f.alive(tok, r.SID)
	next := token()
	f.delete(session.Renewing(f.ctx), tok)
	if !f.commit(session.Renewing(f.ctx), next, r) {
		f.Error("the renewal of the kept session is refused")
	}
	f.alive(next, r.SID)
}
