package fanout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Tickets remembers which tickets were used, over all nodes. It implements
// ticket.Spent.
type Tickets struct {
	redis  redis.UniversalClient
	prefix string
}

// NewTickets keeps its keys under prefix, which ends with its separator. The client
// must not retry commands (see Connect): a retried SET NX finds its own first try and
// refuses an honest user.
func NewTickets(client redis.UniversalClient, prefix string) (*Tickets, error) {
	if client == nil || prefix == "" {
		return nil, errors.New("fanout: tickets need a client and a prefix")
	}
	return &Tickets{client, prefix}, nil
}

// Spend marks id as used for ttl, which is at least as long as the ticket could still
// be valid, and reports whether this was the first time. It is one command, so of any
// number of simultaneous calls exactly one is first. After an error nobody knows: the
// caller refuses.
func (t *Tickets) Spend(ctx context.Context, id string, ttl time.Duration) (first bool, err error) {
	if id == "" || ttl < time.Millisecond {
		return false, errors.New("spend ticket: no id or no time to remember it") // Redis reads 0 as for ever
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	// Hashed, so that the key has one length and Redis holds nothing of the ticket.
	sum := sha256.Sum256([]byte(id))
	key := t.prefix + "ticket:" + hex.EncodeToString(sum[:16])
	err = t.redis.SetArgs(ctx, key, "1", redis.SetArgs{Mode: "NX", TTL: ttl}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("spend ticket: %w", err)
	}
	return true, nil
}
