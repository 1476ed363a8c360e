package frames_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/frames"
)

// talking returns a guarded connection after the handshake, and its client.
func talking(t testing.TB) (ws *websocket.Conn, guard *frames.Conn, client net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	go func() { _, _ = io.ReadFull(client, make([]byte, 1)); _, _ = io.Copy(io.Discard, client) }()
	ws, guard = upgraded(t, loose(), server)
	t.Cleanup(func() { _ = ws.Close(); _ = client.Close() })
	return ws, guard, client
}

// The owner takes what is between messages and the library what is inside of them:
// together they see every frame once, in order, however it was cut up.
func TestControl_takesPingsAndPongsAndNothingElse(t *testing.T) {
	data := stream(
		frame(fin|ping, "a"), frame(fin|text, "one"), frame(fin|pong, "b"), frame(fin|ping, ""),
		frame(text, "t"), frame(fin|ping, "within"), frame(fin|cont, "wo"),
		frame(fin|pong, string(make([]byte, 125))), frame(fin|text, ""), frame(fin|clos, "\x03\xe8bye"))
	for _, size := range []int{len(data), 100, 9, 3, 1} {
		ws, guard, client := talking(t)
		go func() {
			for rest := data; len(rest) > 0; {
				n := min(size, len(rest))
				_, _ = client.Write(rest[:n])
				rest = rest[n:]
			}
		}()
		var seen []string
		ws.SetPingHandler(func(p string) error { seen = append(seen, "inside "+p); return nil })
		var err error
		for err == nil {
			if op, payload := guard.Control(); op != 0 {
				seen = append(seen, map[byte]string{ping: "ping ", pong: "pong "}[op]+string(bytes.Trim(payload, "\x00")))
				if op == pong && len(payload) == 125 {
					seen = append(seen, "long")
				}
				continue
			}
			var m []byte
			if _, m, err = ws.ReadMessage(); err == nil {
				seen = append(seen, "message "+string(m))
			}
		}
		want := []string{"ping a", "message one", "pong b", "ping ", "inside within", "message two", "pong ", "long", "message "}
		if e, ok := err.(*websocket.CloseError); !ok || e.Code != 1000 || e.Text != "bye" { //nolint:errorlint // what gorilla returns
			t.Errorf("in pieces of %d: ended with %v", size, err)
		}
		if len(seen) != len(want) {
			t.Fatalf("in pieces of %d: %q", size, seen)
		}
		for i := range want {
			if seen[i] != want[i] {
				t.Errorf("in pieces of %d: %q, want %q", size, seen[i], want[i])
			}
		}
	}
}

//control:proves frames
func TestControl_aPingThatIsNeverWholeEndsByTheMessageDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, guard, client := talking(t)
		start := time.Now()
		go func() { _, _ = client.Write(frame(fin|ping, "four")[:8]) }()
		if op, _ := guard.Control(); op != 0 {
			t.Errorf("half a ping is %#x", op)
		}
		_, _, err := ws.ReadMessage()
		if v := guard.Violation(); v == nil || v.Kind != frames.SlowMessage || time.Since(start) != loose().MessageDeadline {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
		_ = ws.Close()
		_ = client.Close()
	})
}

// What breaks a rule is no frame, for the owner as for the library.
//
//control:proves frames
func TestControl_passesOnNoFrameThatBreaksARule(t *testing.T) {
	for name, sent := range map[string][]byte{
		"a ping in fragments":   frame(ping, "x"),
		"a ping that is long":   frame(fin|ping, string(make([]byte, 126))),
		"a ping without a mask": {fin | ping, 0},
		"a pong with a bit set": frame(fin|0x40|pong, ""),
	} {
		t.Run(name, func(t *testing.T) {
			ws, guard, client := talking(t)
			go func() { _, _ = client.Write(sent) }()
			if op, payload := guard.Control(); op != 0 || payload != nil {
				t.Errorf("%#x %q", op, payload)
			}
			if _, _, err := ws.ReadMessage(); err == nil || guard.Violation() == nil {
				t.Errorf("reading goes on: %v", err)
			}
		})
	}
}
