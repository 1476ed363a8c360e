package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/ratelimit"
	"pgregory.net/rapid"
)

func TestLocal_countsMessagesAndBytes(t *testing.T) {
	c := &clock{now: time.Now()}
	l := ratelimit.NewLocal(ratelimit.Limit{Rate: 1, Burst: 3}, ratelimit.Limit{Rate: 1000, Burst: 100_000}, c.Now)
	for _, s := range []struct {
		name    string
		after   time.Duration
		cost, n int
		ok      bool
		retry   time.Duration
	}{
		{"first", 0, 1, 50_000, true, 0},
		{"bytes are spent before messages", 0, 1, 50_001, false, time.Millisecond},
		{"a refusal costs nothing", 0, 1, 50_000, true, 0},
		{"no bytes left", 0, 1, 500, false, 500 * time.Millisecond},
		{"bytes come back at their rate", 500 * time.Millisecond, 1, 500, true, 0},
		{"messages are spent", 0, 1, 0, false, 500 * time.Millisecond},
		{"a message comes back", 500 * time.Millisecond, 1, 1, true, 0},
		{"a cost above the burst never fits", time.Hour, 4, 1, false, ratelimit.Never},
		{"nor does a message above the burst of bytes", 0, 1, 100_001, false, ratelimit.Never},
		{"after a pause there is the burst", 0, 3, 100_000, true, 0},
		{"and no more", 0, 1, 1, false, time.Second},
		{"a negative cost is no refund", 0, -5, -5, false, time.Second},
	} {
		c.Advance(s.after)
		if ok, retry := l.Take(s.cost, s.n); ok != s.ok || retry != s.retry {
			t.Errorf("%s: %v %v, want %v %v", s.name, ok, retry, s.ok, s.retry)
		}
	}
}

func TestLocal_zeroLimitRefuses(t *testing.T) {
	some := ratelimit.Limit{Rate: 1, Burst: 1}
	for _, l := range []*ratelimit.Local{
		ratelimit.NewLocal(ratelimit.Limit{}, some, time.Now), ratelimit.NewLocal(some, ratelimit.Limit{}, time.Now),
	} {
		if ok, retry := l.Take(1, 1); ok || retry != ratelimit.Never {
			t.Errorf("%v %v", ok, retry)
		}
	}
}

func TestLocal_allocatesNothing(t *testing.T) {
	l := ratelimit.NewLocal(ratelimit.Limit{Rate: 100, Burst: 20}, ratelimit.Limit{Rate: 1e5, Burst: 1e5}, time.Now)
	if n := testing.AllocsPerRun(1000, func() { l.Take(1, 500) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMemory_hasNoWindowEdge is the attack on fixed windows: twice the quota at the edge.
// Over any stretch of any schedule, what was allowed is at most burst + rate × stretch.
//
//control:proves ratelimit
func TestMemory_hasNoWindowEdge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := ratelimit.Limit{Rate: rapid.Float64Range(0.1, 1000).Draw(t, "rate"), Burst: rapid.IntRange(1, 50).Draw(t, "burst")}
		c := &clock{now: time.Unix(0, 0)}
		s := ratelimit.NewMemory(c.Now)
		type take struct {
			at   time.Time
			cost int
		}
		var allowed []take
		for range rapid.IntRange(1, 100).Draw(t, "takes") {
			c.Advance(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "pause")))
			cost := rapid.IntRange(1, 5).Draw(t, "cost")
			r, err := s.Take(context.Background(), []ratelimit.Bucket{user("a", limit)}, cost)
			if err != nil {
				t.Fatal(err)
			}
			if r.Allowed {
				allowed = append(allowed, take{c.Now(), cost})
			}
		}
		for i := range allowed {
			sum := 0
			for _, a := range allowed[i:] {
				sum += a.cost
				stretch := a.at.Sub(allowed[i].at).Seconds()
				if most := float64(limit.Burst) + limit.Rate*stretch; float64(sum) > most+1e-6 {
					t.Fatalf("%d allowed in %vs, want at most %v", sum, stretch, most)
				}
			}
		}
	})
}

