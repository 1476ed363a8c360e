package socket

import (
	"bytes"
	"net"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/frames"
)

// stuck returns a connection of w whose peer does not read, so that everything that
// is sent stays in the queue.
func stuck(t testing.TB, w *world, user chat.UserID) *conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close(); _ = near.Close() })
	guarded, err := frames.New(near, frames.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{server: w.server, id: "stuck", net: guarded, actor: chat.Actor{User: user}}
	c.out.conn, c.out.net = c, near
	c.out.writing = true // by nobody
	c.state.Store(int32(ready))
	return c
}

// queued returns what waits, without the part that is sent.
func (o *outbox) queued() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b []byte
	for _, e := range o.queue {
		b = append(b, e.b[e.sent:]...)
	}
	return b
}

// payloads cuts b into frames.
func payloads(t testing.TB, b []byte) (all []string) {
	t.Helper()
	for len(b) > 0 {
		n := frameSize(b)
		if n > len(b) {
			t.Fatalf("half a frame: %q", b)
		}
		head := 2
		if b[1] == 126 {
			head = 4
		}
		all = append(all, string(b[head:n]))
		b = b[n:]
	}
	return all
}

func TestFrame_sizesOfEveryLength(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		b := appendFrame([]byte("xx"), opText, bytes.Repeat([]byte("y"), n))[2:]
		if got := frameSize(b); got != len(b) {
			t.Errorf("payload of %d: frameSize %d, is %d", n, got, len(b))
		}
		two := append(bytes.Clone(b), b...)
		for sent, want := range map[int]int{0: 0, 1: len(b), len(b): len(b), len(b) + 1: 2 * len(b)} {
			if got := begunEnd(two, sent); got != want {
				t.Errorf("payload of %d: begunEnd(%d) = %d, want %d", n, sent, got, want)
			}
		}
	}
}

//control:proves close
//control:proves delivery
func TestOutbox_purgeDropsWhatIsNotBegunAndFinishesWhatIs(t *testing.T) {
	w := newWorld(t)
	c := stuck(t, w, chat.UserID{})
	room := &member{conn: c, mayRead: true}
	frames := func(texts ...string) (b []byte) {
		for _, s := range texts {
			b = appendFrame(b, opText, []byte(s))
		}
		return b
	}
	c.put(entry{b: frames("r1", "r2", "r3"), member: room})
	c.put(entry{b: frames("own")})
	c.put(entry{b: frames("r4"), member: room})
	c.out.queue[0].sent = len(frames("r1")) + 1 // in the middle of r2
	c.out.bytes -= c.out.queue[0].sent

	c.out.mu.Lock()
	c.out.purge(room)
	c.out.mu.Unlock()
	got := c.out.queued()
	if want := append(frames("r2")[1:], frames("own")...); !bytes.Equal(got, want) {
		t.Errorf("left %q, want the rest of r2 and own", got)
	}
	if c.out.bytes != len(got) {
		t.Errorf("counts %d bytes, has %d", c.out.bytes, len(got))
	}

	c.close(closeBye)
	c.put(entry{b: frames("late")})
	if got, want := c.out.queued(), append(frames("r2")[1:], closeFrame(closeBye, slugs[closeBye])...); !bytes.Equal(got, want) {
		t.Errorf("after close %q, want the rest of r2 and the close frame", got)
	}
}

//control:proves slow-consumer
func TestOutbox_isBoundedInBytesAndCountAndDropsTheEphemeralFirst(t *testing.T) {
	for name, size := range map[string]int{"bytes": 60 << 10, "count": 10} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := stuck(t, w, chat.UserID{})
			b := appendFrame(nil, opText, make([]byte, size))
			for !c.out.overHalf() {
				c.put(entry{b: b, ephemeral: true})
			}
			n := len(c.out.queue)
			c.put(entry{b: b, ephemeral: true})
			if len(c.out.queue) != n {
				t.Error("something ephemeral was queued over half")
			}
			for c.is(ready) {
				c.put(entry{b: b})
				if c.out.bytes > maxQueueBytes || len(c.out.queue) > maxQueueEntries {
					t.Fatalf("holds %d bytes in %d entries", c.out.bytes, len(c.out.queue))
				}
			}
			if c.cause != closeSlow {
				t.Errorf("closed with %d, want 4430", c.cause)
			}
			if _, ok := w.events.find("ws_slow_consumer"); !ok {
				t.Error("no event")
			}
		})
	}
}

//control:proves slow-consumer
func TestOutbox_roomWaitsForThePeer(t *testing.T) {
	w := newWorld(t)
	c := stuck(t, w, chat.UserID{})
	for !c.out.overHalf() {
		c.put(entry{b: make([]byte, 64<<10)})
	}
	done := make(chan error, 1)
	go func() { done <- c.out.room(t.Context()) }()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	c.out.mu.Lock()
	c.out.bytes, c.out.queue[0].sent = c.out.bytes-(64<<10), 64<<10
	c.out.pop()
	c.out.mu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
