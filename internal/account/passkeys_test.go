package account_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/passkey"
	"example.com/portcullis/internal/guard/passkey/passkeytest"
)

const (
	origin = "https://chat.example.com"
	name   = "chat.example.com"
)

// keys is a PasskeyStore in memory.
type keys struct {
	asked map[string]passkey.Ceremony
	list  []account.Passkey
}

func (k *keys) Ask(_ context.Context, sid uuid.UUID, c passkey.Ceremony) error {
	k.asked[sid.String()+string(c.Purpose)] = c
	return nil
}
func (k *keys) Answer(_ context.Context, sid uuid.UUID, p passkey.Purpose) (passkey.Ceremony, bool, error) {
	c, ok := k.asked[sid.String()+string(p)]
	delete(k.asked, sid.String()+string(p))
	return c, ok, nil
}
func (k *keys) PasskeysOf(_ context.Context, user chat.UserID) ([]account.Passkey, error) {
	return slices.DeleteFunc(slices.Clone(k.list), func(p account.Passkey) bool { return p.User != user }), nil
}
func (k *keys) AddPasskey(_ context.Context, _ uuid.UUID, p account.Passkey, _ int) error {
	k.list = append(k.list, p)
	return nil
}
func (k *keys) UsePasskey(_ context.Context, user chat.UserID, id []byte, count uint32, _ time.Time) (bool, error) {
	for i, p := range k.list {
		if c := &k.list[i].Credential; p.User == user && string(c.ID) == string(id) && c.SignCount < count {
			c.SignCount = count
			return true, nil
		}
	}
	return false, nil
}
func (k *keys) RemovePasskey(_ context.Context, user chat.UserID, id uuid.UUID) (bool, error) {
	n := len(k.list)
	k.list = slices.DeleteFunc(k.list, func(p account.Passkey) bool { return p.User == user && p.ID == id })
	return len(k.list) < n, nil
}

type keyWorld struct {
	*world
	*keys
	passkeys *account.Passkeys
}

func newKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	w := &keyWorld{newWorld(t, func(o *account.Options) { o.TriesPerMinute = 1000 }), &keys{asked: map[string]passkey.Ceremony{}}, nil}
	base, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	party, err := passkey.New(base, func() time.Time { return w.now })
	if err != nil {
		t.Fatal(err)
	}
	if w.passkeys, err = account.NewPasskeys(w.service, party, w.keys); err != nil {
		t.Fatal(err)
	}
	return w
}

// person signs up and registers a passkey on a device.
func (w *keyWorld) person(username string) (chat.Actor, *passkeytest.Device) {
	w.t.Helper()
	u, err := w.service.Create(w.t.Context(), username, good, "", authz.User)
	if err != nil {
		w.t.Fatal(err)
	}
	a := chat.Actor{User: u.ID, Session: chat.SessionID{UUID: uuid.New()}, Username: username}
	d := passkeytest.New(origin, name)
	options, err := w.passkeys.BeginRegister(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.passkeys.Register(w.t.Context(), caller("192.0.2.1"), a, "Phone", d.Create(options)); err != nil {
		w.t.Fatal(err)
	}
	return a, d
}

func (w *keyWorld) begin(sid uuid.UUID) []byte {
	w.t.Helper()
	options, err := w.passkeys.BeginSignIn(w.t.Context(), sid)
	if err != nil {
		w.t.Fatal(err)
	}
	return options
}

func (w *keyWorld) wantRefused(err error, reason string) {
	w.t.Helper()
	if !errors.Is(err, account.ErrPasskeyRefused) {
		w.t.Errorf("got %v", err)
	}
	if e := w.last(); e.Name != audit.LoginFail || e.Control != "passkey" || e.Reason != reason {
		w.t.Errorf("event %+v, want reason %s", e, reason)
	}
}

func TestPasskeys_signInAndStepUp(t *testing.T) {
	w := newKeyWorld(t)
	ada, d := w.person("ada")
	sid := uuid.New()
	u, err := w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, d.Get(w.begin(sid)))
	if err != nil || u.ID != ada.User {
		t.Fatal(u, err)
	}
	if e := w.last(); e.Name != audit.LoginSuccess || e.Control != "passkey" {
		t.Errorf("event %+v", e)
	}
	options, err := w.passkeys.BeginStepUp(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.passkeys.StepUp(t.Context(), caller("192.0.2.1"), ada, d.Get(options)); err != nil {
		t.Error(err)
	}
}

// An answer that a proxy's log has is played again; and one is answered from another
// browser than the one that was asked.
//
//control:proves passkey
func TestPasskeys_refusesAReplayedAnswer(t *testing.T) {
	w := newKeyWorld(t)
	_, d := w.person("ada")
	sid := uuid.New()
	answer := d.Get(w.begin(sid))
	_, err := w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), uuid.New(), answer)
	w.wantRefused(err, "replayed")
	if _, err := w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, answer); err != nil {
		t.Fatal(err)
	}
	_, err = w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, answer)
	w.wantRefused(err, "replayed")
	w.begin(sid) // a new question does not fit the old answer
	_, err = w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, answer)
	w.wantRefused(err, string(passkey.Invalid))
	// A failed answer has used its question up.
	options := w.begin(sid)
	wrong := *d
	wrong.Origin = "https://evil.example"
	_, err = w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, wrong.Get(options))
	w.wantRefused(err, string(passkey.Invalid))
	_, err = w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, d.Get(options))
	w.wantRefused(err, "replayed")
}

