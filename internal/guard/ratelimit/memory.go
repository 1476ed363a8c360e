package ratelimit

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// maxTracked bounds the buckets that a Memory remembers, at about 200 bytes each. A
// client with more addresses than that has its oldest bucket forgotten, and full again.
const maxTracked = 50_000

// Memory is a Source within this process.
type Memory struct {
	now   func() time.Time
	start time.Time

	mu      sync.Mutex
	tracked map[[16]byte]*list.Element
	recent  *list.List // of *tracked, the one used last in front
}

type tracked struct {
	id   [16]byte
	full time.Duration // since start
}

// NewMemory returns a Source that counts in memory. now must not be nil.
func NewMemory(now func() time.Time) Source {
	return &Memory{now: now, start: now(), tracked: make(map[[16]byte]*list.Element), recent: list.New()}
}

// Take implements Source.
func (m *Memory) Take(_ context.Context, buckets []Bucket, cost int) (Result, error) {
	if len(buckets) == 0 || len(buckets) > maxBuckets {
		return Result{}, errBuckets
	}
	cost = max(cost, 1)
	var ids [maxBuckets][16]byte
	var next [maxBuckets]time.Duration
	for i, b := range buckets {
		ids[i] = b.id()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().Sub(m.start)
	var result Result
	for i, b := range buckets {
		var full time.Duration
		if e, ok := m.tracked[ids[i]]; ok {
			full = e.Value.(*tracked).full
		}
		var wait time.Duration
		next[i], wait = decide(now, full, b.Limit.interval(), b.Limit.Burst, cost)
		if wait > result.RetryAfter {
			result.By, result.RetryAfter = b.Name, wait
		}
	}
	if result.RetryAfter > 0 {
		return result, nil
	}
	for i := range buckets {
		m.set(ids[i], next[i])
	}
	m.forget(now)
	return Result{Allowed: true}, nil
}

func (m *Memory) set(id [16]byte, full time.Duration) {
	if e, ok := m.tracked[id]; ok {
		e.Value.(*tracked).full = full
		m.recent.MoveToFront(e)
		return
	}
	m.tracked[id] = m.recent.PushFront(&tracked{id, full})
}

// forget drops buckets from the far end: those that are full again, which changes
// nothing, and as many more as there are too many.
//
//control:name ratelimit
func (m *Memory) forget(now time.Duration) {
	for e := m.recent.Back(); e != nil; e = m.recent.Back() {
		t := e.Value.(*tracked)
		if t.full > now && len(m.tracked) <= maxTracked {
			return
		}
		m.recent.Remove(e)
		delete(m.tracked, t.id)
	}
}
