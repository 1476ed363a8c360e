package socket

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
)

// handshakeOrder is the order that the design pins.
var handshakeOrder = []string{
	"host", "protocol", "origin", "client-ip", "handshake-rate", "node-cap", "session", "subprotocol",
	"ticket", "identity", "lease", "upgrade", "register", "recheck", "hello",
}

// pauses records steps and runs something at one of them.
type pauses struct {
	mu    sync.Mutex
	steps []string
	at    map[string]func()
}

func (p *pauses) step(name string) {
	p.mu.Lock()
	p.steps = append(p.steps, name)
	do := p.at[name]
	p.mu.Unlock()
	if do != nil {
		do()
	}
}

func (p *pauses) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.steps)
}

//control:proves first-message
//control:proves handshake
//control:proves revocation-race
func TestAccept_asksInTheOneOrderOnEveryRoute(t *testing.T) {
	for _, path := range []string{"/ws", "/ws/auth", "/ws/cli"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t, overTCP)
			p := &pauses{}
			w.server.SetPause(p.step)
			l := w.login()
			c, _, err := w.try(l.request(path))
			if err != nil {
				t.Fatal(err)
			}
			if path == "/ws/auth" {
				c.send(wire.Auth, map[string]any{"ticket": w.tickets.issue(l, path)})
			}
			if f := c.read(); f.Type != "hello" {
				t.Fatalf("first frame: %+v", f)
			}
			if got := p.seen(); !slices.Equal(got, handshakeOrder) {
				t.Errorf("steps:\n got %v\nwant %v", got, handshakeOrder)
			}
		})
	}
}

// spoil is one thing wrong with a handshake that is right in every other point.
type spoil struct {
	name   string
	path   string // "" is /ws
	do     func(w *world, l login, r *request)
	status int
	step   string // the last step that ran
	event  audit.Name
	reason string
}

