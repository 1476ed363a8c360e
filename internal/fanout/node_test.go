package fanout

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/testkit"
)

func TestNew_refusesMissingParts(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("the zero Options are accepted")
	}
	client := redis.NewClient(&redis.Options{})
	defer client.Close()
	registry := prometheus.NewRegistry()
	o := Options{Redis: client, Key: ourKey, Prefix: "p:", Node: "n", Log: slog.New(slog.DiscardHandler), Audit: &records{}, Registerer: registry, Source: newHistory()}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil {
		t.Error("runs without a Sink")
	}
	if _, err := New(o); err == nil {
		t.Error("two nodes share one registry")
	}
}

func TestPublish_reachesOtherNodesInOrder(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	a.follow(t, roomA)
	b.follow(t, roomA)
	b.follow(t, roomB)
	const each = 200
	var wg sync.WaitGroup
	for _, from := range []*node{a, b} {
		wg.Go(func() {
			for range each {
				from.Publish(t.Context(), h.write(roomA, 1))
			}
		})
	}
	wg.Wait()
	a.reaches(t, roomA, 2*each)
	b.reaches(t, roomA, 2*each)
	if got := b.sink.got(roomB); len(got) != 0 {
		t.Errorf("room B got %v", got)
	}
}

func TestPublish_reachesOwnNodeWithoutRedis(t *testing.T) {
	p, h := prefix(t), newHistory()
	proxy := testkit.NewProxy(t, testkit.RedisURL(t))
	proxy.Cut()
	n := startNode(t, proxy.URL(), p, h, lazy)
	if _, err := n.Follow(t.Context(), roomA); err != nil {
		t.Fatal(err)
	}
	n.Publish(t.Context(), h.write(roomA, 1))
	n.Publish(t.Context(), h.write(roomA, 1))
	n.reaches(t, roomA, 2)
}

//control:proves fanout
func TestPublish_losesNothingWhenTheLinkBreaks(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	proxy := testkit.NewProxy(t, url)
	a, b := startNode(t, url, p, h, quick), startNode(t, proxy.URL(), p, h, quick)
	a.follow(t, roomA)
	b.follow(t, roomA)
	for i := range 100 {
		switch i {
		case 20, 60: // the receiver's link dies in the middle
			proxy.Cut()
		case 40, 80:
			proxy.Resume()
		}
		a.Publish(t.Context(), h.write(roomA, 1))
	}
	a.reaches(t, roomA, 100)
	b.reaches(t, roomA, 100)
	if !b.audit.have("redis_lost") {
		t.Error("no ws_fanout_degraded event")
	}
	testkit.Eventually(t, soon, func() bool { return b.Health().Redis })
}

//control:proves fanout
func TestPublish_isRepairedFromTheStoreWhenNobodyHeardIt(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	proxy := testkit.NewProxy(t, url)
	a, b := startNode(t, proxy.URL(), p, h, quick), startNode(t, url, p, h, quick)
	b.follow(t, roomA)
	a.ready(t)
	proxy.Cut() // the publisher's link
	a.Publish(t.Context(), h.write(roomA, 1))
	a.Publish(t.Context(), h.write(roomA, 1))
	b.reaches(t, roomA, 2)
	if got := count(t, b.metrics.changes.WithLabelValues("store")); got != 2 {
		t.Errorf("%v changes came from the store, want 2", got)
	}
	testkit.Eventually(t, soon, func() bool { return count(t, a.metrics.dropped.WithLabelValues("redis_error")) == 2 })
}

//control:proves fanout
func TestLink_thatSwallowsEverythingIsNoticedByTheHeartbeat(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	proxy := testkit.NewProxy(t, url)
	a, b := startNode(t, url, p, h, quick), startNode(t, proxy.URL(), p, h, quick)
	b.follow(t, roomA)
	began := time.Now()
	proxy.Pause()
	a.Publish(t.Context(), h.write(roomA, 1))
	testkit.Eventually(t, soon, func() bool { return b.audit.have("redis_silent") })
	t.Logf("noticed after %v with a beat of %v", time.Since(began).Round(time.Millisecond), quick.Beat)
	if took := time.Since(began); took < 2*quick.Beat {
		t.Errorf("noticed after %v, before three beats could be missed", took)
	}
	b.reaches(t, roomA, 1) // from the store, the link still being dead
	proxy.Resume()
	testkit.Eventually(t, soon, func() bool { return b.Health().Redis })
}

