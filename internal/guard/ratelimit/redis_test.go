package ratelimit_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/testkit"
	"github.com/redis/go-redis/v9"
)

// counter counts what goes over the wire.
type counter struct{ trips atomic.Int32 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.trips.Add(1); return next(ctx, cmd) }
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.trips.Add(1); return next(ctx, cmds) }
}

// second is another node's client; options that a client has used cannot be used again.
func second(t *testing.T, client *redis.Client) *redis.Client {
	o := client.Options()
	other := redis.NewClient(&redis.Options{Network: o.Network, Addr: o.Addr, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig})
	t.Cleanup(func() { _ = other.Close() })
	return other
}

//control:proves ratelimit
func TestRedis_limitsOneUserOnSeveralNodesTogether(t *testing.T) {
	client, prefix := testkit.Redis(t)
	nodes := []ratelimit.Source{ratelimit.NewRedis(client, prefix), ratelimit.NewRedis(second(t, client), prefix)}
	allowed := 0
	for i := range 20 {
		r, err := nodes[i%2].Take(t.Context(), []ratelimit.Bucket{user("a", hourly(6))}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if r.Allowed {
			allowed++
		}
	}
	if allowed != 6 {
		t.Errorf("%d allowed over two nodes, want 6", allowed)
	}
}

//control:proves ratelimit
//control:proves room-names
func TestRedis_leavesNoTextOfClientAndNoKeyForEver(t *testing.T) {
	client, prefix := testkit.Redis(t)
	s := ratelimit.NewRedis(client, prefix)
	const text = "victim@example.com\r\nSET x y"
	buckets := []ratelimit.Bucket{
		user(text, ratelimit.Limit{Rate: 2, Burst: 20}), {Name: "ip", Key: text, Limit: hourly(5)}, {Name: "global", Limit: ratelimit.Limit{Rate: 1e6, Burst: 1e6}},
	}
	for range 30 {
		if _, err := s.Take(t.Context(), buckets, 1); err != nil {
			t.Fatal(err)
		}
	}
	found, err := client.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(found) < 2 || len(found) > 3 {
		t.Fatalf("keys %q, %v", found, err)
	}
	for _, key := range found {
		if strings.Contains(key, "victim") || strings.ContainsAny(key, "\r\n ") {
			t.Errorf("a client's text in key %q", key)
		}
		if !strings.HasPrefix(key, prefix+"{rate}:") {
			t.Errorf("key %q is outside the one slot", key)
		}
		// -1: for ever. A bucket that refills at once has less than a millisecond left, or is gone (-2).
		if ttl, err := client.PTTL(t.Context(), key).Result(); err != nil || ttl == -1 || ttl > 5*time.Hour {
			t.Errorf("key %q lives for %v, %v", key, ttl, err)
		}
	}
}

//control:proves ratelimit
func TestRedis_takesInOneRoundTrip(t *testing.T) {
	client, prefix := testkit.Redis(t)
	s := ratelimit.NewRedis(client, prefix)
	b := []ratelimit.Bucket{user("a", hourly(50)), {Name: "ip", Key: "i", Limit: hourly(50)}, {Name: "room", Key: "r", Limit: hourly(50)}}
	take := func() {
		t.Helper()
		if r, err := s.Take(t.Context(), b, 1); err != nil || !r.Allowed {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	take() // the first one may have to load the script
	c := &counter{}
	client.AddHook(c)
	for range 10 {
		take()
	}
	if n := c.trips.Load(); n != 10 {
		t.Errorf("%d round trips for 10 takes", n)
	}
}

func TestRedis_survivesLostScript(t *testing.T) {
	_, client := standIn(t)
	s := ratelimit.NewRedis(client, "p:")
	for range 2 {
		if r, err := s.Take(t.Context(), []ratelimit.Bucket{user("a", hourly(5))}, 1); err != nil || !r.Allowed {
			t.Fatalf("%+v, %v", r, err)
		}
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

//control:proves ratelimit
func TestRedis_doesNotLockOutWhenItsClockIsSetBack(t *testing.T) {
	server, client := standIn(t)
	s := ratelimit.NewRedis(client, "p:")
	b := []ratelimit.Bucket{user("a", ratelimit.Limit{Rate: 1, Burst: 5})}
	now := time.Now()
	for _, at := range []time.Time{now.Add(24 * time.Hour), now} { // a failover to a node that is a day behind
		server.SetTime(at)
		for range 5 {
			if _, err := s.Take(t.Context(), b, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, key := range server.Keys() {
		if ttl := server.TTL(key); ttl != 5*time.Second {
			t.Errorf("the bucket is remembered for %v, want the 5s that it needs", ttl)
		}
	}
	server.SetTime(now.Add(5 * time.Second))
	if r, err := s.Take(t.Context(), b, 5); err != nil || !r.Allowed {
		t.Errorf("after the time that the bucket needs: %+v, %v", r, err)
	}
}

//control:proves ratelimit
//control:proves limiter-failure
func TestRedis_isAnErrorWhenRedisIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	client := redis.NewClient(&redis.Options{Addr: l.Addr().String(), MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	if r, err := ratelimit.NewRedis(client, "p:").Take(t.Context(), []ratelimit.Bucket{user("a", hourly(5))}, 1); err == nil || r.Allowed {
		t.Errorf("%+v, %v", r, err)
	}
}

//control:proves ratelimit
func TestRedis_refusesReplyThatMakesNoSense(t *testing.T) {
	server, client := standIn(t)
	s := ratelimit.NewRedis(client, "p:")
	b := []ratelimit.Bucket{user("a", hourly(5))}
	if _, err := s.Take(t.Context(), b, 1); err != nil {
		t.Fatal(err)
	}
	for _, key := range server.Keys() {
		server.Set(key, "rubbish")
	}
	if r, err := s.Take(t.Context(), b, 1); err == nil || r.Allowed {
		t.Errorf("%+v, %v", r, err)
	}
}

func BenchmarkRedis_fourBuckets(b *testing.B) {
	client, prefix := testkit.Redis(b)
	s := ratelimit.NewRedis(client, prefix)
	fast := ratelimit.Limit{Rate: 1e6, Burst: 1e6}
	buckets := []ratelimit.Bucket{user("a", fast), {Name: "ip", Key: "i", Limit: fast}, {Name: "room", Key: "r", Limit: fast}, {Name: "global", Limit: fast}}
	for b.Loop() {
		if _, err := s.Take(b.Context(), buckets, 1); err != nil {
			b.Fatal(err)
		}
	}
}
