package tunnel

import (
	"errors"
	"fmt"
	"time"
)

// Limits are the ends of every tunnel. The zero Limits are refused by Check.
type Limits struct {
	Bytes    int64         // in each direction
	Idle     time.Duration // without a byte in either direction
	Lifetime time.Duration // from open to end, whatever happens
	Opening  time.Duration // for both sides to begin in the target's protocol
	Dial     time.Duration // for the target to accept
	Write    time.Duration // for one piece to be taken by the other side
}

// The numbers that are not configured.
const (
	// MaxLifetime is a working day: no tunnel is open the next morning.
	MaxLifetime = 8 * time.Hour
	// openingTime is far above what a server takes to greet, and short for a port that says nothing.
	openingTime = 5 * time.Second
	// dialTime is for a target in the same network.
	dialTime = 3 * time.Second
	// writeTime is less than the heartbeat's patience, so that a stuck target is told apart from a lost client.
	writeTime = 10 * time.Second
)

// NewLimits fits the fixed numbers to the configured ones.
func NewLimits(bytes int64, idle time.Duration) Limits {
	return Limits{Bytes: bytes, Idle: idle, Lifetime: MaxLifetime, Opening: openingTime, Dial: dialTime, Write: writeTime}
}

// Check refuses limits that limit nothing.
func (l Limits) Check() error {
	if l.Bytes <= 0 || l.Idle <= 0 || l.Opening <= 0 || l.Dial <= 0 || l.Write <= 0 {
		return errors.New("tunnel: every limit must be positive")
	}
	if l.Lifetime <= 0 || l.Lifetime > MaxLifetime {
		return fmt.Errorf("tunnel: a lifetime of %v is not between 0 and %v", l.Lifetime, MaxLifetime)
	}
	return nil
}

// End is when a tunnel that opened now ends: with its grant, its session or its time,
// whichever comes first.
func (l Limits) End(now, grant, session time.Time) time.Time {
	end := now.Add(l.Lifetime)
	for _, t := range []time.Time{grant, session} {
		if t.Before(end) {
			end = t
		}
	}
	return end
}

// Take charges n bytes to what one direction has carried so far; false: it may not
// carry them.
//
//control:name tunnel
func (l Limits) Take(carried *int64, n int) bool {
	if n < 0 || *carried > l.Bytes-int64(n) {
		return false
	}
	*carried += int64(n)
	return true
}
