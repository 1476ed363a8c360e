package passkey_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/passkey"
	"example.com/portcullis/internal/guard/passkey/passkeytest"
)

const (
	own  = "https://chat.example.com"
	name = "chat.example.com"
)

type world struct {
	t     *testing.T
	party *passkey.Party
	now   time.Time
	users map[uuid.UUID]passkey.User
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), users: map[uuid.UUID]passkey.User{}}
	base, err := url.Parse(own)
	if err == nil {
		w.party, err = passkey.New(base, func() time.Time { return w.now })
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// person is somebody with one passkey on a device.
func (w *world) person(username string) (passkey.User, *passkeytest.Device) {
	w.t.Helper()
	u := passkey.User{ID: uuid.New(), Name: username, DisplayName: username}
	d := passkeytest.New(own, name)
	options, c, err := w.party.BeginRegister(u)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := w.party.Register(u, c, d.Create(options))
	if err != nil {
		w.t.Fatal(err)
	}
	u.Passkeys = append(u.Passkeys, got)
	w.users[u.ID] = u
	return u, d
}

func (w *world) find(id uuid.UUID) (passkey.User, bool, error) {
	u, ok := w.users[id]
	return u, ok, nil
}

func (w *world) begin() ([]byte, passkey.Ceremony) {
	w.t.Helper()
	options, c, err := w.party.BeginSignIn()
	if err != nil {
		w.t.Fatal(err)
	}
	return options, c
}

func wantWhy(t *testing.T, err error, why passkey.Why) {
	t.Helper()
	if refused, ok := errors.AsType[*passkey.Refused](err); !ok || refused.Why != why {
		t.Errorf("got %v, want a refusal for %s", err, why)
	}
}

func TestSignIn_takesTheOwnersOwnPasskey(t *testing.T) {
	w := newWorld(t)
	ada, device := w.person("ada")
	w.person("grace")
	for range 3 {
		options, c := w.begin()
		u, used, err := w.party.SignIn(c, device.Get(options), w.find)
		if err != nil || u.ID != ada.ID || used.SignCount != device.Count {
			t.Fatalf("%v, user %s, count %d of %d", err, u.Name, used.SignCount, device.Count)
		}
		ada.Passkeys[0].SignCount = used.SignCount
		w.users[ada.ID] = ada
	}
}

// Each attack begins with a right answer of ada's and changes one thing.
//
//control:proves passkey
func TestSignIn_refusesEveryForgery(t *testing.T) {
	for _, c := range []struct {
		name   string
		why    passkey.Why
		change func(w *world, d *passkeytest.Device)
	}{
		{"a look-alike page", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Origin = "https://chat.example.com.evil.example" }},
		{"a sibling host", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Origin = "https://attacker.example.com" }},
		{"the same name without TLS", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Origin = "http://chat.example.com" }},
		{"the same name on another port", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Origin = own + ":8443" }},
		{"a key for the parent name", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.RPID = "example.com" }},
		{"a page in another site's frame", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.CrossOrigin = true }},
		{"an unlocked phone that asked nobody", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Flags = passkeytest.UserPresent }},
		{"a device that nobody touched", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Flags = passkeytest.UserVerified }},
		{"an answer to a registration", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Type = "webauthn.create" }},
		{"another user's handle with one's own key", passkey.Invalid, func(w *world, d *passkeytest.Device) {
			grace, _ := w.person("grace")
			d.Handle = grace.ID[:]
		}},
		{"another user's handle and key id, signed with one's own key", passkey.Invalid, func(w *world, d *passkeytest.Device) {
			grace, _ := w.person("grace")
			d.Handle, d.ID = grace.ID[:], grace.Passkeys[0].ID
		}},
		{"a user who does not exist", passkey.Unknown, func(_ *world, d *passkeytest.Device) { id := uuid.New(); d.Handle = id[:] }},
		{"no user at all", passkey.Invalid, func(_ *world, d *passkeytest.Device) { d.Handle = []byte{} }},
		{"a handle that is no id", passkey.Unknown, func(_ *world, d *passkeytest.Device) { d.Handle = []byte("ada") }},
		{"a copy of the key that counts behind", passkey.Counter, func(w *world, d *passkeytest.Device) {
			u := w.users[uuid.UUID(d.Handle)]
			u.Passkeys[0].SignCount = 7
			d.Count = 3
		}},
		{"a copy of the key that counts the same", passkey.Counter, func(w *world, d *passkeytest.Device) {
			u := w.users[uuid.UUID(d.Handle)]
			u.Passkeys[0].SignCount = 7
			d.Count = 6
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, device := w.person("ada")
			options, ceremony := w.begin()
			c.change(w, device)
			_, _, err := w.party.SignIn(ceremony, device.Get(options), w.find)
			wantWhy(t, err, c.why)
		})
	}
}

