//go:build unix

package socket

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
)

// parked counts the connections that wait on the small stack.
func parked() int {
	text := make([]byte, 1<<20)
	for {
		n := runtime.Stack(text, true)
		if n < len(text) {
			return strings.Count(string(text[:n]), "socket.waitReadable(")
		}
		text = make([]byte, 2*len(text))
	}
}

func TestPark_thousandsOfIdleConnectionsHoldOneSmallGoroutineEach(t *testing.T) {
	n := 2000
	if raceDetector {
		n = 500
	}
	w := newCrowd(t)
	before := w.goroutines()
	peers := w.gather(t, n, loopback) // each has sent a message, a pong and a ping
	defer hangUp(peers)
	testkit.Eventually(t, 2*testWait, func() bool { return parked() == n })
	const own = 20 // of the server, and of net/http that are about to end
	testkit.Eventually(t, testWait, func() bool { return w.goroutines() <= before+n+own })
	if hands := w.hands(); hands > idleHands {
		t.Errorf("%d hands are idle", hands)
	}
	for _, p := range peers[:10] {
		p.ask(t)
	}
	testkit.Eventually(t, testWait, func() bool { return parked() == n })
}

// Pings, pongs and messages come in any number of packets; what is answered is answered
// in order.
func TestPark_whatComesInOnePacketOrInManyIsDoneInOrder(t *testing.T) {
	w := newCrowd(t)
	var script []byte
	for _, f := range [][]byte{peerFrame(opPing, []byte("1")), w.command, peerFrame(opPong, []byte("x")), peerFrame(opPing, []byte("2")), peerFrame(opPing, nil), w.command} {
		script = append(script, f...)
	}
	for _, size := range []int{len(script), len(script)/2 + 1, 100, 7, 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p := w.knock(t, loopback)
			defer p.Close()
			go func() {
				for rest := script; len(rest) > 0; {
					n := min(size, len(rest))
					p.send(t, rest[:n])
					rest = rest[n:]
				}
			}()
			for i, want := range []struct {
				op      byte
				payload string
			}{{opPong, "1"}, {opText, ""}, {opPong, "2"}, {opPong, ""}, {opText, ""}} {
				if got := p.read(t, want.op); want.op == opPong && string(got) != want.payload {
					t.Errorf("answer %d is %q, want %q", i, got, want.payload)
				}
			}
		})
	}
}

//control:proves frames
func TestPark_halfAFrameAndThenSilenceEndsByTheMessageDeadline(t *testing.T) {
	w := newCrowd(t)
	w.server.frames.MessageDeadline = 50 * time.Millisecond
	ping := peerFrame(opPing, []byte("ping"))
	for name, sent := range map[string][]byte{
		"half a header":                     w.command[:1],
		"a header":                          w.command[:8],
		"half a message":                    w.command[:len(w.command)/2],
		"half a ping":                       ping[:len(ping)-1],
		"a message and half a header":       append(bytes.Clone(w.command), w.command[:3]...),
		"a ping and half a message":         append(bytes.Clone(ping), w.command[:20]...),
		"a fragment and then a whole ping":  append([]byte(wireFrame(opText, short(1), "{")), ping...),
		"a message and then half of a ping": append(bytes.Clone(w.command), ping[:3]...),
	} {
		t.Run(name, func(t *testing.T) {
			p := w.knock(t, loopback)
			defer p.Close()
			p.send(t, sent)
			if code := p.closed(t); code != closePolicy {
				t.Errorf("closed with %d, want %d", code, closePolicy)
			}
		})
	}
	w.events.has(t, audit.FrameAbuse, "slow_message")
}

//control:proves close
func TestPark_aCloseEndsAParkedConnectionAtOnce(t *testing.T) {
	w := newCrowd(t) // pings come once an hour, and so would the end
	conn := func() (*peer, *conn) {
		p := w.knock(t, loopback)
		testkit.Eventually(t, testWait, func() bool { return parked() == 1 })
		return p, w.server.hub.everyone()[0]
	}
	t.Run("revoked", func(t *testing.T) {
		p, c := conn()
		w.server.Revoke(chat.Revocation{Session: c.actor.Session, At: time.Now()})
		if code := p.closed(t); code != closeRevoked {
			t.Errorf("closed with %d, want %d", code, closeRevoked)
		}
		w.atRest()
	})
	t.Run("the pong is late", func(t *testing.T) {
		p, c := conn()
		c.setReadDeadline(time.Now().Add(20 * time.Millisecond))
		if code := p.closed(t); code != closeHeartbeat {
			t.Errorf("closed with %d, want %d", code, closeHeartbeat)
		}
		w.atRest()
	})
	t.Run("the peer hangs up", func(t *testing.T) {
		p, _ := conn()
		_ = p.Close()
		w.atRest()
	})
	t.Run("the node stops", func(t *testing.T) {
		p, _ := conn()
		defer p.Close()
		w.stop()
		p.read(t, opText) // the notice
		if code := p.closed(t); code != closeRestart {
			t.Errorf("closed with %d, want %d", code, closeRestart)
		}
	})
}

//control:proves concurrency
func TestCrew_whoeverIsSlowHoldsUpNobodyElse(t *testing.T) {
	const slow = idleHands + 10
	w := newCrowd(t)
	var waiting sync.WaitGroup
	waiting.Add(slow)
	release := make(chan struct{})
	w.chat.before = func(what string) error {
		if what == "react" {
			waiting.Done()
			<-release
		}
		return nil
	}
	peers := make([]*peer, slow)
	for i := range peers {
		peers[i] = w.knock(t, loopback)
		peers[i].send(t, w.command)
	}
	defer hangUp(peers)
	waiting.Wait() // all at once
	c := w.login().connect()
	if f := c.join(w.room); f.Type != "ack" {
		t.Errorf("answer %+v", f)
	}
	close(release)
	for _, p := range peers {
		p.read(t, opText)
	}
	testkit.Eventually(t, testWait, func() bool { return parked() == slow+1 && w.hands() == idleHands })
}

// A panic on a borrowed stack is its connection's and not its lender's.
//
//control:proves dispatch
func TestCrew_aPanicEndsTheConnectionAndTheHandGoesOn(t *testing.T) {
	w := newCrowd(t)
	w.knock(t, loopback).ask(t)
	testkit.Eventually(t, testWait, func() bool { return w.hands() == 1 })
	calm := w.chat.before
	w.chat.before = func(string) error { panic("secret value") }
	p := w.knock(t, loopback)
	defer p.Close()
	p.send(t, w.command)
	if code := p.closed(t); code != closeInternal {
		t.Errorf("closed with %d, want %d", code, closeInternal)
	}
	testkit.Eventually(t, testWait, func() bool { return w.hands() == 1 && len(w.server.hub.everyone()) == 1 })
	w.chat.before = calm
	w.knock(t, loopback).ask(t)
}
