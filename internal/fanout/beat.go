package fanout

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// missedBeats is how many heartbeats may be missing before a link is taken for
// dead: fewer would drop links at every pause of a busy machine.
const missedBeats = 3

// link is what is known of the way through Redis.
type link struct{ state atomic.Int32 }

const (
	linkNew int32 = iota
	linkUp
	linkDown
)

func (l *link) up() bool { return l.state.Load() == linkUp }

func (n *Node) beatChannel() string { return n.prefix + "beat:" + n.self }

// beat sends this node a heartbeat through Redis. A TCP peer that swallows every byte
// passes each check of the client library; it cannot send this back.
func (n *Node) beat(ctx context.Context) {
	tick := time.NewTicker(n.polls.Beat)
	defer tick.Stop()
	for {
		// Whether it arrived shows when it comes back, or does not.
		short, cancel := call(ctx)
		_ = n.redis.Publish(short, n.beatChannel(), n.self).Err()
		cancel()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// linkFound is called for every heartbeat that came back.
func (n *Node) linkFound() {
	before := n.link.state.Swap(linkUp)
	if before == linkUp {
		return
	}
	n.metrics.up.Set(1)
	if before == linkDown {
		n.log.Info("redis link is back")
	}
	// What was revoked or missed meanwhile is read now rather than at the next tick.
	n.sweepSoon()
	poke(n.pollNow)
}

// linkLost is called at the end of every link that was not ended on purpose.
func (n *Node) linkLost(ctx context.Context, err error) {
	reason := "redis_lost"
	if errors.Is(err, errSilent) {
		reason = "redis_silent"
	}
	if n.link.state.Swap(linkDown) == linkDown {
		return
	}
	n.metrics.up.Set(0)
	n.metrics.lost.WithLabelValues(reason).Inc()
	n.log.Warn("redis link lost", "reason", reason, "error", err)
	n.audit.Record(ctx, audit.Event{Name: audit.FanoutDegraded, Level: audit.Warn, Control: "fanout", Reason: reason})
	n.sweepSoon()
	poke(n.pollNow)
}
