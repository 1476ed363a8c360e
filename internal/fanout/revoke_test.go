package fanout

import (
	"slices"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/testkit"
)

// A signed-out user must not go on reading on another node.
//
//control:proves fanout
//control:proves revocation
func TestRevoke_reachesTheOtherNodeWithin100ms(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	b.hears(t, a)
	const n = 200
	took := make([]time.Duration, n)
	for i := range took {
		r := sessionEnd()
		began := time.Now()
		a.Revoke(t.Context(), r)
		if !a.sink.has(r) {
			t.Fatal("own sockets are not told at once")
		}
		testkit.Eventually(t, soon, func() bool { return b.sink.has(r) })
		b.sink.mu.Lock()
		took[i] = b.sink.revoked[r].Sub(began)
		b.sink.mu.Unlock()
	}
	slices.Sort(took)
	t.Logf("p50 %v, p99 %v, max %v", took[n/2], took[n*99/100], took[n-1])
	if p99 := took[n*99/100]; p99 > 100*time.Millisecond {
		t.Errorf("p99 %v, want at most 100ms", p99)
	}
}

//control:proves fanout
func TestRevoke_reachesTheOtherNodeByPollWhenRedisIsGone(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	proxy := testkit.NewProxy(t, url)
	a, b := startNode(t, proxy.URL(), p, h, quick), startNode(t, proxy.URL(), p, h, quick)
	a.ready(t)
	b.ready(t)
	proxy.Cut()
	r := sessionEnd()
	h.revoke(r) // the caller's transaction writes the outbox first
	began := time.Now()
	a.Revoke(t.Context(), r)
	testkit.Eventually(t, soon, func() bool { return b.sink.has(r) })
	t.Logf("by poll after %v, polling every %v", time.Since(began).Round(time.Millisecond), quick.Every)
	if took := time.Since(began); took > quick.Every+storeTime {
		t.Errorf("took %v", took)
	}
	if count(t, b.metrics.revocations.WithLabelValues("poll")) == 0 {
		t.Error("it did not come by poll")
	}
}

//control:proves fanout
func TestRevoke_isReadAgainAfterAGapOfTheLink(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	proxy := testkit.NewProxy(t, url)
	a, b := startNode(t, url, p, h, lazy), startNode(t, proxy.URL(), p, h, lazy) // no polls: only the stream
	b.hears(t, a)
	first := sessionEnd()
	a.Revoke(t.Context(), first)
	testkit.Eventually(t, soon, func() bool { return b.sink.has(first) })
	proxy.Cut()
	missed := sessionEnd()
	a.Revoke(t.Context(), missed)
	testkit.Eventually(t, soon, func() bool { return len(a.revocations) == 0 && b.audit.have("redis_lost") })
	proxy.Resume()
	testkit.Eventually(t, soon, func() bool { return b.sink.has(missed) })
}

//control:proves fanout
func TestRevoke_survivesALostStream(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	proxy := testkit.NewProxy(t, url)
	a, b := startNode(t, url, p, h, lazy), startNode(t, proxy.URL(), p, h, lazy)
	b.hears(t, a)
	first := sessionEnd()
	a.Revoke(t.Context(), first)
	testkit.Eventually(t, soon, func() bool { return b.sink.has(first) })
	proxy.Cut()
	// Redis comes back from an older copy: the stream's ids begin anew, behind b's place.
	if err := a.redis.Del(t.Context(), a.stream()).Err(); err != nil {
		t.Fatal(err)
	}
	r := sessionEnd()
	data, err := ours.pack(event{Node: "other", Revocation: &r})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.redis.Do(t.Context(), "XADD", a.stream(), "5-1", "e", data).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, func() bool { return b.audit.have("redis_lost") })
	proxy.Resume()
	testkit.Eventually(t, soon, func() bool { return b.sink.has(r) })
}

