package socket

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
)

//control:proves close
func TestClose_everyCodeHasAReasonThatFits(t *testing.T) {
	for code, slug := range slugs {
		payload := websocket.FormatCloseMessage(int(code), slug)
		if slug == "" || len(payload) > 125 || code != 1013 && code > 1012 && code < 4400 {
			t.Errorf("%d %q", code, slug)
		}
		switch code {
		case 1004, 1005, 1006, 1010, 1015:
			t.Errorf("%d must never be sent (RFC 6455 section 7.4.1)", code)
		}
	}
}

//control:proves close
func TestClose_aPeerCannotMakeItsCloseLookLikeOurs(t *testing.T) {
	w := newWorld(t, overTCP)
	c := w.login().connect()
	if err := c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4403, "session_revoked")); err != nil {
		t.Fatal(err)
	}
	c.closed()
	w.events.has(t, "ws_disconnect", "peer")
}

//control:proves slow-consumer
func TestOutbox_aPeerThatNeverReadsIsClosedAfterTheWriteDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		room := w.chat.room()
		c.join(room)
		start := time.Now()
		w.chat.post(room, 1, "x") // waits in the pipe
		for w.gate.inside() > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); took < writeTimeout || took > writeTimeout+2*closeWait+time.Second {
			t.Errorf("gone after %v, want about %v", took, writeTimeout)
		}
		w.events.has(t, "ws_slow_consumer", "slow_consumer")
	})
}

//control:proves close
func TestClose_aPeerThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: c.login.sid}, At: time.Now()})
		c.ws.SetCloseHandler(func(int, string) error { return nil }) // neither answers nor closes
		_, err := c.tryRead()
		if !websocket.IsCloseError(err, int(closeRevoked)) {
			t.Fatalf("read: %v", err)
		}
		time.Sleep(closeWait + 100*time.Millisecond)
		if n := w.gate.inside(); n != 0 {
			t.Errorf("%d slots are still held", n)
		}
	})
}

// A peer that vanishes without a close frame is told apart from one that said goodbye.
//
//control:proves close
func TestEnd_aPeerThatVanishesIsAnAbnormalClose(t *testing.T) {
	w := newWorld(t, overTCP)
	c := w.login().connect()
	w.events.has(t, audit.HandshakeAccept, "")
	if err := c.ws.NetConn().Close(); err != nil {
		t.Fatal(err)
	}
	w.events.has(t, audit.AbnormalClose, "gone")
	if _, ok := w.events.find(audit.Disconnect); ok {
		t.Error("it counts as a close of its own will")
	}
}

// faulty panics when it is written to, once told so.
type faulty struct {
	net.Conn
	armed *bool
}

func (f faulty) Write(b []byte) (int, error) {
	if *f.armed {
		panic("secret value")
	}
	return f.Conn.Write(b)
}

//control:proves dispatch
func TestPanic_inTheWriterEndsThatConnectionOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, other *client) {
		c := stuck(t, w, other.login.user)
		armed := true
		c.out.net = faulty{c.out.net, &armed}
		c.out.writing = false
		c.send([]byte("x"))
		c.out.wait()
		if !c.is(closing) || c.cause != closeInternal {
			t.Errorf("state %d, cause %d", c.state.Load(), c.cause)
		}
		w.events.has(t, "sys_crash", "writer")
	})
}

//control:proves dispatch
func TestPanic_inAPassSkipsThatMemberOnly(t *testing.T) {
	w := newWorld(t)
	r := &room{hub: w.server.hub}
	good, bad := stuck(t, w, chat.UserID{}), stuck(t, w, chat.UserID{})
	b := &batch{buf: appendFrame(nil, opText, []byte("x")), marks: []mark{{seq: 1, end: 1 << 20}}}
	deliverAll([]*member{
		{conn: good, room: r, mayRead: true},
		{conn: bad, room: r, mayRead: true, seen: 1}, // skips to the end, which is beyond the buffer
		{conn: good, room: r, mayRead: true},
	}, b)
	if n := len(good.out.queue); n != 2 {
		t.Errorf("the others received %d times, want 2", n)
	}
	if !bad.is(closing) || bad.cause != closeInternal {
		t.Error("the member whose delivery panicked is still there")
	}
	w.events.has(t, "sys_crash", "pass")
}

func TestTLS_isWrittenWithoutTheFileDescriptor(t *testing.T) {
	w := newWorld(t, overTCP)
	mux := http.NewServeMux()
	mux.Handle("/ws", w.server.WS())
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	dial := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the test's own certificate
	l := w.login()
	r := l.request("/ws")
	dial.Subprotocols = r.protocols
	ws, _, err := dial.Dial("wss"+strings.TrimPrefix(server.URL, "https")+"/ws", r.header)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, ws: ws, login: l, patience: w.patience}
	c.read()
	room := w.chat.room()
	c.join(room)
	w.chat.post(room, 50, strings.Repeat("x", 4000))
	for seq := range int64(50) {
		if f := c.read(); f.Seq != seq+1 {
			t.Fatalf("received %d, want %d", f.Seq, seq+1)
		}
	}
	w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: l.sid}, At: time.Now()})
	if code := c.closed(); code != int(closeRevoked) {
		t.Errorf("closed with %d, want 4403", code)
	}
}

//control:proves close
//control:proves drain
func TestShutdown_cutsOffWhoDoesNotEndInTime(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.login().connect()
		w.chat.before = func(string) error { time.Sleep(3 * time.Second); return nil } // deaf to its context
		c.send(wire.ReadMark, map[string]any{"room_id": w.chat.room().String(), "seq": 0})
		synctest.Wait()
		end := watch(c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := w.server.Shutdown(ctx); err == nil {
			t.Error("Shutdown says that everything ended in time")
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		end.wait()
		w.assertNoResidue()
	})
}

func TestLeases_areRenewedForAllInOneCall(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		other := w.login().connect()
		watch(c)
		watch(other)
		time.Sleep(leaseEvery + time.Second)
		w.leases.mu.Lock()
		defer w.leases.mu.Unlock()
		if len(w.leases.renewed) != 1 || w.leases.renewed[0] != 2 {
			t.Errorf("renewals %v, want one of 2", w.leases.renewed)
		}
	})
}

func TestNew_refusesMissingParts(t *testing.T) {
	if s, err := New(Options{}); err == nil || s != nil {
		t.Error("a server of nothing")
	}
	w := newWorld(t)
	o := w.server.Options
	o.Config.PingEvery = 0
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "PingEvery") {
		t.Errorf("error %v", err)
	}
	testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 })
}
