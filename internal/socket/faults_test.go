package socket

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
)

// atRest waits until nothing of any connection is left: no slot of the node, no lease of
// a user, no registration, no ping to send.
func (w *world) atRest() {
	w.t.Helper()
	testkit.Eventually(w.t, 2*testWait, func() bool {
		w.server.wheel.mu.Lock()
		defer w.server.wheel.mu.Unlock()
		pings := 0
		for _, slot := range w.server.wheel.slots {
			pings += len(slot)
		}
		return pings == 0 && w.gate.inside() == 0 && w.leases.count() == 0 && len(w.server.hub.everyone()) == 0
	})
}

// From the 101 on the client holds a connection that the handler no longer answers for.
// A panic there must still give everything back: a slot that leaks at every panic is a
// server that whoever finds the panic can close to everybody.
//
//control:proves handshake
func TestAccept_aPanicAfterTheUpgradeGivesEverythingBack(t *testing.T) {
	for _, path := range []string{"/ws", "/ws/auth"} {
		for _, step := range handshakeOrder[slices.Index(handshakeOrder, "register"):] {
			t.Run(path+" "+step, func(t *testing.T) {
				w := newWorld(t, overTCP)
				w.server.SetPause(func(at string) {
					if at == step {
						panic("a fault in " + step)
					}
				})
				l := w.login()
				c, _, err := w.try(l.request(path))
				if err != nil {
					t.Fatal(err)
				}
				if path == "/ws/auth" {
					c.send(wire.Auth, map[string]any{"ticket": w.tickets.issue(l, path)})
				}
				if code := c.closed(); code != int(closeInternal) {
					t.Errorf("closed with %d, want %d", code, closeInternal)
				}
				w.atRest()
				if _, told := w.events.find(audit.Crash); !told {
					t.Error("the panic left no event")
				}
			})
		}
	}
}

// taken is an answer whose connection can be taken over, or not.
type taken struct {
	*httptest.ResponseRecorder
	conn net.Conn
	err  error
}

func (t *taken) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if t.err != nil {
		return nil, nil, t.err
	}
	return t.conn, bufio.NewReadWriter(bufio.NewReader(t.conn), bufio.NewWriter(t.conn)), nil
}

// failing is a connection whose writes fail from the nth on (1: the 101).
type failing struct {
	net.Conn
	from   int64
	writes atomic.Int64
}

func (f *failing) Write(b []byte) (int, error) {
	if f.writes.Add(1) >= f.from {
		return 0, errors.New("the wire is cut")
	}
	return f.Conn.Write(b)
}

// raw is the request of a handshake, for a handler that is called by hand.
func (r request) raw(ctx context.Context) *http.Request {
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://chat.example.com"+r.path, nil)
	req.Header = r.header.Clone()
	for k, v := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": strings.Join(r.protocols, ", ")} {
		req.Header.Set(k, v)
	}
	return req
}

//control:proves handshake
func TestAccept_aFaultInTheUpgradeGivesEverythingBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   func(answer *taken)
		status int // 0: there is no HTTP answer any more
	}{
		{"the connection cannot be taken over", func(a *taken) { a.err = errors.New("no") }, http.StatusServiceUnavailable},
		{"the 101 cannot be written", func(a *taken) { a.conn = &failing{Conn: a.conn, from: 1} }, 0},
		{"hello cannot be written", func(a *taken) { a.conn = &failing{Conn: a.conn, from: 2} }, 0},
		{"the client is gone before the 101", func(a *taken) { _ = a.conn.Close() }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			ours, theirs := net.Pipe()
			go func() { _, _ = bufio.NewReader(theirs).WriteTo(discard{}) }()
			defer theirs.Close()
			answer := &taken{ResponseRecorder: httptest.NewRecorder(), conn: ours}
			test.fail(answer)
			w.server.WS().ServeHTTP(answer, w.login().request("/ws").raw(t.Context()))
			w.atRest()
			if test.status != 0 {
				_ = ours.Close()
				if answer.Code != test.status {
					t.Errorf("status %d, want %d", answer.Code, test.status)
				}
				return
			}
			// Ours is closed as well, or every such handshake costs a file descriptor.
			testkit.Eventually(t, testWait, func() bool { _, err := ours.Write([]byte("x")); return err != nil })
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// The client hangs up in the middle of every step.
//
//control:proves handshake
func TestAccept_aClientThatHangsUpInAnyStepLeavesNothingBehind(t *testing.T) {
	for _, step := range handshakeOrder {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, overTCP)
			conn, err := w.dial(t.Context(), "tcp", "")
			if err != nil {
				t.Fatal(err)
			}
			reached := make(chan struct{})
			w.server.SetPause(func(at string) {
				if at == step {
					_ = conn.(*net.TCPConn).SetLinger(0) // a reset: nothing is delivered any more
					_ = conn.Close()
					close(reached)
				}
			})
			if err := w.login().request("/ws").raw(t.Context()).Write(conn); err != nil {
				t.Fatal(err)
			}
			<-reached
			w.atRest()
		})
	}
}

// The time of a handshake is over while a step still waits for its database.
//
//control:proves handshake
func TestAccept_aCancelledHandshakeGivesEverythingBack(t *testing.T) {
	for _, step := range handshakeOrder {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, overTCP)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.server.SetPause(func(at string) {
				if at == step {
					cancel()
					w.sessions.fail(ctx.Err()) // what each of the stores answers then
					w.limits.err, w.tickets.err, w.accounts.err, w.leases.err = ctx.Err(), ctx.Err(), ctx.Err(), ctx.Err()
				}
			})
			ours, theirs := net.Pipe()
			go func() { _, _ = bufio.NewReader(theirs).WriteTo(discard{}) }()
			answer := &taken{ResponseRecorder: httptest.NewRecorder(), conn: ours}
			w.server.WS().ServeHTTP(answer, w.login().request("/ws").raw(ctx))
			_ = theirs.Close()
			_ = ours.Close()
			w.atRest()
		})
	}
}
