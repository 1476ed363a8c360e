package fanout

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
)

const (
	// maxRevocations bounds the revocations that wait for Redis. Beyond it the poll of
	// the outbox brings them.
	maxRevocations = 1024
	// streamLength is about how many revocations the stream keeps: hours of a usual
	// day, and half an hour of everybody signing out.
	streamLength = 10_000
	// streamBatch is the most that is read from the stream at once.
	streamBatch = 256
	// streamBlock is how long one read of the stream waits, and so how long the end of
	// a Node may have to wait for it.
	streamBlock = time.Second
	// pollWindow is how far back a poll of the outbox looks: many polls, so that one
	// row is read often enough whatever the clocks and the commits do.
	pollWindow = time.Minute
	// maxApplied bounds the memory of revocations of rooms already applied.
	maxApplied = 4096
)

// Revoke takes something away on this node at once and on every other one: through
// the stream, and if that fails through the outbox, which the caller's transaction
// has written. It never blocks.
//
//control:name fanout
func (n *Node) Revoke(_ context.Context, r chat.Revocation) {
	n.apply(r, "local")
	select {
	case n.revocations <- r:
	default:
		n.metrics.dropped.WithLabelValues("revocation_queue_full").Inc()
	}
}

// apply gives r to the Sink. The end of a session is cheap to repeat and is repeated
// by every poll, in case a socket was being made when it came first. A standing and a
// grant cost a read each time, so the same is applied once.
func (n *Node) apply(r chat.Revocation, way string) {
	if n.sink == nil || (r.Room != (chat.RoomID{}) || r.Tunnel != "") && !n.applied.first(r, time.Now()) {
		return
	}
	n.metrics.revocations.WithLabelValues(way).Inc()
	n.sink.Revoke(r)
}

// applied remembers the revocations of rooms and tunnels for twice the poll's window.
type applied struct {
	mu   sync.Mutex
	seen map[chat.Revocation]time.Time
}

func (a *applied) first(r chat.Revocation, now time.Time) bool {
	r.At = time.UnixMicro(r.At.UnixMicro()).UTC() // one spelling of one moment
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, seen := a.seen[r]; seen {
		return false
	}
	if len(a.seen) >= maxApplied {
		for k, at := range a.seen {
			if now.Sub(at) > 2*pollWindow {
				delete(a.seen, k)
			}
		}
	}
	if len(a.seen) >= maxApplied {
		clear(a.seen) // applying twice is only dear
	}
	a.seen[r] = now
	return true
}

func (n *Node) stream() string { return n.prefix + "revocations" }

// sendRevocations adds queued revocations to the stream until ctx ends, and then
// those that are left.
func (n *Node) sendRevocations(ctx context.Context) {
	for {
		select {
		case r := <-n.revocations:
			n.addToStream(ctx, r)
		case <-ctx.Done():
			for {
				select {
				case r := <-n.revocations:
					if !n.addToStream(ctx, r) {
						return
					}
				default:
					return
				}
			}
		}
	}
}

func (n *Node) addToStream(ctx context.Context, r chat.Revocation) bool {
	data, err := n.seal.pack(event{Node: n.self, Revocation: &r})
	if err != nil {
		n.metrics.dropped.WithLabelValues("not_encodable").Inc()
		return true
	}
	ctx, cancel := call(ctx)
	defer cancel()
	err = n.redis.XAdd(ctx, &redis.XAddArgs{Stream: n.stream(), MaxLen: streamLength, Approx: true, Values: []any{"e", data}}).Err()
	if err != nil {
		n.metrics.dropped.WithLabelValues("revocation_redis_error").Inc()
		n.log.Warn("revocation not pushed, other nodes poll it", "error", err)
		return false
	}
	n.heardRedis()
	return true
}

