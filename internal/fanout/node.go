// Package fanout carries what happens on one node to the sockets of all nodes: the
// changes of rooms, signals, and revocations, through Redis and around it.
//
// Threat: somebody is signed out, banned or removed on one node and goes on reading
// on another, because the one message that said so was lost. Pub/Sub is lossy by
// design: a reconnect drops what was said meanwhile, silently, and a link that a
// firewall swallows looks healthy for minutes (CWE-613, CWE-672, ASVS 7.4.1, 8.3.2).
// The quieter threat is a client that misses, doubles or reorders messages and is
// never told.
//
// Rule: Redis is the fast way, PostgreSQL is the truth, and nothing that matters
// depends on the fast way alone.
//
//   - Changes carry their room's seq. A node delivers them in order and once, waits
//     a moment for a missing one, then reads it from the Source. A sweep compares
//     heads every few seconds, so even the last change of a quiet room is found.
//   - Before a change of a newer membership epoch is delivered, the Sink re-reads
//     who its members are. If it cannot, the change waits.
//   - Revocations go through a capped Redis Stream, which can be read again after a
//     gap, and every node polls the outbox in PostgreSQL besides, always.
//   - Each node sends itself a heartbeat through Redis. Three missed: the link is
//     taken for dead, replaced, and everything is swept and polled.
//   - A node that has heard neither Redis nor PostgreSQL for Polls.Blind says so to
//     the Sink, which closes its sockets: nothing is better than stale rights.
//
// What arrives from Redis is input: it carries a seal of a key that Redis does not have
// (seal.go), and even then it is capped, decoded strictly, with ids parsed, the
// room compared with the channel, and a seq that the Source does not know thrown
// away. Every key and channel begins with Options.Prefix, so that an ACL user with
// that prefix suffices. Queues are bounded; what does not fit is dropped, counted
// and repaired.
//
// Not covered: who can write to Redis can hold back what nodes say, say it again, and
// forge heartbeats; the polls of PostgreSQL bring what matters all the same, late. Give
// Redis a password, TLS and an ACL. Nothing here needs Redis to keep data.
package fanout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
)

// Source is the truth, in PostgreSQL.
type Source interface {
	// Heads reads the head seq and epoch of rooms; rooms that do not exist are absent.
	Heads(ctx context.Context, rooms []chat.RoomID) ([]chat.Head, error)
	// ChangesBetween reads from ≤ seq ≤ to, oldest first, perhaps only the first part.
	ChangesBetween(ctx context.Context, room chat.RoomID, from, to int64) ([]chat.Change, error)
	// Since reads what was revoked in the last window.
	Since(ctx context.Context, window time.Duration) ([]chat.Revocation, error)
}

// Sink is the sockets of this node. No method may block for long except Refresh.
type Sink interface {
	// Deliver takes changes of one room, in seq order, without gaps, each once. It is
	// not called for one room from two goroutines at once.
	Deliver(changes []chat.Change)
	// Signal takes something ephemeral.
	Signal(s chat.Signal)
	// Revoke ends a session's sockets or re-reads a standing. The same revocation may
	// come several times, by several ways.
	Revoke(r chat.Revocation)
	// Refresh re-reads the standings of the local members of room. Until it succeeds
	// no change of a newer epoch is delivered there.
	Refresh(ctx context.Context, room chat.RoomID) error
	// Announced says that there may be announcements to read. It must not wait.
	Announced()
	// Blind says that rights can no longer be known: close every socket with 1013.
	Blind()
}

// Polls are the times of a Node. A zero field takes its default.
type Polls struct {
	Beat      time.Duration // between heartbeats; 2 s. Three missed: the link is dead
	Every     time.Duration // between sweeps and polls; 5 s
	Unhealthy time.Duration // the same while Redis or PostgreSQL is not well; 2 s
	Blind     time.Duration // silence of both after which the Sink is told; 5 s
	Gap       time.Duration // patience with a missing seq before it is read; 50 ms
}

// The defaults keep a revocation under 100 ms in health and under 5 s without Redis.
func (p Polls) orDefaults() Polls {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&p.Beat, 2*time.Second)
	set(&p.Every, 5*time.Second)
	set(&p.Unhealthy, 2*time.Second)
	set(&p.Blind, 5*time.Second)
	set(&p.Gap, 50*time.Millisecond)
	return p
}

// Options are the parts of a Node. All are required except Sink, which SetSink can
// give later, and Polls.
type Options struct {
	Redis      redis.UniversalClient // see Connect
	Prefix     string                // of every key and channel, with its separator: "portcullis:"
	Key        secret.Bytes          // 32 bytes or more, the same on every node and not in Redis; see seal
	Node       string                // name in logs and envelopes; need not be unique
	Log        *slog.Logger
	Audit      audit.Recorder
	Registerer prometheus.Registerer
	Source     Source
	Sink       Sink
	Polls      Polls
}

func (o Options) check() error {
	var missing []error
	for name, given := range map[string]bool{
		"Redis": o.Redis != nil, "Prefix": o.Prefix != "", "Node": o.Node != "", "Log": o.Log != nil,
		"Audit": o.Audit != nil, "Registerer": o.Registerer != nil, "Source": o.Source != nil,
	} {
		if !given {
			missing = append(missing, fmt.Errorf("fanout: %s is missing", name))
		}
	}
	return errors.Join(missing...)
}

