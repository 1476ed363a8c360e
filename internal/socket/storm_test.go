package socket

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
)

// A node is restarted and its clients come back to another at once. The budget of
// handshakes and the places of the node hold, and everybody is let in or told when to
// come again.
//
//control:proves drain
//control:proves admission
func TestStorm_twoThousandClientsThatComeBackAtOnceAreServedOrSentAway(t *testing.T) {
	const crowd, dialers, places, perMinute = 2000, 100, 300, 900
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.HandshakesPerMinute = perMinute }))
	w.gate.Gate = admission.NewGate(places)
	w.patience = 12 * testWait // who is in stays in for as long as the storm takes
	w.server.Limits = ratelimit.NewMemory(time.Now)
	var charged atomic.Int64 // passed the budget, so that a database may be asked
	w.server.SetPause(func(at string) {
		if at == "node-cap" {
			charged.Add(1)
		}
	})
	var in, full, rate, wrong atomic.Int64
	knock := func() {
		c, res, err := w.try(w.login().request("/ws"))
		wait := 0
		if res != nil {
			wait, _ = strconv.Atoi(res.Header.Get("Retry-After"))
		}
		switch {
		case err == nil:
			in.Add(1)
			watch(c)
		case res != nil && res.StatusCode == http.StatusServiceUnavailable && wait > 0:
			full.Add(1)
		case res != nil && res.StatusCode == http.StatusTooManyRequests && wait > 0:
			rate.Add(1)
		default:
			wrong.Add(1)
		}
	}
	start := time.Now()
	crowds := make(chan struct{}, crowd)
	for range crowd {
		crowds <- struct{}{}
	}
	close(crowds)
	var storm sync.WaitGroup
	for range dialers {
		storm.Go(func() {
			for range crowds {
				knock()
			}
		})
	}
	storm.Wait()
	took := time.Since(start)
	t.Logf("in %v: %d in, %d found the node full, %d were too many a minute", took.Round(time.Millisecond), in.Load(), full.Load(), rate.Load())
	if most := int64(perMinute + perMinute*took.Seconds()/60 + 1); charged.Load() > most {
		t.Errorf("%d handshakes passed the budget in %v, at most %d may", charged.Load(), took, most)
	}
	if in.Load() != places || full.Load() != charged.Load()-places || wrong.Load() != 0 || in.Load()+full.Load()+rate.Load() != crowd {
		t.Errorf("%d in, %d full, %d rate, %d neither in nor told when to come again; want %d in", in.Load(), full.Load(), rate.Load(), wrong.Load(), places)
	}
	end, cancel := context.WithTimeout(t.Context(), 4*testWait)
	defer cancel()
	if err := w.server.Shutdown(end); err != nil {
		t.Error("the end of the storm:", err)
	}
	w.atRest()
}

// descriptors counts the open files of this process, -1 where the system does not say.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries)
}

// Whoever connects and aborts, again and again and at every point, costs nothing that
// stays: no goroutine, no file descriptor, no place.
//
//control:proves handshake
func TestChurn_tenThousandAbortedConnectionsCostNothingThatStays(t *testing.T) {
	cycles, dialers := 10_000, 16
	if raceDetector {
		cycles = 2_000
	}
	w := newWorld(t, overTCP)
	room := w.chat.room()
	abort := func(i int) {
		if i%5 == 0 { // in the middle of the request
			conn, err := w.dial(t.Context(), "tcp", "")
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte("GET /ws HTTP/1.1\r\nHost: chat.example.com\r\nUpgr"))
			_ = conn.Close()
			return
		}
		d := websocket.Dialer{NetDialContext: w.dial, HandshakeTimeout: 4 * testWait}
		r := w.login().request("/ws")
		d.Subprotocols = r.protocols
		ws, _, err := d.Dial("ws://chat.example.com/ws", r.header)
		if err != nil {
			t.Error(err)
			return
		}
		c := &client{t: t, ws: ws, patience: testWait}
		switch i % 5 {
		case 2:
			_, _ = c.tryRead()
		case 3:
			c.send(wire.RoomJoin, map[string]any{"room_id": room.String()})
		case 4:
			_ = ws.WriteMessage(websocket.CloseMessage, nil)
		}
		_ = ws.NetConn().Close()
	}
	churn := func(cycles int) {
		var wg sync.WaitGroup
		for worker := range dialers {
			wg.Go(func() {
				for i := worker; i < cycles; i += dialers {
					abort(i)
				}
			})
		}
		wg.Wait()
		w.atRest()
	}
	churn(200) // what is made once and kept, such as pools
	routines, files := w.goroutines(), descriptors()
	start := time.Now()
	churn(cycles)
	took := time.Since(start)
	// Connections that net/http still holds end when it has noticed; nothing grows with the cycles.
	testkit.Eventually(t, 2*testWait, func() bool {
		return w.goroutines() <= routines+dialers && descriptors() <= files+dialers
	})
	t.Logf("%d cycles in %v: goroutines %d → %d, descriptors %d → %d", cycles, took.Round(time.Millisecond), routines, w.goroutines(), files, descriptors())
}
