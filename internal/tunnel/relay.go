package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/tunnel"
)

// piece is how much is read of the target at once: what a TLS record and an SSH packet
// of a transfer need, and what a tunnel holds.
const piece = 32 << 10

// relay is one open tunnel.
type relay struct {
	*Relay
	line   line
	target tunnel.Target
	grant  tunnel.Grant
	server net.Conn

	seen     atomic.Int64 // when bytes last came, of either side, in nanoseconds
	up, down int64        // bytes carried; each its own goroutine's until the end
	began    bool         // the client has greeted

	mu  sync.Mutex
	why string // the first rule that ended it
}

// talk is a tunnel's life, from the handshake to the end of the connection.
//
//control:name tunnel
func (r *Relay) talk(ctx context.Context, l line) {
	t := &relay{Relay: r, line: l}
	t.target, _ = r.o.Targets.Find(l.Name())
	short, cancel := context.WithTimeout(ctx, grantTime)
	grant, err := r.o.Grants.Grant(short, l.Actor().User.UUID, t.target.Name, r.o.Now())
	cancel()
	switch {
	case chat.KindOf(err) == chat.Denied:
		t.deny("no_grant")
		return
	case err != nil:
		l.Unavailable("grant", err)
		return
	}
	t.grant = grant
	if t.server, err = r.dial(ctx, t.target.Name); err != nil {
		t.deny("unreachable")
		return
	}
	defer t.server.Close()
	// Whatever ends the connection ends what waits for the target.
	defer context.AfterFunc(ctx, func() { _ = t.server.Close() })()

	greeting, why := t.greeting()
	if why != "" {
		t.deny(why)
		return
	}
	t.relay(ctx, greeting)
}

// greeting reads what the server begins with, before anything of the client is read.
func (t *relay) greeting() (greeting []byte, why string) {
	_ = t.server.SetReadDeadline(time.Now().Add(t.o.Limits.Opening)) // an error means closed
	b := make([]byte, tunnel.MaxOpening)
	for n := 0; n < len(b); {
		got, err := t.server.Read(b[n:])
		n += got
		switch t.target.Protocol.Opening(b[:n]) {
		case tunnel.Right:
			_ = t.server.SetReadDeadline(time.Time{})
			return b[:n], ""
		case tunnel.Wrong:
			return nil, "server_protocol"
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, "server_silent"
		}
		if err != nil {
			return nil, "server_closed"
		}
	}
	return nil, "server_protocol"
}

// relay copies both ways until one of them ends.
//
//control:name tunnel
func (t *relay) relay(ctx context.Context, greeting []byte) {
	if !t.carry(&t.down, len(greeting), "quota_down") || t.line.Send(ctx, greeting) != nil {
		return
	}
	opened := time.Now()
	t.seen.Store(opened.UnixNano())
	late := time.AfterFunc(t.o.Limits.Opening, func() { t.deny("client_silent") })
	defer late.Stop()
	now := t.o.Now()
	end := time.AfterFunc(t.o.Limits.End(now, t.grant.Until, t.line.SessionEnds()).Sub(now), func() { t.end("time") })
	defer end.Stop()

	var back sync.WaitGroup
	defer func() {
		_ = t.server.Close()
		back.Wait()
		if t.began {
			t.closed(time.Since(opened))
		}
	}()
	var head []byte // what the client said before its opening is decided
	for {
		err := t.line.Receive(ctx, func(b []byte) {
			t.seen.Store(time.Now().UnixNano())
			if t.began {
				t.send(b)
				return
			}
			head = append(head, b...)
			switch v := t.target.Protocol.Opening(head[:min(len(head), tunnel.MaxOpening)]); {
			case v == tunnel.Right:
				if !late.Stop() {
					return // denied already
				}
				t.open()
				back.Go(func() { t.back(ctx) })
				t.send(head)
				head = nil
			case v == tunnel.Wrong || len(head) >= tunnel.MaxOpening:
				t.deny("client_protocol")
			}
		})
		if err != nil {
			return
		}
	}
}

// open is the moment at which bytes begin to flow.
func (t *relay) open() {
	t.began = true
	t.line.Record(audit.TunnelOpen, audit.Warn, "tunnel", "open", func(e *audit.Event) { e.Detail = t.detail() })
}

// send gives bytes of the client to the target, which takes them before more are read.
func (t *relay) send(b []byte) {
	if !t.carry(&t.up, len(b), "quota_up") {
		return
	}
	_ = t.server.SetWriteDeadline(time.Now().Add(t.o.Limits.Write))
	if _, err := t.server.Write(b); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.end("server_stuck")
			return
		}
		t.end("server_gone")
	}
}

// back gives bytes of the target to the client, at the client's pace. Its waiting for
// the target also is what notices that nothing moves in either direction.
func (t *relay) back(ctx context.Context) {
	defer t.line.Recovered("tunnel")
	b := make([]byte, piece)
	for {
		still := time.Unix(0, t.seen.Load())
		_ = t.server.SetReadDeadline(still.Add(t.o.Limits.Idle)) // an error means closed
		n, err := t.server.Read(b)
		if n > 0 {
			t.seen.Store(time.Now().UnixNano())
			if !t.carry(&t.down, n, "quota_down") || t.line.Send(ctx, b[:n]) != nil {
				return
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Unix(0, t.seen.Load()).Equal(still) {
				t.end("idle")
				return
			}
		case err != nil:
			if ctx.Err() == nil {
				t.because("server_closed")
				t.line.Bye(ctx)
			}
			return
		}
	}
}

// carry charges bytes to a direction, before they are passed on.
func (t *relay) carry(way *int64, n int, why string) bool {
	if t.o.Limits.Take(way, n) {
		return true
	}
	t.end(why)
	return false
}

// because remembers the first reason.
func (t *relay) because(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == "" {
		t.why = why
	}
}

// end closes the connection for a rule.
func (t *relay) end(why string) {
	t.because(why)
	t.line.Refuse()
}

// deny ends a tunnel that has not opened.
func (t *relay) deny(why string) {
	if t.line.Refuse() {
		t.line.Record(audit.TunnelDenied, audit.Critical, "tunnel", why, func(e *audit.Event) { e.Detail = t.detail() })
	}
}

// closed tells the log how much went through, and never what.
func (t *relay) closed(took time.Duration) {
	t.mu.Lock()
	why := t.why
	t.mu.Unlock()
	if why == "" {
		why = t.line.Cause()
	}
	t.line.Record(audit.TunnelClose, audit.Info, "tunnel", why, func(e *audit.Event) {
		e.Took, e.Count = took, t.up+t.down
		e.Detail = fmt.Sprintf("%s up=%d down=%d", t.detail(), t.up, t.down)
	})
}

// detail names the target and who let the user in.
func (t *relay) detail() string {
	if t.grant.GrantedBy == uuid.Nil {
		return "target=" + t.target.Name
	}
	return "target=" + t.target.Name + " granted_by=" + t.grant.GrantedBy.String()
}
