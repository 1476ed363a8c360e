package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/tunnel"
)

// The close codes of docs/protocol.md.
const (
	closeBye     = 1000
	closeRestart = 1012
	closeLater   = 1013
	closeRevoked = 4403
	closePolicy  = 4440
)

const hello = "SSH-2.0-test\r\n"

// begin opens a tunnel to a greeter and greets, so that bytes flow.
func begin(t *testing.T, n *node, p person, target string) *wsConn {
	t.Helper()
	c := n.open(p, target)
	_, err := io.WriteString(c, hello)
	must(t, err)
	want := "SSH-2.0-server\r\n" + hello // its greeting, and ours from its echo
	got := make([]byte, len(want))
	_ = c.SetReadDeadline(time.Now().Add(testWait))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	_ = c.SetReadDeadline(time.Time{})
	return c
}

const greeting = "SSH-2.0-server\r\n"

// Names that are no targets, and other people's spellings of one that is, get the very
// answer of a target without a valid ticket, and nothing is dialled.
//
//control:proves tunnel
func TestTunnel_aNameThatIsNotConfiguredIsRefusedLikeOneThatIs(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	w := newWorld(t, s.target)
	n := w.node()
	p := w.granted("bastion")
	answer := func(path, route string) string {
		_, resp, err := n.try(p, path, route)
		if err == nil {
			t.Fatalf("%s opened", path)
		}
		if resp == nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, _ := io.ReadAll(resp.Body)
		header := resp.Header.Clone()
		header.Del("Date")
		id := strings.SplitN(string(body), `"request_id":"`, 2)
		return fmt.Sprint(resp.StatusCode, header, id[0])
	}
	want := answer(Prefix+"bastion", "/ws") // a ticket of the chat, for a target that is there
	if !strings.HasPrefix(want, "401") {
		t.Fatalf("a chat ticket at a tunnel: %s", want)
	}
	port := fmt.Sprint(s.target.Port)
	for _, name := range []string{
		"127.0.0.1:" + port, "127.0.0.1:6379", "localhost:" + port, "169.254.169.254", "2130706433:" + port, "0177.0.0.1:" + port, "0x7f000001:" + port, "127.1:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "%5B::1%5D",
		"127.0.0.1.nip.io:" + port, "7f000001.rbndr.us", "bastion@127.0.0.1", "bastion%40127.0.0.1", "bastion:" + port, "BASTION", "Bastion", "bastion.", "bastion%00", "bastion%20", "%62astion", "bastion%2f", "bastion%2F..%2Fbastion",
		"bastion;hostkey=", "b%D0%B0stion", "bastion%E2%80%8B", "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1", "", "-", "*", "http:%2f%2f127.0.0.1:" + port, strings.Repeat("a", 33), strings.Repeat("a", 2000),
	} {
		route := Prefix + name
		if len(route) > 300 { // no ticket can name it
			route = Prefix
		}
		if got := answer(Prefix+name, route); got != want {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
	if s.visits() != 0 {
		t.Errorf("the target was dialled %d times", s.visits())
	}
}

// The chat's ticket is no tunnel's, one tunnel's is no other's, and a tunnel's is not the chat's.
//
//control:proves tunnel
func TestTunnel_aTicketIsForOneTargetAndForNothingElse(t *testing.T) {
	a, b := greeter(t, "bastion", greeting), greeter(t, "other", greeting)
	w := newWorld(t, a.target, b.target)
	n := w.node()
	p := w.granted("bastion")
	w.grants.give(p, "other", time.Hour)
	for _, tt := range []struct{ path, route string }{
		{Prefix + "bastion", "/ws"}, {Prefix + "bastion", Prefix + "other"}, {Prefix + "bastion", Prefix}, {Prefix + "bastion", "/ws/cli"}, {"/ws", Prefix + "bastion"},
	} {
		if _, resp, err := n.try(p, tt.path, tt.route); err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("a ticket for %s at %s: %v %v", tt.route, tt.path, resp, err)
		}
	}
	if a.visits()+b.visits() != 0 {
		t.Error("a target was dialled")
	}
}

//control:proves tunnel
func TestTunnel_withoutAGrantNothingIsDialled(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	w := newWorld(t, s.target)
	n := w.node()
	p := w.person() // the grant went between the ticket and the handshake
	if code := n.open(p, "bastion").ended(t); code != closePolicy {
		t.Errorf("closed with %d", code)
	}
	if e := w.event(audit.TunnelDenied, "no_grant"); e.Level != audit.Critical || e.User != p.user.String() {
		t.Errorf("%+v", e)
	}
	w.grants.fail(errors.New("no database"))
	if code := n.open(w.person(), "bastion").ended(t); code != closeLater {
		t.Errorf("a store that does not answer: closed with %d", code)
	}
	if s.visits() != 0 {
		t.Error("the target was dialled")
	}
}

// Behind an ssh: target is Redis: it gets not one byte, however the client begins.
//
//control:proves tunnel
func TestTunnel_aServerOfAnotherProtocolGetsNothing(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		target       func(t *testing.T) *service
	}{
		{"redis waits to be spoken to", "server_silent", func(t *testing.T) *service { return redisLike(t, "bastion") }},
		{"a mail server greets", "server_protocol", func(t *testing.T) *service { return greeter(t, "bastion", "220 mail ESMTP\r\n") }},
		{"ssh of the first version", "server_protocol", func(t *testing.T) *service { return greeter(t, "bastion", "SSH-1.99-x\r\n") }},
		{"a line that never ends", "server_protocol", func(t *testing.T) *service { return greeter(t, "bastion", "SSH-2.0-"+strings.Repeat("a", 400)) }},
		{"a server that hangs up", "server_closed", func(t *testing.T) *service { return serve(t, "bastion", tunnel.SSH, func(net.Conn) {}) }},
	} {
		ok := t.Run(tt.name, func(t *testing.T) {
			s := tt.target(t)
			w := newWorld(t, s.target)
			w.limits.Opening, w.limits.Idle = 200*time.Millisecond, time.Second
			c := w.node().open(w.granted("bastion"), "bastion")
			_, err := io.WriteString(c, "SSH-2.0-x\r\nFLUSHALL\r\n")
			must(t, err)
			if code := c.ended(t); code != closePolicy {
				t.Errorf("closed with %d", code)
			}
			w.event(audit.TunnelDenied, tt.reason)
			if got := s.said(); got != "" {
				t.Errorf("the server got %q", got)
			}
		})
		if !ok {
			return // the others would wait for an end that does not come, too
		}
	}
}

