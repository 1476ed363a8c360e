package frames

import "time"

// bucket is a token bucket that is kept as one number, the time at which it will
// be full again (generic cell rate algorithm): no floating point, no timer.
// Times count from the beginning of the connection.
type bucket struct {
	tokens int64         // so many tokens come back
	per    time.Duration // in so much time
	depth  time.Duration // the time to fill an empty bucket
	full   time.Duration // when it is full again
}

func newBucket(tokens int, per time.Duration, burst int) bucket {
	b := bucket{tokens: int64(tokens), per: per}
	b.depth = b.cost(int64(burst))
	return b
}

// take removes n tokens, or nothing and returns false if there are fewer.
func (b *bucket) take(now time.Duration, n int64) bool {
	full := max(b.full, now) + b.cost(n)
	if full-now > b.depth {
		return false
	}
	b.full = full
	return true
}

// cost is the time in which n tokens come back, rounded down so that the burst is
// whole. It is never 0: Limits allow at most one token per nanosecond.
func (b *bucket) cost(n int64) time.Duration {
	return time.Duration(n * int64(b.per) / b.tokens)
}