func spoils() []spoil {
	return []spoil{
		{"host", "", func(w *world, _ login, _ *request) { w.host.err = errors.New("no") }, 421, "host", audit.HandshakeReject, "host"},
		{"no origin", "", func(_ *world, _ login, r *request) { r.header.Del("Origin") }, 403, "origin", audit.MaliciousCORS, "origin"},
		{"sibling origin", "", func(_ *world, _ login, r *request) { r.header.Set("Origin", "https://evil.example.com") }, 403, "origin", audit.MaliciousCORS, "origin"},
		{"origin on the route of programs", "/ws/cli", func(_ *world, _ login, r *request) { r.header.Set("Origin", testOrigin) }, 403, "origin", audit.MaliciousCORS, "origin"},
		{"no readable address", "", func(w *world, _ login, _ *request) { w.ip.unreadable = true }, 400, "client-ip", audit.HandshakeReject, "client_ip"},
		{"too many handshakes", "", func(w *world, _ login, _ *request) { w.limits.refused = true }, 429, "handshake-rate", audit.RateLimitExceeded, "handshake_rate"},
		{"limiter away", "", func(w *world, _ login, _ *request) { w.limits.err = errors.New("down") }, 503, "handshake-rate", audit.FailClosed, "limiter"},
		{"node full", "", func(w *world, _ login, _ *request) { w.gate.full = true }, 503, "node-cap", audit.HandshakeReject, "node_full"},
		{"no cookie", "", func(_ *world, _ login, r *request) { r.header.Del("Cookie") }, 401, "session", audit.HandshakeReject, "no_session"},
		{"no cookie on the first-message route", "/ws/auth", func(_ *world, _ login, r *request) { r.header.Del("Cookie") }, 401, "session", audit.HandshakeReject, "no_session"},
		{"session ended", "", func(w *world, l login, _ *request) { w.sessions.revoke(l.sid) }, 401, "session", audit.HandshakeReject, "no_session"},
		{"session store away", "", func(w *world, _ login, _ *request) { w.sessions.fail(errors.New("down")) }, 503, "session", audit.FailClosed, "session_store"},
		{"no subprotocol", "", func(_ *world, _ login, r *request) { r.protocols = nil }, 400, "subprotocol", audit.HandshakeReject, "subprotocol"},
		{"unknown subprotocol", "", func(_ *world, _ login, r *request) { r.protocols[0] = "portcullis.v9.json" }, 400, "subprotocol", audit.HandshakeReject, "subprotocol"},
		{"flood of subprotocols", "", func(_ *world, _ login, r *request) {
			r.protocols = append(r.protocols, "a", "b", "c", "d", "e", "f", "g")
		}, 400, "subprotocol", audit.HandshakeReject, "subprotocol"},
		{"two tickets", "", func(w *world, l login, r *request) {
			r.protocols = append(r.protocols, "ticket."+w.tickets.issue(l, "/ws"))
		}, 401, "subprotocol", audit.HandshakeReject, "several_tickets"},
		{"no ticket", "", func(_ *world, _ login, r *request) { r.protocols = r.protocols[:1] }, 401, "ticket", audit.HandshakeReject, "no_ticket"},
		{"forged ticket", "", func(_ *world, _ login, r *request) { r.protocols[1] = "ticket.abc" }, 401, "ticket", audit.HandshakeReject, "malformed"},
		{"ticket of another route", "", func(w *world, l login, r *request) {
			r.protocols[1] = "ticket." + w.tickets.issue(l, "/ws/cli")
		}, 401, "ticket", audit.HandshakeReject, "audience"},
		{"stolen ticket with the thief's own cookie", "", func(w *world, _ login, r *request) {
			r.protocols[1] = "ticket." + w.tickets.issue(w.login(), "/ws")
		}, 401, "ticket", audit.HandshakeReject, "other_session"},
		{"ticket store away", "", func(w *world, _ login, _ *request) { w.tickets.err = &ticket.Refused{Why: ticket.Unavailable} }, 503, "ticket", audit.FailClosed, "unavailable"},
		{"cookie instead of a bearer ticket", "/ws/cli", func(_ *world, l login, r *request) {
			r.header = http.Header{"Cookie": l.request("/ws").header["Cookie"]}
		}, 401, "ticket", audit.HandshakeReject, "no_ticket"},
		{"bearer ticket of an ended session", "/ws/cli", func(w *world, l login, _ *request) { w.sessions.revoke(l.sid) }, 401, "ticket", audit.HandshakeReject, "no_session"},
		{"disabled user", "", func(w *world, _ login, _ *request) { w.accounts.err = chat.ErrDenied }, 401, "identity", audit.HandshakeReject, "account"},
		{"user store away", "", func(w *world, _ login, _ *request) { w.accounts.err = errors.New("down") }, 503, "identity", audit.FailClosed, "account_store"},
		{"lease store away", "", func(w *world, _ login, _ *request) { w.leases.err = errors.New("down") }, 503, "lease", audit.LeaseUnavailable, "lease_store"},
		{"too many sockets of one user", "", func(w *world, l login, _ *request) {
			for i := range 5 {
				w.leases.held[string(rune('a'+i))] = l.user.UUID
			}
		}, 429, "lease", audit.SessionsExceeded, "user_full"},
	}
}

//control:proves admission
//control:proves handshake-protocol
//control:proves handshake
//control:proves host
//control:proves origin
//control:proves ticket
func TestAccept_refusesAndLeavesNothingBehind(t *testing.T) {
	for _, s := range spoils() {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			p := &pauses{}
			w.server.SetPause(p.step)
			l := w.login()
			path := s.path
			if path == "" {
				path = "/ws"
			}
			r := l.request(path)
			s.do(w, l, &r)
			before := w.leases.count()
			c, resp, err := w.try(r)
			if err == nil {
				_ = c.ws.Close()
				t.Fatal("connected")
			}
			if resp == nil || resp.StatusCode != s.status {
				t.Fatalf("answer %v, want status %d", resp, s.status)
			}
			body, _ := io.ReadAll(resp.Body)
			var got map[string]string
			if err := json.Unmarshal(body, &got); err != nil || len(got) != 3 || got["code"] == "" || got["message"] == "" || got["request_id"] == "" {
				t.Errorf("body %s: %v", body, err)
			}
			if !resp.Close {
				t.Error("the connection stays open after a refusal")
			}
			if (s.status == 429 || s.status == 503) && resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if steps := p.seen(); steps[len(steps)-1] != s.step {
				t.Errorf("refused at %q, want %q", steps[len(steps)-1], s.step)
			}
			if s.step != "ticket" && w.tickets.spent() > 0 && slices.Index(handshakeOrder, s.step) < slices.Index(handshakeOrder, "ticket") {
				t.Error("the ticket was spent by a handshake that failed before it")
			}
			w.events.has(t, s.event, s.reason)
			w.events.has(t, audit.HandshakeReject, s.reason)
			testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 })
			if got := w.leases.count(); got != before {
				t.Errorf("%d leases, before %d", got, before)
			}
			clear(w.leases.held)
		})
	}
}

