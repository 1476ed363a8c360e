package socket

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/deflate"
	"example.com/portcullis/internal/wire"
)

// The socket of announcements: GET /ws/public. Its handshake is that of /ws. After
// hello come the newest announcements and then each new one; a client says nothing
// on it. It is the one route that negotiates permessage-deflate, because everything
// on it is public: no word of a client and no secret is in a frame that is compressed.

const (
	// lookEvery is how late an announcement is when the bell is lost.
	lookEvery = 10 * time.Second
	// announcementType is the one type in the compressor's table.
	announcementType = "announcement"

	rsv1Bit = 0x40 // RFC 7692 section 6: the message is compressed
)

// Announcements is where announcements are read; *postgres.Announcements has it.
type Announcements interface {
	Announced(ctx context.Context, after int64) ([]chat.Announcement, error)
}

// Public is the socket of announcements.
func (s *Server) Public() http.Handler {
	return s.handler(route{name: "/ws/public", means: byOffer, public: true})
}

// board is the announcements of this node and who reads them. Each is encoded, and
// compressed, once: a client that comes again gets the same bytes, and no new sample.
type board struct {
	server     *Server
	compressor *deflate.Compressor
	bell       chan struct{}

	mu      sync.Mutex // may be held when an outbox's lock is taken
	last    int64
	newest  []bulletin // at most chat.MaxAnnouncements
	readers map[*conn]struct{}
}

// bulletin is one announcement as frames.
type bulletin struct{ plain, deflated []byte }

func newBoard(s *Server) (*board, error) {
	b := &board{server: s, bell: make(chan struct{}, 1), readers: map[*conn]struct{}{}}
	var err error
	b.compressor, err = deflate.NewCompressor(deflate.Options{
		Types: []string{announcementType}, Now: s.Now,
		Observed: func(kind string, plain, sent int) {
			s.metrics.compression.WithLabelValues(kind).Observe(float64(plain) / float64(sent))
		},
		Alarmed: func(kind string, why deflate.Reason) {
			s.Audit.Record(context.WithoutCancel(s.life), audit.Event{Name: audit.CompressionOracle, Level: audit.Critical,
				Control: "compression", Reason: string(why), Detail: kind})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("board: %w", err)
	}
	return b, nil
}

// Announced is the bell: there may be announcements to read.
func (s *Server) Announced() {
	select {
	case s.board.bell <- struct{}{}:
	default: // it has been rung and not heard yet
	}
}

// watch reads what was announced whenever the bell rings, and now and then without it.
func (b *board) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		b.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.bell:
		}
	}
}

func (b *board) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	b.mu.Lock()
	after := b.last
	b.mu.Unlock()
	list, err := b.server.Announcements.Announced(ctx, after)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			b.server.Log.Warn("announcements not read; the next look is soon", "error", err)
		}
		return
	}
	for _, a := range list {
		b.post(a)
	}
}

// post gives one announcement to everybody who reads here, now or later.
func (b *board) post(a chat.Announcement) {
	payload := wire.Announcement(nil, a)
	n := bulletin{plain: appendFrame(nil, opText, payload)}
	if small, ok := b.compressor.Compress(announcementType, payload); ok {
		n.deflated = appendFrame(nil, opText|rsv1Bit, small)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = a.Seq
	if len(b.newest) == chat.MaxAnnouncements {
		b.newest = b.newest[1:]
	}
	b.newest = append(b.newest[:len(b.newest):len(b.newest)], n)
	for c := range b.readers {
		c.put(entry{b: n.to(c)})
	}
}

// to is the frame for one connection: compressed only if it agreed to that.
func (n bulletin) to(c *conn) []byte {
	if c.deflated && n.deflated != nil {
		return n.deflated
	}
	return n.plain
}

// join sends a connection the newest announcements, and from now on every one.
func (b *board) join(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.newest {
		c.put(entry{b: n.to(c)})
	}
	b.readers[c] = struct{}{}
}

func (b *board) leave(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, c)
}

// readOnly is a turn of the public socket. Control frames are answered; the first
// message ends the connection, whatever is in it. It is inflated only as far as it takes
// to tell a bomb from a message.
func (c *conn) readOnly() {
	if !c.takeControls() {
		return
	}
	_, r, err := c.ws.NextReader()
	if err != nil {
		c.closeFor(err)
		return
	}
	var message bytes.Buffer
	err = deflate.Read(&message, r, messageBytes, c.net.BytesIn)
	large, isLarge := errors.AsType[*deflate.TooLarge](err)
	_, isCorrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case isLarge:
		c.server.record(c, audit.MessageTooBig, audit.Critical, "inflated-size", large.Reason(), func(e *audit.Event) {
			e.CloseCode, e.Count = int(closeTooBig), int64(large.Ratio)
		})
		c.close(closeTooBig)
	case isCorrupt:
		c.server.record(c, audit.ProtocolError, audit.Warn, "inflated-size", "deflate")
		c.close(closeEncoding)
	case err != nil:
		c.closeFor(err)
	default:
		c.server.record(c, audit.SequenceFail, audit.Warn, "compression", "read_only")
		c.close(closePolicy)
	}
}

// compressed prepares the upgrade of a connection that may have compressed frames: the
// library is shown one plain offer, which is the one that it answers rightly.
func (h *handshake) compressed() (*http.Request, *websocket.Upgrader) {
	r, up := h.r.Clone(h.r.Context()), h.s.upgrader
	r.Header["Sec-Websocket-Extensions"] = []string{"permessage-deflate"}
	up.EnableCompression = true
	return r, &up
}
