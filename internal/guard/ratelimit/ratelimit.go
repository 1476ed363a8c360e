// Package ratelimit says how much is too much, for one connection, one user, one
// address, one room and all together.
//
// Threat: a client floods the room, the database or the sign-in form; or one user does
// it from many sockets, on many nodes, each below its own limit. The limiter itself is
// attacked as well: at the edge between two fixed windows twice the quota passes; a
// counter without an expiry locks out for ever; a negative cost refunds; a fresh key for
// every request fills the memory; text of the client's choice in a key reaches other
// keys (CWE-770, CWE-799, ASVS 2.4.1).
//
// Rule: GCRA, a leaky bucket kept as one number, the time at which the bucket will be
// empty again. It has no windows, so no edges. A Take names every bucket that an action
// draws from, and its cost; it is taken from all of them or from none. Over Redis that is
// one script, one round trip and Redis's own time, so that nodes agree; every key is a
// hash under a constant name and expires as soon as its bucket is empty. Each connection
// has a Local bucket in front of it, for messages and for bytes, that needs no network.
//
// When Redis fails, Fallback counts in this node's memory with stricter limits and says
// so: the edge records ws_limiter_degraded. Messages stay limited, and nobody can switch
// the limiter off by attacking Redis.
//
// Not covered: who the client is, which package clientip decides; frames below the level
// of messages, which package frames counts; and a flood that is larger than the line.
package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"time"
)

const (
	// Never is the RetryAfter of what will not be allowed later either: the limit is
	// zero, or the cost is more than the burst. Long, so that no client hammers.
	Never = time.Hour

	// maxRefill is the longest time that an empty bucket may take to fill, and with it
	// the longest that a key lives.
	maxRefill = 7 * 24 * time.Hour
)

// Limit is how much a bucket gives: Rate per second in the long run, Burst at once. The
// zero Limit gives nothing, as does one that is not a finite number, has no Burst or
// would take more than a week to refill.
type Limit struct {
	Rate  float64
	Burst int
}

// Bucket is one thing to take from. Name is a constant of the program ("user", "ip",
// "room", "global"); Key tells the buckets of one name apart and may be any text.
type Bucket struct {
	Name  string
	Key   string
	Limit Limit
}

// Source takes cost from every bucket, or from none of them. A cost below 1 counts as 1.
// An error says that nothing can be known, and the caller must not go on as if allowed.
type Source interface {
	Take(ctx context.Context, buckets []Bucket, cost int) (Result, error)
}

// Result is what a Source said.
type Result struct {
	Allowed    bool
	By         string        // name of the bucket that refused, the one that takes longest
	RetryAfter time.Duration // when the same Take could be allowed; Never, too
}

// maxBuckets bounds one Take: an action draws from its user, address, room and the
// global bucket.
const maxBuckets = 8

var errBuckets = errors.New("ratelimit: take from no bucket or from too many")

// interval is the time in which the bucket regains 1. It is 0 for a Limit that gives
// nothing.
func (l Limit) interval() time.Duration {
	interval := math.Ceil(float64(time.Second) / l.Rate)
	if !(l.Rate > 0) || l.Burst <= 0 || !(interval*float64(l.Burst) <= float64(maxRefill)) {
		return 0 // the comparisons are false for what is not a number
	}
	return time.Duration(interval)
}

// decide is GCRA. full is when the bucket would be empty again after what was taken
// before, and now the time, on one scale. It returns full after taking cost and how long
// to wait for that: 0 means that it may be taken now.
//
//control:name ratelimit
func decide(now, full, interval time.Duration, burst, cost int) (next, wait time.Duration) {
	if interval == 0 || cost > burst {
		return full, Never
	}
	size := time.Duration(burst) * interval
	next = max(full, now) + time.Duration(cost)*interval
	return next, max(next-(now+size), 0)
}

// id is what a bucket is stored under: 128 bits of SHA-256 over name and key, so that
// no text of a client is ever part of a key, and every key has the same size.
func (b Bucket) id() (id [16]byte) {
	h := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(b.Name)))
	h.Write(length[:]) // "user"+"1x" is not "user1"+"x"
	h.Write([]byte(b.Name))
	h.Write([]byte(b.Key))
	var sum [sha256.Size]byte
	copy(id[:], h.Sum(sum[:0]))
	return id
}
