package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/passkey"
)

func (w *world) passkey(owner chat.Person, credential string, count uint32) account.Passkey {
	w.Helper()
	p := account.Passkey{ID: uuid.New(), User: owner.ID, Name: "Phone", CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
		Credential: passkey.Credential{ID: []byte(credential), PublicKey: []byte("cose"), SignCount: count, Flags: 0x05, AAGUID: make([]byte, 16)}}
	if err := w.Passkeys().AddPasskey(w.ctx, w.login(owner).record.SID, p, passkey.MaxPerUser); err != nil {
		w.Fatal(err)
	}
	return p
}

func TestPasskeys_keepWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	want := w.passkey(ann, "one", 4294967295)
	w.passkey(bob, "two", 0)
	list, err := w.Passkeys().PasskeysOf(w.ctx, ann.ID)
	if err != nil || len(list) != 1 || fmt.Sprint(list[0]) != fmt.Sprint(want) {
		t.Fatalf("%+v, %v, want %+v", list, err, want)
	}
	again := want
	again.ID = uuid.New()
	if err := w.Passkeys().AddPasskey(w.ctx, w.login(ann).record.SID, again, passkey.MaxPerUser); chat.KindOf(err) != chat.Conflict {
		t.Errorf("one credential twice: %v", err)
	}
	again.User = bob.ID // somebody else's credential under one's own name
	if err := w.Passkeys().AddPasskey(w.ctx, w.login(bob).record.SID, again, passkey.MaxPerUser); chat.KindOf(err) != chat.Conflict {
		t.Errorf("another's credential: %v", err)
	}
}

func TestPasskeys_tenAreEnoughHoweverManyComeAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	sid := w.login(ann).record.SID
	var wg sync.WaitGroup
	var added atomic.Int32
	for i := range 25 {
		wg.Go(func() {
			p := account.Passkey{ID: uuid.New(), User: ann.ID, Name: "k", CreatedAt: time.Now(), Credential: passkey.Credential{ID: fmt.Append(nil, "c", i), PublicKey: []byte("k"), AAGUID: make([]byte, 16)}}
			if w.Passkeys().AddPasskey(w.ctx, sid, p, passkey.MaxPerUser) == nil {
				added.Add(1)
			}
		})
	}
	wg.Wait()
	if list, err := w.Passkeys().PasskeysOf(w.ctx, ann.ID); err != nil || len(list) != passkey.MaxPerUser || int(added.Load()) != passkey.MaxPerUser {
		t.Errorf("%d passkeys, %d additions, %v", len(list), added.Load(), err)
	}
}

// A replayed answer comes to two nodes at once.
//
//control:proves passkey
func TestPasskeys_aCeremonyIsGivenOutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	l := w.login(w.user("ann"))
	c := passkey.Ceremony{Purpose: passkey.StepUp, Expires: time.Now().UTC().Truncate(time.Microsecond)}
	c.Data.Challenge = "challenge"
	for range 2 { // asking again replaces the question
		if err := w.Passkeys().Ask(w.ctx, l.record.SID, c); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := w.Passkeys().Answer(w.ctx, l.record.SID, passkey.Register); found || err != nil {
		t.Errorf("for another purpose: %v, %v", found, err)
	}
	if _, found, err := w.Passkeys().Answer(w.ctx, uuid.New(), passkey.StepUp); found || err != nil {
		t.Errorf("for another session: %v, %v", found, err)
	}
	var got atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			have, found, err := w.Passkeys().Answer(w.ctx, l.record.SID, passkey.StepUp)
			if err != nil || found && (have.Data.Challenge != "challenge" || !have.Expires.Equal(c.Expires)) {
				t.Errorf("%+v, %v", have, err)
			}
			if found {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("given out %d times", got.Load())
	}
}

