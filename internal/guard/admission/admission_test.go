package admission_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/testkit"
	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) { testkit.Main(m) }

//control:proves admission
func TestGate_letsExactlyMaxIn(t *testing.T) {
	g := admission.NewGate(5)
	var wg sync.WaitGroup
	var in atomic.Int32
	leaves := make(chan func(), 100)
	for range 100 {
		wg.Go(func() {
			if leave, ok := g.Enter(); ok {
				in.Add(1)
				leaves <- leave
			}
		})
	}
	wg.Wait()
	if in.Load() != 5 || g.Inside() != 5 {
		t.Fatalf("%d let in, %d inside; want 5", in.Load(), g.Inside())
	}
	leave := <-leaves
	for range 10 { // every failing path of a handshake may give the place back
		wg.Go(leave)
	}
	wg.Wait()
	if g.Inside() != 4 {
		t.Errorf("%d inside after one left ten times, want 4", g.Inside())
	}
	if _, ok := g.Enter(); !ok {
		t.Error("the free place is not given")
	}
	if no, ok := g.Enter(); ok {
		t.Error("let one too many in")
	} else if no(); g.Inside() != 5 {
		t.Errorf("%d inside after a refused one left, want 5", g.Inside())
	}
}

//control:proves admission
func TestGate_withoutPlacesRefuses(t *testing.T) {
	for _, g := range []*admission.Gate{{}, admission.NewGate(0), admission.NewGate(-1)} {
		if _, ok := g.Enter(); ok {
			t.Error("let somebody in")
		}
	}
}

// under is Leases on two nodes and the time of their Redis.
type under struct {
	nodes   [2]*admission.Leases
	client  *redis.Client
	advance func(d time.Duration)
	exact   bool // its time only moves by advance
}

const (
	ttl  = 2 * time.Second  // where a test waits for it
	long = 30 * time.Second // where no test may run into it, on a busy machine either
)

var servers = map[string]func(t *testing.T, ttl time.Duration) under{
	"redis": func(t *testing.T, ttl time.Duration) under {
		client, prefix := testkit.Redis(t)
		return under{two(t, client, prefix, ttl), client, func(d time.Duration) {
			end := serverTime(t, client).Add(d)
			testkit.Eventually(t, d+5*time.Second, func() bool { return serverTime(t, client).After(end) })
		}, false}
	},
	"stand-in": func(t *testing.T, ttl time.Duration) under {
		server := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		now := time.Now()
		server.SetTime(now)
		return under{two(t, client, "p:", ttl), client, func(d time.Duration) {
			now = now.Add(d)
			server.SetTime(now)
			server.FastForward(d)
		}, true}
	},
}

func two(t *testing.T, client *redis.Client, prefix string, ttl time.Duration) [2]*admission.Leases {
	o := client.Options() // that a client has used, and that another cannot use again
	other := redis.NewClient(&redis.Options{Network: o.Network, Addr: o.Addr, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig})
	t.Cleanup(func() { _ = other.Close() })
	return [2]*admission.Leases{admission.NewLeases(client, prefix, ttl), admission.NewLeases(other, prefix, ttl)}
}

func serverTime(t *testing.T, client *redis.Client) time.Time {
	now, err := client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func (u under) acquire(t *testing.T, node int, user uuid.UUID, conn string, max int) bool {
	t.Helper()
	ok, err := u.nodes[node].Acquire(t.Context(), user, conn, max)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func (u under) count(t *testing.T, user uuid.UUID, want int) {
	t.Helper()
	for i, n := range u.nodes {
		if got, err := n.Count(t.Context(), user); err != nil || got != want {
			t.Errorf("node %d counts %d, %v; want %d", i, got, err, want)
		}
	}
}

//control:proves admission
func TestLeases(t *testing.T) {
	for name, open := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				claim string
				ttl   time.Duration
				check func(*testing.T, under)
			}{
				{"fifty handshakes at once on two nodes get exactly max", long, race},
				{"users do not share", long, apart},
				{"asking again takes no second place", long, again},
				{"release gives the place back", long, release},
				{"a crashed node's places come back after the time to live", ttl, crash},
				{"a crashed node's place comes back although another node renews its own", ttl, partly},
				{"renewal keeps a place beyond the time to live", ttl, renew},
				{"renewal puts back what redis lost", long, lost},
				{"no place for max zero, nobody or no connection", long, none},
				{"every key expires", long, expires},
			} {
				t.Run(c.claim, func(t *testing.T) { t.Parallel(); c.check(t, open(t, c.ttl)) })
			}
		})
	}
}

