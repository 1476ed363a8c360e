package e2e

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
)

var heapInUse = regexp.MustCompile(`(?m)^go_memstats_heap_inuse_bytes (\S+)$`)

// memory is what the server holds after a collection, in bytes: password hashes of
// those who sign up leave garbage that is none of a flood's.
func (s *Server) memory(t *testing.T) float64 {
	t.Helper()
	collected, err := http.Get("http://" + s.Private + "/debug/pprof/heap?gc=1")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, collected.Body)
	collected.Body.Close()
	res, err := http.Get("http://" + s.Private + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := heapInUse.FindSubmatch(b)
	if m == nil {
		t.Fatal("no memory in the metrics")
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Somebody floods with frames that no library counts; somebody else goes on talking.
func TestFlood_costsNeitherMemoryNorOthersTheirTime(t *testing.T) {
	s := startGenerous(t)
	h := newHarbour(t, s, "closed")
	pace := time.NewTicker(25 * time.Millisecond) // below the talker's own budget
	defer pace.Stop()
	talk := func(until <-chan struct{}) (took []time.Duration) {
		for {
			<-pace.C
			begin := time.Now()
			say(t, h.os, h.room, "still here")
			took = append(took, time.Since(begin))
			select {
			case <-until:
				return took
			default:
			}
		}
	}
	quiet := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(quiet) })
	calm, before := talk(quiet), s.memory(t)

	flooded := make(chan struct{})
	todo := make(chan attack.Attack)
	var floods sync.WaitGroup
	for range 3 { // at once; each signs somebody up, which costs a password hash
		floods.Go(func() {
			for a := range todo {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if o, err := a.Run(ctx, s.Target(t)); err != nil || o.Won {
					t.Errorf("%s: %+v, %v", a.Title, o, err)
				}
				cancel()
			}
		})
	}
	floods.Go(func() {
		defer close(todo)
		for _, a := range attack.All() {
			if a.Control == "frames" && !a.Strict {
				todo <- a
			}
		}
	})
	go func() { floods.Wait(); close(flooded) }()
	busy, after := talk(flooded), s.memory(t)

	p95 := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)*95/100]
	}
	t.Logf("acknowledged in (p95): %v calm (%d), %v during the floods (%d); memory %.0f → %.0f MiB", p95(calm), len(calm), p95(busy), len(busy), before/(1<<20), after/(1<<20))
	// Loose, because the floods share the machine with the one who is measured.
	if got := p95(busy); got > time.Second {
		t.Errorf("others waited %v for an acknowledgement during the floods", got)
	}
	if after-before > 32<<20 {
		t.Errorf("the floods cost %.0f MiB", (after-before)/(1<<20))
	}
}