// A browser's or a robot's HTTP in an SSH tunnel ends before the server sees it, also
// when it comes byte by byte.
//
//control:proves tunnel
func TestTunnel_aClientOfAnotherProtocolReachesNobody(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		send         []string
	}{
		{"http", "client_protocol", []string{"GET / HTTP/1.1\r\nHost: inside\r\n\r\n"}},
		{"redis after half a greeting", "client_protocol", []string{"SSH-", "FLUSHALL\r\n"}},
		{"a line that never ends", "client_protocol", []string{"SSH-2.0-" + strings.Repeat("a", 400)}},
		{"nothing", "client_silent", nil},
		{"half a greeting", "client_silent", []string{"SSH-2.0-x"}},
		{"empty messages", "client_silent", []string{"", "", ""}},
	} {
		ok := t.Run(tt.name, func(t *testing.T) {
			s := greeter(t, "bastion", greeting)
			w := newWorld(t, s.target)
			w.limits.Opening, w.limits.Idle = 300*time.Millisecond, time.Second
			c := w.node().open(w.granted("bastion"), "bastion")
			for _, m := range tt.send {
				_, err := io.WriteString(c, m)
				must(t, err)
			}
			if code := c.ended(t); code != closePolicy {
				t.Errorf("closed with %d", code)
			}
			w.event(audit.TunnelDenied, tt.reason)
			if got := s.said(); got != "" {
				t.Errorf("the server got %q", got)
			}
			if _, opened := w.events.find(audit.TunnelOpen); opened {
				t.Error("the log says that it opened")
			}
		})
		if !ok {
			return // the others would wait for an end that does not come, too
		}
	}
}

