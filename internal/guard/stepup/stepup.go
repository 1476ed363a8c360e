// Package stepup asks for the password again before what would hurt most.
//
// Threat: somebody else has the session for a moment: a stolen cookie, a screen left
// unlocked, a socket token read over a shoulder. With that alone they end the owner's
// other sessions, add a passkey of their own, open a tunnel or act as an administrator,
// and so turn a moment into a takeover (CWE-306, CWE-613, ASVS 7.5.1, 7.5.3).
//
// Rule: a route says in the route table that it wants a fresh proof. Such a call is
// refused when the session's last proof of a password or passkey is older than a few
// minutes. Proving it again renews the session: a new token and a new time, so that a
// copy of the cookie does not become fresh with it. A time in the future counts as no
// proof at all.
//
// Not covered: an attacker who knows the password too, and one who acts within the
// minutes after the owner's own proof. Changing the password asks for the old one in
// the same call, which is a proof of its own.
package stepup

import (
	"errors"
	"fmt"
	"time"
)

const (
	// Floor leaves a person time to press the button they came for.
	Floor = 10 * time.Second
	// Ceiling is as long as an unlocked screen stays unlocked at most.
	Ceiling = 15 * time.Minute
	// leeway is how far the clocks of two nodes may be apart: a proof that was made
	// on the other one may seem to lie in the future.
	leeway = 5 * time.Second
)

// ErrRequired says that the last proof is too old.
var ErrRequired = errors.New("step-up required")

// Policy is how old a proof may be. The zero Policy accepts none.
type Policy struct{ within time.Duration }

// New returns a Policy that accepts proofs of the last within, Floor to Ceiling.
func New(within time.Duration) (Policy, error) {
	if within < Floor || within > Ceiling {
		return Policy{}, fmt.Errorf("stepup: %v is not between %v and %v", within, Floor, Ceiling)
	}
	return Policy{within}, nil
}

// Check returns ErrRequired unless the proof at authenticatedAt is fresh at now.
//
//control:name step-up
func (p Policy) Check(now, authenticatedAt time.Time) error {
	age := now.Sub(authenticatedAt)
	if p.within <= 0 || authenticatedAt.IsZero() || age > p.within || age < -leeway {
		return ErrRequired
	}
	return nil
}

// Within is how old a proof may be.
func (p Policy) Within() time.Duration { return p.within }
