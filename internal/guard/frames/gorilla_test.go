package frames_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/frames"
)

const handshake = "GET /ws HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

// outcome is what the server saw of one connection.
type outcome struct {
	messages int
	bytes    int
	err      error // with which reading ended
	guard    *frames.Conn
	allocs   uint64 // while reading
}

// serve runs gorilla behind the guard: it reads messages until an error, and tells
// the client the guard's close code, as the socket package does.
func serve(t testing.TB, l frames.Limits) (addr string, ended <-chan outcome) {
	done := make(chan outcome, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o outcome
		defer func() { done <- o }()
		u := websocket.Upgrader{EnableCompression: l.AllowCompressed, CheckOrigin: func(*http.Request) bool { return true }}
		hijacked, guard := frames.Hijack(w, l, 0)
		ws, err := u.Upgrade(hijacked, r, nil)
		o.guard = guard()
		if err != nil {
			o.err = err
			return
		}
		defer ws.Close()
		if ws.NetConn() != net.Conn(o.guard) {
			t.Error("gorilla does not read through the guard")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for o.err == nil {
			var m []byte
			_, m, o.err = ws.ReadMessage()
			if o.err == nil {
				o.messages++
				o.bytes += len(m)
			}
		}
		runtime.ReadMemStats(&after)
		o.allocs = after.TotalAlloc - before.TotalAlloc
		if v := o.guard.Violation(); v != nil {
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(v.Close, "x"), time.Now().Add(time.Second))
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), done
}

// attack sends bytes after a handshake and returns what the server saw. The whole
// test is bounded in time, whatever the server does.
func attack(t testing.TB, l frames.Limits, send func(io.Writer)) outcome {
	t.Helper()
	addr, ended := serve(t, l)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, handshake); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	if n, err := c.Read(answer); err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 101 ")) {
		t.Fatalf("handshake: %q, %v", answer[:n], err)
	}
	send(c)
	select {
	case o := <-ended:
		return o
	case <-time.After(10 * time.Second):
		t.Fatal("the server did not end the connection")
		return outcome{}
	}
}

// repeat writes f n times, in large pieces, until the server has had enough.
func repeat(f []byte, n int) func(io.Writer) {
	return func(w io.Writer) {
		const batch = 4096
		b := bytes.Repeat(f, batch)
		for ; n > 0; n -= batch {
			if _, err := w.Write(b[:min(n, batch)*len(f)]); err != nil {
				return
			}
		}
	}
}

func wantKind(t *testing.T, o outcome, want frames.Kind) *frames.Violation {
	t.Helper()
	v, ok := errors.AsType[*frames.Violation](o.err)
	if !ok {
		t.Fatalf("gorilla ended with %v, want violation %s", o.err, want)
	}
	if v.Kind != want {
		t.Fatalf("violation %s, want %s", v.Kind, want)
	}
	if o.guard.Violation() != v {
		t.Error("Violation() is another one")
	}
	return v
}

//control:proves frames
func TestGorilla_aMillionEmptyFragmentsEndAtTheFifth(t *testing.T) {
	o := attack(t, frames.Defaults(), func(w io.Writer) {
		if _, err := w.Write(frame(text, "x")); err == nil {
			repeat(frame(cont, ""), 1_000_000)(w)
		}
	})
	v := wantKind(t, o, frames.EmptyFragments)
	if v.Frame != 6 || o.messages != 0 {
		t.Errorf("ended at frame %d after %d messages", v.Frame, o.messages)
	}
	if o.guard.BytesIn() > 1<<10 || o.allocs > 64<<10 {
		t.Errorf("read %d bytes, allocated %d", o.guard.BytesIn(), o.allocs)
	}
}

// The same without a rule for empty fragments: the count of frames holds too.
func TestGorilla_aMillionTinyFragmentsEndAtThe65th(t *testing.T) {
	o := attack(t, frames.Defaults(), func(w io.Writer) {
		if _, err := w.Write(frame(text, "x")); err == nil {
			repeat(frame(cont, "y"), 1_000_000)(w)
		}
	})
	if v := wantKind(t, o, frames.FragmentFlood); v.Frame != 65 {
		t.Errorf("ended at frame %d", v.Frame)
	}
}

func TestGorilla_aMillionEmptyMessagesEndAtTheFrameBudget(t *testing.T) {
	l := frames.Defaults()
	l.FramesPerSecond = 1 // so that hardly anything comes back during the test, however slow the machine
	o := attack(t, l, repeat(frame(fin|text, ""), 1_000_000))
	v := wantKind(t, o, frames.FrameRate)
	if o.messages < 1000 || v.Frame > 1100 { // the burst
		t.Errorf("ended at frame %d after %d messages", v.Frame, o.messages)
	}
}

//control:proves frames
func TestGorilla_200000PingsEndAtTheEleventh(t *testing.T) {
	for name, f := range map[string][]byte{"pings": frame(fin|ping, ""), "unsolicited pongs": frame(fin|pong, "x")} {
		t.Run(name, func(t *testing.T) {
			v := wantKind(t, attack(t, frames.Defaults(), repeat(f, 200_000)), frames.ControlFlood)
			if v.Frame < 11 || v.Frame > 30 || v.Close != 1008 {
				t.Errorf("ended at frame %d with %d", v.Frame, v.Close)
			}
		})
	}
}