// A target that is down and one that is another protocol are one answer, so that a
// tunnel tells nothing about what listens inside.
func TestTunnel_aTargetThatIsDownIsNotToldApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ap := netip.MustParseAddrPort(l.Addr().String())
	must(t, l.Close())
	w := newWorld(t, tunnel.Target{Name: "bastion", Protocol: tunnel.SSH, Host: ap.Addr().String(), Port: ap.Port()})
	if code := w.node().open(w.granted("bastion"), "bastion").ended(t); code != closePolicy {
		t.Errorf("closed with %d", code)
	}
	w.event(audit.TunnelDenied, "unreachable")
}

//control:proves tunnel
func TestTunnel_endsWithItsQuota(t *testing.T) {
	for _, tt := range []struct{ name, reason string }{{"up", "quota_up"}, {"down", "quota_down"}} {
		t.Run(tt.name, func(t *testing.T) {
			const quota = 1 << 16
			var s *service
			if tt.name == "down" {
				s = serve(t, "bastion", tunnel.SSH, func(c net.Conn) {
					_, _ = io.WriteString(c, greeting)
					b := make([]byte, len(hello))
					_, _ = io.ReadFull(c, b)
					_, _ = c.Write(b)
					_, _ = c.Write(make([]byte, 4*quota))
				})
			} else {
				s = serve(t, "bastion", tunnel.SSH, func(c net.Conn) {
					_, _ = io.WriteString(c, greeting+hello)
					_, _ = io.Copy(io.Discard, c)
				})
			}
			w := newWorld(t, s.target)
			w.limits.Bytes = quota
			c := begin(t, w.node(), w.granted("bastion"), "bastion")
			if tt.name == "up" {
				for range 8 {
					if _, err := c.Write(make([]byte, quota/4)); err != nil {
						break
					}
				}
			}
			if code := c.ended(t); code != closePolicy {
				t.Errorf("closed with %d", code)
			}
			if e := w.event(audit.TunnelClose, tt.reason); e.Count > quota+1024 {
				t.Errorf("%d bytes went through", e.Count)
			}
			if n := len(s.said()); n > quota {
				t.Errorf("the server got %d bytes", n)
			}
		})
	}
}

//control:proves tunnel
func TestTunnel_endsInSilenceAndWithItsGrant(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	t.Run("idle", func(t *testing.T) {
		w := newWorld(t, s.target)
		w.limits.Idle = 300 * time.Millisecond
		c := begin(t, w.node(), w.granted("bastion"), "bastion")
		for range 5 { // longer than Idle, and never silent
			<-time.After(w.limits.Idle / 3)
			_, err := io.WriteString(c, "x")
			must(t, err)
		}
		if code := c.ended(t); code != closePolicy {
			t.Errorf("closed with %d", code)
		}
		if e := w.event(audit.TunnelClose, "idle"); e.Took < 2*w.limits.Idle {
			t.Errorf("ended after %v, though bytes came", e.Took)
		}
	})
	t.Run("grant", func(t *testing.T) {
		w := newWorld(t, s.target)
		p := w.person()
		w.grants.give(p, "bastion", 500*time.Millisecond)
		if code := begin(t, w.node(), p, "bastion").ended(t); code != closePolicy {
			t.Errorf("closed with %d", code)
		}
		w.event(audit.TunnelClose, "time")
	})
	t.Run("lifetime", func(t *testing.T) {
		w := newWorld(t, s.target)
		w.limits.Lifetime = 500 * time.Millisecond
		if code := begin(t, w.node(), w.granted("bastion"), "bastion").ended(t); code != closePolicy {
			t.Errorf("closed with %d", code)
		}
		w.event(audit.TunnelClose, "time")
	})
}