//control:proves passkey
func TestSignIn_refusesAnAnswerToAnotherQuestion(t *testing.T) {
	w := newWorld(t)
	ada, device := w.person("ada")
	old, _ := w.begin()
	_, fresh := w.begin()
	_, _, err := w.party.SignIn(fresh, device.Get(old), w.find)
	wantWhy(t, err, passkey.Invalid)

	options, stepUp, err := w.party.BeginStepUp(ada)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.party.SignIn(stepUp, device.Get(options), w.find)
	wantWhy(t, err, passkey.Purposes)

	options, signIn := w.begin()
	_, err = w.party.StepUp(ada, signIn, device.Get(options))
	wantWhy(t, err, passkey.Purposes)

	options, c := w.begin()
	w.now = w.now.Add(passkey.Lifetime)
	_, _, err = w.party.SignIn(c, device.Get(options), w.find)
	wantWhy(t, err, passkey.Expired)

	_, _, err = w.party.SignIn(passkey.Ceremony{}, device.Get(options), w.find)
	wantWhy(t, err, passkey.Purposes)
}

// The thief has the victim's session, and a passkey of their own.
//
//control:proves passkey
func TestStepUp_refusesSomebodyElsesPasskey(t *testing.T) {
	w := newWorld(t)
	ada, mine := w.person("ada")
	_, theirs := w.person("mallory")
	options, c, err := w.party.BeginStepUp(ada)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.party.StepUp(ada, c, theirs.Get(options))
	wantWhy(t, err, passkey.Unknown)
	theirs.Handle = ada.ID[:]
	_, err = w.party.StepUp(ada, c, theirs.Get(options))
	wantWhy(t, err, passkey.Unknown)
	if _, err = w.party.StepUp(ada, c, mine.Get(options)); err != nil {
		t.Errorf("her own: %v", err)
	}
}

//control:proves passkey
func TestRegister_refusesEveryForgery(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(d *passkeytest.Device)
	}{
		{"a look-alike page", func(d *passkeytest.Device) { d.Origin = "https://chat.example.com.evil.example" }},
		{"a key for another name", func(d *passkeytest.Device) { d.RPID = "evil.example" }},
		{"a device that verified nobody", func(d *passkeytest.Device) { d.Flags = passkeytest.UserPresent }},
		{"an answer to a sign-in", func(d *passkeytest.Device) { d.Type = "webauthn.get" }},
		{"a frame of another site", func(d *passkeytest.Device) { d.CrossOrigin = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			u := passkey.User{ID: uuid.New(), Name: "ada", DisplayName: "Ada"}
			options, ceremony, err := w.party.BeginRegister(u)
			if err != nil {
				t.Fatal(err)
			}
			d := passkeytest.New(own, name)
			c.change(d)
			_, err = w.party.Register(u, ceremony, d.Create(options))
			wantWhy(t, err, passkey.Invalid)
		})
	}
	w := newWorld(t)
	ada := passkey.User{ID: uuid.New(), Name: "ada", DisplayName: "Ada"}
	options, ceremony, err := w.party.BeginRegister(ada)
	if err != nil {
		t.Fatal(err)
	}
	answer := passkeytest.New(own, name).Create(options)
	_, err = w.party.Register(passkey.User{ID: uuid.New(), Name: "mallory", DisplayName: "M"}, ceremony, answer)
	wantWhy(t, err, passkey.Invalid)
	for _, garbage := range []string{"", "{}", "null", "[]", `{"id":"AA","type":"public-key"}`, strings.Repeat("[", 9000), `{"x":"` + strings.Repeat("a", 17<<10) + `"}`} {
		_, err := w.party.Register(ada, ceremony, []byte(garbage))
		wantWhy(t, err, passkey.Malformed)
	}
}

// What a visitor is asked holds nothing that depends on anybody.
func TestBeginSignIn_namesNobody(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	options, _ := w.begin()
	var o map[string]any
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	if o["allowCredentials"] != nil || o["userVerification"] != "required" || o["rpId"] != name {
		t.Errorf("options %s", options)
	}
	options, _, err := w.party.BeginRegister(passkey.User{ID: uuid.New(), Name: "ada", DisplayName: "Ada"})
	if err != nil || !strings.Contains(string(options), `"attestation":"none"`) || !strings.Contains(string(options), `"residentKey":"required"`) || !strings.Contains(string(options), `"userVerification":"required"`) {
		t.Errorf("options %s, %v", options, err)
	}
}

func TestNew_refusesAnAddress(t *testing.T) {
	for _, base := range []string{"https://127.0.0.1:8443", "https://[::1]:8443", "https://192.0.2.1"} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := passkey.New(u, time.Now); !errors.Is(err, passkey.ErrNoName) {
			t.Errorf("%s: %v", base, err)
		}
	}
}
