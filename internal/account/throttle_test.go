package account_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/ratelimit"
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

// takes remembers the keys of the buckets that are drawn from.
type takes struct {
	ratelimit.Source
	keys []string
}

func (k *takes) Take(ctx context.Context, buckets []ratelimit.Bucket, cost int) (ratelimit.Result, error) {
	for _, b := range buckets {
		k.keys = append(k.keys, b.Key)
	}
	return k.Source.Take(ctx, buckets, cost)
}

// Blocks are looked up by the keys of buckets (guard/response). Who types a network or an
// id as a name must not be told whether it is blocked.
//
//control:proves throttle
func TestSignIn_aNameIsNeverTakenForANetworkOrAUser(t *testing.T) {
	var taken *takes
	w := newWorld(t, func(o *account.Options) {
		taken = &takes{Source: o.Limits}
		o.Limits = taken
	})
	for _, name := range []string{"203.0.113.199/32", "2001:db8::/64", "0190b6a0-1111-7aaa-8bbb-000000000001"} {
		_, _ = w.signIn("192.0.2.1", name, "guess-guess-guess")
		if slices.Contains(taken.keys, name) {
			t.Errorf("%q is the key of a budget", name)
		}
	}
}

// One customer with an IPv6 /48 has a fresh network for every try. All of them together
// may spend a share of what is there for strangers, and not what a neighbour's owner needs.
//
//control:proves throttle
func TestSignIn_oneSiteOfNetworksSpendsNoMoreThanItsShare(t *testing.T) {
	w := newWorld(t, nil)
	alice := w.person("alice")
	const home = "2001:db8:1:ffff::1"
	w.seen[alice.ID.String()+"2001:db8:1:ffff::/64"] = true
	tried := 0
	for i := range 1000 {
		if _, err := w.signIn(fmt.Sprintf("2001:db8:1:%x::1", i), fmt.Sprint("user", i), "guess-guess-guess"); chat.KindOf(err) != chat.RateLimited {
			tried++
		}
	}
	if tried != 160 { // sixteen networks' worth
		t.Errorf("a site made the service hash %d passwords at once", tried)
	}
	if _, err := w.signIn("2001:db8:2::1", "alice", good); err != nil {
		t.Errorf("alice from another site: %v", err)
	}
	if _, err := w.signIn(home, "alice", good); err != nil {
		t.Errorf("alice at home, in the same site: %v", err)
	}
}
