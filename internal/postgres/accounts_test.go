package postgres

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

func newUser(username string) account.User {
	return account.User{
		ID: chat.UserID{UUID: uuid.New()}, Username: username, DisplayName: "Ann  O'Nym", Role: authz.User,
		PasswordHash: "$argon2id$old", CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

func TestCreate_storesAndFindsAUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	u := newUser("ann")
	if err := w.Accounts().Create(w.ctx, u); err != nil {
		t.Fatal(err)
	}
	byName, err := w.Accounts().ByUsername(w.ctx, "ann")
	if diff := cmp.Diff(u, byName); err != nil || diff != "" {
		t.Errorf("by name: %v\n%s", err, diff)
	}
	byID, err := w.Accounts().ByID(w.ctx, u.ID)
	if diff := cmp.Diff(u, byID); err != nil || diff != "" {
		t.Errorf("by id: %v\n%s", err, diff)
	}
	for _, name := range []string{"", "Ann", "ann ", "a%", "' OR '1'='1", "bob"} {
		if _, err := w.Accounts().ByUsername(w.ctx, name); !errors.Is(err, account.ErrNoUser) {
			t.Errorf("%q: error %v; want ErrNoUser", name, err)
		}
	}
	if _, err := w.Accounts().ByID(w.ctx, chat.UserID{}); !errors.Is(err, account.ErrNoUser) {
		t.Errorf("zero id: %v", err)
	}
}

func TestCreate_refusesNamesThatLookAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, c := range []struct {
		first, second string
		want          bool // taken
	}{
		{"ann", "ann", true},
		{"paypal", "paypa1", true},
		{"bob.roe", "b0b-r0e", true},
		{"modern", "rnodern", true},
		{"a_b", "a.b", true},
		{"cd", "c-d", false},
		{"joan", "joann", false},
	} {
		t.Run(c.first+" and "+c.second, func(t *testing.T) {
			if err := w.Accounts().Create(w.ctx, newUser(c.first)); err != nil {
				t.Fatal(err)
			}
			err := w.Accounts().Create(w.ctx, newUser(c.second))
			if c.want {
				kind(t, c.second, err, chat.Conflict)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCreate_givesANameToOneOfManyWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = w.Accounts().Create(w.ctx, newUser("ann")) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			kind(t, "the others", err, chat.Conflict)
		}
	}
	if made != 1 {
		t.Errorf("%d accounts made", made)
	}
}

//control:proves revocation
func TestSet_endsTheUsersSessionsAndNobodyElses(t *testing.T) {
	t.Parallel()
	type change func(w *world, ann chat.Person, keep chat.SessionID) ([]chat.SessionID, error)
	for _, c := range []struct {
		name   string
		change change
		keeps  bool // the session that is kept
		check  func(account.User) bool
	}{
		{"password", func(w *world, ann chat.Person, keep chat.SessionID) ([]chat.SessionID, error) {
			return w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$new", nil, keep, "password_change", time.Time{})
		}, true, func(u account.User) bool { return u.PasswordHash == "$argon2id$new" }},
		{"role", func(w *world, ann chat.Person, _ chat.SessionID) ([]chat.SessionID, error) {
			return w.Accounts().SetRole(w.ctx, ann.ID, authz.Admin, "role_change")
		}, false, func(u account.User) bool { return u.Role == authz.Admin }},
		{"disable", func(w *world, ann chat.Person, _ chat.SessionID) ([]chat.SessionID, error) {
			return w.Accounts().SetDisabled(w.ctx, ann.ID, true, "disabled")
		}, false, func(u account.User) bool { return u.Disabled }},
		{"enable", func(w *world, ann chat.Person, _ chat.SessionID) ([]chat.SessionID, error) {
			return w.Accounts().SetDisabled(w.ctx, ann.ID, false, "disabled")
		}, false, func(u account.User) bool { return !u.Disabled }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			ann, bob := w.user("ann"), w.user("bob")
			kept, other, bobs := w.login(ann), w.login(ann), w.login(bob)
			ended, err := c.change(w, ann, chat.SessionID{UUID: kept.record.SID})
			if err != nil {
				t.Fatal(err)
			}
			u, err := w.Accounts().ByID(w.ctx, ann.ID)
			if err != nil || !c.check(u) {
				t.Errorf("user %+v, error %v", u, err)
			}
			want := 0
			for l, lives := range map[*login]bool{&kept: c.keeps, &other: false, &bobs: true} {
				if got := w.live(*l); got != lives {
					t.Errorf("session lives %v, want %v", got, lives)
				}
				if !lives {
					want++
					if !slices.Contains(ended, chat.SessionID{UUID: l.record.SID}) {
						t.Error("an ended session is not in the answer")
					}
				}
			}
			list, err := w.Revocations().Since(w.ctx, time.Minute)
			if err != nil || len(ended) != want || len(list) != want {
				t.Errorf("%d ended, %d in the outbox, error %v; want %d", len(ended), len(list), err, want)
			}
			if w.commit(other) || w.live(other) {
				t.Error("a late commit revived the session")
			}
			if u.CredentialGen != 1 {
				t.Errorf("generation %d, want 1: sign-ins that are on their way would stay valid", u.CredentialGen)
			}
		})
	}
}

func TestSet_changesNothingForAnUnknownUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	if _, err := w.Accounts().SetRole(w.ctx, chat.UserID{UUID: uuid.New()}, authz.Admin, "role_change"); !errors.Is(err, account.ErrNoUser) {
		t.Errorf("error %v; want ErrNoUser", err)
	}
}