// readRevocations reads the stream from its present end on until ctx ends. After an
// error it goes on where it was, so a broken link loses nothing.
func (n *Node) readRevocations(ctx context.Context) {
	at := ""
	for ctx.Err() == nil {
		var err error
		if at, err = n.position(ctx, at); err == nil {
			for err == nil && ctx.Err() == nil {
				at, err = n.readStream(ctx, at)
			}
		}
		if ctx.Err() != nil {
			return
		}
		n.log.Debug("revocation stream not read", "error", err)
		timer := time.NewTimer(retryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// position is where to read on: at the present end the first time, and at the
// beginning when the stream's end is behind us, because then it is another stream.
func (n *Node) position(ctx context.Context, at string) (string, error) {
	ctx, cancel := call(ctx)
	defer cancel()
	newest, err := n.redis.XRevRangeN(ctx, n.stream(), "+", "-", 1).Result()
	if err != nil {
		return at, err
	}
	n.heardRedis()
	end := "0-0"
	if len(newest) == 1 {
		end = newest[0].ID
	}
	switch {
	case at == "":
		poke(n.pollNow) // for what was revoked before the present end
		return end, nil
	case before(end, at):
		return "0-0", nil
	default:
		return at, nil
	}
}

// before compares two stream ids, milliseconds-number.
func before(a, b string) bool {
	aTime, aSeq := streamID(a)
	bTime, bSeq := streamID(b)
	return aTime < bTime || aTime == bTime && aSeq < bSeq
}

func streamID(id string) (ms, seq uint64) {
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64) // ids come from Redis: a broken one reads as 0
	seq, _ = strconv.ParseUint(right, 10, 64)
	return ms, seq
}

// readStream waits for entries after at and applies them.
//
//control:name fanout
func (n *Node) readStream(ctx context.Context, at string) (string, error) {
	// go-redis gives a blocking command Block and 10 s more; a dead link must show sooner.
	block := min(n.polls.Beat, streamBlock)
	ctx, cancel := context.WithTimeout(ctx, block+callTime)
	defer cancel()
	streams, err := n.redis.XRead(ctx, &redis.XReadArgs{Streams: []string{n.stream(), at}, Count: streamBatch, Block: block}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return at, err
	}
	n.heardRedis()
	for _, s := range streams {
		for _, m := range s.Messages {
			at = m.ID
			text, _ := m.Values["e"].(string)
			e, err := n.seal.unpack([]byte(text))
			if err == nil && e.Revocation == nil {
				err = malformed
			}
			if reason, refused := errors.AsType[refusal](err); refused {
				n.refuse(ctx, reason)
				continue
			}
			if e.Node != n.self {
				n.apply(*e.Revocation, "stream")
			}
		}
	}
	return at, nil
}

// pollRevocations reads the outbox in PostgreSQL until ctx ends, always, whatever
// Redis says. It also decides when the node is blind.
//
//control:name fanout
func (n *Node) pollRevocations(ctx context.Context) {
	blind, answered := false, time.Now()
	for {
		if n.poll(ctx, pollWindow+time.Since(answered)) {
			answered = time.Now()
		}
		dark := since(&n.lastRedis) > n.polls.Blind && since(&n.lastStore) > n.polls.Blind
		if dark && !blind && ctx.Err() == nil {
			n.metrics.blind.Inc()
			n.log.Error("neither redis nor postgresql answers, closing sockets")
			n.audit.Record(ctx, audit.Event{Name: audit.FanoutDegraded, Level: audit.Critical, Control: "fanout", Reason: "blind"})
			n.sink.Blind()
		}
		blind = dark
		timer := time.NewTimer(n.untilPoll())
		select {
		case <-timer.C:
		case <-n.pollNow:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// untilPoll is the time to the next poll: shorter when both ways fail, so that
// blindness is noticed in time.
func (n *Node) untilPoll() time.Duration {
	if !n.link.up() && n.storeDown.Load() {
		return min(n.interval(), n.polls.Blind/10)
	}
	return n.interval()
}

// poll applies what the outbox holds of the last window; false if it did not answer.
//
//control:name fanout
func (n *Node) poll(ctx context.Context, window time.Duration) bool {
	short, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	revoked, err := n.source.Since(short, window)
	if ctx.Err() != nil {
		return false
	}
	n.heardStore(err)
	if err != nil {
		n.log.Warn("revocations not polled", "error", err)
		return false
	}
	for _, r := range revoked {
		n.apply(r, "poll")
	}
	return true
}
