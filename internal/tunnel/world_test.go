package tunnel

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/host"
	"example.com/portcullis/internal/guard/origin"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/ticket"
	"example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/socket"
	"example.com/portcullis/internal/wire"
	"example.com/portcullis/web"
)

// TestMain fails if a goroutine of any test outlives its tunnel.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testOrigin = "http://chat.example.com"
	testWait   = 10 * time.Second
)

// world is what the nodes of a test share.
type world struct {
	t        *testing.T
	redis    *redis.Client
	sessions *sessions
	grants   *grants
	spent    *spent
	tickets  *ticket.Service
	events   *recorder
	targets  []tunnel.Target
	limits   tunnel.Limits
	resolver Resolver
}

func newWorld(t *testing.T, targets ...tunnel.Target) *world {
	t.Helper()
	server := miniredis.RunT(t)
	w := &world{
		t: t, redis: redis.NewClient(&redis.Options{Addr: server.Addr()}), sessions: &sessions{live: map[uuid.UUID]session.Session{}}, grants: &grants{m: map[string]tunnel.Grant{}},
		spent: &spent{ids: map[string]bool{}}, events: &recorder{}, targets: targets, limits: tunnel.NewLimits(1<<30, time.Minute), resolver: net.DefaultResolver,
	}
	t.Cleanup(func() { _ = w.redis.Close() })
	var err error
	w.tickets, err = ticket.New(ticket.Options{Keys: []ticket.Key{{ID: "k", Secret: secret.NewBytes([]byte("0123456789abcdef0123456789abcdef"))}}, Issuer: testOrigin, Lifetime: 30 * time.Second}, w.spent)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// node is one server of a world.
type node struct {
	*world
	server *socket.Server
	relay  *Relay
	addr   string
}

// node starts a server; the test's end stops it, and fails if that takes long.
func (w *world) node() *node {
	w.t.Helper()
	schemas, err := fs.Sub(web.FS, "schemas")
	must(w.t, err)
	codec, err := wire.NewCodec(schemas)
	must(w.t, err)
	origins, err := origin.New(testOrigin)
	must(w.t, err)
	hosts, err := host.New(testOrigin)
	must(w.t, err)
	n := &node{world: w}
	n.server, err = socket.New(socket.Options{
		Chat: struct{ socket.Chat }{}, Feed: struct{ socket.Feed }{}, Announcements: silence{}, Codec: codec, Sessions: w.sessions, Accounts: accounts{}, Tickets: w.tickets, Host: hosts, Origin: origins,
		ClientIP: clientip.New(nil), Limits: ratelimit.NewMemory(time.Now), Gate: admission.NewGate(100), Leases: admission.NewLeases(w.redis, "chat:", 30*time.Second),
		Audit: w.events, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Now: time.Now,
		Config: socket.Numbers{MessagesPerMinute: 100, MessageBurst: 20, HandshakesPerMinute: 10000, SocketsPerUser: 5, SessionIdle: time.Hour, RevalidateEvery: time.Hour, PingEvery: 25 * time.Second},
	})
	must(w.t, err)
	targets, err := tunnel.NewTargets(w.targets)
	must(w.t, err)
	n.relay, err = New(Options{Targets: targets, Limits: w.limits, Grants: w.grants, Leases: admission.NewLeases(w.redis, "tunnel:", 30*time.Second), Resolver: w.resolver, Now: time.Now})
	must(w.t, err)
	must(w.t, n.relay.Resolve(w.t.Context()))

	mux := http.NewServeMux()
	mux.Handle("/ws", n.server.WS())
	mux.Handle(Prefix, n.relay.Handler(n.server))
	h := &http.Server{Handler: mux, ReadHeaderTimeout: testWait, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	n.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Serve(l) })
	wg.Go(func() { _ = n.server.Run(ctx) })
	w.t.Cleanup(func() {
		end, done := context.WithTimeout(context.Background(), testWait)
		defer done()
		if err := n.server.Shutdown(end); err != nil {
			w.t.Errorf("Shutdown: %v", err)
		}
		_ = h.Close()
		cancel()
		wg.Wait()
	})
	return n
}