// Node is this process's end of the fan-out. It implements chat.Bus.
type Node struct {
	redis   redis.UniversalClient
	prefix  string
	self    string // this process, unique: two nodes of one name still hear each other
	log     *slog.Logger
	audit   audit.Recorder
	source  Source
	sink    Sink
	polls   Polls
	seal    seal
	metrics *metrics

	outbox      *outbox              // changes and signals on their way to Redis
	revocations chan chat.Revocation // the same, ahead of everything else
	sweepNow    chan struct{}        // wakes the sweeper
	pollNow     chan struct{}        // wakes the poller
	subscribe   chan struct{}        // wakes the subscriber

	link     link
	presence presence
	applied  applied

	mu    sync.RWMutex // before room.mu
	rooms map[chat.RoomID]*room
	stale map[chat.RoomID]struct{} // rooms to sweep before the next tick
	want  map[chat.RoomID]bool     // subscriptions to add or drop
	sub   *redis.PubSub            // nil while there is no link

	life    context.Context // of the goroutines that deliver
	end     context.CancelFunc
	state   sync.Mutex // guards running with workers.Go
	running bool
	workers sync.WaitGroup

	lastRedis atomic.Int64 // when Redis said anything, as Unix nanoseconds
	lastStore atomic.Int64 // when the Source answered
	storeDown atomic.Bool  // its last answer was an error

	toldForged atomic.Int64 // when the log was told of a forged event
}

// New returns a Node that does nothing yet. Give it a Sink and call Run.
func New(o Options) (*Node, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	key, err := newSeal(o.Key)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("fanout: %w", err)
	}
	n := &Node{
		redis: o.Redis, prefix: o.Prefix, self: o.Node + "." + rand.Text()[:10], log: o.Log,
		audit: o.Audit, source: o.Source, sink: o.Sink, polls: o.Polls.orDefaults(), seal: key, metrics: m,
		outbox:      newOutbox(),
		revocations: make(chan chat.Revocation, maxRevocations),
		sweepNow:    make(chan struct{}, 1),
		pollNow:     make(chan struct{}, 1),
		subscribe:   make(chan struct{}, 1),
		rooms:       map[chat.RoomID]*room{},
		stale:       map[chat.RoomID]struct{}{},
		want:        map[chat.RoomID]bool{},
		applied:     applied{seen: map[chat.Revocation]time.Time{}},
	}
	n.presence.held = map[standing]struct{}{}
	n.life, n.end = context.WithCancel(context.Background())
	return n, nil
}

// SetSink gives the Node its Sink. Call it before Run: sockets and fan-out need
// each other, and one of them has to be made first.
func (n *Node) SetSink(s Sink) { n.sink = s }

// Run connects the Node and keeps it connected. It returns when ctx ends, with every
// goroutine ended and what was queued for other nodes sent, if that took no longer
// than callTime.
func (n *Node) Run(ctx context.Context) error {
	if n.sink == nil {
		return errors.New("fanout: Sink is missing")
	}
	now := time.Now().UnixNano()
	n.lastRedis.Store(now)
	n.lastStore.Store(now)
	n.state.Lock()
	n.running = true
	n.state.Unlock()

	var wg sync.WaitGroup
	for _, part := range []func(context.Context){
		n.sendQueued, n.sendRevocations, n.readRevocations, n.pollRevocations,
		n.listen, n.changeSubscriptions, n.beat, n.sweep, n.renewPresence,
	} {
		wg.Go(func() { part(ctx) })
	}
	n.wakeAll()
	wg.Wait()

	n.state.Lock()
	n.running = false
	n.state.Unlock()
	n.end()
	n.workers.Wait()
	return nil
}

// spawn starts f in a goroutine that Run waits for; false when the Node does not run.
func (n *Node) spawn(f func()) bool {
	n.state.Lock()
	defer n.state.Unlock()
	if !n.running {
		return false
	}
	n.workers.Go(f)
	return true
}

const (
	// callTime bounds every call to Redis, which answers in one or is not well.
	callTime = 500 * time.Millisecond
	// storeTime bounds every call to the Source.
	storeTime = time.Second
)

// call derives the context of one call to Redis. It outlives ctx, so that what is
// queued at the end can still be sent.
func call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), callTime)
}

// poke wakes a loop that waits on c, now or at its next round.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (n *Node) heardRedis() { n.lastRedis.Store(time.Now().UnixNano()) }

// heardStore notes an answer of the Source, or its absence.
func (n *Node) heardStore(err error) {
	n.storeDown.Store(err != nil)
	if err == nil {
		n.lastStore.Store(time.Now().UnixNano())
	}
}

func since(at *atomic.Int64) time.Duration { return time.Since(time.Unix(0, at.Load())) }

// well reports whether both ways work, as far as is known.
func (n *Node) well() bool { return n.link.up() && !n.storeDown.Load() }

// interval is the time to the next sweep or poll.
func (n *Node) interval() time.Duration {
	if n.well() {
		return n.polls.Every
	}
	return n.polls.Unhealthy
}

// Health is the state of a Node, for readiness and for people.
type Health struct {
	Redis     bool          // the heartbeat comes back
	Store     bool          // the last call to the Source succeeded
	Rooms     int           // rooms followed
	Queued    int           // events waiting for Redis
	LastRedis time.Duration // how long ago Redis said anything
	LastStore time.Duration // how long ago the Source answered
}

// Health reports the state of the Node.
func (n *Node) Health() Health {
	n.mu.RLock()
	rooms := len(n.rooms)
	n.mu.RUnlock()
	return Health{
		Redis: n.link.up(), Store: !n.storeDown.Load(), Rooms: rooms, Queued: len(n.outbox.events),
		LastRedis: since(&n.lastRedis), LastStore: since(&n.lastStore),
	}
}
