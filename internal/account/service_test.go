package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/password"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/text"
)

// world is everything around a Service, as small as it can be.
type world struct {
	t        *testing.T
	service  *account.Service
	users    map[string]account.User
	sessions []chat.SessionID // of whoever; the fakes end all but the kept one
	seen     map[string]bool  // user id + network
	revoked  []chat.Revocation
	events   []audit.Event
	work     int // argon2id hashes that would have been made
	busy     bool
	during   func() // happens while a password is being hashed
	now      time.Time
}

func newWorld(t *testing.T, change func(*account.Options)) *world {
	t.Helper()
	w := &world{t: t, users: map[string]account.User{}, seen: map[string]bool{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	o := account.Options{Store: w, Networks: w, Passwords: w, Owners: owners{w}, Limits: ratelimit.NewMemory(func() time.Time { return w.now }), Revoker: w, Audit: w,
		Now: func() time.Time { return w.now }, TriesPerMinute: 10, OpenSignUp: true}
	if change != nil {
		change(&o)
	}
	var err error
	if w.service, err = account.New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) Create(_ context.Context, u account.User) error {
	if _, taken := w.users[u.Username]; taken {
		return &chat.Error{Kind: chat.Conflict, Public: "That name is taken."}
	}
	w.users[u.Username] = u
	return nil
}
func (w *world) ByUsername(_ context.Context, name string) (account.User, error) {
	u, ok := w.users[name]
	if !ok {
		return account.User{}, account.ErrNoUser
	}
	return u, nil
}
func (w *world) ByID(_ context.Context, id chat.UserID) (account.User, error) {
	for _, u := range w.users {
		if u.ID == id {
			return u, nil
		}
	}
	return account.User{}, account.ErrNoUser
}
func (w *world) update(id chat.UserID, keep chat.SessionID, change func(*account.User)) ([]chat.SessionID, error) {
	u, err := w.ByID(w.t.Context(), id)
	if err != nil {
		return nil, err
	}
	change(&u)
	u.CredentialGen++
	w.users[u.Username] = u
	return slices.DeleteFunc(slices.Clone(w.sessions), func(s chat.SessionID) bool { return s == keep }), nil
}
func (w *world) SetPassword(_ context.Context, id chat.UserID, hash string, verified *int64, keep chat.SessionID, _ string, initial time.Time) ([]chat.SessionID, error) {
	if u, err := w.ByID(w.t.Context(), id); err == nil && verified != nil && *verified != u.CredentialGen {
		return nil, account.ErrChanged
	}
	return w.update(id, keep, func(u *account.User) { u.PasswordHash, u.InitialUntil = hash, initial })
}
func (w *world) SetRole(_ context.Context, id chat.UserID, role authz.SiteRole, _ string) ([]chat.SessionID, error) {
	return w.update(id, chat.SessionID{}, func(u *account.User) { u.Role = role })
}
func (w *world) SetDisabled(_ context.Context, id chat.UserID, disabled bool, _ string) ([]chat.SessionID, error) {
	return w.update(id, chat.SessionID{}, func(u *account.User) { u.Disabled = disabled })
}
func (w *world) Erase(_ context.Context, id chat.UserID, _ string) ([]chat.SessionID, error) {
	return w.update(id, chat.SessionID{}, func(u *account.User) { u.Disabled = true })
}
func (w *world) Rehash(_ context.Context, id chat.UserID, _, newHash string) error {
	_, err := w.update(id, chat.SessionID{}, func(u *account.User) { u.PasswordHash = newHash; u.CredentialGen-- }) // as it was
	return err
}
func (w *world) List(context.Context, int) ([]account.User, error) { return nil, nil }
func (w *world) Seen(_ context.Context, user chat.UserID, network string) (bool, error) {
	return w.seen[user.String()+network], nil
}
func (w *world) Check(pw, _ string) error {
	if len(pw) < 10 {
		return errors.New("Use at least 10 characters.") //nolint:staticcheck // a public sentence
	}
	return nil
}
func (w *world) Hash(_ context.Context, pw string) (string, error) {
	w.work++
	if during := w.during; during != nil {
		w.during = nil
		during()
	}
	return "hash:" + pw, nil
}
func (w *world) Verify(_ context.Context, hash, pw string) (bool, bool, error) {
	w.work++
	if w.busy {
		return false, false, password.ErrBusy
	}
	return strings.TrimPrefix(strings.TrimPrefix(hash, "old-"), "hash:") == pw, strings.HasPrefix(hash, "old-"), nil
}
func (w *world) VerifyUnknown(context.Context, string) error { w.work++; return nil }
func (w *world) Revoke(_ context.Context, r chat.Revocation) { w.revoked = append(w.revoked, r) }
func (w *world) Record(_ context.Context, e audit.Event)     { w.events = append(w.events, e) }
func (w *world) last() audit.Event                           { return w.events[len(w.events)-1] }
func (w *world) signIn(from, name, pw string) (account.User, error) {
	return w.service.SignIn(w.t.Context(), caller(from), name, pw)
}

func caller(ip string) account.Caller {
	return account.Caller{Network: clientip.Prefix(netip.MustParseAddr(ip)), UserAgent: "test", RequestID: "r"}
}

const good = "tidal-basin-lantern"

func (w *world) person(name string) account.User {
	w.t.Helper()
	u, err := w.service.Create(w.t.Context(), name, good, "", authz.User)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

//control:proves password
func TestSignIn_wrongPasswordUnknownNameAndDisabledAccountLookAndCostTheSame(t *testing.T) {
	w := newWorld(t, nil)
	w.person("alice")
	w.person("carol")
	if err := w.service.SetDisabled(t.Context(), "carol", true); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, user, pw, reason string }{
		{"wrong password", "alice", "not-the-password", "wrong_password"},
		{"unknown name", "nobody", good, "unknown_user"},
		{"disabled", "carol", good, "disabled"},
	} {
		before := w.work
		_, err := w.signIn("192.0.2.1", tt.user, tt.pw)
		if !errors.Is(err, account.ErrInvalidCredentials) {
			t.Errorf("%s: err = %v, want the one answer", tt.name, err)
		}
		if w.work-before != 1 {
			t.Errorf("%s: %d hashes, want exactly one whoever it is", tt.name, w.work-before)
		}
		if e := w.last(); e.Name != audit.LoginFail || e.Reason != tt.reason || e.IP != "192.0.2.1/32" {
			t.Errorf("%s: event %+v", tt.name, e)
		}
	}
}

//control:proves throttle
func TestSignIn_guessingIsStoppedPerNetworkWhoeverIsGuessed(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 50 {
		_, err := w.signIn("192.0.2.1", fmt.Sprint("user", i), "guess-guess-guess")
		if chat.KindOf(err) == chat.RateLimited {
			if i != 10 {
				t.Errorf("stopped after %d tries, want the network's 10", i)
			}
			if e, _ := errors.AsType[*chat.Error](err); e.RetryAfter <= 0 {
				t.Error("the answer must say when to come back")
			}
			if w.last().Name != audit.LoginFailMax {
				t.Errorf("event %+v", w.last())
			}
			return
		}
	}
	t.Error("50 guesses from one network were answered")
}

//control:proves throttle
func TestSignIn_aBotnetCannotLockOutTheOwner(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.person("alice")
	const home = "198.51.100.7"
	w.seen[alice.ID.String()+home+"/32"] = true

	stopped := false
	for i := range 200 { // each guess from another network
		_, err := w.signIn(fmt.Sprintf("203.0.113.%d", i), "alice", "guess-guess-guess")
		stopped = stopped || chat.KindOf(err) == chat.RateLimited
	}
	if !stopped {
		t.Error("200 networks together must run out of guesses for one account")
	}
	if _, err := w.signIn("203.0.113.250", "alice", good); chat.KindOf(err) != chat.RateLimited {
		t.Errorf("a stranger's network: %v, want the budget of strangers to be spent", err)
	}
	if _, err := w.signIn(home, "alice", good); err != nil {
		t.Errorf("the owner, from a known network: %v", err)
	}
}

//control:proves throttle
func TestSignIn_refusesWithoutWorkWhenTheBudgetIsSpent(t *testing.T) {
	w := newWorld(t, nil)
	w.person("alice")
	for range 30 {
		_, _ = w.signIn("192.0.2.1", "alice", "guess-guess-guess")
	}
	before := w.work
	if _, err := w.signIn("192.0.2.1", "alice", good); chat.KindOf(err) != chat.RateLimited {
		t.Fatalf("err = %v", err)
	}
	if w.work != before {
		t.Error("a refused try must not cost a hash")
	}
}

//control:proves password
func TestSignIn_aFullHashQueueSaysComeBackInsteadOfWaiting(t *testing.T) {
	w := newWorld(t, nil)
	w.person("alice")
	w.busy = true
	_, err := w.signIn("192.0.2.1", "alice", good)
	if chat.KindOf(err) != chat.Busy || errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("err = %v, want busy", err)
	}
}

//control:proves password
func TestSignIn_oldHashesAreReplacedAtTheNextSignIn(t *testing.T) {
	w := newWorld(t, nil)
	u := w.person("alice")
	u.PasswordHash = "old-hash:" + good
	w.users["alice"] = u
	if _, err := w.signIn("192.0.2.1", "alice", good); err != nil {
		t.Fatal(err)
	}
	if got := w.users["alice"].PasswordHash; got != "hash:"+good {
		t.Errorf("hash = %q", got)
	}
}

//control:proves password
func TestSignUp_refusesNamesAndPasswordsThatHelpAnAttacker(t *testing.T) {
	tests := []struct{ name, username, pw, display string }{
		{"upper case is folded, spaces are not allowed", "al ice", good, ""},
		{"one letter", "a", good, ""},
		{"path", "../etc", good, ""},
		{"markup", "<script>", good, ""},
		{"Cyrillic look-alike", "аlice", good, ""},
		{"ends with a dot", "alice.", good, ""},
		{"33 letters", strings.Repeat("a", 33), good, ""},
		{"weak password", "alice", "short", ""},
		{"bidi override in the display name", "alice", good, "Alice\u202Eecila"},
		{"zero width in the display name", "alice", good, "Adm\u200Bin"},
		{"newline in the display name", "alice", good, "Alice\x00"},
		{"long display name", "alice", good, strings.Repeat("x", 65)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			_, err := w.service.SignUp(t.Context(), caller("192.0.2.1"), tt.username, tt.pw, tt.display)
			if chat.KindOf(err) != chat.Invalid {
				t.Errorf("err = %v, want invalid", err)
			}
			if len(w.users) != 0 {
				t.Error("a refused sign-up must leave nothing")
			}
		})
	}
}

