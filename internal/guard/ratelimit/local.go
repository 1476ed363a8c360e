package ratelimit

import "time"

// Local is the bucket of one connection: one for messages and one for bytes, before
// anything is parsed and without a network. It allocates nothing and belongs to one
// goroutine, the one that reads.
type Local struct {
	now             func() time.Time
	start           time.Time
	messages, bytes local
}

type local struct {
	interval time.Duration
	burst    int
	full     time.Duration
}

// NewLocal returns a full bucket of messages, each of cost 1 or more, and one of bytes.
// The burst of bytes must hold the largest message. now must not be nil.
func NewLocal(messages, bytes Limit, now func() time.Time) *Local {
	return &Local{
		now: now, start: now(),
		messages: local{interval: messages.interval(), burst: messages.Burst},
		bytes:    local{interval: bytes.interval(), burst: bytes.Burst},
	}
}

// Take takes cost messages and n bytes, or nothing. If it refuses, retry is when the same
// Take could be allowed.
//
//control:name ratelimit
func (l *Local) Take(cost, n int) (ok bool, retry time.Duration) {
	now := l.now().Sub(l.start)
	messages, wait := decide(now, l.messages.full, l.messages.interval, l.messages.burst, max(cost, 1))
	bytes, waitBytes := decide(now, l.bytes.full, l.bytes.interval, l.bytes.burst, max(n, 1))
	if retry = max(wait, waitBytes); retry > 0 {
		return false, retry
	}
	l.messages.full, l.bytes.full = messages, bytes
	return true, 0
}
