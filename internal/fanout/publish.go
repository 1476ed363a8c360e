package fanout

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
)

const (
	// maxQueued bounds the events that wait for Redis: a second of a very busy node.
	maxQueued = 4096
	// maxQueuedBytes bounds the same in bytes.
	maxQueuedBytes = 8 << 20
	// signalShare is the part of the queue that signals may fill: changes matter more.
	signalShare = 2
	// maxBatch is the most that one round trip publishes.
	maxBatch = 64
)

// outbox holds encoded events until Redis takes them. It never blocks.
type outbox struct {
	events chan published
	bytes  atomic.Int64
}

type published struct {
	channel string
	data    []byte
}

func newOutbox() *outbox { return &outbox{events: make(chan published, maxQueued)} }

// open reports whether there is room in the first 1/share of the queue.
func (o *outbox) open(share int64) bool {
	return int64(len(o.events)) < maxQueued/share && o.bytes.Load() < maxQueuedBytes/share
}

// put queues p; false if there is no room for it.
func (o *outbox) put(p published) bool {
	o.bytes.Add(int64(len(p.data)))
	select {
	case o.events <- p:
		return true
	default:
		o.bytes.Add(-int64(len(p.data)))
		return false
	}
}

// Publish brings a change to the members on this node at once and to other nodes
// through Redis. It never blocks; what it cannot tell, receivers read by seq.
func (n *Node) Publish(_ context.Context, c chat.Change) {
	n.ingest(c, "local")
	n.queue(event{Change: &c}, c.Room, 1)
}

// Signal brings something ephemeral to the members on all nodes, if there is room.
func (n *Node) Signal(_ context.Context, s chat.Signal) {
	if n.sink != nil {
		n.sink.Signal(s)
	}
	n.queue(event{Signal: &s}, s.Room, signalShare)
}

// Ring tells every node, this one too, that there are announcements to read. What they
// say is read from the store: whoever can write to Redis can ring, and nothing more.
func (n *Node) Ring(context.Context) {
	if !n.outbox.put(published{n.bellChannel(), []byte(n.self)}) {
		n.metrics.dropped.WithLabelValues("queue_full").Inc()
	}
}

func (n *Node) bellChannel() string { return n.prefix + "bell" }

func (n *Node) queue(e event, room chat.RoomID, share int64) {
	if !n.outbox.open(share) { // before the work of encoding
		n.metrics.dropped.WithLabelValues("queue_full").Inc()
		return
	}
	e.Node = n.self
	data, err := n.seal.pack(e)
	if err != nil {
		n.metrics.dropped.WithLabelValues("not_encodable").Inc()
		return
	}
	if !n.outbox.put(published{n.channel(room), data}) {
		n.metrics.dropped.WithLabelValues("queue_full").Inc()
	}
}

// channel is the Pub/Sub channel of a room. It is built from a parsed id, so no text
// of a client can name another one.
//
//control:name room-names
func (n *Node) channel(room chat.RoomID) string { return n.prefix + "room:" + room.String() }

// sendQueued publishes what is queued until ctx ends, and then what is left, once.
func (n *Node) sendQueued(ctx context.Context) {
	for {
		select {
		case first := <-n.outbox.events:
			n.send(ctx, first)
		case <-ctx.Done():
			for range maxQueued / maxBatch {
				select {
				case first := <-n.outbox.events:
					if !n.send(ctx, first) {
						return
					}
				default:
					return
				}
			}
			return
		}
	}
}

// send publishes first and what has gathered behind it in one round trip. Nothing is
// sent twice: a lost event costs a read, a doubled one nothing but confusion.
func (n *Node) send(ctx context.Context, first published) bool {
	batch := []published{first}
	for len(batch) < maxBatch && len(n.outbox.events) > 0 {
		batch = append(batch, <-n.outbox.events)
	}
	ctx, cancel := call(ctx)
	defer cancel()
	_, err := n.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, e := range batch {
			n.outbox.bytes.Add(-int64(len(e.data)))
			p.Publish(ctx, e.channel, e.data)
		}
		return nil
	})
	if err != nil {
		n.metrics.dropped.WithLabelValues("redis_error").Add(float64(len(batch)))
		return false
	}
	n.heardRedis()
	return true
}