//control:proves ratelimit
//control:proves limiter-failure
func TestMemory_forgetsRatherThanGrows(t *testing.T) {
	c := &clock{now: time.Now()}
	s := ratelimit.NewMemory(c.Now)
	take := func(key string) bool {
		r, err := s.Take(t.Context(), []ratelimit.Bucket{user(key, hourly(1))}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return r.Allowed
	}
	take("oldest")
	for i := range 60_000 {
		take(fmt.Sprint(i))
	}
	if take(fmt.Sprint(59_999)) {
		t.Error("a recent bucket was forgotten")
	}
	if n := ratelimit.Tracked(s); n > 50_000 {
		t.Errorf("%d buckets are remembered", n)
	}
	if !take("oldest") {
		t.Error("the oldest bucket is still there")
	}
	c.Advance(2 * time.Hour) // all are full again
	take("later")
	if n := ratelimit.Tracked(s); n != 1 {
		t.Errorf("%d buckets are remembered that are full again", n)
	}
}

// flaky is a primary that can be broken.
type flaky struct {
	ratelimit.Source
	err   error
	calls int
}

func (f *flaky) Take(ctx context.Context, b []ratelimit.Bucket, cost int) (ratelimit.Result, error) {
	f.calls++
	if f.err != nil {
		return ratelimit.Result{}, f.err
	}
	return f.Source.Take(ctx, b, cost)
}

//control:proves ratelimit
//control:proves limiter-failure
func TestFallback_isStricterAndSaysSoWhenPrimaryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		primary := &flaky{Source: ratelimit.NewMemory(time.Now)}
		var reports []error
		s := ratelimit.NewFallback(primary, ratelimit.NewMemory(time.Now), 0.25, func(err error) { reports = append(reports, err) })
		allowed := func(key string, cost int) (n int) {
			for range 100 {
				r, err := s.Take(t.Context(), []ratelimit.Bucket{user(key, hourly(20))}, cost)
				if err != nil {
					t.Fatal(err)
				}
				if r.Allowed {
					n++
				}
			}
			return n
		}
		if n := allowed("healthy", 1); n != 20 || len(reports) != 0 {
			t.Errorf("healthy: %d allowed, reports %v", n, reports)
		}
		down := errors.New("redis is down")
		primary.err, primary.calls = down, 0
		if n := allowed("down", 1); n != 5 {
			t.Errorf("down: %d allowed, want a quarter of 20", n)
		}
		if n := allowed("costly", 20); n != 1 {
			t.Errorf("down: %d costly actions allowed, want 1", n)
		}
		if primary.calls != 1 || len(reports) != 1 || !errors.Is(reports[0], down) {
			t.Errorf("%d calls of a failed primary, reports %v; want one each", primary.calls, reports)
		}
		for range 21 { // seconds
			time.Sleep(time.Second)
			allowed("down", 1)
		}
		if len(reports) != 3 {
			t.Errorf("%d reports in 21 s, want one every 10 s", len(reports))
		}
		slow := []ratelimit.Bucket{user("slow", ratelimit.Limit{Rate: 1, Burst: 8})}
		n := 0
		for range 42 { // 2 at once and one every 4 s
			r, err := s.Take(t.Context(), slow, 1)
			if err != nil {
				t.Fatal(err)
			}
			if r.Allowed {
				n++
			}
			time.Sleep(time.Second)
		}
		if n != 2+10 {
			t.Errorf("down: %d allowed in 41 s, want 12: a quarter of the burst and of the rate", n)
		}
		primary.err, reports = nil, nil
		time.Sleep(time.Second)
		if n := allowed("healthy again", 1); n != 20 || len(reports) != 0 {
			t.Errorf("healthy again: %d allowed, %d reports", n, len(reports))
		}
	})
}

//control:proves ratelimit
//control:proves limiter-failure
func TestFallback_zeroLimitStillRefuses(t *testing.T) {
	s := ratelimit.NewFallback(&flaky{err: errors.New("down")}, ratelimit.NewMemory(time.Now), 7, nil)
	r, err := s.Take(t.Context(), []ratelimit.Bucket{{Name: "user"}}, 1)
	if err != nil || r.Allowed {
		t.Errorf("%+v, %v", r, err)
	}
}

//control:proves limiter-failure
func TestFallback_callerThatLeftIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	primary := &flaky{err: context.Canceled}
	s := ratelimit.NewFallback(primary, ratelimit.NewMemory(time.Now), 0.5, func(err error) { t.Errorf("reported %v", err) })
	for range 2 {
		if r, err := s.Take(ctx, []ratelimit.Bucket{user("a", hourly(1))}, 1); !errors.Is(err, context.Canceled) || r.Allowed {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if primary.calls != 2 {
		t.Errorf("%d calls: the primary was left alone for nothing", primary.calls)
	}
}

func BenchmarkLocal(b *testing.B) {
	l := ratelimit.NewLocal(ratelimit.Limit{Rate: 1e6, Burst: 1e6}, ratelimit.Limit{Rate: 1e8, Burst: 1e8}, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		l.Take(1, 500)
	}
}

func BenchmarkMemory_fourBuckets(b *testing.B) {
	s := ratelimit.NewMemory(time.Now)
	fast := ratelimit.Limit{Rate: 1e6, Burst: 1e6}
	buckets := []ratelimit.Bucket{user("a", fast), {Name: "ip", Key: "i", Limit: fast}, {Name: "room", Key: "r", Limit: fast}, {Name: "global", Limit: fast}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Take(b.Context(), buckets, 1); err != nil {
			b.Fatal(err)
		}
	}
}
