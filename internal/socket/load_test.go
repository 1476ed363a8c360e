package socket

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
)

// smallBuffers makes the kernel hold little, so that a peer that does not read is
// felt after kilobytes instead of megabytes.
func smallBuffers(w *world, _ *Numbers) {
	overTCP(w, nil)
	w.accepted = func(nc net.Conn) { _ = nc.(*net.TCPConn).SetWriteBuffer(16 << 10) }
}

// counter reads a socket and counts message frames without looking at them.
func counter(c *client, got *atomic.Int64) (done chan error) {
	done = make(chan error, 1)
	_ = c.ws.SetReadDeadline(time.Time{}) // that of the last answer would end it in the middle
	go func() {
		for {
			_, r, err := c.ws.NextReader()
			if err == nil {
				var n int64
				if n, err = io.Copy(io.Discard, r); n > 1000 {
					got.Add(1)
				}
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	return done
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// arrives waits for want deliveries. A machine may be slow: what it may not do is stand still.
func arrives(t *testing.T, got *atomic.Int64, want int64) {
	t.Helper()
	for last := got.Load(); last != want; last = got.Load() {
		testkit.Eventually(t, 3*testWait, func() bool { return got.Load() > last })
	}
}

//control:proves slow-consumer
func TestFanout_onePeerThatDoesNotReadHurtsNobody(t *testing.T) {
	const posts = 304
	others := 999
	if raceDetector {
		others = 100
	}
	w := newWorld(t, smallBuffers)
	room := w.chat.room()
	slow := w.login().connect()
	_ = slow.ws.NetConn().(*net.TCPConn).SetReadBuffer(16 << 10)
	slow.join(room)
	var got atomic.Int64
	for range others {
		c := w.login().connect()
		c.join(room)
		counter(c, &got)
	}
	before := liveHeap()
	body := strings.Repeat("x", 4000)
	start := time.Now()
	for sent := 8; sent <= posts; sent += 8 {
		w.chat.post(room, 8, body)
		// At the pace of those who read, so that only one is slow.
		arrives(t, &got, int64(others*sent))
	}
	t.Logf("%d deliveries of %d bytes in %v", others*posts, len(body), time.Since(start))
	w.events.has(t, "ws_slow_consumer", "slow_consumer")
	if e, _ := w.events.find("ws_slow_consumer"); e.Conn == "" {
		t.Error("the event does not say who")
	}
	testkit.Eventually(t, writeTimeout+testWait, func() bool { return w.server.Count(chat.SessionID{UUID: slow.login.sid}) == 0 })
	w.chat.mu.Lock()
	w.chat.rooms[room].changes = nil // the test's own memory
	w.chat.mu.Unlock()
	if after := liveHeap(); after > before+8<<20 {
		t.Errorf("heap grew by %d KiB", (after-before)>>10)
	}
}

//control:proves slow-consumer
func TestFanout_whoPublishesWaitsWhenTooMuchHasGathered(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := &room{hub: w.server.hub, running: true} // by nobody
		r.space = sync.NewCond(&r.mu)
		r.add(&member{conn: stuck(t, w, chat.UserID{}), room: r})
		big := make([]byte, 60<<10)
		for r.bytes <= maxPending {
			r.gather(big, 1)
		}
		var done atomic.Bool
		go func() {
			r.gather(big, 2)
			done.Store(true)
		}()
		synctest.Wait()
		if done.Load() || r.bytes > maxPending+passBytes+maxHeader {
			t.Fatalf("did not wait with %d bytes gathered", r.bytes)
		}
		r.take(nil)
		synctest.Wait()
		if !done.Load() {
			t.Error("waits although a pass has taken some")
		}
	})
}

//control:proves close
func TestChurn_connectingAndAbortingLeavesNothing(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	cycle := func(i int) {
		c, _, err := w.try(w.login().request("/ws"))
		if err != nil {
			t.Error(err)
			return
		}
		switch i % 4 {
		case 0: // gone at once
		case 1:
			c.read()
		case 2:
			c.send(wire.RoomJoin, map[string]any{"room_id": room.String()})
		case 3:
			_ = c.ws.WriteMessage(websocket.CloseMessage, nil)
		}
		_ = c.ws.NetConn().Close()
	}
	for i := range 20 {
		cycle(i)
	}
	testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 })
	before := w.goroutines()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 125 {
				cycle(worker + i)
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 && w.leases.count() == 0 })
	testkit.Eventually(t, testWait, func() bool { return w.goroutines() <= before+2 })
}