//control:proves handshake
func TestAccept_sessionAndTicketFailuresAreTheSameBytes(t *testing.T) {
	bodies := map[string]bool{}
	for _, s := range spoils() {
		if s.status != 401 || s.path != "" {
			continue
		}
		w := newWorld(t, overTCP)
		l := w.login()
		r := l.request("/ws")
		s.do(w, l, &r)
		_, resp, _ := w.try(r)
		body, _ := io.ReadAll(resp.Body)
		var got map[string]string
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		bodies[strings.ReplaceAll(string(body), got["request_id"], "")+resp.Header.Get("Content-Type")] = true
	}
	if len(bodies) != 1 {
		t.Errorf("%d different bodies for 401: %v", len(bodies), bodies)
	}
}

//control:proves handshake-protocol
func TestAccept_refusesWhatIsNotAHandshake(t *testing.T) {
	w := newWorld(t, overTCP)
	for _, test := range []struct {
		name, method string
		header       map[string]string
		body         string
		want         int
	}{
		{"plain HTTP", "GET", map[string]string{"Upgrade": "", "Connection": ""}, "", 426},
		{"old version", "GET", map[string]string{"Sec-WebSocket-Version": "8"}, "", 426},
		{"two versions", "GET", map[string]string{"Sec-WebSocket-Version": "8, 13"}, "", 426},
		{"post", "POST", nil, "", 405},
		{"short key", "GET", map[string]string{"Sec-WebSocket-Key": "AAAA"}, "", 400},
		{"body", "GET", nil, "hello", 400},
		{"a list of offers that does not end", "GET", map[string]string{"Sec-WebSocket-Protocol": "portcullis.v1.json, " + strings.Repeat("a", 5000)}, "", 400},
		{"long extensions", "GET", map[string]string{"Sec-WebSocket-Extensions": strings.Repeat("a, ", 1000)}, "", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), test.method, "http://chat.example.com/ws", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = w.login().request("/ws").header
			for k, v := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
				req.Header.Set(k, v)
			}
			// A good offer with a good ticket, so that the fault is the only one.
			req.Header.Set("Sec-WebSocket-Protocol", strings.Join(w.login().request("/ws").protocols, ", "))
			for k, v := range test.header {
				req.Header.Set(k, v)
			}
			transport := &http.Transport{DialContext: w.dial, DisableKeepAlives: true}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != test.want {
				t.Errorf("status %d, want %d", resp.StatusCode, test.want)
			}
			if test.want == 426 && (resp.Header.Get("Sec-Websocket-Version") != "13" || resp.Header.Get("Upgrade") != "websocket") {
				t.Errorf("426 without the way to do it: %v", resp.Header)
			}
		})
	}
}

//control:proves handshake-protocol
//control:proves ticket
func TestAccept_aTicketWorksOnce(t *testing.T) {
	w := newWorld(t, overTCP)
	r := w.login().request("/ws")
	c, resp, err := w.try(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Sec-Websocket-Protocol"); got != wire.Subprotocol {
		t.Errorf("selected %q", got)
	}
	c.read()
	_, resp, err = w.try(r)
	if err == nil || resp.StatusCode != 401 {
		t.Errorf("second use: %v, %v", resp, err)
	}
	w.events.has(t, audit.TokenReuse, "reused")
}

