package socket

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/deflate"
	"example.com/portcullis/internal/testkit"
)

const browserOffer = "permessage-deflate; client_max_window_bits"

// offer adds extension offers to a handshake; in this spelling, because the library
// that plays the client keeps the other one to itself.
func (r request) offer(extensions string) request {
	r.header["sec-websocket-extensions"] = []string{extensions}
	return r
}

// offering makes a handshake offer compression, as every browser does.
func (l login) offering(path string) request { return l.request(path).offer(browserOffer) }

// rawFrame reads one frame as it is on the wire: nothing is inflated.
func rawFrame(t *testing.T, nc net.Conn) (first byte, payload []byte) {
	t.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(testWait))
	head := make([]byte, 2)
	if _, err := io.ReadFull(nc, head); err != nil {
		t.Fatalf("read frame: %v", err)
	}
	size := int(head[1])
	if size == 126 {
		long := make([]byte, 2)
		if _, err := io.ReadFull(nc, long); err != nil {
			t.Fatal(err)
		}
		size = int(binary.BigEndian.Uint16(long))
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(nc, payload); err != nil {
		t.Fatal(err)
	}
	return head[0], payload
}

// masked is a client's frame with a mask of zeros.
func masked(first byte, payload []byte) []byte {
	b := []byte{first, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	switch n := len(payload); {
	case n < 126:
		b = []byte{first, 0x80 | byte(n), 0, 0, 0, 0}
	case n < 1<<16:
		b = []byte{first, 0x80 | 126, byte(n >> 8), byte(n), 0, 0, 0, 0}
	default:
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	}
	return append(b, payload...)
}

// An attacker who can have text sent beside a secret needs the server to compress both.
//
//control:proves compression
func TestUpgrade_compressesNowhereButOnThePublicSocket(t *testing.T) {
	w := newWorld(t, overTCP)
	for _, path := range []string{"/ws", "/ws/auth", "/ws/cli"} {
		c, resp, err := w.try(w.login().offering(path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if got := resp.Header.Values("Sec-WebSocket-Extensions"); got != nil {
			t.Fatalf("%s answers the offer with %q", path, got)
		}
		if path == "/ws" {
			if _, err := c.ws.NetConn().Write(masked(0xc1, deflate.Deflate([]byte(`{"v":1}`)))); err != nil {
				t.Fatal(err)
			}
			if code := c.closed(); code != 1002 {
				t.Errorf("%s closes a compressed frame with %d, want 1002", path, code)
			}
			w.events.has(t, audit.ProtocolError, "rsv")
		}
	}
}

//control:proves compression
func TestPublic_compressesLongAnnouncementsAndNothingElse(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("Maintenance tonight. ", 100)
	for _, tt := range []struct {
		name      string
		offer     string
		agreed    bool
		announced bool // the frame of the long one has RSV1
	}{
		{"offered as browsers do", browserOffer, true, true},
		{"offered with a window that we do not have", "permessage-deflate; server_max_window_bits=9", false, false},
		{"not offered", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := w.login().request("/ws/public")
			if tt.offer != "" {
				r = r.offer(tt.offer)
			}
			c, resp, err := w.try(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Sec-WebSocket-Extensions"); (got == "permessage-deflate; server_no_context_takeover; client_no_context_takeover") != tt.agreed {
				t.Errorf("answered %q, agreed should be %v", got, tt.agreed)
			}
			nc := c.ws.NetConn()
			if first, payload := rawFrame(t, nc); first != 0x81 || !bytes.Contains(payload, []byte(`"hello"`)) {
				t.Errorf("first frame %x %s, want a plain hello", first, payload)
			}
			n := len(w.board.list)
			for range n { // those of the cases before
				rawFrame(t, nc)
			}
			w.announce("short")
			if first, payload := rawFrame(t, nc); first != 0x81 || !bytes.Contains(payload, []byte(`"announcement"`)) {
				t.Errorf("short announcement: %x %s, want it plain", first, payload)
			}
			w.announce(long)
			want := byte(0x81)
			if tt.announced {
				want = 0xc1
			}
			if first, payload := rawFrame(t, nc); first != want {
				t.Errorf("long announcement: %x with %d bytes, want %x", first, len(payload), want)
			}
		})
	}
}

func TestPublic_givesTheNewestFirstAndThenEachNewOne(t *testing.T) {
	w := newWorld(t)
	for range 25 {
		w.announce(strings.Repeat("so long that it is compressed ", 50))
	}
	testkit.Eventually(t, testWait, func() bool {
		w.server.board.mu.Lock()
		defer w.server.board.mu.Unlock()
		return w.server.board.last == 25
	})
	d := websocket.Dialer{NetDialContext: w.dial, EnableCompression: true}
	r := w.login().request("/ws/public")
	d.Subprotocols = r.protocols
	ws, _, err := d.Dial("ws://chat.example.com/ws/public", r.header)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, ws: ws, patience: w.patience}
	w.mu.Lock()
	w.clients = append(w.clients, c)
	w.mu.Unlock()
	if f := c.read(); f.Type != "hello" {
		t.Fatalf("first frame %+v", f)
	}
	for want := int64(6); want <= 25; want++ {
		if f := c.read(); f.Type != "announcement" || f.Seq != want {
			t.Fatalf("got %+v, want announcement %d", f, want)
		}
	}
	w.announce("one more")
	if f := c.read(); f.Seq != 26 {
		t.Errorf("got %+v, want announcement 26", f)
	}
	// More alike within a minute than a person writes: told, and from then on plain.
	w.events.has(t, audit.CompressionOracle, string(deflate.NearEqual))
}

// 60 KB on the wire become 60 MB in whoever inflates them.
//
//control:proves inflated-size
func TestPublic_aBombIsNotInflated(t *testing.T) {
	const mib = 1 << 20
	bomb := bytes.TrimSuffix(bytes.Repeat(append(deflate.Deflate(make([]byte, mib)), 0, 0, 0xff, 0xff), 60), []byte{0, 0, 0xff, 0xff})
	w := newWorld(t)
	c, _, err := w.try(w.login().offering("/ws/public"))
	if err != nil {
		t.Fatal(err)
	}
	rawFrame(t, c.ws.NetConn())
	var before, after runtime.MemStats
	frame := masked(0xc1, bomb)
	runtime.ReadMemStats(&before)
	if _, err := c.ws.NetConn().Write(frame); err != nil {
		t.Logf("write: %v", err) // it may be refused before all of it is out
	}
	if code := c.closed(); code != 1009 {
		t.Errorf("closed with %d, want 1009", code)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > mib {
		t.Errorf("%d bytes on the wire cost %d bytes of memory, want less than 1 MiB", len(bomb), cost)
	}
	w.events.has(t, audit.MessageTooBig, "inflate_ratio")
}

// What a client says on the read-only socket is refused whatever its size.
//
//control:proves inflated-size
func TestPublic_refusesWords(t *testing.T) {
	text := []byte(strings.Repeat("0123456789abcdef", messageBytes/16))
	for _, tt := range []struct {
		name   string
		frame  []byte
		code   int
		event  audit.Name
		reason string
	}{
		{"a command", masked(0x81, []byte(`{"v":1}`)), 1008, audit.SequenceFail, "read_only"},
		{"a compressed one", masked(0xc1, deflate.Deflate([]byte(`{"v":1}`))), 1008, audit.SequenceFail, "read_only"},
		{"exactly as much as may be", masked(0x81, text), 1008, audit.SequenceFail, "read_only"},
		{"a byte more", masked(0x81, append(bytes.Clone(text), 'x')), 1009, audit.MessageTooBig, "too_big"},
		{"what is not deflate", masked(0xc1, []byte{0xff, 0xff, 0xff}), 1007, audit.ProtocolError, "deflate"},
		{"binary", masked(0x82, []byte("x")), 1003, audit.ProtocolError, "binary"},
		{"a compressed ping", masked(0xc9, nil), 1002, audit.ProtocolError, "rsv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c, _, err := w.try(w.login().offering("/ws/public"))
			if err != nil {
				t.Fatal(err)
			}
			rawFrame(t, c.ws.NetConn())
			if _, err := c.ws.NetConn().Write(tt.frame); err != nil {
				t.Logf("write: %v", err)
			}
			if code := c.closed(); code != tt.code {
				t.Errorf("closed with %d, want %d", code, tt.code)
			}
			w.events.has(t, tt.event, tt.reason)
		})
	}
}

func TestPublic_needsItsOwnTicketAndEndsWithTheSession(t *testing.T) {
	w := newWorld(t)
	l := w.login()
	r := l.request("/ws/public")
	r.protocols[1] = "ticket." + w.tickets.issue(l, "/ws")
	if _, resp, err := w.try(r); err == nil || resp.StatusCode != 401 {
		t.Errorf("a ticket for /ws opens /ws/public: %v", err)
	}
	c, _, err := w.try(l.request("/ws/public"))
	if err != nil {
		t.Fatal(err)
	}
	c.read()
	w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: l.sid}, At: time.Now()})
	if code := c.closed(); code != 4403 {
		t.Errorf("closed with %d after sign-out, want 4403", code)
	}
}
