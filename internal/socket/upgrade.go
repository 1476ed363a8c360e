package socket

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/frames"
)

const (
	// readBuffer is what a connection holds for its life; longer payloads pass it by.
	readBuffer = 300
	// upgradeTimeout bounds the writing of the 101.
	upgradeTimeout = 5 * time.Second
)

// newUpgrader returns gorilla's upgrader with everything off that decides: origin,
// subprotocol and extensions are decided before it, by us. ReadBufferSize 0 means
// the reader that the frame guard brings; the pool means that no write buffer is
// kept for a library that never writes.
func (s *Server) newUpgrader() websocket.Upgrader {
	return websocket.Upgrader{
		HandshakeTimeout:  upgradeTimeout,
		WriteBufferPool:   &sync.Pool{},
		CheckOrigin:       func(*http.Request) bool { return true }, // step "origin" has decided
		EnableCompression: false,                                    // CRIME, and the bomb that SetReadLimit does not see
		Error:             func(http.ResponseWriter, *http.Request, int, error) {},
	}
}

// upgrade turns the request into a connection, which takes over what the
// handshake holds. From here on there is no HTTP answer any more.
func (h *handshake) upgrade() (*conn, *refusal) {
	s := h.s
	header := http.Header{}
	if h.offer.selected {
		header.Set("Sec-WebSocket-Protocol", h.offer.encoding.name())
	}
	limits := s.frames
	if h.route.door != nil {
		limits = h.route.door.Frames
	}
	limits.AllowBinary = h.offer.encoding != inJSON
	limits.AllowCompressed = h.offer.deflate
	guarded, frameConn := frames.Hijack(h.w, limits, readBuffer)
	sealer := &sealer{ResponseWriter: guarded}
	r, upgrader := h.r, &s.upgrader
	if h.offer.deflate {
		r, upgrader = h.compressed()
	}
	ws, err := upgrader.Upgrade(sealer, r, header)
	if err != nil {
		no := &refusal{control: "frames", reason: "upgrade", err: err}
		if fc := frameConn(); fc == nil {
			no.status = http.StatusServiceUnavailable // not taken over: HTTP can still answer
		} else if v := fc.Violation(); v != nil {
			no.reason = string(v.Kind)
		}
		return nil, no
	}
	sealer.conn.sealed = true
	c := s.newConn(h, ws, frameConn())
	h.held = nil // the connection's now
	return c, nil
}

// sealer gives gorilla a connection that it can read and, after the 101, not write.
type sealer struct {
	http.ResponseWriter
	conn *sealedConn
}

// Hijack is what the upgrader calls.
func (s *sealer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := s.ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		return nil, nil, err
	}
	s.conn = &sealedConn{Conn: nc}
	return s.conn, brw, nil
}

// sealedConn swallows what gorilla writes of its own accord after the 101: close
// frames that tell an attacker which bit was wrong, beside and between the frames
// of our outbox. The reader gets the same news as an error, and closes by the table.
type sealedConn struct {
	net.Conn
	sealed bool // set once, before the reader starts
}

func (c *sealedConn) Write(b []byte) (int, error) {
	if c.sealed {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *sealedConn) SetWriteDeadline(t time.Time) error {
	if c.sealed {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}