//control:proves fanout
func TestRevoke_ignoresGarbageInTheStream(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	b.hears(t, a)
	c := change(roomA, 1)
	wrong, err := ours.pack(event{Node: "other", Change: &c})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range [][]any{{"e", "garbage"}, {"x", "y"}, {"e", wrong}} {
		if err := a.redis.Do(t.Context(), append([]any{"XADD", a.stream(), "*"}, entry...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r := sessionEnd()
	a.Revoke(t.Context(), r)
	testkit.Eventually(t, soon, func() bool { return b.sink.has(r) })
}

func TestRevoke_appliesAStandingOnceAndASessionAlways(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	n := startNode(t, url, p, h, quick)
	session := sessionEnd()
	room := chat.Revocation{Room: roomA, User: alice.ID, Reason: "banned", At: session.At}
	h.revoke(session)
	h.revoke(room)
	came := func(way string) float64 { return count(t, n.metrics.revocations.WithLabelValues(way)) }
	testkit.Eventually(t, soon, func() bool { return came("poll") >= 4 })
	before := came("poll")
	n.apply(room, "stream")
	if got := came("stream"); got != 0 {
		t.Errorf("a standing was applied again: %v", got)
	}
	testkit.Eventually(t, soon, func() bool { return came("poll") > before })
}

func TestApplied_staysBounded(t *testing.T) {
	a := applied{seen: map[chat.Revocation]time.Time{}}
	now := time.Now()
	for i := range 3 * maxApplied {
		r := chat.Revocation{Room: roomA, User: alice.ID, Reason: "muted", At: time.Unix(int64(i), 0)}
		if !a.first(r, now) {
			t.Fatal("a new one was taken for an old one")
		}
		if a.first(r, now) {
			t.Fatal("an old one was taken for a new one")
		}
		if len(a.seen) > maxApplied {
			t.Fatalf("remembers %d, want at most %d", len(a.seen), maxApplied)
		}
	}
}

//control:proves fanout
func TestBlind_onlyWhenBothWaysAreGone(t *testing.T) {
	p, h := prefix(t), newHistory()
	proxy := testkit.NewProxy(t, testkit.RedisURL(t))
	n := startNode(t, proxy.URL(), p, h, quick)
	n.ready(t)
	blind := func() int {
		n.sink.mu.Lock()
		defer n.sink.mu.Unlock()
		return n.sink.blind
	}
	silent := func(which func() time.Duration) {
		t.Helper()
		testkit.Eventually(t, soon, func() bool { return which() > 3*quick.Blind })
		if blind() != 0 {
			t.Fatal("blind although one way works")
		}
	}
	h.fail(true) // PostgreSQL alone
	silent(func() time.Duration { return n.Health().LastStore })
	h.fail(false)
	testkit.Eventually(t, soon, func() bool { return n.Health().Store })
	proxy.Cut() // Redis alone
	silent(func() time.Duration { return n.Health().LastRedis })

	h.fail(true) // both
	testkit.Eventually(t, soon, func() bool { return blind() == 1 })
	if !n.audit.have("blind") {
		t.Error("no event")
	}
	if n.Health().LastStore < quick.Blind {
		t.Errorf("blind after %v, before %v", n.Health().LastStore, quick.Blind)
	}
	h.fail(false)
	testkit.Eventually(t, soon, func() bool { return n.Health().Store })
	if blind() != 1 {
		t.Errorf("told %d times, want once", blind())
	}
	h.fail(true) // and again
	testkit.Eventually(t, soon, func() bool { return blind() == 2 })
}

func TestBefore_ordersStreamIDs(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"0-0", "1-0", true}, {"1-0", "0-0", false}, {"5-9", "5-10", true}, {"9-0", "10-0", true},
		{"5-1", "5-1", false}, {"18446744073709551614-0", "18446744073709551615-0", true}, {"", "0-1", true}, {"x-y", "0-1", true},
	} {
		if got := before(tt.a, tt.b); got != tt.want {
			t.Errorf("before(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