func race(t *testing.T, u under) {
	user := uuid.New()
	var wg sync.WaitGroup
	var got atomic.Int32
	for i := range 50 {
		wg.Go(func() {
			ok, err := u.nodes[i%2].Acquire(t.Context(), user, fmt.Sprint("conn-", i), 5)
			if err != nil {
				t.Error(err)
			}
			if ok {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 5 {
		t.Errorf("%d of 50 admitted, want exactly 5", got.Load())
	}
}

func apart(t *testing.T, u under) {
	a, b := uuid.New(), uuid.New()
	if !u.acquire(t, 0, a, "1", 1) || !u.acquire(t, 0, b, "1", 1) || u.acquire(t, 1, a, "2", 1) {
		t.Error("users share places")
	}
	u.count(t, a, 1)
}

func again(t *testing.T, u under) {
	user := uuid.New()
	for range 3 {
		if !u.acquire(t, 0, user, "1", 1) {
			t.Fatal("refused the connection that holds the place")
		}
	}
	u.count(t, user, 1)
	if u.acquire(t, 1, user, "2", 1) {
		t.Error("one too many")
	}
}

func release(t *testing.T, u under) {
	user := uuid.New()
	u.acquire(t, 0, user, "1", 1)
	for range 2 { // again is no error
		if err := u.nodes[0].Release(t.Context(), user, "1"); err != nil {
			t.Fatal(err)
		}
	}
	u.count(t, user, 0)
	if !u.acquire(t, 1, user, "2", 1) {
		t.Error("the place was not given back")
	}
}

func crash(t *testing.T, u under) {
	user := uuid.New()
	u.acquire(t, 0, user, "1", 2)
	u.acquire(t, 0, user, "2", 2)
	u.advance(ttl - 20*time.Millisecond)
	if u.exact && u.acquire(t, 1, user, "3", 2) {
		t.Error("a place was given away before its time")
	}
	u.advance(40 * time.Millisecond)
	u.count(t, user, 0)
	if !u.acquire(t, 1, user, "3", 2) || !u.acquire(t, 1, user, "4", 2) || u.acquire(t, 1, user, "5", 2) {
		t.Error("the places did not come back, or too many did")
	}
}

func renew(t *testing.T, u under) {
	a, b := uuid.New(), uuid.New()
	u.acquire(t, 0, a, "1", 1)
	u.acquire(t, 0, b, "1", 2)
	u.acquire(t, 0, b, "2", 2)
	for range 5 {
		u.advance(ttl / 4)
		if err := u.nodes[0].Renew(t.Context(), []admission.Lease{{a, "1"}, {b, "1"}, {b, "2"}}); err != nil {
			t.Fatal(err)
		}
	}
	u.count(t, a, 1)
	u.count(t, b, 2)
	if u.acquire(t, 1, a, "2", 1) {
		t.Error("a renewed place was given away")
	}
}

func lost(t *testing.T, u under) {
	user := uuid.New()
	if err := u.nodes[0].Renew(t.Context(), []admission.Lease{{user, "1"}}); err != nil {
		t.Fatal(err)
	}
	if u.acquire(t, 1, user, "2", 1) {
		t.Error("the cap forgot a connection that is there")
	}
}

func none(t *testing.T, u under) {
	if u.acquire(t, 0, uuid.New(), "1", 0) || u.acquire(t, 0, uuid.New(), "1", -1) {
		t.Error("max zero gave a place")
	}
	for _, c := range []admission.Lease{{uuid.Nil, "1"}, {uuid.New(), ""}, {uuid.New(), string(make([]byte, 65))}} {
		if ok, err := u.nodes[0].Acquire(t.Context(), c.User, c.Conn, 5); err == nil || ok {
			t.Errorf("%+v: %v, %v", c, ok, err)
		}
	}
	if err := u.nodes[0].Renew(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func partly(t *testing.T, u under) {
	user := uuid.New()
	u.acquire(t, 0, user, "crashed", 2)
	u.acquire(t, 1, user, "alive", 2)
	for range 5 {
		u.advance(ttl / 4)
		if err := u.nodes[1].Renew(t.Context(), []admission.Lease{{user, "alive"}}); err != nil {
			t.Fatal(err)
		}
	}
	u.count(t, user, 1)
	if !u.acquire(t, 1, user, "new", 2) || u.acquire(t, 1, user, "one too many", 2) {
		t.Error("the place of the crashed node did not come back, or another with it")
	}
}

func expires(t *testing.T, u under) {
	acquired, renewed := uuid.New(), uuid.New()
	u.acquire(t, 0, acquired, "1", 5)
	if err := u.nodes[0].Renew(t.Context(), []admission.Lease{{renewed, "1"}}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []uuid.UUID{acquired, renewed} {
		keys, err := u.client.Keys(t.Context(), "*lease:"+user.String()).Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("keys %q, %v", keys, err)
		}
		if left, err := u.client.PTTL(t.Context(), keys[0]).Result(); err != nil || left <= 0 || left > long {
			t.Errorf("the key lives for %v, %v", left, err)
		}
	}
}

//control:proves admission
func TestLeases_refuseWhenRedisIsGone(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	l := admission.NewLeases(client, "p:", ttl)
	server.Close()
	ctx := context.Background()
	if ok, err := l.Acquire(ctx, uuid.New(), "1", 5); err == nil || ok {
		t.Errorf("acquire: %v, %v", ok, err)
	}
	if err := l.Renew(ctx, []admission.Lease{{uuid.New(), "1"}}); err == nil {
		t.Error("renew: no error")
	}
	if err := l.Release(ctx, uuid.New(), "1"); err == nil {
		t.Error("release: no error")
	}
	if _, err := l.Count(ctx, uuid.New()); err == nil {
		t.Error("count: no error")
	}
}

func BenchmarkGate(b *testing.B) {
	g := admission.NewGate(1 << 30)
	for b.Loop() {
		leave, _ := g.Enter()
		leave()
	}
}
