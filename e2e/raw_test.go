package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Other ways to leave HTTP/1.1 behind: a proxy that lets one of them through passes on
// blindly what follows. None is taken up: there is no 101, and no tunnel.
//
//control:proves handshake-protocol
func TestRaw_noOtherWayOutOfHTTPIsTaken(t *testing.T) {
	t.Parallel()
	s := startGenerous(t)
	host := strings.TrimPrefix(s.Base, "http://")
	const settings = "AAMAAABkAARAAAAAAAIAAAAA"
	for _, test := range []struct{ name, text string }{
		{"h2c upgrade of a page", "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " + settings + "\r\n\r\n"},
		{"h2c upgrade of the socket", "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " + settings + "\r\n\r\n"},
		{"HTTP/2 without a negotiation", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"CONNECT", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: %s\r\n\r\n"},
		{"a socket with a version of its own", "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"},
		{"a socket where there is none", "GET /api/rooms HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.DialTimeout("tcp", s.Addr, soon)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
				t.Fatal(err)
			}
			text := test.text
			if strings.Contains(text, "%s") {
				text = fmt.Sprintf(text, host)
			}
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return // the connection was closed without a word
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode == http.StatusSwitchingProtocols || res.ProtoMajor != 1 || res.Header.Get("Upgrade") == "h2c" {
				t.Fatalf("it was taken: %s %v", res.Status, res.Header)
			}
			if strings.HasPrefix(test.name, "CONNECT") && res.StatusCode < 400 {
				t.Fatalf("a tunnel: %s", res.Status)
			}
			t.Logf("%s, %v", res.Status, res.Header["Connection"])
		})
	}
}