func TestPublish_neverBlocksAndIsBounded(t *testing.T) {
	p, h := prefix(t), newHistory()
	proxy := testkit.NewProxy(t, testkit.RedisURL(t))
	n := startNode(t, proxy.URL(), p, h, lazy)
	n.ready(t)
	proxy.Pause()
	began := time.Now()
	c := change(roomA, 1)
	for range 2 * maxQueued {
		n.Publish(t.Context(), c)
		n.Signal(t.Context(), chat.Signal{Kind: chat.Typing, Room: roomA, User: alice})
	}
	if took := time.Since(began); took > soon {
		t.Errorf("took %v", took)
	}
	if queued := n.Health().Queued; queued > maxQueued {
		t.Errorf("%d queued, want at most %d", queued, maxQueued)
	}
	if count(t, n.metrics.dropped.WithLabelValues("queue_full")) == 0 {
		t.Error("nothing was counted as dropped")
	}
	proxy.Resume()
}

func TestOutbox_keepsRoomForChangesWhenSignalsFlood(t *testing.T) {
	o := newOutbox()
	for o.open(signalShare) && o.put(published{"c", []byte("signal")}) {
	}
	if !o.open(1) || !o.put(published{"c", []byte("change")}) {
		t.Error("a change found no room behind signals")
	}
	big := newOutbox()
	n := 0
	for big.open(1) && big.put(published{"c", make([]byte, maxEvent)}) {
		n++
	}
	if n*maxEvent > maxQueuedBytes+maxEvent {
		t.Errorf("%d bytes queued, want at most %d", n*maxEvent, maxQueuedBytes)
	}
}

func TestSignal_reachesAllNodesOnce(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	a.follow(t, roomA)
	b.follow(t, roomA)
	a.Signal(t.Context(), chat.Signal{Kind: chat.Typing, Room: roomA, User: alice})
	signals := func(n *node) int {
		n.sink.mu.Lock()
		defer n.sink.mu.Unlock()
		return len(n.sink.signals)
	}
	testkit.Eventually(t, soon, func() bool { return signals(b) == 1 })
	a.Publish(t.Context(), h.write(roomA, 1)) // comes behind the signal, so its echo has come too
	b.reaches(t, roomA, 1)
	if signals(a) != 1 || signals(b) != 1 {
		t.Errorf("came %d and %d times, want once each", signals(a), signals(b))
	}
}

//control:proves fanout
func TestDeliver_waitsForRefreshOfANewerEpoch(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	n := startNode(t, url, p, h, quick)
	fails := true
	n.sink.refresh = func() error { // called with sink.mu held
		if fails {
			return errDown
		}
		return nil
	}
	if _, err := n.Follow(t.Context(), roomA); err != nil {
		t.Fatal(err)
	}
	n.Publish(t.Context(), h.write(roomA, 1))
	testkit.Eventually(t, soon, func() bool { return count(t, n.metrics.refreshes.WithLabelValues("error")) >= 2 })
	if got := n.sink.got(roomA); len(got) != 0 {
		t.Fatalf("delivered %v although nobody knows to whom", got)
	}
	n.sink.mu.Lock()
	fails, n.sink.log = false, nil
	n.sink.mu.Unlock()
	n.reaches(t, roomA, 1)
	for range 3 {
		n.Publish(t.Context(), h.write(roomA, 1))
	}
	n.reaches(t, roomA, 4)
	n.Publish(t.Context(), h.write(roomA, 2)) // somebody was removed
	n.reaches(t, roomA, 5)
	n.sink.mu.Lock()
	defer n.sink.mu.Unlock()
	refreshes := 0
	for i, what := range n.sink.log {
		if what == "refresh" {
			refreshes++
			if i+1 == len(n.sink.log) {
				t.Error("refreshed after the delivery")
			}
		}
	}
	if refreshes != 2 || n.sink.log[0] != "refresh" || n.sink.log[len(n.sink.log)-2] != "refresh" {
		t.Errorf("log %v, want one refresh before the first delivery and one before the last", n.sink.log)
	}
}

