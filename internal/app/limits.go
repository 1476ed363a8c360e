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
	hour   int // invitations per user and hour
	audit  audit.Recorder
}

func newBudgets(source ratelimit.Source, c config.Config, a audit.Recorder) *budgets {
	return &budgets{source, c.MessagesPerMinute, c.MessageBurst, c.InvitesPerHour, a}
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
	// What costs more than the smallest budget holds costs all of it; otherwise a small
	// burst would forbid it for ever.
	got, err := b.source.Take(ctx, buckets, min(cost, b.burst*perUser))
	if err != nil {
		return busy(err)
	}
	if got.Allowed {
		return nil
	}
	b.audit.Record(ctx, audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, Control: "ratelimit", Reason: got.By, User: a.User.String(), IP: a.Client})
	return &chat.Error{Kind: chat.RateLimited, Public: "Too many messages. Wait a moment.", RetryAfter: got.RetryAfter}
}

// Invite charges one invitation. It counts tries: whoever adds people whom they know does
// not miss, and whoever tries names learns which there are.
//
//control:name business-limits
func (b *budgets) Invite(ctx context.Context, a chat.Actor) error {
	got, err := b.source.Take(ctx, []ratelimit.Bucket{{Name: "invite", Key: a.User.String(), Limit: ratelimit.Limit{Rate: float64(b.hour) / 3600, Burst: b.hour}}}, 1)
	switch {
	case err != nil:
		return busy(err)
	case !got.Allowed:
		return &chat.Error{Kind: chat.Quota, Public: "You have added as many people as one account may in an hour.", RetryAfter: got.RetryAfter}
	}
	return nil
}

func busy(err error) error {
	return &chat.Error{Kind: chat.Busy, Public: "The server cannot take this right now. Try again in a moment.", RetryAfter: time.Second, Err: err}
}

func (b *budgets) bucket(name, key string, times int) ratelimit.Bucket {
	return ratelimit.Bucket{Name: name, Key: key, Limit: ratelimit.Limit{Rate: float64(b.minute*times) / 60, Burst: b.burst * times}}
}
