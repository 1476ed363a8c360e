package account_test

import (
	"errors"
	"testing"
	"time"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
)

// Whoever hands a password over knows it; what they know opens one sign-in for a day, and
// nothing once its owner has chosen another.
//
//control:proves password
func TestInvite_makesAPasswordThatOpensOneSignInForADay(t *testing.T) {
	w := newWorld(t, func(o *account.Options) { o.TriesPerMinute = 100 })
	u, in, err := w.service.Invite(t.Context(), "carol", "", authz.Auditor)
	if err != nil {
		t.Fatal(err)
	}
	given := in.Password.Reveal()
	if e := w.last(); len(given) < 20 || e.Name != audit.AuthzAdmin || e.Reason != "user_add" || e.User != u.ID.String() || e.Detail != "auditor" {
		t.Errorf("password of %d characters, event %+v", len(given), e)
	}
	if _, other, err := w.service.Invite(t.Context(), "dave", "", authz.User); err != nil || other.Password.Reveal() == given {
		t.Errorf("a second one is the same: %v", err)
	}
	if _, err := w.signIn("192.0.2.1", "carol", given); !errors.Is(err, account.ErrNewPassword) {
		t.Errorf("without a new password: %v", err)
	}
	anew := func(pw, next string) error {
		_, err := w.service.SignInAnew(t.Context(), caller("192.0.2.1"), "carol", pw, next)
		return err
	}
	for name, tt := range map[string]struct{ pw, next string }{"a wrong one": {given + "x", good}, "the same again": {given, given}, "a weak one": {given, "password"}} {
		if err := anew(tt.pw, tt.next); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if w.users["carol"].InitialUntil.IsZero() {
		t.Fatal("a refused one has changed the password")
	}
	got, err := w.service.SignInAnew(t.Context(), caller("192.0.2.1"), "carol", given, good)
	if stored := w.users["carol"]; err != nil || got.ID != u.ID || got.CredentialGen != stored.CredentialGen || stored.PasswordHash != "hash:"+good {
		t.Fatalf("%+v, %v; stored %+v", got, err, stored)
	}
	if _, err := w.signIn("192.0.2.1", "carol", given); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("the password that was handed over: %v", err)
	}
	if err := anew(given, good+"-mine"); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("and once more: %v", err)
	}
	if _, err := w.signIn("192.0.2.1", "carol", good); err != nil {
		t.Errorf("the chosen one: %v", err)
	}
	if err := anew(good, good+"-next"); chat.KindOf(err) != chat.Invalid {
		t.Errorf("a chosen password is replaced at a sign-in: %v", err)
	}
}

//control:proves password
func TestResetPassword_makesAPasswordThatIsTooOldAfterADay(t *testing.T) {
	w := newWorld(t, nil)
	w.person("alice")
	in, err := w.service.ResetPassword(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(24 * time.Hour)
	if _, err := w.service.SignInAnew(t.Context(), caller("192.0.2.1"), "alice", in.Password.Reveal(), good+"-next"); !errors.Is(err, account.ErrInvalidCredentials) {
		t.Errorf("after a day: %v", err)
	}
	if e := w.last(); e.Name != audit.LoginFail || e.Reason != "initial_too_old" {
		t.Errorf("event %+v", e)
	}
}