//control:proves fanout
//control:proves room-names
func TestReceive_refusesWhatRedisInvents(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	n := startNode(t, url, p, h, quick)
	n.follow(t, roomA)
	n.follow(t, roomB)
	forge := func(channel chat.RoomID, e event) {
		t.Helper()
		e.Node = "elsewhere"
		data, err := ours.pack(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.redis.Publish(t.Context(), n.channel(channel), data).Err(); err != nil {
			t.Fatal(err)
		}
	}
	far, other := change(roomA, 1<<50), change(roomB, 1)
	forge(roomA, event{Change: &far})                                                              // a seq that does not exist
	forge(roomA, event{Change: &other})                                                            // another room's change
	forge(roomA, event{Signal: &chat.Signal{Kind: chat.Typing, Room: roomB, User: alice}})         // another room's signal
	forge(roomA, event{Revocation: &chat.Revocation{Room: roomA, User: alice.ID, Reason: "role"}}) // on the wrong way
	if err := n.redis.Publish(t.Context(), n.channel(roomA), "garbage").Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, func() bool {
		return count(t, n.metrics.refused.WithLabelValues("channel")) == 3 && count(t, n.metrics.refused.WithLabelValues("forged")) == 1
	})
	n.Publish(t.Context(), h.write(roomA, 1))
	n.reaches(t, roomA, 1)
	testkit.Eventually(t, soon, func() bool {
		r := n.room(roomA)
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.seq.held) == 0 && r.seq.exists == 1
	})
	if got := n.sink.got(roomB); len(got) != 0 {
		t.Errorf("room B got %v", got)
	}
}

// Who can write to Redis must not be able to switch the refresh off that keeps removed
// members from reading on.
//
//control:proves fanout
func TestDeliver_anInventedEpochIsNotBelieved(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	n := startNode(t, url, p, h, quick)
	n.follow(t, roomA)
	n.Publish(t.Context(), h.write(roomA, 1))
	n.reaches(t, roomA, 1)
	forged := change(roomA, 2)
	forged.Epoch = math.MaxInt64
	data, err := ours.pack(event{Node: "elsewhere", Change: &forged})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.redis.Publish(t.Context(), n.channel(roomA), data).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, func() bool { return count(t, n.metrics.refused.WithLabelValues("epoch")) == 1 })
	if got := n.sink.got(roomA); len(got) != 1 {
		t.Errorf("delivered %v, and there is one change", got)
	}
	n.Publish(t.Context(), h.write(roomA, 2)) // somebody was removed
	n.reaches(t, roomA, 2)
	n.sink.mu.Lock()
	defer n.sink.mu.Unlock()
	if want := []string{"refresh", "deliver", "refresh", "deliver"}; !slices.Equal(n.sink.log, want) {
		t.Errorf("log %v, want %v", n.sink.log, want)
	}
}

func TestFollow_countsFollowers(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	for range 3 {
		h.write(roomA, 1)
	}
	n := startNode(t, url, p, h, lazy)
	n.follow(t, roomA)
	head, err := n.Follow(t.Context(), roomA)
	if err != nil || head.Seq != 3 {
		t.Fatalf("head %+v, %v, want 3", head, err)
	}
	n.Unfollow(roomA)
	n.Publish(t.Context(), h.write(roomA, 1))
	testkit.Eventually(t, soon, func() bool { got := n.sink.got(roomA); return len(got) == 1 && got[0] == 4 })
	n.Unfollow(roomA)
	n.Unfollow(roomA) // one too many
	testkit.Eventually(t, soon, func() bool {
		subscribers, err := n.redis.PubSubNumSub(t.Context(), n.channel(roomA)).Result()
		return err == nil && subscribers[n.channel(roomA)] == 0 && n.Health().Rooms == 0
	})
	n.Publish(t.Context(), h.write(roomA, 1))
	n.follow(t, roomA)
	n.Publish(t.Context(), h.write(roomA, 1))
	testkit.Eventually(t, soon, func() bool { got := n.sink.got(roomA); return len(got) == 2 && got[1] == 6 })
}