// Whoever signs out, or loses the grant, loses the tunnel at once and in the middle of it.
//
//control:proves tunnel
func TestTunnel_endsWithSignOutAndWithItsGrantTaken(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	for _, tt := range []struct {
		name string
		end  func(w *world, n *node, p person)
		code int
		why  string
	}{
		{"sign out", func(w *world, n *node, p person) {
			w.sessions.end(p.sid)
			n.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: p.sid}, User: p.user, Reason: "sign_out", At: time.Now()})
		}, closeRevoked, "session_revoked"},
		{"grant taken", func(w *world, n *node, p person) {
			w.grants.take(p, "bastion")
			n.server.Revoke(chat.Revocation{User: p.user, Tunnel: "bastion", Reason: "tunnel_revoked", At: time.Now()})
		}, closeRevoked, "session_revoked"},
		{"grant replaced", func(w *world, n *node, p person) {
			w.grants.give(p, "bastion", time.Minute)
			n.server.Revoke(chat.Revocation{User: p.user, Tunnel: "bastion", Reason: "tunnel_replaced", At: time.Now()})
		}, closeRevoked, "session_revoked"},
		{"grant unreadable", func(w *world, n *node, p person) {
			w.grants.fail(errors.New("no database"))
			n.server.Revoke(chat.Revocation{User: p.user, Tunnel: "bastion", Reason: "tunnel_revoked", At: time.Now()})
		}, closeLater, "try_later"},
		{"blind node", func(_ *world, n *node, _ person) { n.server.Blind() }, closeLater, "try_later"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, s.target)
			n := w.node()
			p := w.granted("bastion")
			c := begin(t, n, p, "bastion")
			tt.end(w, n, p)
			if code := c.ended(t); code != tt.code {
				t.Errorf("closed with %d, want %d", code, tt.code)
			}
			w.event(audit.TunnelClose, tt.why)
		})
	}
}

