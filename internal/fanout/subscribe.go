package fanout

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
)

const (
	// maxChannels is the most that one SUBSCRIBE names: 512 names are 32 KiB.
	maxChannels = 512
	// The pause before a new link grows from firstPause to lastPause, with jitter, so
	// that nodes do not come back to a restarted Redis all at once.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// errSilent is a link that is open and says nothing, not even our own heartbeat.
var errSilent = errors.New("heartbeat lost")

// listen keeps one subscribed link to Redis until ctx ends.
func (n *Node) listen(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := n.session(ctx)
		if ctx.Err() != nil {
			return
		}
		n.linkLost(ctx, err)
		if time.Since(began) > 2*lastPause {
			pause = firstPause
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, lastPause)
	}
}

// session is the life of one link. go-redis would reconnect by itself and keep
// silent about what was lost in between; here a broken link ends the session, and
// every confirmation of a new one brings a sweep of its room.
func (n *Node) session(ctx context.Context) error {
	sub := n.redis.Subscribe(ctx)
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() }) // nothing else ends a read early
	defer func() {
		stop()
		n.mu.Lock()
		n.sub = nil
		n.mu.Unlock()
		_ = sub.Close() // the link is given up either way
	}()
	channels := []string{n.beatChannel(), n.bellChannel()}
	n.mu.Lock()
	n.sub = sub
	clear(n.want)
	for id := range n.rooms {
		channels = append(channels, n.channel(id))
	}
	n.mu.Unlock()
	for len(channels) > 0 {
		some := channels[:min(len(channels), maxChannels)]
		channels = channels[len(some):]
		if err := subscribe(ctx, sub.Subscribe, some); err != nil {
			return err
		}
	}
	heard := time.Now() // the last heartbeat
	for {
		left := missedBeats*n.polls.Beat - time.Since(heard)
		if left <= 0 {
			return errSilent
		}
		message, err := sub.ReceiveTimeout(ctx, left)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return errSilent
		}
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *redis.Subscription:
			n.heardRedis()
			switch {
			case m.Kind != "subscribe":
			case m.Channel == n.bellChannel():
				n.sink.Announced() // it may have rung while nobody listened
			default:
				n.subscribed(m.Channel)
			}
		case *redis.Message:
			n.heardRedis()
			switch m.Channel {
			case n.beatChannel():
				if m.Payload == n.self {
					heard = time.Now()
					n.linkFound()
				}
			case n.bellChannel():
				n.sink.Announced()
			default:
				n.receive(ctx, m.Channel, []byte(m.Payload))
			}
		}
	}
}

// subscribe runs one command of a link within callTime.
func subscribe(ctx context.Context, do func(context.Context, ...string) error, channels []string) error {
	ctx, cancel := call(ctx)
	defer cancel()
	return do(ctx, channels...)
}

// changeSubscriptions follows Follow and Unfollow, which must not wait for Redis.
func (n *Node) changeSubscriptions(ctx context.Context) {
	for {
		select {
		case <-n.subscribe:
		case <-ctx.Done():
			return
		}
		n.mu.Lock()
		sub := n.sub
		var add, drop []string
		if sub != nil { // else the next session subscribes to all
			for id, on := range n.want {
				if on {
					add = append(add, n.channel(id))
				} else {
					drop = append(drop, n.channel(id))
				}
			}
			clear(n.want)
		}
		n.mu.Unlock()
		// An error ends the session, which finds out by itself.
		if len(add) > 0 {
			_ = subscribe(ctx, sub.Subscribe, add)
		}
		if len(drop) > 0 {
			_ = subscribe(ctx, sub.Unsubscribe, drop)
		}
	}
}

// subscribed notes that a room's channel is heard from now on: what was said before
// may be missing.
func (n *Node) subscribed(channel string) {
	id, err := chat.ParseRoomID(strings.TrimPrefix(channel, n.prefix+"room:"))
	if err != nil {
		return
	}
	n.mu.Lock()
	if _, followed := n.rooms[id]; followed {
		n.stale[id] = struct{}{}
	}
	n.mu.Unlock()
	poke(n.sweepNow)
}

// receive takes one event of a room's channel.
func (n *Node) receive(ctx context.Context, channel string, data []byte) {
	e, err := n.seal.unpack(data)
	if reason, refused := errors.AsType[refusal](err); refused {
		n.refuse(ctx, reason)
		return
	}
	switch {
	case e.Node == n.self: // delivered when it was published
	case e.Change != nil && n.channel(e.Change.Room) == channel:
		n.ingest(*e.Change, "redis")
	case e.Signal != nil && n.channel(e.Signal.Room) == channel:
		n.sink.Signal(*e.Signal)
	default:
		n.metrics.refused.WithLabelValues("channel").Inc()
	}
}