func TestFollow_leavesNothingBehindWhenItFails(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	n := startNode(t, url, p, h, lazy)
	if _, err := n.Follow(t.Context(), chat.RoomID{UUID: uuid.Max}); !errors.Is(err, chat.ErrDenied) {
		t.Errorf("a room that does not exist: %v, want ErrDenied", err)
	}
	h.fail(true)
	if _, err := n.Follow(t.Context(), roomA); !errors.Is(err, errDown) {
		t.Errorf("a store that is down: %v", err)
	}
	testkit.Eventually(t, soon, func() bool { return n.Health().Rooms == 0 })
}

func TestRun_sendsWhatIsQueuedBeforeItEnds(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	b.follow(t, roomA)
	b.hears(t, a)
	r := sessionEnd()
	for range 50 {
		a.Publish(t.Context(), h.write(roomA, 1))
	}
	a.Revoke(t.Context(), r)
	a.stop()
	b.reaches(t, roomA, 50)
	testkit.Eventually(t, soon, func() bool { return b.sink.has(r) })
	a.Publish(context.Background(), h.write(roomA, 1)) // after the end: no panic, no goroutine
}

// An ACL user that may only touch the prefix is all that a node needs.
//
//control:proves fanout
//control:proves room-names
func TestNode_needsNoMoreThanItsPrefix(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	admin := connect(t, url)
	user, password := "u"+uuid.NewString(), uuid.NewString()
	if err := admin.ACLSetUser(t.Context(), user, "on", ">"+password, "resetkeys", "~"+p+"*", "resetchannels", "&"+p+"*",
		"-@all", "+@connection", "+@pubsub", "+@read", "+@write", "+@scripting", "+time", "-@dangerous").Err(); err != nil {
		testkit.Unavailable(t, err) // the stand-in for Redis has no ACL
	}
	t.Cleanup(func() { admin.ACLDelUser(context.Background(), user) })
	o := *admin.Options()
	o.Username, o.Password = user, password
	client := redis.NewClient(&o)
	t.Cleanup(func() { client.Close() })
	if err := client.Set(t.Context(), "elsewhere", "1", time.Second).Err(); err == nil {
		t.Fatal("the user may write anywhere: this test proves nothing")
	}
	registry := prometheus.NewRegistry()
	sink := newSockets()
	n, err := New(Options{Redis: client, Key: ourKey, Prefix: p, Node: "n", Log: slog.New(slog.DiscardHandler), Audit: &records{}, Registerer: registry, Source: h, Sink: sink, Polls: lazy})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	testkit.Eventually(t, soon, func() bool { return n.Health().Redis })
	r := sessionEnd()
	data, err := ours.pack(event{Node: "other", Revocation: &r})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, func() bool { // until the reader stands at the stream's end
		return client.XAdd(t.Context(), &redis.XAddArgs{Stream: n.stream(), Values: []any{"e", data}}).Err() == nil && sink.has(r)
	})
	if _, err := n.Enter(t.Context(), roomA, alice.ID, "c"); err != nil {
		t.Error(err)
	}
	if _, err := n.Online(t.Context(), roomA); err != nil {
		t.Error(err)
	}
	n.Revoke(t.Context(), sessionEnd())
	testkit.Eventually(t, soon, func() bool { return len(n.revocations) == 0 })
	if lost := count(t, n.metrics.dropped.WithLabelValues("revocation_redis_error")); lost != 0 {
		t.Error("the user may not add to the stream")
	}
	tickets, err := NewTickets(client, p)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := tickets.Spend(t.Context(), "x", time.Minute); !first || err != nil {
		t.Errorf("spend: %v, %v", first, err)
	}
}

func TestRing_isHeardOnEveryNode(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	for _, n := range []*node{a, b} { // once for the new link: it may have rung before
		testkit.Eventually(t, soon, func() bool { return n.sink.rung.Load() >= 1 })
	}
	before := []int64{a.sink.rung.Load(), b.sink.rung.Load()}
	a.Ring(t.Context())
	for i, n := range []*node{a, b} {
		testkit.Eventually(t, soon, func() bool { return n.sink.rung.Load() > before[i] })
	}
}