// person is somebody with a session.
type person struct {
	user chat.UserID
	sid  uuid.UUID
}

func (w *world) person() person {
	p := person{chat.UserID{UUID: uuid.New()}, uuid.New()}
	now := time.Now()
	w.sessions.put(session.Session{SID: p.sid, User: p.user.UUID, CreatedAt: now, AuthenticatedAt: now, IdleEndsAt: now.Add(time.Hour), EndsAt: now.Add(8 * time.Hour)})
	return p
}

// granted is a person with a grant for target.
func (w *world) granted(target string) person {
	p := w.person()
	w.grants.give(p, target, time.Hour)
	return p
}

// ticket is what the site would give p for route.
func (w *world) ticket(p person, route string) string {
	w.t.Helper()
	token, _, _, err := w.tickets.Issue(ticket.Claims{User: p.user.UUID, Session: p.sid, Origin: testOrigin, Route: route})
	must(w.t, err)
	return token.Reveal()
}

// try sends a handshake for path with a ticket for route.
func (n *node) try(p person, path, route string) (*websocket.Conn, *http.Response, error) {
	n.t.Helper()
	d := websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", n.addr)
	}, Subprotocols: []string{socket.BytesSubprotocol, "ticket." + n.ticket(p, route)}, HandshakeTimeout: testWait}
	ws, resp, err := d.Dial("ws://chat.example.com"+path, http.Header{"Origin": {testOrigin}, "Cookie": {session.CookieName + "=" + p.sid.String()}})
	if err == nil {
		n.t.Cleanup(func() { _ = ws.Close() })
	}
	return ws, resp, err
}

// open opens a tunnel.
func (n *node) open(p person, target string) *wsConn {
	n.t.Helper()
	ws, _, err := n.try(p, Prefix+target, Prefix+target)
	must(n.t, err)
	return &wsConn{Conn: ws}
}

// wsConn is the client's side as a net.Conn, for an SSH client.
type wsConn struct {
	*websocket.Conn
	r    io.Reader
	mu   sync.Mutex
	code int // with which the tunnel ended
}

func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.r == nil {
			kind, r, err := c.NextReader()
			if err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.code = 1006
				if e, ok := errors.AsType[*websocket.CloseError](err); ok {
					c.code = e.Code
				}
				return 0, io.EOF
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a message that is not binary")
			}
			c.r = r
		}
		n, err := c.r.Read(b)
		if err != io.EOF {
			return n, err
		}
		if c.r = nil; n > 0 {
			return n, nil
		}
	}
}

