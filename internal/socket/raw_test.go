package socket

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
)

// rawHandshake writes a handshake that is right in every point but those that spoil changes,
// and whatever comes after it, in one packet.
func (w *world) rawHandshake(t *testing.T, spoil func(string) string, after string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	r := w.login().request("/ws")
	text := spoil("GET /ws HTTP/1.1\r\nHost: chat.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
		"Origin: " + testOrigin + "\r\nCookie: " + r.header.Get("Cookie") + "\r\nSec-WebSocket-Protocol: " + strings.Join(r.protocols, ", ") + "\r\n\r\n")
	conn, err := w.dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testWait)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text+after); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return conn, in, res
}

// replaced is a spoil.
func replaced(old, by string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, by, 1) }
}

// Whatever a refused upgrade asked for, the connection ends with the refusal: behind it a
// proxy may believe in a tunnel, and the second request in the same packet is the smuggled one.
//
//control:proves handshake-protocol
func TestAccept_rawHandshakesAreReadAsTheRFCSaysAndNothingIsReadBehindARefusedOne(t *testing.T) {
	const key, upgrade, connection = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"
	for _, test := range []struct {
		name  string
		spoil func(string) string
		want  int
	}{
		{"nothing wrong", replaced("", ""), 101},
		{"tokens in other letters", replaced(connection, "Connection: keep-alive, uPGRADE\r\n"), 101},
		{"two Connection lines, one of them right", replaced(connection, "Connection: keep-alive\r\nConnection: Upgrade\r\n"), 101},
		{"no Connection", replaced(connection, ""), 426},
		{"another Connection", replaced(connection, "Connection: keep-alive\r\n"), 426},
		{"a Connection that only begins with the word", replaced(connection, "Connection: Upgrade-Insecure-Requests\r\n"), 426},
		{"no Upgrade", replaced(upgrade, ""), 426},
		{"h2c", replaced(connection+upgrade, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), 426},
		{"two keys", replaced(key, key+"Sec-WebSocket-Key: AQEBAQEBAQEBAQEBAQEBAQ==\r\n"), 400},
		{"the same key twice", replaced(key, key+key), 400},
		{"no key", replaced(key, ""), 400},
		{"a key that is not base64", replaced(key, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"), 400},
		{"a key of 17 bytes", replaced(key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n"), 400},
		{"two versions on two lines", replaced(key, key+"Sec-WebSocket-Version: 8\r\n"), 426},
		{"HTTP/1.0", replaced("HTTP/1.1", "HTTP/1.0"), 400},
		{"a length", replaced(key, key+"Content-Length: 5\r\n"), 400},
		{"chunks", replaced(key, key+"Transfer-Encoding: chunked\r\n"), 400},
		{"length and chunks", replaced(key, key+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
		{"two origins", replaced("Origin:", "Origin: https://evil.example.com\r\nOrigin:"), 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			if test.want == 101 {
				_, _, res := w.rawHandshake(t, test.spoil, "")
				if res.StatusCode != 101 {
					t.Errorf("status %d", res.StatusCode)
				}
				return
			}
			reached := false
			w.http.Handler = spy{w.http.Handler, &reached}
			_, in, res := w.rawHandshake(t, test.spoil, "GET /smuggled HTTP/1.1\r\nHost: chat.example.com\r\n\r\n")
			if res.StatusCode != test.want {
				t.Errorf("status %d, want %d", res.StatusCode, test.want)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil && !isReset(err) {
				t.Error(err)
			}
			// The unread bytes may turn the end into a reset; either way there is no second answer.
			if more, err := io.ReadAll(in); len(more) > 0 || isTimeout(err) {
				t.Errorf("behind the refusal came %q, %v", more, err)
			}
			if reached {
				t.Error("the smuggled request reached a handler")
			}
		})
	}
}

// spy sees the request that must not arrive.
type spy struct {
	http.Handler
	reached *bool
}

func (s spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/smuggled" {
		*s.reached = true
	}
	s.Handler.ServeHTTP(w, r)
}

func isReset(err error) bool { return err != nil && strings.Contains(err.Error(), "reset") }

// mask makes a client's frame out of its first two bytes' meaning, the length in the form
// given, and a payload.
func wireFrame(first byte, length []byte, payload string) string {
	length[0] |= 0x80
	return string(append(append([]byte{first}, length...), 0, 0, 0, 0)) + payload
}

func short(n int) []byte     { return []byte{byte(n)} }
func long16(n int) []byte    { return binary.BigEndian.AppendUint16([]byte{126}, uint16(n)) }
func long64(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{127}, n) }

func closeWith(code int, reason string) string {
	payload := string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
	return wireFrame(0x88, short(len(payload)), payload)
}

// serverClose reads frames until the close frame and returns its code: 0 for none, -1 for a
// connection that stays open.
func serverClose(conn net.Conn, in *bufio.Reader) int {
	_ = conn.SetReadDeadline(time.Now().Add(testWait))
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(in, head); err != nil {
			if isTimeout(err) {
				return -1
			}
			return 0
		}
		n := int(head[1])
		if n == 126 {
			var b [2]byte
			if _, err := io.ReadFull(in, b[:]); err != nil {
				return 0
			}
			n = int(binary.BigEndian.Uint16(b[:]))
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(in, payload); err != nil {
			return 0
		}
		if head[0]&0x0f == 8 {
			if n < 2 {
				return 1005
			}
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

//control:proves frames
func TestFrames_rawBytesGetTheOneCloseCode(t *testing.T) {
	type row struct {
		name  string
		bytes string
		want  int
	}
	rows := []row{
		{"a close frame of one byte", wireFrame(0x88, short(1), "\x03"), 1002},
		{"a length of 5 in 16 bits", wireFrame(0x81, long16(5), "hello"), 1002},
		{"a length of 125 in 16 bits", wireFrame(0x81, long16(125), strings.Repeat("x", 125)), 1002},
		{"a length of 5 in 64 bits", wireFrame(0x81, long64(5), "hello"), 1002},
		{"a length of 65,535 in 64 bits", wireFrame(0x81, long64(65_535), ""), 1002},
		{"a length of 2^63", wireFrame(0x81, long64(1<<63), ""), 1002},
		{"a length of 2^64-1", wireFrame(0x81, long64(1<<64-1), ""), 1002},
		{"a length of 2^63-1", wireFrame(0x81, long64(1<<63-1), ""), 1009},
		{"a length of 65,537", wireFrame(0x81, long64(65_537), ""), 1009},
		{"two fragments of 40 KB", wireFrame(0x01, long16(40_000), strings.Repeat("x", 40_000)) + wireFrame(0x80, long16(40_000), strings.Repeat("x", 40_000)), 1009},
		{"a ping in fragments", wireFrame(0x09, short(0), ""), 1002},
		{"a pong in fragments", wireFrame(0x0a, short(0), ""), 1002},
		{"a close in fragments", wireFrame(0x08, short(0), ""), 1002},
		{"a ping of 126 bytes", wireFrame(0x89, long16(126), strings.Repeat("x", 126)), 1002},
		{"a continuation of nothing", wireFrame(0x80, short(2), "{}"), 1002},
		{"a message inside of a message", wireFrame(0x01, short(1), "{") + wireFrame(0x81, short(2), "{}"), 1002},
		{"65 fragments", wireFrame(0x01, short(1), "{") + strings.Repeat(wireFrame(0x00, short(1), " "), 64), 1002},
		{"empty fragments", wireFrame(0x01, short(1), "{") + strings.Repeat(wireFrame(0x00, short(0), ""), 64), 1002},
		{"binary where text is spoken", wireFrame(0x82, short(1), "x"), 1003},
		{"text that is not UTF-8", wireFrame(0x81, short(4), "\"\xc3\x28\""), 1007},
		{"half a character at the end", wireFrame(0x81, short(3), "\"\xe2\x82"), 1007},
		{"text without a mask", "\x81\x02{}", 1002},
		{"a ping without a mask", "\x89\x00", 1002},
		{"a reason that is not UTF-8", closeWith(1000, "\xff\xfe"), 1002},
		{"200 pings at once", strings.Repeat(wireFrame(0x89, short(0), ""), 200), 1008},
	}
	for op := range 16 {
		if op > 2 && op < 8 || op > 10 {
			rows = append(rows, row{fmt.Sprintf("reserved opcode %d", op), wireFrame(0x80|byte(op), short(0), ""), 1002})
		}
	}
	for _, rsv := range []byte{0x40, 0x20, 0x10, 0x70} {
		rows = append(rows, row{fmt.Sprintf("reserved bits %#x on text", rsv), wireFrame(0x81|rsv, short(2), "{}"), 1002},
			row{fmt.Sprintf("reserved bits %#x on a ping", rsv), wireFrame(0x89|rsv, short(0), ""), 1002})
	}
	// RFC 6455 section 7.4: what may be on the wire comes back, and the rest is an error.
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4403, 4999} {
		rows = append(rows, row{fmt.Sprintf("a close with %d", code), closeWith(code, ""), code})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535} {
		rows = append(rows, row{fmt.Sprintf("a close with %d", code), closeWith(code, ""), 1002})
	}
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.HandshakesPerMinute = 100_000 }))
	for _, test := range rows {
		t.Run(test.name, func(t *testing.T) {
			conn, in, res := w.rawHandshake(t, replaced("", ""), "")
			if res.StatusCode != 101 {
				t.Fatalf("status %d", res.StatusCode)
			}
			go func() { _, _ = io.WriteString(conn, test.bytes) }()
			if got := serverClose(conn, in); got != test.want {
				t.Errorf("closed with %d, want %d", got, test.want)
			}
		})
	}
	w.events.has(t, audit.ProtocolError, "opcode")
	w.events.has(t, audit.ProtocolError, "close_payload")
	w.events.has(t, audit.ProtocolError, "length_form")
	w.events.has(t, audit.MessageTooBig, "too_big")
}

// A length is a claim, and nothing is allocated for a claim (CVE-2020-27813).
//
//control:proves frames
func TestFrames_aClaimedLengthIsNotAllocated(t *testing.T) {
	const claims = 200
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.HandshakesPerMinute = 100_000 }))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range claims {
		conn, in, _ := w.rawHandshake(t, replaced("", ""), "")
		_, _ = io.WriteString(conn, wireFrame(0x81, long64(1<<62), "x"))
		if got := serverClose(conn, in); got != 1009 {
			t.Fatalf("closed with %d, want 1009", got)
		}
		_ = conn.Close()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / claims; each > 256<<10 {
		t.Errorf("%d bytes were allocated for each", each)
	}
	testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 })
}

// The answer to the handshake is read first: frames that come in the same packet as the
// request would be somebody else's tunnel.
//
//control:proves frames
//control:proves handshake-protocol
func TestAccept_framesInTheSamePacketAsTheRequestGetNothing(t *testing.T) {
	w := newWorld(t, overTCP)
	r := w.login().request("/ws")
	conn, err := w.dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var text strings.Builder
	if err := r.raw(t.Context()).Write(&text); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(testWait))
	_, _ = io.WriteString(conn, text.String()+wireFrame(0x81, short(2), "{}"))
	got, err := io.ReadAll(conn)
	if len(got) != 0 || isTimeout(err) {
		t.Errorf("answered %q, %v", got, err)
	}
	w.events.has(t, audit.HandshakeReject, "early_data")
	w.atRest()
}
