package fanout

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

//control:proves ticket
func TestSpend_ofTwoHundredThievesOneIsFirst(t *testing.T) {
	p, url := prefix(t), testkit.RedisURL(t)
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 2 { // nodes
		tickets, err := NewTickets(connect(t, url), p)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			wg.Go(func() {
				ok, err := tickets.Spend(t.Context(), "jti", time.Minute)
				if err != nil {
					return // refused: no connection was free in time
				}
				if ok {
					first.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if got := first.Load(); got != 1 {
		t.Errorf("%d were first, want 1", got)
	}
}

func TestSpend_remembersForItsTimeAndNoLonger(t *testing.T) {
	p := prefix(t)
	client := connect(t, testkit.RedisURL(t))
	tickets, err := NewTickets(client, p)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := tickets.Spend(t.Context(), "jti", 30*time.Second); !ok || err != nil {
		t.Fatalf("first: %v, %v", ok, err)
	}
	keys, err := client.Keys(t.Context(), p+"*").Result()
	if err != nil || len(keys) != 1 || strings.Contains(keys[0], "jti") {
		t.Fatalf("keys %v, %v", keys, err)
	}
	if ttl := client.PTTL(t.Context(), keys[0]).Val(); ttl <= 0 || ttl > 30*time.Second {
		t.Errorf("lives %v, want up to 30s", ttl)
	}
	for _, ttl := range []time.Duration{0, -1, time.Microsecond} {
		if ok, err := tickets.Spend(t.Context(), "other", ttl); ok || err == nil {
			t.Errorf("ttl %v: %v, %v, want an error", ttl, ok, err)
		}
	}
}

//control:proves ticket
func TestSpend_failsClosedWithoutRedis(t *testing.T) {
	p := prefix(t)
	proxy := testkit.NewProxy(t, testkit.RedisURL(t))
	tickets, err := NewTickets(connect(t, proxy.URL()), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tickets.Spend(t.Context(), "a", time.Minute); err != nil {
		t.Fatal(err)
	}
	for name, breakIt := range map[string]func(){"cut": proxy.Cut, "swallowed": proxy.Pause} {
		breakIt()
		began := time.Now()
		if ok, err := tickets.Spend(t.Context(), "b"+name, time.Minute); ok || err == nil {
			t.Errorf("%s: %v, %v, want an error", name, ok, err)
		}
		if took := time.Since(began); took > 3*callTime {
			t.Errorf("%s: took %v", name, took)
		}
		proxy.Resume()
	}
	if _, err := NewTickets(nil, p); err == nil {
		t.Error("no client is accepted")
	}
}

func TestConnect_saysNothingOfThePassword(t *testing.T) {
	for _, url := range []string{"redis://u:hunter2@host:port:x/0", "http://u:hunter2@host", "redis://:hunter2@host/%zz"} {
		if _, err := Connect(secret.NewText(url), nil); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