//control:proves passkey
func TestPasskeys_theCounterOnlyRises(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	w.passkey(ann, "counts", 5)
	w.passkey(ann, "does not", 0)
	for _, c := range []struct {
		name       string
		who        chat.Person
		credential string
		count      uint32
		want       bool
	}{
		{"the same", ann, "counts", 5, false}, {"less", ann, "counts", 4, false}, {"zero", ann, "counts", 0, false},
		{"somebody else's", bob, "counts", 9, false}, {"more", ann, "counts", 6, true}, {"again", ann, "counts", 6, false},
		{"a device that does not count", ann, "does not", 0, true}, {"it still does not", ann, "does not", 0, true}, {"unknown", ann, "nothing", 1, false},
	} {
		got, err := w.Passkeys().UsePasskey(w.ctx, c.who.ID, []byte(c.credential), c.count, time.Now())
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// A stolen phone signs in while its owner removes its passkey.
//
//control:proves passkey
func TestPasskeys_removingOneRefusesTheSignInThatItIsProving(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	p := w.passkey(ann, "one", 1)
	if removed, err := w.Passkeys().RemovePasskey(w.ctx, bob.ID, p.ID); removed || err != nil {
		t.Errorf("bob removed it: %v, %v", removed, err)
	}
	proven := w.proven(ann, 0)
	if removed, err := w.Passkeys().RemovePasskey(w.ctx, ann.ID, p.ID); !removed || err != nil {
		t.Fatal(removed, err)
	}
	if w.commit(proven) {
		t.Error("the proof of a removed passkey became a session")
	}
}

// The administrator's reset is for an account that somebody else got into.
func TestSetPassword_theAdministratorsResetRemovesPasskeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	w.passkey(ann, "one", 1)
	w.passkey(bob, "two", 1)
	count := func(p chat.Person) int {
		list, err := w.Passkeys().PasskeysOf(w.ctx, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	gen := int64(0)
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$own", &gen, chat.SessionID{}, "password_change", time.Time{}); err != nil || count(ann) != 1 {
		t.Errorf("her own change: %d passkeys, %v", count(ann), err)
	}
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$admin", nil, chat.SessionID{}, "password_change", time.Time{}); err != nil || count(ann) != 0 || count(bob) != 1 {
		t.Errorf("the reset: %d and %d passkeys, %v", count(ann), count(bob), err)
	}
}

// A thief adds a passkey while the owner throws them out: by a sign-out everywhere, a new
// password, the administrator's reset or the end of the account. The passkey would let
// the thief in for ever.
//
//control:proves passkey
func TestAddPasskey_doesNotOutliveWhatEndsItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	add := func(owner chat.Person, sid uuid.UUID, id string) error {
		p := account.Passkey{ID: uuid.New(), User: owner.ID, Name: "k", CreatedAt: time.Now(), Credential: passkey.Credential{ID: []byte(id), PublicKey: []byte("k"), AAGUID: make([]byte, 16)}}
		return w.Passkeys().AddPasskey(w.ctx, sid, p, passkey.MaxPerUser)
	}
	left := func(p chat.Person) int {
		list, err := w.Passkeys().PasskeysOf(w.ctx, p.ID)
		if err != nil {
			t.Error(err)
		}
		return len(list)
	}
	for name, end := range map[string]func(owner chat.Person) error{
		"sign-out-everywhere": func(p chat.Person) error {
			_, err := w.Sessions().RevokeAll(w.ctx, p.ID.UUID, uuid.Nil, "revoked_by_user")
			return err
		},
		"reset": func(p chat.Person) error {
			_, err := w.Accounts().SetPassword(w.ctx, p.ID, "$argon2id$admin", nil, chat.SessionID{}, "password_change", time.Time{})
			return err
		},
		"erasure": func(p chat.Person) error {
			_, err := w.Accounts().Erase(w.ctx, p.ID, "erased")
			return err
		},
	} {
		owner := w.user(name)
		l := w.login(owner)
		if err := end(owner); err != nil {
			t.Fatal(name, err)
		}
		if err := add(owner, l.record.SID, name); chat.KindOf(err) != chat.Denied || left(owner) != 0 {
			t.Errorf("%s: %d passkeys were added after it: %v", name, left(owner), err)
		}
	}
	ann, bob := w.user("ann"), w.user("bob")
	if err := add(ann, w.login(bob).record.SID, "bobs"); chat.KindOf(err) != chat.Denied {
		t.Errorf("with somebody else's session: %v", err)
	}
	l := w.login(ann)
	w.meet(func(ctx context.Context, c conn) error { // the addition has the lock and has stored it
		if _, err := exec(ctx, c, lockUser, ann.ID.UUID); err != nil {
			return err
		}
		_, err := exec(ctx, c, addPasskey, uuid.New(), ann.ID.UUID, "k", []byte("late"), []byte("k"), 0, 0, make([]byte, 16), time.Now(), passkey.MaxPerUser)
		return err
	}, func() {
		if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$admin", nil, chat.SessionID{}, "password_change", time.Time{}); err != nil {
			t.Error(err)
		}
	})
	if left(ann) != 0 || w.live(l) {
		t.Errorf("%d passkeys survive a reset that waited for them; signed in: %v", left(ann), w.live(l))
	}
}

