package socket

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
)

// A cable is pulled: packets are dropped and nobody closes anything, so that TCP alone
// would keep the connection, and its place, for hours.
//
//control:proves heartbeat
func TestHeartbeat_aHalfOpenPeerIsReapedWithinPingAndPong(t *testing.T) {
	const every = 400 * time.Millisecond
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.PingEvery = every }))
	healthy := w.login().connect()
	there := watch(healthy)
	line := testkit.NewProxy(t, "tcp://"+healthy.ws.RemoteAddr().String())
	u, err := url.Parse(line.URL())
	if err != nil {
		t.Fatal(err)
	}
	direct := w.dial
	w.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	}
	far := w.login().connect()
	w.dial = direct
	watch(far) // answers pings as long as they come
	sid := chat.SessionID{UUID: far.login.sid}
	for end := time.Now().Add(3 * every); time.Now().Before(end); <-time.After(every / 4) {
		if w.server.Count(sid) != 1 {
			t.Fatal("a peer that answers was reaped")
		}
	}
	line.Pause()
	start := time.Now()
	testkit.Eventually(t, 10*testWait, func() bool { return w.server.Count(sid) == 0 })
	// The deadline is one turn and the wait for its pong; the close frame has a moment of its own.
	if took := time.Since(start); took > every+pongWait(every)+closeWait+testWait/2 {
		t.Errorf("reaped after %v, ping and pong have %v", took, every+pongWait(every))
	}
	w.events.has(t, audit.HeartbeatLost, "no_pong")
	select {
	case <-there.done:
		t.Error("the healthy peer was reaped too")
	default:
	}
	line.Resume()
}