func TestGorilla_largestMessagesEndAtTheByteBudget(t *testing.T) {
	l := frames.Defaults()
	l.BytesPerSecond = 1 << 10 // so that hardly anything comes back during the test, however slow the machine
	o := attack(t, l, repeat(frame(fin|text, strings.Repeat("x", 64<<10)), 200))
	wantKind(t, o, frames.ByteRate)
	if o.messages < 31 || o.messages > 33 { // the burst of 2 MiB
		t.Errorf("%d messages of 64 KiB passed", o.messages)
	}
}

//control:proves frames
func TestGorilla_seesNothingOfABadFrame(t *testing.T) {
	huge := binary.BigEndian.AppendUint64([]byte{fin | text, 0xff}, 1<<63)
	tests := []struct {
		name string
		bad  []byte
		kind frames.Kind
	}{
		{"length 2^63", append(huge, 0, 0, 0, 0), frames.LengthMSB},
		{"length 2^62", append(binary.BigEndian.AppendUint64([]byte{fin | text, 0xff}, 1<<62), 0, 0, 0, 0), frames.TooBig},
		{"unmasked", []byte{fin | text, 1, 'x'}, frames.Unmasked},
		{"RSV1", frame(fin|rsv1|text, "x"), frames.RSV},
		{"RSV3", frame(fin|rsv3|text, "x"), frames.RSV},
		{"length in a longer form", []byte{fin | text, 0x80 | 126, 0, 1, 0, 0, 0, 0, 'x'}, frames.LengthForm},
		{"close of one byte", frame(fin|clos, "x"), frames.ClosePayload},
		{"binary", frame(fin|bin, "x"), frames.Binary},
		{"65,537 bytes", frame(fin|text, strings.Repeat("x", 65537)), frames.TooBig},
		{"65,537 bytes over two fragments", append(frame(text, strings.Repeat("x", 65536)), frame(fin|cont, "x")...), frames.TooBig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := attack(t, frames.Defaults(), func(w io.Writer) {
				_, _ = w.Write(append(frame(fin|text, "hello"), tt.bad...))
			})
			wantKind(t, o, tt.kind)
			if o.messages != 1 || o.bytes != 5 {
				t.Errorf("%d messages with %d bytes came through, want the 5 bytes before", o.messages, o.bytes)
			}
			if o.allocs > 1<<20 {
				t.Errorf("allocated %d bytes", o.allocs)
			}
		})
	}
}

//control:proves frames
func TestGorilla_accepts65536Bytes(t *testing.T) {
	for name, parts := range map[string][]int{"one fragment": {65536}, "two fragments": {40000, 25536}, "one and an empty one": {65536, 0}} {
		t.Run(name, func(t *testing.T) {
			o := attack(t, frames.Defaults(), func(w io.Writer) {
				var b []byte
				for i, n := range parts {
					first := byte(cont)
					if i == 0 {
						first = text
					}
					if i == len(parts)-1 {
						first |= fin
					}
					b = append(b, frame(first, strings.Repeat("x", n))...)
				}
				_, _ = w.Write(append(b, frame(fin|clos, "\x03\xe8")...))
			})
			if !websocket.IsCloseError(o.err, websocket.CloseNormalClosure) || o.messages != 1 || o.bytes != 65536 {
				t.Errorf("%d messages, %d bytes, %v", o.messages, o.bytes, o.err)
			}
			if o.guard.Violation() != nil {
				t.Errorf("violation %v", o.guard.Violation())
			}
			if want := int64(len(parts) + 1); o.guard.FramesIn() != want {
				t.Errorf("%d frames counted, want %d", o.guard.FramesIn(), want)
			}
		})
	}
}

func TestGorilla_compressedMessagesPassOnlyWhereAllowed(t *testing.T) {
	l := frames.Defaults()
	l.AllowCompressed = true
	addr, ended := serve(t, l)
	d := websocket.Dialer{EnableCompression: true}
	ws, _, err := d.Dial("ws://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), 4096)); err != nil {
		t.Fatal(err)
	}
	if err := ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "")); err != nil {
		t.Fatal(err)
	}
	o := <-ended
	if o.messages != 1 || o.bytes != 4096 || !websocket.IsCloseError(o.err, 1000) {
		t.Errorf("%d messages, %d bytes, %v", o.messages, o.bytes, o.err)
	}
	if o.guard.BytesIn() > 200 {
		t.Errorf("%d bytes on the wire: it was not compressed", o.guard.BytesIn())
	}
}

func TestGorilla_tellsTheClientTheCloseCode(t *testing.T) {
	addr, ended := serve(t, frames.Defaults())
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.TextMessage, make([]byte, 65537)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, 1009) {
		t.Errorf("the client got %v, want 1009", err)
	}
	<-ended
}

