package socket

import (
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// FuzzTranscript sends any bytes as client frames after a handshake that is right.
// Whatever they are: no panic, an end with a code that may be sent, and (goleak, and
// the world's own check) nothing left.
func FuzzTranscript(f *testing.F) {
	text := func(s string) []byte { return clientFrame(0x81, s) }
	f.Add(text(`{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"room.join","data":{"room_id":"5f2b7c7e-9d3c-4c1e-8b0a-2f4d6e8a9b0c"}}`))
	f.Add(append(text("{"), clientFrame(0x88, "\x03\xe8bye")...))
	f.Add(clientFrame(0x89, "ping"))
	f.Add(append(clientFrame(0x01, "half"), clientFrame(0x80, "\xff")...))
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Add([]byte{0x82, 0x80, 0, 0, 0, 0})
	f.Add(clientFrame(0x88, "\x03\xed"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		w := newWorld(t, overTCP)
		c := w.login().connect()
		_ = c.ws.NetConn().SetWriteDeadline(time.Now().Add(testWait))
		_, _ = c.ws.NetConn().Write(stream)
		_ = c.ws.NetConn().(*net.TCPConn).CloseWrite()
		code := c.closed()
		if code != 1006 && websocket.FormatCloseMessage(code, "") == nil || code == 1005 {
			t.Errorf("ended with %d", code)
		}
		if _, crashed := w.events.find("sys_crash"); crashed {
			t.Error("a panic")
		}
	})
}

// clientFrame is a masked frame of at most 125 bytes, with a mask of zeros.
func clientFrame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}
