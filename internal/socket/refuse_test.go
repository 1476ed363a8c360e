package socket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A proxy that believes in a tunnel passes on blindly what comes after the refusal; it
// must find nobody there.
//
//control:proves proxies
//control:proves handshake-protocol
func TestRefuse_endsTheConnectionOfAnUpgradeThatFailed(t *testing.T) {
	w := newWorld(t, overTCP)
	for _, version := range []string{"777", "8", ""} {
		conn, err := w.dial(t.Context(), "tcp", "chat.example.com:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(testWait)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: chat.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: %s\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", version)
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusUpgradeRequired {
			t.Fatalf("version %q answered %d, %v", version, res.StatusCode, err)
		}
		if _, err := in.ReadByte(); err == nil || isTimeout(err) {
			t.Errorf("version %q: the connection is open after the refusal (%v)", version, err)
		}
	}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
