package fanout

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// soon bounds every wait of these tests; a loaded machine takes long, a broken program for ever.
const soon = 10 * time.Second

// quick are the times of the tests: the same order as in production, forty times faster.
var quick = Polls{Beat: 50 * time.Millisecond, Every: 125 * time.Millisecond, Unhealthy: 50 * time.Millisecond, Blind: 300 * time.Millisecond, Gap: 20 * time.Millisecond}

// lazy are times that bring nothing by themselves within a test: what arrives came by push.
var lazy = Polls{Beat: 50 * time.Millisecond, Every: time.Hour, Unhealthy: time.Hour, Blind: time.Hour, Gap: time.Millisecond}

// ourKey is what the nodes of a test share, and ours is its seal.
var (
	ourKey  = secret.NewBytes(bytes.Repeat([]byte("k"), 32))
	ours, _ = newSeal(ourKey)
)

var errDown = errors.New("down")

// history is a Source in memory.
type history struct {
	mu      sync.Mutex
	rooms   map[chat.RoomID][]chat.Change
	revoked []chat.Revocation
	down    bool
	reads   int
}

func newHistory() *history {
	return &history{rooms: map[chat.RoomID][]chat.Change{roomA: nil, roomB: nil}}
}

// write stores the room's next change, as a transaction would.
func (h *history) write(room chat.RoomID, epoch int64) chat.Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := change(room, int64(len(h.rooms[room]))+1)
	c.Epoch = epoch
	h.rooms[room] = append(h.rooms[room], c)
	return c
}

func (h *history) revoke(r chat.Revocation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revoked = append(h.revoked, r)
}

func (h *history) fail(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *history) Heads(_ context.Context, rooms []chat.RoomID) (heads []chat.Head, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return nil, errDown
	}
	for _, id := range rooms {
		if changes, ok := h.rooms[id]; ok {
			head := chat.Head{Room: id, Seq: int64(len(changes))}
			for _, c := range changes {
				head.Epoch = max(head.Epoch, c.Epoch)
			}
			heads = append(heads, head)
		}
	}
	return heads, nil
}

func (h *history) ChangesBetween(_ context.Context, room chat.RoomID, from, to int64) ([]chat.Change, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reads++; h.down {
		return nil, errDown
	}
	n := int64(len(h.rooms[room]))
	return slices.Clone(h.rooms[room][min(from-1, n):min(to, n)]), nil
}

func (h *history) Since(_ context.Context, window time.Duration) (all []chat.Revocation, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return nil, errDown
	}
	for _, r := range h.revoked {
		if time.Since(r.At) < window {
			all = append(all, r)
		}
	}
	return all, nil
}

// sockets is a Sink that remembers.
type sockets struct {
	mu        sync.Mutex
	delivered map[chat.RoomID][]int64
	log       []string // what happened in which order
	signals   []chat.Signal
	revoked   map[chat.Revocation]time.Time
	busy      map[chat.RoomID]bool
	overlap   bool
	blind     int
	rung      atomic.Int64
	refresh   func() error
}

func newSockets() *sockets {
	return &sockets{delivered: map[chat.RoomID][]int64{}, revoked: map[chat.Revocation]time.Time{}, busy: map[chat.RoomID]bool{}}
}

func (s *sockets) Deliver(changes []chat.Change) {
	room := changes[0].Room
	s.mu.Lock()
	s.overlap = s.overlap || s.busy[room]
	s.busy[room] = true
	s.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		s.delivered[room] = append(s.delivered[room], c.Seq)
	}
	s.log = append(s.log, "deliver")
	s.busy[room] = false
}

func (s *sockets) Signal(g chat.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signals = append(s.signals, g)
}

func (s *sockets) Revoke(r chat.Revocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.At = r.At.UTC()
	if _, again := s.revoked[r]; !again {
		s.revoked[r] = time.Now()
	}
}

func (s *sockets) Refresh(context.Context, chat.RoomID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, "refresh")
	if s.refresh != nil {
		return s.refresh()
	}
	return nil
}

func (s *sockets) Announced() { s.rung.Add(1) }

func (s *sockets) Blind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind++
}

func (s *sockets) got(room chat.RoomID) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.delivered[room])
}

func (s *sockets) has(r chat.Revocation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.revoked[r]
	return ok
}

// records is an audit.Recorder that remembers reasons.
type records struct {
	mu      sync.Mutex
	reasons []string
}

func (r *records) Record(_ context.Context, e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Name == audit.FanoutDegraded {
		r.reasons = append(r.reasons, e.Reason)
	}
}

func (r *records) have(reason string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.reasons, reason)
}

// node is a running Node with everything around it.
type node struct {
	*Node
	sink  *sockets
	audit *records
	stop  func() // waits
}

// connect returns a client as in production.
func connect(t testing.TB, url string) *redis.Client {
	t.Helper()
	client, err := Connect(secret.NewText(url), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// prefix gives the test a prefix of its own and, at its end, a look for goroutines left behind.
func prefix(t testing.TB) string {
	t.Helper()
	testkit.RedisURL(t) // starts the server first: it outlives the test
	current := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, current) })
	_, p := testkit.Redis(t)
	return p
}

func startNode(t testing.TB, url, prefix string, source Source, polls Polls) *node {
	t.Helper()
	n := &node{sink: newSockets(), audit: &records{}}
	var err error
	n.Node, err = New(Options{
		Redis: connect(t, url), Key: ourKey, Prefix: prefix, Node: "test", Log: slog.New(slog.DiscardHandler), Audit: n.audit,
		Registerer: prometheus.NewRegistry(), Source: source, Polls: polls,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.SetSink(n.sink)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// ready waits until the node hears Redis.
func (n *node) ready(t testing.TB) {
	t.Helper()
	testkit.Eventually(t, soon, func() bool { return n.Health().Redis })
}

// hears waits until n stands at the stream's end and takes what others add.
func (n *node) hears(t testing.TB, from *node) {
	t.Helper()
	n.ready(t)
	from.ready(t)
	testkit.Eventually(t, soon, func() bool {
		from.Revoke(t.Context(), sessionEnd())
		n.sink.mu.Lock()
		defer n.sink.mu.Unlock()
		return len(n.sink.revoked) > 0
	})
}

// follow follows room and waits until its channel is heard.
func (n *node) follow(t testing.TB, room chat.RoomID) {
	t.Helper()
	n.ready(t)
	if _, err := n.Follow(t.Context(), room); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, func() bool {
		subscribers, err := n.redis.PubSubNumSub(t.Context(), n.channel(room)).Result()
		return err == nil && subscribers[n.channel(room)] > 0
	})
}

// reaches waits until 1…last was delivered, and fails on anything else.
func (n *node) reaches(t testing.TB, room chat.RoomID, last int64) {
	t.Helper()
	testkit.Eventually(t, soon, func() bool { return int64(len(n.sink.got(room))) >= last })
	for i, seq := range n.sink.got(room) {
		if seq != int64(i)+1 {
			t.Fatalf("at place %d came %d: %v", i+1, seq, n.sink.got(room))
		}
	}
	if got := int64(len(n.sink.got(room))); got != last {
		t.Fatalf("%d changes came, want %d", got, last)
	}
	if n.sink.overlap {
		t.Fatal("two goroutines delivered for one room at once")
	}
}

// count reads a counter.
func count(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