// What is taken from one, for one target, ends nobody else's tunnel and no other one.
func TestTunnel_goesOnWhenSomethingElseIsTaken(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	w := newWorld(t, s.target)
	n := w.node()
	p := w.granted("bastion")
	c := begin(t, n, p, "bastion")
	now := time.Now()
	n.server.Revoke(chat.Revocation{User: p.user, Tunnel: "other", Reason: "tunnel_revoked", At: now})
	n.server.Revoke(chat.Revocation{User: chat.UserID{UUID: uuid.New()}, Tunnel: "bastion", Reason: "tunnel_revoked", At: now})
	n.server.Revoke(chat.Revocation{User: p.user, Tunnel: "bastion", Reason: "tunnel_revoked", At: now}) // late news of a grant that was given again
	for range 20 {
		_, err := io.WriteString(c, "y")
		must(t, err)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// A user has one tunnel, whichever node and target they ask; when it ends, another may begin.
//
//control:proves tunnel
func TestTunnel_isOneForEachUserOverAllNodes(t *testing.T) {
	a, b := greeter(t, "bastion", greeting), greeter(t, "other", greeting)
	w := newWorld(t, a.target, b.target)
	first, second := w.node(), w.node()
	p := w.granted("bastion")
	w.grants.give(p, "other", time.Hour)
	c := begin(t, first, p, "bastion")
	for _, n := range []*node{first, second} {
		for _, target := range []string{"bastion", "other"} {
			_, resp, err := n.try(p, Prefix+target, Prefix+target)
			if err == nil || resp == nil || resp.StatusCode != http.StatusTooManyRequests {
				t.Fatalf("a second tunnel to %s: %v %v", target, resp, err)
			}
		}
	}
	begin(t, second, w.granted("other"), "other") // another user is not in the way
	_ = c.Close()
	eventually(t, func() bool {
		ws, _, err := second.try(p, Prefix+"other", Prefix+"other")
		if err == nil {
			_ = ws.Close()
		}
		return err == nil
	})
}

// A client that reads nothing holds the target back instead of filling our memory, and
// is cut off after a while.
//
//control:proves tunnel
func TestTunnel_aReaderThatStopsHoldsTheTargetBack(t *testing.T) {
	const flood = 64 << 20
	sent := make(chan int64, 1)
	s := serve(t, "bastion", tunnel.SSH, func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		_, _ = io.ReadFull(c, make([]byte, len(hello)))
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		n, _ := io.CopyN(c, zeros{}, flood)
		sent <- n
	})
	w := newWorld(t, s.target)
	c := w.node().open(w.granted("bastion"), "bastion")
	_, err := io.WriteString(c, hello)
	must(t, err)
	if n := <-sent; n > flood/2 {
		t.Errorf("the target got rid of %d MiB for a client that reads nothing", n>>20)
	}
	_ = c.Close()
	w.event(audit.TunnelClose, "gone")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What the target said last arrives before the end does.
func TestTunnel_theLastBytesArrive(t *testing.T) {
	const last = 3 << 20
	s := serve(t, "bastion", tunnel.SSH, func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		_, _ = io.ReadFull(c, make([]byte, len(hello)))
		_, _ = io.CopyN(c, zeros{}, last)
	})
	w := newWorld(t, s.target)
	c := w.node().open(w.granted("bastion"), "bastion")
	_, err := io.WriteString(c, hello)
	must(t, err)
	_ = c.SetReadDeadline(time.Now().Add(testWait))
	got, err := io.ReadAll(c)
	if err != nil || len(got) != len(greeting)+last || !bytes.HasPrefix(got, []byte(greeting)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if code := c.ended(t); code != closeBye {
		t.Errorf("closed with %d", code)
	}
	w.event(audit.TunnelClose, "server_closed")
}

func TestTunnel_aTextMessageIsRefused(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	w := newWorld(t, s.target)
	c := begin(t, w.node(), w.granted("bastion"), "bastion")
	must(t, c.WriteMessage(1, []byte("text")))
	if code := c.ended(t); code != 1003 {
		t.Errorf("closed with %d", code)
	}
}

func TestTunnel_aStoppingNodeSaysSo(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	w := newWorld(t, s.target)
	n := w.node()
	c := begin(t, n, w.granted("bastion"), "bastion")
	code := make(chan int)
	go func() { code <- c.ended(t) }()
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	must(t, n.server.Shutdown(ctx))
	if got := <-code; got != closeRestart {
		t.Errorf("closed with %d", got)
	}
	w.event(audit.TunnelClose, "restart")
}

// names is a resolver whose answers the test changes.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if ips, ok := n[host]; ok {
		return ips, nil
	}
	return nil, errors.New("no such host")
}

// The name of a target is given another address after the start (DNS rebinding).
//
//control:proves tunnel
func TestResolve_aNameThatMovesAfterTheStartIsNotFollowed(t *testing.T) {
	s := greeter(t, "bastion", greeting)
	honest := netip.MustParseAddr(s.target.Host)
	target := s.target
	target.Host = "bastion.test"
	w := newWorld(t, target)
	dns := names{"bastion.test": {honest}}
	w.resolver = dns
	n := w.node()
	dns["bastion.test"] = []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	begin(t, n, w.granted("bastion"), "bastion")
	if s.visits() != 1 {
		t.Errorf("the target had %d visits", s.visits())
	}
}

func TestResolve_refusesNamesThatLeadNowhere(t *testing.T) {
	targets, err := tunnel.NewTargets([]tunnel.Target{{Name: "bastion", Protocol: tunnel.SSH, Host: "bastion.test", Port: 22}})
	must(t, err)
	for name, dns := range map[string]names{
		"unknown": {}, "no address": {"bastion.test": {}}, "any": {"bastion.test": {netip.IPv4Unspecified()}}, "many": {"bastion.test": {netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("224.0.0.1")}},
	} {
		r, err := New(Options{Targets: targets, Limits: tunnel.NewLimits(1, time.Second), Grants: &grants{}, Leases: noLeases{}, Resolver: dns, Now: time.Now})
		must(t, err)
		if err := r.Resolve(t.Context()); err == nil {
			t.Errorf("%s: it starts", name)
		}
		if _, err := r.dial(t.Context(), "bastion"); err == nil {
			t.Errorf("%s: it dials", name)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a relay without parts")
	}
}