//control:proves passkey
func TestPasskeys_refusesACopyOfAKey(t *testing.T) {
	w := newKeyWorld(t)
	_, d := w.person("ada")
	sid := uuid.New()
	stolen := *d // counts on by itself
	for range 3 {
		if _, err := w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, d.Get(w.begin(sid))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.passkeys.SignIn(t.Context(), caller("198.51.100.9"), sid, stolen.Get(w.begin(sid)))
	w.wantRefused(err, string(passkey.Counter))
	if w.last().Level != audit.Critical {
		t.Errorf("level %s", w.last().Level)
	}
}

//control:proves passkey
func TestPasskeys_oneAnswerForStrangersDisabledAndRemoved(t *testing.T) {
	w := newKeyWorld(t)
	ada, d := w.person("ada")
	sid := uuid.New()
	stranger := passkeytest.New(origin, name)
	id := uuid.New()
	stranger.Handle = id[:]
	_, err := w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, stranger.Get(w.begin(sid)))
	w.wantRefused(err, string(passkey.Unknown))

	if err := w.service.SetDisabled(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	_, err = w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, d.Get(w.begin(sid)))
	w.wantRefused(err, "disabled")
	if err := w.service.SetDisabled(t.Context(), "ada", false); err != nil {
		t.Fatal(err)
	}

	mallory, _ := w.person("mallory")
	if err := w.passkeys.Remove(t.Context(), caller("192.0.2.1"), mallory, w.list[0].ID); !errors.Is(err, chat.ErrDenied) {
		t.Errorf("mallory removed ada's passkey: %v", err)
	}
	if err := w.passkeys.Remove(t.Context(), caller("192.0.2.1"), ada, w.list[0].ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.passkeys.SignIn(t.Context(), caller("192.0.2.1"), sid, d.Get(w.begin(sid)))
	w.wantRefused(err, string(passkey.Invalid))
}

func TestPasskeys_areNotOfferedAtAnAddress(t *testing.T) {
	w := newWorld(t, nil)
	p, err := account.NewPasskeys(w.service, nil, &keys{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.BeginSignIn(t.Context(), uuid.New()); p.Available() || !errors.Is(err, account.ErrNoPasskeys) {
		t.Errorf("available %v, %v", p.Available(), err)
	}
	if _, err := p.SignIn(t.Context(), caller("192.0.2.1"), uuid.New(), []byte("{}")); !errors.Is(err, account.ErrPasskeyRefused) {
		t.Error(err)
	}
}

func TestResetPassword_leavesAnEventOfTheAdministrator(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.service.Create(t.Context(), "ada", good, "", authz.User); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.ResetPassword(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	if e := w.last(); e.Name != audit.AuthzAdmin || e.Reason != "password_reset" || e.User != w.users["ada"].ID.String() {
		t.Errorf("event %+v", e)
	}
}

// Guessing at the step-up costs what guessing at the sign-in costs.
//
//control:proves step-up
//control:proves throttle
func TestProvePassword_isThrottledLikeASignIn(t *testing.T) {
	w := newWorld(t, nil)
	u, err := w.service.Create(t.Context(), "ada", good, "", authz.User)
	if err != nil {
		t.Fatal(err)
	}
	a := chat.Actor{User: u.ID, Username: "ada"}
	if err := w.service.ProvePassword(t.Context(), caller("192.0.2.1"), a, good); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		err = w.service.ProvePassword(t.Context(), caller("192.0.2.1"), a, "wrong")
	}
	if chat.KindOf(err) != chat.RateLimited {
		t.Errorf("got %v", err)
	}
}
