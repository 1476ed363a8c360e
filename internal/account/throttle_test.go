package account_test

import (
	"context"
	"fmt"
	"testing"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
)

// owners is the queue of those who come from a network that their account knows.
type owners struct{ w *world }

func (o owners) Check(pw, name string) error { return o.w.Check(pw, name) }
func (o owners) Hash(ctx context.Context, pw string) (string, error) {
	return o.w.Hash(ctx, pw)
}
func (o owners) Verify(ctx context.Context, hash, pw string) (bool, bool, error) {
	full := o.w.busy
	o.w.busy = false // that the other queue is full is nothing to this one
	defer func() { o.w.busy = full }()
	return o.w.Verify(ctx, hash, pw)
}
func (o owners) VerifyUnknown(ctx context.Context, pw string) error {
	return o.w.VerifyUnknown(ctx, pw)
}

var _ account.Passwords = owners{}

// A customer of a provider has 65,536 networks: an IPv6 /48.
//
//control:proves throttle
func TestSignIn_manyNetworksCannotLockOutEverybody(t *testing.T) {
	for name, flood := range map[string]func(w *world, i int) error{
		"guessing": func(w *world, i int) error {
			_, err := w.signIn(fmt.Sprintf("10.%d.%d.1", i/250, i%250), fmt.Sprint("user", i), "guess-guess-guess")
			return err
		},
		"signing up": func(w *world, i int) error {
			_, err := w.service.SignUp(w.t.Context(), caller(fmt.Sprintf("10.%d.%d.1", i/250, i%250)), fmt.Sprint("user", i), good, "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			alice := w.person("alice")
			const home = "198.51.100.7"
			w.seen[alice.ID.String()+home+"/32"] = true
			stopped := false
			for i := range 1100 {
				stopped = stopped || chat.KindOf(flood(w, i)) == chat.RateLimited
			}
			if !stopped {
				t.Error("1,100 hashes were made for strangers")
			}
			if _, err := w.signIn("203.0.113.250", "alice", good); chat.KindOf(err) != chat.RateLimited {
				t.Errorf("a stranger's network: %v, want the budget of strangers to be spent", err)
			}
			if _, err := w.signIn(home, "alice", good); err != nil {
				t.Errorf("alice at home: %v", err)
			}
		})
	}
}

//control:proves throttle
func TestSignIn_aQueueFullOfStrangersIsNotInFrontOfTheOwner(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.person("alice")
	const home = "198.51.100.7"
	w.seen[alice.ID.String()+home+"/32"] = true
	w.busy = true
	if _, err := w.signIn("203.0.113.250", "alice", good); chat.KindOf(err) != chat.Busy {
		t.Errorf("a stranger's network: %v, want busy", err)
	}
	if _, err := w.signIn(home, "alice", good); err != nil {
		t.Errorf("alice at home: %v", err)
	}
}
