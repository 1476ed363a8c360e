package socket

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/wire"
)

// BenchmarkFanout compares this package's passes with the hub of gorilla's chat
// example (a channel and a writer goroutine per connection, one frame per write) on
// the same loopback, with the same readers. An operation is one delivery.
func BenchmarkFanout(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("N=%d/passes", n), func(b *testing.B) { benchPasses(b, n) })
		b.Run(fmt.Sprintf("N=%d/gorilla", n), func(b *testing.B) { benchGorilla(b, n) })
	}
}

// window is how many changes may be under way: what four busy publishers give.
const window = 32

var payload128 = strings.Repeat("x", 128)

// drain reads c and counts bytes: the client costs as little as it can.
func drain(nc net.Conn, bytes *atomic.Int64) {
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := nc.Read(buf)
			bytes.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
}

// publish runs b.N deliveries in windows and waits until every byte has arrived.
func publish(b *testing.B, n int, size int64, got *atomic.Int64, send func(seq int64)) {
	b.ResetTimer()
	start := time.Now()
	rounds := int64(max(b.N/n, 1))
	for seq := int64(1); seq <= rounds; seq++ {
		send(seq)
		for got.Load() < (seq-window)*int64(n)*size {
			time.Sleep(20 * time.Microsecond)
		}
	}
	for got.Load() < rounds*int64(n)*size {
		time.Sleep(20 * time.Microsecond)
	}
	b.ReportMetric(float64(rounds*int64(n))/time.Since(start).Seconds(), "deliveries/s")
}

func benchPasses(b *testing.B, n int) {
	w := newWorld(b, overTCP, withNumbers(func(x *Numbers) { x.SocketsPerUser = n }))
	room := w.chat.room()
	var got atomic.Int64
	for range n {
		c := w.login().connect()
		c.join(room)
		drain(c.ws.NetConn(), &got)
	}
	change := func(seq int64) chat.Change {
		return chat.Change{Room: room, Seq: seq, Kind: chat.MessageNew, Message: chat.Message{
			ID: chat.MessageID{UUID: uuid.Nil}, Room: room, Seq: 1000000 + seq, Body: payload128,
		}, At: time.Now()}
	}
	size := int64(len(appendFrame(nil, opText, wire.Change(nil, change(1000000)))))
	publish(b, n, size, &got, func(seq int64) { w.server.Deliver([]chat.Change{change(1000000 + seq)}) })
	b.StopTimer()
}

func benchGorilla(b *testing.B, n int) {
	hub := &exampleHub{conns: map[*exampleConn]bool{}}
	server := httptest.NewServer(hub)
	defer server.Close()
	var got atomic.Int64
	for range n {
		ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if err != nil {
			b.Fatal(err)
		}
		defer ws.Close()
		drain(ws.NetConn(), &got)
	}
	for hub.size() < n {
		time.Sleep(time.Millisecond)
	}
	msg := wire.Change(nil, chat.Change{Seq: 1000000, Kind: chat.MessageNew, Message: chat.Message{Seq: 1000000, Body: payload128}})
	size := int64(len(appendFrame(nil, opText, msg)))
	publish(b, n, size, &got, func(int64) { hub.broadcast(msg) })
	b.StopTimer()
	hub.close()
}

// exampleHub is gorilla's examples/chat, shortened.
type exampleHub struct {
	mu    sync.Mutex
	conns map[*exampleConn]bool
	wg    sync.WaitGroup
}

type exampleConn struct {
	ws   *websocket.Conn
	send chan []byte
}

func (h *exampleHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &exampleConn{ws, make(chan []byte, 256)}
	h.mu.Lock()
	h.conns[c] = true
	h.mu.Unlock()
	h.wg.Go(func() {
		for m := range c.send {
			_ = ws.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if ws.WriteMessage(websocket.TextMessage, m) != nil {
				return
			}
		}
	})
	h.wg.Go(func() {
		for {
			if _, r, err := ws.NextReader(); err != nil {
				return
			} else if _, err := io.Copy(io.Discard, r); err != nil {
				return
			}
		}
	})
}

func (h *exampleHub) size() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.conns) }

func (h *exampleHub) broadcast(m []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.send <- m
	}
}

func (h *exampleHub) close() {
	h.mu.Lock()
	for c := range h.conns {
		close(c.send)
		_ = c.ws.Close()
	}
	h.mu.Unlock()
	h.wg.Wait()
}
