package socket

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/guard/origin"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
	"example.com/portcullis/web"
)

const (
	testOrigin = "https://chat.example.com"
	testWait   = 5 * time.Second
)

// codec is compiled once: nothing in it changes.
var codec = sync.OnceValue(func() *wire.Codec {
	schemas, err := fs.Sub(web.FS, "schemas")
	if err != nil {
		panic(err)
	}
	c, err := wire.NewCodec(schemas)
	if err != nil {
		panic(err)
	}
	return c
})

// world is a server with everything around it made by hand.
type world struct {
	t        testing.TB
	server   *Server
	ip       *fakeIP
	chat     *fakeChat
	sessions *fakeSessions
	tickets  *fakeTickets
	limits   *fakeLimits
	leases   *fakeLeases
	gate     *countingGate
	host     *fakeHost
	accounts *fakeAccounts
	feed     *fakeFeed
	board    *fakeBoard
	events   *recorder
	http     *http.Server
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	addr     string         // over TCP
	accepted func(net.Conn) // called with each connection of the server's side
	stop     func()
	patience time.Duration // how long a client waits for a frame: a test must fail, not hang

	mu      sync.Mutex
	clients []*client
}

type worldOption func(*world, *Numbers)

func withNumbers(change func(*Numbers)) worldOption {
	return func(_ *world, n *Numbers) { change(n) }
}

// overTCP uses real loopback sockets instead of pipes, and with them the real clock.
func overTCP(w *world, _ *Numbers) { w.dial, w.patience = (&net.Dialer{}).DialContext, testWait }

func newWorld(t testing.TB, options ...worldOption) *world {
	t.Helper()
	numbers := Numbers{
		MessagesPerMinute: 100, MessageBurst: 20, HandshakesPerMinute: 1000, SocketsPerUser: 5,
		SessionIdle: 30 * time.Minute, RevalidateEvery: 10 * time.Minute, PingEvery: 25 * time.Second,
	}
	w := &world{
		t: t, sessions: &fakeSessions{live: map[uuid.UUID]session.Session{}}, tickets: &fakeTickets{used: map[string]bool{}},
		limits: &fakeLimits{}, leases: &fakeLeases{held: map[string]uuid.UUID{}}, gate: &countingGate{Gate: admission.NewGate(10000)},
		ip: &fakeIP{}, host: &fakeHost{}, accounts: &fakeAccounts{}, events: &recorder{},
		patience: 24 * time.Hour, // of the bubble's clock, beyond every session
	}
	for _, o := range options {
		o(w, &numbers)
	}
	w.feed = &fakeFeed{w: w, following: map[chat.RoomID]int{}, here: map[place]bool{}, counted: map[place]bool{}}
	w.chat, w.board = newFakeChat(w), &fakeBoard{}
	w.sessions.idle = numbers.SessionIdle
	origins, err := origin.New(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	w.server, err = New(Options{
		Chat: w.chat, Codec: codec(), Sessions: w.sessions, Accounts: w.accounts, Tickets: w.tickets, Host: w.host,
		Origin: origins, ClientIP: w.ip, Limits: w.limits, Gate: w.gate, Leases: w.leases, Feed: w.feed, Announcements: w.board, Audit: w.events,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Registerer: prometheus.NewRegistry(), Config: numbers, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", w.server.WS())
	mux.Handle("/ws/auth", w.server.Auth())
	mux.Handle("/ws/cli", w.server.CLI())
	mux.Handle("/ws/public", w.server.Public())
	w.http = &http.Server{ConnState: func(nc net.Conn, s http.ConnState) {
		if s == http.StateNew && w.accepted != nil {
			w.accepted(nc)
		}
	}, Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	w.start()
	return w
}

// start listens and runs; stop, which the test or its end calls, shuts down and
// fails the test if anything is left.
func (w *world) start() {
	w.t.Helper()
	var listener net.Listener
	if w.dial == nil {
		pipe := testkit.NewPipeListener()
		listener, w.dial = pipe, pipe.Dial
	} else {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			w.t.Fatal(err)
		}
		w.addr = listener.Addr().String()
		dial := w.dial
		w.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, "tcp", w.addr) }
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.http.Serve(listener) })
	wg.Go(func() { _ = w.server.Run(ctx) })
	w.stop = sync.OnceFunc(func() {
		end, done := context.WithTimeout(context.Background(), testWait)
		defer done()
		if err := w.server.Shutdown(end); err != nil {
			w.t.Errorf("Shutdown: %v", err)
		}
		_ = w.http.Close()
		cancel()
		wg.Wait()
		w.assertNoResidue()
	})
	w.t.Cleanup(func() {
		w.mu.Lock()
		for _, c := range w.clients {
			_ = c.ws.NetConn().Close() // those that a test left open need not be waited for
		}
		w.mu.Unlock()
		w.stop()
	})
}

// assertNoResidue checks that no slot, lease, registration, room, ping or presence is left.
func (w *world) assertNoResidue() {
	w.t.Helper()
	h := w.server.hub
	h.mu.Lock()
	left := len(h.all) + len(h.sessions) + len(h.users) + len(h.rooms)
	h.mu.Unlock()
	w.server.wheel.mu.Lock()
	for _, slot := range w.server.wheel.slots {
		left += len(slot)
	}
	w.server.wheel.mu.Unlock()
	if here, _ := w.feed.present(); here != 0 {
		w.t.Errorf("left behind: the presence of %d", here)
	}
	if left > 0 || w.gate.inside() != 0 || w.leases.count() != 0 || w.feed.count() != 0 {
		w.t.Errorf("left behind: %d registrations, %d slots, %d leases, %d rooms followed", left, w.gate.inside(), w.leases.count(), w.feed.count())
	}
}