//control:proves unicode
func TestSignUp_refusesANameThatLooksLikeSomebodyElses(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.service.SignUp(t.Context(), caller("192.0.2.1"), "ace", good, "Ace"); err != nil {
		t.Fatal(err)
	}
	for display, rule := range map[string]text.Rule{
		"асе":                 text.LooksLike, // all Cyrillic: no mixing gives it away
		"ａｃｅ":                 text.LooksLike,
		"аdmin":               text.Mixed,
		"ѕуѕтем":              text.LooksLike, // nobody has it, and people trust it
		"Ａｄｍｉｎ":               text.LooksLike,
		"a" + "\u200D" + "ce": text.Invisible,
	} {
		_, err := w.service.Create(t.Context(), "mallory", good, display, authz.User)
		if got, _ := errors.AsType[text.Rule](err); got != rule || chat.KindOf(err) != chat.Invalid {
			t.Errorf("%q: %v, want the rule %s", display, err, rule)
		}
	}
	for i, display := range []string{"Вера", "Ace", "王小明", "Аня"} {
		if _, err := w.service.Create(t.Context(), fmt.Sprintf("friend%d", i), good, display, authz.User); err != nil {
			t.Errorf("%q: %v", display, err)
		}
	}
}

func TestSignUp_foldsTheNameAndCanBeClosed(t *testing.T) {
	w := newWorld(t, nil)
	u, err := w.service.SignUp(t.Context(), caller("192.0.2.1"), " Alice ", good, "Älice Omega")
	if err != nil || u.Username != "alice" || u.Role != authz.User {
		t.Errorf("%+v, %v", u, err)
	}
	if w.last().Name != audit.UserCreated {
		t.Errorf("event %+v", w.last())
	}
	closed := newWorld(t, func(o *account.Options) { o.OpenSignUp = false })
	if _, err := closed.service.SignUp(t.Context(), caller("192.0.2.1"), "alice", good, ""); !errors.Is(err, account.ErrSignUpClosed) {
		t.Errorf("err = %v, want closed", err)
	}
}