//control:proves handshake-protocol
func TestHijack_refusesEarlyData(t *testing.T) {
	addr, ended := serve(t, frames.Defaults())
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(append([]byte(handshake), frame(fin|text, "smuggled")...)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil { // whoever reads on finds the end
		t.Fatal(err)
	}
	o := <-ended
	if v := o.guard.Violation(); o.err == nil || v == nil || v.Kind != frames.EarlyData {
		t.Fatalf("Upgrade: %v, violation: %v", o.err, v)
	}
	if _, err := o.guard.Read(make([]byte, 100)); err != error(o.guard.Violation()) {
		t.Errorf("Read: %v", err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); len(answer) > 0 {
		t.Errorf("the client got %q, %v", answer, err)
	}
}

func TestHijack_zeroLimitsUpgradeNobody(t *testing.T) {
	addr, ended := serve(t, frames.Limits{})
	_, res, err := websocket.DefaultDialer.Dial("ws://"+addr, nil)
	if err == nil || res == nil || res.StatusCode != http.StatusInternalServerError {
		t.Errorf("handshake: %v, %v", res, err)
	}
	if o := <-ended; o.guard != nil || o.err == nil {
		t.Errorf("the server upgraded: %v", o.err)
	}
}

func TestHijack_saysWhenTheWriterCannotBeHijacked(t *testing.T) {
	w, guard := frames.Hijack(httptest.NewRecorder(), frames.Defaults(), 0)
	if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
	if guard() != nil {
		t.Error("a Conn without a connection")
	}
}

// connWriter is a ResponseWriter that gives away a connection of the test's, such
// as one end of a net.Pipe, so that gorilla runs in a synctest bubble.
type connWriter struct {
	http.ResponseWriter
	conn net.Conn
}

func onConn(c net.Conn) http.ResponseWriter { return connWriter{httptest.NewRecorder(), c} }

func (w connWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

func upgradeRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
	return r
}

// upgraded returns gorilla's side of a connection behind the guard.
func upgraded(t testing.TB, l frames.Limits, server net.Conn) (*websocket.Conn, *frames.Conn) {
	t.Helper()
	w, guard := frames.Hijack(onConn(server), l, 0)
	ws, err := (&websocket.Upgrader{}).Upgrade(w, upgradeRequest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ws, guard()
}

// drip writes what next returns, once per interval, until the connection is
// closed; everything that comes back is read and dropped. The function returned
// closes the connection and waits.
func drip(client net.Conn, interval time.Duration, next func(i int) []byte) (stop func()) {
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, client) })
	wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for i := 0; ; i++ {
			if _, err := client.Write(next(i)); err != nil {
				return
			}
			<-tick.C
		}
	})
	return func() {
		_ = client.Close()
		wg.Wait()
	}
}

// The usual gorilla pattern, in which each pong moves the read deadline.
//
//control:proves frames
func TestGorilla_pongsDoNotKeepAnUnfinishedMessageAlive(t *testing.T) {
	payload := frame(fin|text, strings.Repeat("x", 100))
	tests := []struct {
		name  string
		every time.Duration
		next  func(i int) []byte // after the 7 bytes of the first fragment
	}{
		{"silence, but pongs", time.Second, func(int) []byte { return frame(fin|pong, "") }},
		{"fragments and pongs", time.Second, func(int) []byte { return append(frame(cont, "x"), frame(fin|pong, "")...) }},
		{"one byte of a continuation at a time", time.Second / 2, func(i int) []byte { return append([]byte{fin | cont}, payload[1:]...)[i:][:1] }},
		{"silence", time.Minute, func(int) []byte { return nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				stop := drip(client, tt.every, func(i int) []byte {
					if i == 0 {
						return frame(text, "x")
					}
					return tt.next(i - 1)
				})
				defer stop()
				ws, guard := upgraded(t, frames.Defaults(), server)
				defer ws.Close()
				alive := func(string) error { return ws.SetReadDeadline(time.Now().Add(35 * time.Second)) }
				ws.SetPongHandler(alive)
				_ = alive("")

				start := time.Now()
				_, _, err := ws.ReadMessage()
				v, ok := errors.AsType[*frames.Violation](err)
				if !ok || v.Kind != frames.SlowMessage || guard.Violation() != v {
					t.Errorf("ended with %v, violation %v", err, guard.Violation())
				}
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("ended after %v, want 10s", took)
				}
			})
		})
	}
}

func TestBuffered_countsGorillasReader(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	go func() { _, _ = io.Copy(io.Discard, client) }()
	ws, guard := upgraded(t, frames.Defaults(), server)
	defer ws.Close()
	go func() { _, _ = client.Write(append(frame(fin|text, "one"), frame(fin|text, "two")...)) }()
	for _, want := range []struct {
		message string
		left    int
	}{{"one", 9}, {"two", 0}} {
		if _, m, err := ws.ReadMessage(); err != nil || string(m) != want.message {
			t.Fatalf("%q, %v", m, err)
		}
		if got := guard.Buffered(); got != want.left {
			t.Errorf("after %q: %d bytes buffered, want %d", want.message, got, want.left)
		}
	}
}
