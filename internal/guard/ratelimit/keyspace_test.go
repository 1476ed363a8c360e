package ratelimit_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/ratelimit"
)

// A client with a whole IPv6 network, or a botnet, brings a new key with every request.
// What the limiter remembers is bounded, and a bucket in use stays limited.
//
//control:proves ratelimit
func TestMemory_aMillionKeysDoNotFillIt(t *testing.T) {
	keys := 1_000_000
	if raceDetector {
		keys = 200_000
	}
	s := ratelimit.NewMemory(time.Now)
	take := func(key string) bool {
		r, err := s.Take(t.Context(), []ratelimit.Bucket{user(key, hourly(1))}, 1)
		if err != nil {
			t.Fatal(err)
		}
		return r.Allowed
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const many = 60_000 // more than it tracks
	for i := range many {
		take("warm " + strconv.Itoa(i))
	}
	before := heap()
	for i := range keys {
		if !take(strconv.Itoa(i)) {
			t.Fatalf("a new key was refused, after %d", i)
		}
		if i%10_000 == 0 && i > 0 && take(strconv.Itoa(i-1)) {
			t.Fatalf("a key was allowed twice, after %d", i)
		}
	}
	if after := heap(); after > before+4<<20 {
		t.Errorf("%d keys later the heap has grown from %d to %d KiB", keys, before>>10, after>>10)
	}
	runtime.KeepAlive(s)
}