// login is a signed-in user with one session.
type login struct {
	w    *world
	user chat.UserID
	sid  uuid.UUID
}

func (w *world) login() login { return w.loginAs(chat.UserID{UUID: uuid.New()}) }

func (w *world) loginAs(user chat.UserID) login {
	now := time.Now()
	l := login{w, user, uuid.New()}
	w.sessions.put(session.Session{SID: l.sid, User: user.UUID, CreatedAt: now, AuthenticatedAt: now, IdleEndsAt: now.Add(w.sessions.idle), EndsAt: now.Add(8 * time.Hour)})
	return l
}

// request is a handshake that is right in every point, to be spoiled by tests.
type request struct {
	path      string
	header    http.Header
	protocols []string
}

func (l login) request(path string) request {
	h := http.Header{}
	r := request{path: path, header: h, protocols: []string{wire.Subprotocol}}
	if path == "/ws/cli" {
		h.Set("Authorization", "Bearer "+l.w.tickets.issue(l, path))
		return r
	}
	h.Set("Origin", testOrigin)
	h.Set("Cookie", session.CookieName+"="+l.sid.String())
	if path == "/ws" || path == "/ws/public" {
		r.protocols = append(r.protocols, "ticket."+l.w.tickets.issue(l, path))
	}
	return r
}

// try sends a handshake; the response's body has been read.
func (w *world) try(r request) (*client, *http.Response, error) {
	d := websocket.Dialer{NetDialContext: w.dial, Subprotocols: r.protocols, HandshakeTimeout: testWait}
	ws, resp, err := d.Dial("ws://chat.example.com"+r.path, r.header)
	if err != nil {
		return nil, resp, err
	}
	c := &client{t: w.t, ws: ws, patience: w.patience}
	w.mu.Lock()
	w.clients = append(w.clients, c)
	w.mu.Unlock()
	return c, resp, nil
}

// connect opens a socket and reads hello.
func (l login) connect() *client {
	l.w.t.Helper()
	c, _, err := l.w.try(l.request("/ws"))
	if err != nil {
		l.w.t.Fatalf("connect: %v", err)
	}
	c.login = l
	if f := c.read(); f.Type != "hello" {
		l.w.t.Fatalf("first frame is %q, want hello", f.Type)
	}
	return c
}

// client is the browser's side.
type client struct {
	t     testing.TB
	ws    *websocket.Conn
	login login
	word  string // reason of the close frame

	patience time.Duration
}

// frame is any server frame.
type frame struct {
	Type   string `json:"type"`
	Re     string `json:"re"`
	Code   string `json:"code"`
	Retry  int64  `json:"retry_ms"`
	RoomID string `json:"room_id"`
	Seq    int64  `json:"seq"`
	Data   struct {
		HeadSeq   int64           `json:"head_seq"`
		Role      string          `json:"role"`
		Seq       int64           `json:"seq"`
		MessageID string          `json:"message_id"`
		Reason    string          `json:"reason"`
		Slug      string          `json:"slug"`
		Message   json.RawMessage `json:"message"`
	} `json:"data"`
}

// tryRead reads the next frame, or the error with which the socket ended.
func (c *client) tryRead() (frame, error) {
	_ = c.ws.SetReadDeadline(time.Now().Add(c.patience))
	var f frame
	_, b, err := c.ws.ReadMessage()
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

func (c *client) read() frame {
	c.t.Helper()
	f, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return f
}

// closed reads until the end and returns the close code; it answers the close.
func (c *client) closed() int {
	c.t.Helper()
	for {
		_, err := c.tryRead()
		if e, ok := errors.AsType[*websocket.CloseError](err); ok {
			_ = c.ws.Close()
			c.word = e.Text
			return e.Code
		}
		if err != nil {
			_ = c.ws.Close()
			return 1006
		}
	}
}

// watcher reads a socket to its end, so that its peer is never slow.
type watcher struct {
	c    *client
	done chan struct{}
	code int
	mu   sync.Mutex
	got  []frame
}

func watch(c *client) *watcher {
	w := &watcher{c: c, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.code = 1006
		for {
			f, err := c.tryRead()
			if err != nil {
				if e, ok := errors.AsType[*websocket.CloseError](err); ok {
					w.code = e.Code
				}
				_ = c.ws.Close()
				return
			}
			w.mu.Lock()
			w.got = append(w.got, f)
			w.mu.Unlock()
		}
	}()
	return w
}

// wait returns the close code.
func (w *watcher) wait() int { <-w.done; return w.code }

func (w *watcher) frames() []frame { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.got) }

// send sends one command and returns its id.
func (c *client) send(kind wire.Type, data map[string]any) string {
	c.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	b, err := json.Marshal(map[string]any{"v": 1, "id": id, "type": kind, "data": data})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.ws.WriteMessage(websocket.TextMessage, b); err != nil {
		c.t.Logf("send: %v", err)
	}
	return id
}

// ask sends a command and returns its answer and the frames before it.
func (c *client) ask(kind wire.Type, data map[string]any) (answer frame, before []frame) {
	c.t.Helper()
	id := c.send(kind, data)
	for {
		f := c.read()
		if f.Re == id {
			return f, before
		}
		before = append(before, f)
	}
}

func (c *client) join(room chat.RoomID) frame {
	c.t.Helper()
	f, _ := c.ask(wire.RoomJoin, map[string]any{"room_id": room.String()})
	if f.Type != "ack" {
		c.t.Fatalf("join: %+v", f)
	}
	return f
}

func (c *client) say(room chat.RoomID, body string) frame {
	c.t.Helper()
	f, _ := c.ask(wire.MessageSend, map[string]any{"room_id": room.String(), "body": body})
	return f
}
