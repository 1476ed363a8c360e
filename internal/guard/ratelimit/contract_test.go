package ratelimit_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/testkit"
	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// under is a Source under test and its time.
type under struct {
	ratelimit.Source
	advance func(d time.Duration) // returns when d has passed for the Source
	slack   time.Duration         // how far its time may run on by itself
}

// sources opens an empty Source of each kind.
var sources = map[string]func(t *testing.T) under{
	"memory": func(*testing.T) under {
		clock := &clock{now: time.Now()}
		return under{ratelimit.NewMemory(clock.Now), clock.Advance, 0}
	},
	"redis": func(t *testing.T) under {
		client, prefix := testkit.Redis(t)
		return under{ratelimit.NewRedis(client, prefix), func(d time.Duration) {
			end := serverTime(t, client).Add(d)
			testkit.Eventually(t, d+5*time.Second, func() bool { return serverTime(t, client).After(end) })
		}, 5 * time.Second}
	},
	"stand-in": func(t *testing.T) under {
		server, client := standIn(t)
		now := time.Now()
		server.SetTime(now)
		return under{ratelimit.NewRedis(client, "p:"), func(d time.Duration) {
			now = now.Add(d)
			server.SetTime(now)
			server.FastForward(d)
		}, 0}
	},
}

func standIn(t *testing.T) (*miniredis.Miniredis, *redis.Client) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func serverTime(t *testing.T, client *redis.Client) time.Time {
	now, err := client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return now
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// hourly is so slow that nothing comes back during a test.
func hourly(burst int) ratelimit.Limit { return ratelimit.Limit{Rate: 1.0 / 3600, Burst: burst} }

func user(key string, l ratelimit.Limit) ratelimit.Bucket {
	return ratelimit.Bucket{Name: "user", Key: key, Limit: l}
}

func (u under) take(t *testing.T, cost int, b ...ratelimit.Bucket) ratelimit.Result {
	t.Helper()
	r, err := u.Take(t.Context(), b, cost)
	if err != nil {
		t.Fatal(err)
	}
	if r.Allowed != (r.By == "" && r.RetryAfter == 0) {
		t.Fatalf("result makes no sense: %+v", r)
	}
	return r
}

//control:proves ratelimit
func TestSource_keepsTheContract(t *testing.T) {
	for name, open := range sources {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				claim string
				check func(*testing.T, under)
			}{
				{"gives the burst and then refuses", burst},
				{"gives back at the rate and not faster", refill},
				{"the zero limit and limits that are no numbers refuse", zero},
				{"takes from all buckets or from none", allOrNothing},
				{"names the bucket that takes longest", longest},
				{"counts the cost", cost},
				{"a negative cost is no refund", refund},
				{"keys with any text stay apart", keys},
				{"many at once get the burst and no more", race},
				{"refuses a take from nothing", nothing},
			} {
				t.Run(c.claim, func(t *testing.T) { c.check(t, open(t)) })
			}
		})
	}
}

func burst(t *testing.T, u under) {
	b := user("a", hourly(5))
	for i := range 5 {
		if r := u.take(t, 1, b); !r.Allowed {
			t.Fatalf("take %d: %+v", i+1, r)
		}
	}
	for range 3 { // refused takes cost nothing: the wait does not grow
		r := u.take(t, 1, b)
		if r.Allowed || r.By != "user" || r.RetryAfter > time.Hour || r.RetryAfter < time.Hour-u.slack-time.Millisecond {
			t.Fatalf("after the burst: %+v", r)
		}
	}
}

func refill(t *testing.T, u under) {
	b := user("a", ratelimit.Limit{Rate: 10, Burst: 3})
	var r ratelimit.Result
	for range 1000 { // three takes, unless the machine is so slow that some come back meanwhile
		if r = u.take(t, 1, b); !r.Allowed {
			break
		}
	}
	if r.Allowed || r.RetryAfter > 100*time.Millisecond {
		t.Fatalf("after the burst: %+v", r)
	}
	u.advance(r.RetryAfter)
	if r := u.take(t, 1, b); !r.Allowed {
		t.Fatalf("after the time that was said: %+v", r)
	}
	u.advance(time.Second) // an idle bucket holds the burst and not more
	for range 3 {
		if r := u.take(t, 1, b); !r.Allowed {
			t.Fatalf("after a pause: %+v", r)
		}
	}
	if r := u.take(t, 1, b); r.Allowed && u.slack == 0 {
		t.Fatal("an idle bucket held more than the burst")
	}
}

