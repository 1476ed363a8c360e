package ratelimit

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// reportEvery is how often a lasting failure is reported.
	reportEvery = 10 * time.Second

	// leaveAlone is how long a failed primary is not asked again: each call to a Redis
	// that swallows everything would cost its whole timeout.
	leaveAlone = time.Second
)

// Fallback is a Source that survives its primary.
type Fallback struct {
	primary, fallback Source
	strict            float64
	onDegraded        func(error)

	mu       sync.Mutex
	retry    time.Time // the primary is not asked before
	reported time.Time
}

// NewFallback returns a Source that asks primary and, when that fails, fallback, with
// rates and bursts multiplied by strict: each node then counts alone, so together they
// would allow too much. A strict outside (0, 1] counts as 0.5. onDegraded, which may be
// nil, hears of a failure at most every 10 seconds; it must not block.
func NewFallback(primary, fallback Source, strict float64, onDegraded func(error)) Source {
	if !(strict > 0 && strict <= 1) {
		strict = 0.5
	}
	if onDegraded == nil {
		onDegraded = func(error) {}
	}
	return &Fallback{primary: primary, fallback: fallback, strict: strict, onDegraded: onDegraded}
}

// Take implements Source.
//
//control:name limiter-failure
func (f *Fallback) Take(ctx context.Context, buckets []Bucket, cost int) (Result, error) {
	if f.ask() {
		result, err := f.primary.Take(ctx, buckets, cost)
		if err == nil {
			return result, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, errBuckets) {
			return Result{}, err // the caller has gone, or is wrong: no fault of the primary
		}
		f.failed(err)
	}
	stricter := make([]Bucket, len(buckets))
	for i, b := range buckets {
		stricter[i] = b
		stricter[i].Limit = f.stricter(b.Limit, cost)
	}
	return f.fallback.Take(ctx, stricter, cost)
}

// stricter shrinks l, but never below what lets one action through now and then.
func (f *Fallback) stricter(l Limit, cost int) Limit {
	l.Burst = min(max(int(float64(l.Burst)*f.strict), cost, 1), l.Burst)
	l.Rate *= f.strict
	return l
}

func (f *Fallback) ask() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !time.Now().Before(f.retry)
}

func (f *Fallback) failed(err error) {
	now := time.Now()
	f.mu.Lock()
	f.retry = now.Add(leaveAlone)
	report := f.reported.IsZero() || now.Sub(f.reported) >= reportEvery
	if report {
		f.reported = now
	}
	f.mu.Unlock()
	if report {
		f.onDegraded(err)
	}
}
