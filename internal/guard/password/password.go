// Package password keeps passwords so that a stolen database does not give them away, and
// checks them so that the check itself is no weapon.
//
// Threat: a database is copied, and its hashes are guessed at leisure (CWE-916). Sign-in
// answers faster for names that do not exist, and so lists those that do (CWE-208). A
// thousand sign-ins at once, each of them 19 MiB and tens of milliseconds, take the server
// down with the very thing that protects it (CWE-400). And people choose "password123",
// which no hash saves (ASVS 6.2, 6.3).
//
// Rule: Argon2id with OWASP's numbers or more, a fresh salt each, in the PHC string form, so
// that numbers can be raised and old hashes be noticed at the next sign-in. A fixed number
// of hashes run at once; a fixed number wait, for a bounded time; the rest is ErrBusy. For
// an unknown user VerifyUnknown does the same work. Passwords are whole: normalized to NFC
// (two keyboards can write one é differently), never cut, 10 characters to 256 bytes, any
// character, no rules of composition, not on the list of common ones, not the user name.
//
// Not covered: how often somebody may try, which package ratelimit and the account service
// decide; passwords leaked elsewhere that are not common; a hash with older numbers takes
// less time than VerifyUnknown until its user signs in once.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// The default cost is OWASP's first choice for Argon2id by memory: 19 MiB, two passes.
	defaultMemoryKiB = 19 * 1024
	defaultTime      = 2
	defaultThreads   = 1

	// A lower cost than OWASP's cheapest choice (7 MiB with five passes) is refused: there
	// is no weak mode, not for tests either.
	minMemoryKiB = 7 * 1024
	minWork      = 5 * minMemoryKiB // memory × passes

	// The ceilings hold for stored hashes too: who can write one must not be able to make
	// the server spend a gigabyte on it.
	maxMemoryKiB = 256 * 1024
	maxTime      = 16
	maxThreads   = 8

	// A second is longer than a healthy queue takes, and short enough for a person.
	defaultQueueWait = time.Second

	// waitersPerSlot bounds the queue: what waits longer than so many hashes take would be
	// told to come back anyway.
	waitersPerSlot = 32
)

// ErrBusy says that too many passwords are being hashed already.
var ErrBusy = errors.New("too many passwords at once")

// Options are the numbers of a Hasher. A zero field takes its default.
type Options struct {
	Concurrency int           // hashes at once; default: the number of processors
	QueueWait   time.Duration // longest wait for a place; default 1 s
	Time        uint32        // passes; default 2
	MemoryKiB   uint32        // default 19 MiB
	Threads     uint8         // default 1
}

// Hasher hashes and checks passwords. The zero Hasher is not usable.
type Hasher struct {
	cost    cost
	slots   chan struct{}
	waiting *atomic.Int64 // of this queue; see Queue
	wait    time.Duration
	unknown hash // of no password; what VerifyUnknown works on
	common  []string
}

// New returns a Hasher, or an error if its numbers are below OWASP's or above reason.
//
//control:name password
func New(o Options) (*Hasher, error) {
	h := &Hasher{cost: cost{or(o.MemoryKiB, defaultMemoryKiB), or(o.Time, defaultTime), or(o.Threads, defaultThreads)}}
	if err := h.cost.check(); err != nil {
		return nil, err
	}
	if h.cost.memory < minMemoryKiB || h.cost.memory*h.cost.time < minWork {
		return nil, fmt.Errorf("password: %d KiB with %d passes is less work than OWASP asks for", h.cost.memory, h.cost.time)
	}
	n := or(o.Concurrency, runtime.GOMAXPROCS(0))
	h.wait = or(o.QueueWait, defaultQueueWait)
	if n < 0 || h.wait < 0 {
		return nil, errors.New("password: negative concurrency or wait")
	}
	h.slots, h.waiting = make(chan struct{}, n), new(atomic.Int64)
	h.unknown = hash{cost: h.cost, salt: random(saltBytes), key: random(keyBytes)}
	var err error
	if h.common, err = loadCommon(); err != nil {
		return nil, err
	}
	return h, nil
}

// Queue returns h with a queue of its own before the same places: as many may wait in it,
// however many wait in h's, and the places go to whoever waits longest in either.
//
//control:name throttle
func (h *Hasher) Queue() *Hasher {
	other := *h
	other.waiting = new(atomic.Int64)
	return &other
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Hash returns the PHC string of pw, to be stored. Check pw first; Hash only refuses what
// is longer than MaxBytes. ErrBusy when the queue is full or ctx ends before its turn.
func (h *Hasher) Hash(ctx context.Context, pw string) (string, error) {
	pw = normalize(pw)
	if len(pw) > MaxBytes {
		return "", errors.New("hash password: too long")
	}
	fresh := hash{cost: h.cost, salt: random(saltBytes)}
	err := h.work(ctx, func() { fresh.key = fresh.derive(pw) })
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return fresh.String(), nil
}

// Verify reports whether pw is the password of phc, and, if so, whether it should be
// hashed again because the numbers were raised. A wrong password is no error; ErrBusy and
// a phc that cannot be read are.
//
//control:name password
func (h *Hasher) Verify(ctx context.Context, phc, pw string) (ok, rehash bool, err error) {
	stored, err := parse(phc)
	if err != nil {
		return false, false, fmt.Errorf("verify password: %w", err)
	}
	ok, err = h.compare(ctx, stored, pw)
	return ok, ok && stored.cost != h.cost, err
}

// VerifyUnknown does the work of Verify for a user who does not exist, so that the answer
// takes as long. Its only result is ErrBusy.
func (h *Hasher) VerifyUnknown(ctx context.Context, pw string) error {
	_, err := h.compare(ctx, h.unknown, pw)
	return err
}

func (h *Hasher) compare(ctx context.Context, stored hash, pw string) (ok bool, err error) {
	pw = normalize(pw)
	if len(pw) > MaxBytes { // nobody has such a password, known or not: no work in either case
		return false, nil
	}
	if err := h.work(ctx, func() { ok = stored.matches(pw) }); err != nil {
		return false, fmt.Errorf("verify password: %w", err)
	}
	return ok, nil
}

// work runs f when there is a place for it.
//
//control:name password
func (h *Hasher) work(ctx context.Context, f func()) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(cap(h.slots)*(1+waitersPerSlot)) { // those who work count too
		return ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		f()
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails; the program stops if the system has no randomness
	return b
}