//control:proves session
func TestSetDisabled_shutsOutASignInThatItDidNotSee(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	before, late := w.login(ann), w.proven(ann, 0)
	set := func(disabled bool) {
		t.Helper()
		if _, err := w.Accounts().SetDisabled(w.ctx, ann.ID, disabled, "disabled"); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	if w.commit(late) || w.live(late) { // it was past its password check
		t.Error("a disabled user has a live session")
	}
	set(false)
	if w.live(before) || w.live(late) {
		t.Error("a session woke up when the user was enabled")
	}
	if w.commit(late) || w.live(late) {
		t.Error("a sign-in from before the disabling became a session after the enabling")
	}
	now := w.proven(ann, 2)
	if !w.commit(now) || !w.live(now) {
		t.Error("an enabled user cannot sign in")
	}
}

// A row that got past every check while the user was disabled is dead, and must not
// wake up with the user.
//
//control:proves session
func TestSetDisabled_endsWhatIsLeftWhenTheUserIsEnabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	left := w.login(ann)
	w.raw("UPDATE users SET disabled_at = now() WHERE id = $1", ann.ID.UUID) // ends nothing
	ended, err := w.Accounts().SetDisabled(w.ctx, ann.ID, false, "disabled")
	if err != nil || len(ended) != 1 || ended[0].UUID != left.record.SID || w.live(left) {
		t.Errorf("ended %v, error %v, lives %v", ended, err, w.live(left))
	}
}

func TestRehash_doesNotUndoANewPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	u := newUser("ann")
	if err := w.Accounts().Create(w.ctx, u); err != nil {
		t.Fatal(err)
	}
	hash := func() string {
		u, err := w.Accounts().ByID(w.ctx, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u.PasswordHash
	}
	if err := w.Accounts().Rehash(w.ctx, u.ID, "$argon2id$old", "$argon2id$stronger"); err != nil || hash() != "$argon2id$stronger" {
		t.Errorf("hash %s, error %v", hash(), err)
	}
	if err := w.Accounts().Rehash(w.ctx, u.ID, "$argon2id$old", "$argon2id$late"); err != nil || hash() != "$argon2id$stronger" {
		t.Errorf("hash %s, error %v", hash(), err)
	}
}

func TestList_isByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	for _, n := range []string{"carol", "ann", "bob"} {
		w.user(n)
	}
	list, err := w.Accounts().List(w.ctx, 2)
	if err != nil || len(list) != 2 || list[0].Username != "ann" || list[1].Username != "bob" {
		t.Errorf("%+v, error %v", list, err)
	}
}

// A password that an administrator hands over says so in the store, until its owner
// chooses another.
//
//control:proves password
func TestSetPassword_keepsUntilWhenAPasswordIsInitial(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	wants := func(want time.Time) {
		t.Helper()
		if u, err := w.Accounts().ByUsername(w.ctx, "ann"); err != nil || !u.InitialUntil.Equal(want) {
			t.Errorf("initial until %v, %v; want %v", u.InitialUntil, err, want)
		}
	}
	wants(time.Time{})
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$given", nil, chat.SessionID{}, "password_change", until); err != nil {
		t.Fatal(err)
	}
	wants(until)
	gen := int64(1)
	if _, err := w.Accounts().SetPassword(w.ctx, ann.ID, "$argon2id$own", &gen, chat.SessionID{}, "password_change", time.Time{}); err != nil {
		t.Fatal(err)
	}
	wants(time.Time{})
	if err := w.Accounts().Create(w.ctx, account.User{ID: chat.UserID{UUID: uuid.New()}, Username: "carol", DisplayName: "Carol", Role: authz.User, PasswordHash: "$argon2id$given", CreatedAt: time.Now(), InitialUntil: until}); err != nil {
		t.Fatal(err)
	}
	if u, err := w.Accounts().ByUsername(w.ctx, "carol"); err != nil || !u.InitialUntil.Equal(until) {
		t.Errorf("of a new account: %v, %v", u.InitialUntil, err)
	}
}