func zero(t *testing.T, u under) {
	for name, l := range map[string]ratelimit.Limit{
		"zero": {}, "no burst": {Rate: 5}, "no rate": {Burst: 5}, "negative": {Rate: -1, Burst: 5}, "negative burst": {Rate: 5, Burst: -5},
		"no number": {Rate: math.NaN(), Burst: 5}, "infinite": {Rate: math.Inf(1), Burst: 5}, "ten years": {Rate: 1e-9, Burst: 5},
	} {
		good := user("a", hourly(1))
		if r := u.take(t, 1, good, ratelimit.Bucket{Name: "room", Key: "r", Limit: l}); r.Allowed || r.By != "room" || r.RetryAfter != ratelimit.Never {
			t.Errorf("%s: %+v", name, r)
		}
		u.take(t, 1, user(name, hourly(1)))
	}
	if r := u.take(t, 1, user("a", hourly(1))); !r.Allowed {
		t.Errorf("a refusal was charged: %+v", r)
	}
}

func allOrNothing(t *testing.T, u under) {
	a, room := user("a", hourly(2)), ratelimit.Bucket{Name: "room", Key: "r", Limit: hourly(1)}
	if r := u.take(t, 1, a, room); !r.Allowed {
		t.Fatal(r)
	}
	for range 5 {
		if r := u.take(t, 1, a, room); r.Allowed || r.By != "room" {
			t.Fatalf("room is spent: %+v", r)
		}
	}
	if r := u.take(t, 1, a); !r.Allowed {
		t.Errorf("the user paid for what the room refused: %+v", r)
	}
	if r := u.take(t, 1, a); r.Allowed {
		t.Error("the user's take was not charged")
	}
}

func longest(t *testing.T, u under) {
	quick := user("a", ratelimit.Limit{Rate: 1.0 / 60, Burst: 1})
	slow := ratelimit.Bucket{Name: "ip", Key: "i", Limit: hourly(1)}
	u.take(t, 1, quick, slow)
	for _, order := range [][]ratelimit.Bucket{{quick, slow}, {slow, quick}} {
		if r := u.take(t, 1, order...); r.By != "ip" || r.RetryAfter < time.Hour-u.slack-time.Millisecond {
			t.Errorf("%+v", r)
		}
	}
}

func cost(t *testing.T, u under) {
	b := user("a", hourly(10))
	for _, c := range []struct {
		cost    int
		allowed bool
	}{{11, false}, {7, true}, {4, false}, {3, true}, {1, false}} {
		if r := u.take(t, c.cost, b); r.Allowed != c.allowed {
			t.Errorf("cost %d: %+v", c.cost, r)
		}
	}
	if r := u.take(t, 11, b); r.RetryAfter != ratelimit.Never {
		t.Errorf("more than the burst: %+v", r)
	}
}

func refund(t *testing.T, u under) {
	b := user("a", hourly(3))
	for range 3 {
		u.take(t, -1000, b)
	}
	if r := u.take(t, 0, b); r.Allowed {
		t.Error("negative costs filled the bucket")
	}
}

func keys(t *testing.T, u under) {
	texts := []string{"", "a", "A", "a:b", "*", "{x}", "a\nb", "\x00", "\xff", "../a", "1x", strings.Repeat("k", 1<<20)}
	for _, key := range texts {
		if r := u.take(t, 1, user(key, hourly(1))); !r.Allowed {
			t.Errorf("key %.10q shares a bucket: %+v", key, r)
		}
	}
	for _, key := range texts {
		if r := u.take(t, 1, user(key, hourly(1))); r.Allowed {
			t.Errorf("key %.10q has two buckets", key)
		}
	}
	if r := u.take(t, 1, ratelimit.Bucket{Name: "user1", Key: "x", Limit: hourly(1)}); !r.Allowed {
		t.Error("name and key run into each other")
	}
}

func race(t *testing.T, u under) {
	b := []ratelimit.Bucket{user("a", hourly(10)), {Name: "global", Limit: ratelimit.Limit{Rate: 1, Burst: 1000}}}
	var wg sync.WaitGroup
	var allowed atomic.Int32
	for range 60 {
		wg.Go(func() {
			r, err := u.Take(t.Context(), b, 1)
			if err != nil {
				t.Error(err)
			}
			if r.Allowed {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 10 {
		t.Errorf("%d of 60 allowed, want 10", allowed.Load())
	}
}

func nothing(t *testing.T, u under) {
	for _, b := range [][]ratelimit.Bucket{nil, make([]ratelimit.Bucket, 9)} {
		if r, err := u.Take(context.Background(), b, 1); err == nil || r.Allowed {
			t.Errorf("%d buckets: %+v, %v", len(b), r, err)
		}
	}
}