//control:proves revocation
func TestChangePassword_endsEveryOtherSessionAndNotThisOne(t *testing.T) {
	w := newWorld(t, nil)
	u := w.person("alice")
	mine, thief := chat.SessionID{UUID: uuid.New()}, chat.SessionID{UUID: uuid.New()}
	w.sessions = []chat.SessionID{mine, thief}
	a := chat.Actor{User: u.ID, Session: mine, Username: "alice"}

	if err := w.service.ChangePassword(t.Context(), caller("192.0.2.1"), a, "not-the-password", good+"-next"); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("wrong current password: %v", err)
	}
	if len(w.revoked) != 0 || w.last().Name != audit.PasswordChangeFail || w.last().Level != audit.Critical {
		t.Errorf("a failed change must end nothing and be told: %v %+v", w.revoked, w.last())
	}
	if err := w.service.ChangePassword(t.Context(), caller("192.0.2.1"), a, good, good+"-next"); err != nil {
		t.Fatal(err)
	}
	if len(w.revoked) != 1 || w.revoked[0].Session != thief || w.revoked[0].Reason != "password_change" {
		t.Errorf("revoked %+v, want the thief's session alone", w.revoked)
	}
}

// The attack: owner and thief change the password at once, both with the old one.
// Whoever comes second proved a password that is none any more.
//
//control:proves password
func TestChangePassword_ofTwoAtOnceOneWins(t *testing.T) {
	for name, first := range map[string]func(w *world, a chat.Actor) error{
		"the owner's change": func(w *world, a chat.Actor) error {
			return w.service.ChangePassword(t.Context(), caller("198.51.100.7"), a, good, good+"-owner")
		},
		"the administrator's reset": func(w *world, _ chat.Actor) error {
			_, err := w.service.ResetPassword(t.Context(), "alice")
			return err
		},
	} {
		w := newWorld(t, nil)
		u := w.person("alice")
		a := chat.Actor{User: u.ID, Session: chat.SessionID{UUID: uuid.New()}, Username: "alice"}
		w.during = func() {
			if err := first(w, a); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		err := w.service.ChangePassword(t.Context(), caller("192.0.2.1"), a, good, good+"-thief")
		if !errors.Is(err, account.ErrInvalidCredentials) {
			t.Errorf("after %s: err = %v, want the answer to a wrong password", name, err)
		}
		if got := w.users["alice"].PasswordHash; got == "hash:"+good || got == "hash:"+good+"-thief" {
			t.Errorf("after %s: hash %q", name, got)
		}
		if e := w.last(); e.Name != audit.PasswordChangeFail || e.Reason != "credential_changed" || e.Level != audit.Critical {
			t.Errorf("after %s: event %+v", name, e)
		}
	}
}

// The administrator's word holds whatever the user does meanwhile.
//
//control:proves password
func TestResetPassword_overridesAChangeThatIsFaster(t *testing.T) {
	w := newWorld(t, nil)
	u := w.person("alice")
	w.during = func() {
		a := chat.Actor{User: u.ID, Session: chat.SessionID{UUID: uuid.New()}, Username: "alice"}
		if err := w.service.ChangePassword(t.Context(), caller("192.0.2.1"), a, good, good+"-thief"); err != nil {
			t.Error(err)
		}
	}
	in, err := w.service.ResetPassword(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.users["alice"].PasswordHash; got != "hash:"+in.Password.Reveal() {
		t.Errorf("hash %q", got)
	}
}

// What SignIn returns is what it proved: a change during the work on the hash must not
// show in it, or the session would be of a password that nobody proved.
//
//control:proves password
func TestSignIn_returnsTheGenerationThatItProved(t *testing.T) {
	w := newWorld(t, nil)
	u := w.person("alice")
	u.PasswordHash = "old-hash:" + good // so that the sign-in also makes a hash
	w.users["alice"] = u
	w.during = func() {
		if err := w.service.SetRole(t.Context(), "alice", authz.Auditor); err != nil {
			t.Error(err)
		}
	}
	got, err := w.signIn("192.0.2.1", "alice", good)
	if err != nil || got.CredentialGen != u.CredentialGen || w.users["alice"].CredentialGen == u.CredentialGen {
		t.Errorf("generation %d of %d, stored %d, error %v", got.CredentialGen, u.CredentialGen, w.users["alice"].CredentialGen, err)
	}
}

//control:proves revocation
//control:proves admin-separation
func TestRoleChangeAndDisablingEndEverySession(t *testing.T) {
	w := newWorld(t, nil)
	w.person("alice")
	w.sessions = []chat.SessionID{{UUID: uuid.New()}, {UUID: uuid.New()}}
	for reason, tt := range map[string]struct {
		do   func() error
		name audit.Name
	}{
		"role_change": {func() error { return w.service.SetRole(t.Context(), "alice", authz.Auditor) }, audit.AuthzChange},
		"disabled":    {func() error { return w.service.SetDisabled(t.Context(), "alice", true) }, audit.UserDisabled},
	} {
		w.revoked = nil
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		if e := w.last(); e.Name != tt.name {
			t.Errorf("%s: event %s, want %s", reason, e.Name, tt.name)
		}
		if len(w.revoked) != 2 || w.revoked[0].Reason != reason {
			t.Errorf("%s: revoked %+v", reason, w.revoked)
		}
	}
}

func TestActor_isNobodyForADisabledOrUnknownUserOrAnAnonymousSession(t *testing.T) {
	w := newWorld(t, nil)
	u := w.person("alice")
	sid := uuid.New()
	a, err := w.service.Actor(t.Context(), session.Session{SID: sid, User: u.ID.UUID})
	if err != nil || a.User != u.ID || a.Session.UUID != sid {
		t.Errorf("%+v, %v", a, err)
	}
	if err := w.service.SetDisabled(t.Context(), "alice", true); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]session.Session{"disabled": {User: u.ID.UUID}, "unknown": {User: uuid.New()}, "anonymous": {}} {
		if _, err := w.service.Actor(t.Context(), s); chat.KindOf(err) != chat.Denied {
			t.Errorf("%s: err = %v, want denied", name, err)
		}
	}
}

func TestSignIn_oneNetworkHasHalfOfItsTriesForOneAccount(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.person("alice")
	w.seen[alice.ID.String()+"192.0.2.1/32"] = true // so that the budget of strangers has no part in it
	for i := range 20 {
		_, err := w.signIn("192.0.2.1", "alice", "guess-guess-guess")
		if chat.KindOf(err) == chat.RateLimited {
			if i != 5 || w.last().Reason != "sign_in_pair" {
				t.Errorf("stopped after %d by %q, want 5 by the pair", i, w.last().Reason)
			}
			return
		}
	}
	t.Error("20 guesses at one account from one network were answered")
}

func TestSignIn_everybodyTogetherIsBoundedToo(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 1100 { // each from another network, at another account
		_, err := w.signIn(fmt.Sprintf("10.%d.%d.1", i/250, i%250), fmt.Sprint("user", i), "guess-guess-guess")
		if chat.KindOf(err) == chat.RateLimited {
			if i != 1000 || w.last().Reason != "sign_in_global" {
				t.Errorf("stopped after %d by %q", i, w.last().Reason)
			}
			return
		}
	}
	t.Error("1,100 sign-ins at once were worked on")
}