// A thief proves the stolen password; the owner ends the thief's session meanwhile.
//
//control:proves session
func TestSetPassword_refusesWhoWasSignedOutWhileProving(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	thief, owner := w.login(ann), w.login(ann)
	if ok, err := w.Sessions().Revoke(w.ctx, ann.ID.UUID, thief.record.SID, "revoked_by_user"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	gen := int64(0)
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$thief", &gen, chat.SessionID{UUID: thief.record.SID}, "password_change", time.Time{}); !isChanged(err) {
		t.Errorf("error %v, want ErrChanged", err)
	}
	bob := w.login(w.user("bob"))
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$thief", &gen, chat.SessionID{UUID: bob.record.SID}, "password_change", time.Time{}); !isChanged(err) {
		t.Errorf("with somebody else's session: %v, want ErrChanged", err)
	}
	if u, err := w.Accounts().ByID(w.ctx, ann.ID); err != nil || u.PasswordHash != "$test$ann" || u.CredentialGen != 0 || !w.live(owner) {
		t.Errorf("user %+v, %v; owner signed in %v", u, err, w.live(owner))
	}
}

//control:proves session-limit
func TestTrim_endsTheOldestAndNeverTheOneToKeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	other := w.login(bob)
	logins := make([]login, 6)
	for i := range logins {
		logins[i] = w.login(ann)
	}
	for i, l := range logins { // the first is the oldest
		w.raw(`UPDATE sessions SET created_at = created_at - $2 * interval '1 minute' WHERE sid = $1`, l.record.SID, len(logins)-i)
	}
	ended, err := w.Sessions().Trim(w.ctx, ann.ID.UUID, logins[0].record.SID, 3, "session_limit")
	if err != nil || len(ended) != 3 {
		t.Fatal(ended, err)
	}
	for i, old := range ended { // oldest first, with what its owner knows it by
		if want := logins[i+1].record; old.SID != want.SID || old.IP != want.IP || old.LastSeenAt.IsZero() {
			t.Errorf("ended %d: %+v, want %+v", i, old, want)
		}
	}
	for i, want := range []bool{true, false, false, false, true, true} {
		if w.live(logins[i]) != want {
			t.Errorf("session %d live: %v", i, !want)
		}
	}
	if !w.live(other) {
		t.Error("somebody else's session ended")
	}
	since, err := w.Revocations().Since(w.ctx, time.Hour)
	if err != nil || len(since) != 3 || since[0].Reason != "session_limit" {
		t.Errorf("outbox %+v, %v", since, err)
	}
	if again, err := w.Sessions().Trim(w.ctx, ann.ID.UUID, logins[0].record.SID, 3, "session_limit"); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
}