//control:proves revocation-race
func TestAccept_aSessionRevokedBetweenCheckAndRegistrationGetsNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		step   string
		revoke func(w *world, l login)
	}{
		{"the second look finds it", "register", func(w *world, l login) {
			w.sessions.revoke(l.sid)
			w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: l.sid}, At: time.Now()}) // finds nobody yet
		}},
		{"the revocation finds the connection", "recheck", func(w *world, l login) {
			w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: l.sid}, At: time.Now()})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			l := w.login()
			p := &pauses{at: map[string]func(){test.step: func() { test.revoke(w, l) }}}
			w.server.SetPause(p.step)
			c, _, err := w.try(l.request("/ws"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := c.tryRead()
			if e, ok := errors.AsType[*websocket.CloseError](err); !ok || e.Code != int(closeRevoked) || e.Text != "session_revoked" {
				t.Errorf("read %+v, %v; want only close 4403", f, err)
			}
			_ = c.ws.Close()
			testkit.Eventually(t, testWait, func() bool { _, ok := w.events.find(audit.RevokeRaceStop); return ok })
			testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 })
		})
	}
}

//control:proves handshake
func TestAccept_aPanicInTheHandshakeLeavesNothingBehind(t *testing.T) {
	for _, step := range handshakeOrder[:11] {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, overTCP)
			w.server.SetPause(func(at string) {
				if at == step {
					panic(http.ErrAbortHandler)
				}
			})
			if c, _, err := w.try(w.login().request("/ws")); err == nil {
				_ = c.ws.Close()
				t.Error("connected")
			}
			testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 && w.leases.count() == 0 })
		})
	}
}

//control:proves handshake
//control:proves drain
func TestAccept_aNodeThatStopsRefuses(t *testing.T) {
	w := newWorld(t, overTCP)
	w.server.mu.Lock()
	w.server.draining = true
	w.server.mu.Unlock()
	_, resp, err := w.try(w.login().request("/ws"))
	if err == nil || resp.StatusCode != 503 {
		t.Errorf("%v, %v", resp, err)
	}
}

//control:proves first-message
func TestAuth_theFirstMessageDecides(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(w *world, l login, c *client)
		want int
		why  string
	}{
		{"another command", func(_ *world, _ login, c *client) {
			c.send(wire.RoomJoin, map[string]any{"room_id": uuid.NewString()})
		}, 4401, "not_auth"},
		{"forged ticket", func(_ *world, _ login, c *client) { c.send(wire.Auth, map[string]any{"ticket": "abc"}) }, 4401, "malformed"},
		{"ticket of /ws", func(w *world, l login, c *client) {
			c.send(wire.Auth, map[string]any{"ticket": w.tickets.issue(l, "/ws")})
		}, 4401, "audience"},
		{"somebody else's ticket", func(w *world, _ login, c *client) {
			c.send(wire.Auth, map[string]any{"ticket": w.tickets.issue(w.login(), "/ws/auth")})
		}, 4401, "other_session"},
		{"too long", func(_ *world, _ login, c *client) {
			_ = c.ws.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", authBytes+1)))
		}, 4401, "too_big"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			l := w.login()
			c, _, err := w.try(l.request("/ws/auth"))
			if err != nil {
				t.Fatal(err)
			}
			test.send(w, l, c)
			if code := c.closed(); code != test.want {
				t.Errorf("closed with %d, want %d", code, test.want)
			}
			w.events.has(t, audit.HandshakeReject, test.why)
		})
	}
}

func TestAccept_refusesOtherVersionsOfHTTP(t *testing.T) {
	w := newWorld(t, overTCP)
	for _, version := range []struct{ major, minor int }{{1, 0}, {2, 0}} { // RFC 6455 section 4.1 wants 1.1; RFC 8441 is not supported
		l := w.login()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://chat.example.com/ws", nil)
		req.ProtoMajor, req.ProtoMinor = version.major, version.minor
		req.Header = l.request("/ws").header
		for k, v := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
			"Sec-WebSocket-Protocol": strings.Join(l.request("/ws").protocols, ", ")} {
			req.Header.Set(k, v)
		}
		res := httptest.NewRecorder()
		w.server.WS().ServeHTTP(res, req)
		if res.Code != http.StatusBadRequest {
			t.Errorf("HTTP/%d.%d: status %d, want 400", version.major, version.minor, res.Code)
		}
	}
	w.events.has(t, audit.HandshakeReject, "http_version")
}
