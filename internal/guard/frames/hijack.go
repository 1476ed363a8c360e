package frames

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"
)

// minReadBuffer is the size of the upgrader's reader. gorilla keeps a given reader
// only if it is larger than 256 bytes; each connection holds one for its life, and
// longer payloads pass it by.
const minReadBuffer = 300

// Hijack returns a ResponseWriter for gorilla's Upgrader.Upgrade, under which the
// client's bytes go through a [Conn] with the given limits and a reader of
// readBuffer bytes (at least 300). The function returns that Conn after Upgrade,
// nil if it was not reached. Set Upgrader.ReadBufferSize to 0, or the upgrader
// reads through a buffer of its own and Buffered does not see it.
//
// A client that sends frames before the 101 (RFC 6455 section 4.1 forbids it, and
// behind a proxy it is a way to smuggle) is cut off: Upgrade fails and the Conn has
// the violation early_data. Nothing can be written to w then.
func Hijack(w http.ResponseWriter, l Limits, readBuffer int) (http.ResponseWriter, func() *Conn) {
	h := &hijacker{ResponseWriter: w, limits: l, readBuffer: max(readBuffer, minReadBuffer)}
	return h, func() *Conn { return h.conn }
}

type hijacker struct {
	http.ResponseWriter
	limits     Limits
	readBuffer int
	conn       *Conn
}

// Hijack is what the upgrader calls.
//
//control:name frames
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	audit, err := NewAuditor(h.limits, time.Now())
	if err != nil {
		return nil, nil, err // while a status can still be sent
	}
	below, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the connection: %w", err)
	}
	c := &Conn{Conn: below, audit: audit}
	h.conn = c
	if brw.Reader.Buffered() > 0 {
		c.violation.Store(audit.fail(EarlyData, 0))
		_ = c.Close()
		// gorilla finds the bytes in brw and gives up without writing to w.
		return c, brw, nil
	}
	c.reader = bufio.NewReaderSize(c, h.readBuffer)
	return c, bufio.NewReadWriter(c.reader, brw.Writer), nil
}
