package app

import (
	"context"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ratelimit"
)

// The budgets over a connection's own, as multiples of PORTCULLIS_MESSAGES_PER_MINUTE.
// A user may have several sockets, a network several users, a room many members.
const (
	perUser    = 3
	perNetwork = 6
	perRoom    = 12
	perAll     = 600 // 1,000 messages a second at the default of 100 a minute
)

// budgets is the chat.Limiter: one call to Redis for all of a message's budgets.
type budgets struct {
	source ratelimit.Source
	minute int // messages per connection and minute
	burst  int
	audit  audit.Recorder
}

func newBudgets(source ratelimit.Source, c config.Config, a audit.Recorder) *budgets {
	return &budgets{source, c.MessagesPerMinute, c.MessageBurst, a}
}

// Take charges cost to the budgets of user, network, everybody and, unless it is
// zero, room.
//
//control:name ratelimit
func (b *budgets) Take(ctx context.Context, a chat.Actor, room chat.RoomID, cost int) error {
	buckets := []ratelimit.Bucket{b.bucket("user", a.User.String(), perUser), b.bucket("network", a.Client, perNetwork), b.bucket("all", "", perAll)}
	if room != (chat.RoomID{}) {
		buckets = append(buckets, b.bucket("room", room.String(), perRoom))
	}
	got, err := b.source.Take(ctx, buckets, cost)
	if err != nil {
		return &chat.Error{Kind: chat.Busy, Public: "The server cannot take this right now. Try again in a moment.", RetryAfter: time.Second, Err: err}
	}
	if got.Allowed {
		return nil
	}
	b.audit.Record(ctx, audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "ratelimit", Reason: got.By, User: a.User.String(), IP: a.Client})
	return &chat.Error{Kind: chat.RateLimited, Public: "Too many messages. Wait a moment.", RetryAfter: got.RetryAfter}
}

func (b *budgets) bucket(name, key string, times int) ratelimit.Bucket {
	return ratelimit.Bucket{Name: name, Key: key, Limit: ratelimit.Limit{Rate: float64(b.minute*times) / 60, Burst: b.burst * times}}
}