func (c *wsConn) Write(b []byte) (int, error) {
	if err := c.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// ended reads to the end and returns the close code.
func (c *wsConn) ended(t *testing.T) int {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(testWait))
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// service is a TCP server of the test's; it remembers who came and what they said.
type service struct {
	target tunnel.Target
	mu     sync.Mutex
	conns  []net.Conn
	came   int
	got    []byte
}

// serve starts a service that handles each connection with handle, which gets the
// bytes of the client through the returned service as well.
func serve(t *testing.T, name string, p tunnel.Protocol, handle func(net.Conn)) *service {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ap := netip.MustParseAddrPort(l.Addr().String())
	s := &service{target: tunnel.Target{Name: name, Protocol: p, Host: ap.Addr().String(), Port: ap.Port()}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.came++
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			wg.Go(func() { defer c.Close(); handle(&heard{c, s}) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		wg.Wait()
	})
	return s
}

func (s *service) said() string { s.mu.Lock(); defer s.mu.Unlock(); return string(s.got) }
func (s *service) visits() int  { s.mu.Lock(); defer s.mu.Unlock(); return s.came }

// heard writes down what is read.
type heard struct {
	net.Conn
	s *service
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if len(h.s.got) < 1<<16 {
		h.s.got = append(h.s.got, b[:n]...)
	}
	return n, err
}

// greeter is a service that greets and then echoes.
func greeter(t *testing.T, name, greeting string) *service {
	return serve(t, name, tunnel.SSH, func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		_, _ = io.Copy(c, c)
	})
}

// redisLike says nothing until it is spoken to, and then does what it is told.
func redisLike(t *testing.T, name string) *service {
	return serve(t, name, tunnel.SSH, func(c net.Conn) {
		for r := bufio.NewScanner(c); r.Scan(); {
			_, _ = io.WriteString(c, "+OK\r\n")
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type sessions struct {
	mu   sync.Mutex
	live map[uuid.UUID]session.Session
}

func (s *sessions) put(x session.Session) { s.mu.Lock(); defer s.mu.Unlock(); s.live[x.SID] = x }
func (s *sessions) end(sid uuid.UUID)     { s.mu.Lock(); defer s.mu.Unlock(); delete(s.live, sid) }
func (s *sessions) Live(_ context.Context, sid uuid.UUID) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.live[sid]; ok && x.EndsFirst().After(time.Now()) {
		return x, nil
	}
	return session.Session{}, session.ErrNone
}
func (s *sessions) Touch(ctx context.Context, sid uuid.UUID) (session.Session, error) {
	return s.Live(ctx, sid)
}
func (s *sessions) Peek(ctx context.Context, r *http.Request) (session.Session, error) {
	c, err := r.Cookie(session.CookieName)
	if err != nil {
		return session.Session{}, session.ErrNone
	}
	sid, err := uuid.Parse(c.Value)
	if err != nil {
		return session.Session{}, session.ErrNone
	}
	return s.Live(ctx, sid)
}

type silence struct{}

func (silence) Announced(context.Context, int64) ([]chat.Announcement, error) { return nil, nil }

type accounts struct{}

func (accounts) Actor(_ context.Context, s session.Session) (chat.Actor, error) {
	return chat.Actor{User: chat.UserID{UUID: s.User}, Session: chat.SessionID{UUID: s.SID}, Username: "somebody"}, nil
}

type grants struct {
	mu  sync.Mutex
	m   map[string]tunnel.Grant
	err error
}

func (g *grants) give(p person, target string, lasts time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.m[p.user.String()+target] = tunnel.Grant{User: p.user.UUID, Target: target, GrantedBy: uuid.New(), Reason: "test", At: now, Until: now.Add(lasts)}
}
func (g *grants) take(p person, target string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.m, p.user.String()+target)
}
func (g *grants) fail(err error) { g.mu.Lock(); defer g.mu.Unlock(); g.err = err }
func (g *grants) Grant(_ context.Context, user uuid.UUID, target string, now time.Time) (tunnel.Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x, ok := g.m[user.String()+target]
	if g.err != nil {
		return x, g.err
	}
	if !ok || !x.Until.After(now) {
		return tunnel.Grant{}, chat.ErrDenied
	}
	return x, nil
}

type spent struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (s *spent) Spend(_ context.Context, id string, _ time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.ids[id]
	s.ids[id] = true
	return first, nil
}

type recorder struct {
	mu   sync.Mutex
	list []audit.Event
}

func (r *recorder) Record(_ context.Context, e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, e)
}

func (r *recorder) find(name audit.Name) (audit.Event, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.list, func(e audit.Event) bool { return e.Name == name })
	if i < 0 {
		return audit.Event{}, false
	}
	return r.list[i], true
}

// event waits for an event and returns it.
func (w *world) event(name audit.Name, reason string) audit.Event {
	w.t.Helper()
	var e audit.Event
	eventually(w.t, func() (ok bool) { e, ok = w.events.find(name); return ok })
	if e.Control != "tunnel" || e.Reason != reason {
		w.t.Errorf("%s has control %q and reason %q, want tunnel and %q", name, e.Control, e.Reason, reason)
	}
	return e
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(testWait); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// noLeases gives nobody a place.
type noLeases struct{ socket.Leases }
