package admission

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// maxConn caps the id of a connection, in bytes: a UUID has 36.
const maxConn = 64

// acquireScript drops what has ended, counts and adds, by Redis's time in milliseconds.
// Asking again for a connection that holds a lease renews it, so a retry after a lost
// reply does not take a second place. ARGV: connection, max, time to live.
//
//control:name admission
const acquireScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`

// Lease is one connection of a user.
type Lease struct {
	User uuid.UUID
	Conn string // id that the server gave it
}

// Leases caps the connections of each user over all nodes.
type Leases struct {
	client redis.UniversalClient
	prefix string
	ttl    time.Duration
	script *redis.Script
}

// NewLeases returns Leases that end ttl after they were last renewed; below a second it
// is a second. Renew at least three times in that time. All keys begin with prefix. The
// client should have short timeouts and ContextTimeoutEnabled.
func NewLeases(client redis.UniversalClient, prefix string, ttl time.Duration) *Leases {
	return &Leases{client: client, prefix: prefix + "lease:", ttl: max(ttl, time.Second), script: redis.NewScript(acquireScript)}
}

func (l *Leases) key(user uuid.UUID) string { return l.prefix + user.String() }

// Acquire takes a place for conn if user holds fewer than max. An error is a no.
//
//control:name admission
func (l *Leases) Acquire(ctx context.Context, user uuid.UUID, conn string, max int) (bool, error) {
	if user == uuid.Nil || conn == "" || len(conn) > maxConn {
		return false, errors.New("acquire lease: no user or no connection")
	}
	got, err := l.script.Run(ctx, l.client, []string{l.key(user)}, conn, max, l.ttl.Milliseconds()).Int()
	if err != nil {
		return false, fmt.Errorf("acquire lease: %w", err)
	}
	return got == 1, nil
}

// Renew extends the leases that this node holds: the time, then one pipeline. A lease
// that Redis has lost is put back, because its connection is there. One that is released
// meanwhile may come back too, for one time to live.
func (l *Leases) Renew(ctx context.Context, held []Lease) error {
	if len(held) == 0 {
		return nil
	}
	now, err := l.client.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("renew leases: %w", err)
	}
	end := float64(now.Add(l.ttl).UnixMilli())
	members := make(map[uuid.UUID][]redis.Z)
	for _, h := range held {
		members[h.User] = append(members[h.User], redis.Z{Score: end, Member: h.Conn})
	}
	_, err = l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for user, m := range members {
			p.ZAdd(ctx, l.key(user), m...)
			p.PExpire(ctx, l.key(user), l.ttl)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("renew leases: %w", err)
	}
	return nil
}

// Release gives the place of conn back. Should it fail, the place comes back by itself.
func (l *Leases) Release(ctx context.Context, user uuid.UUID, conn string) error {
	if err := l.client.ZRem(ctx, l.key(user), conn).Err(); err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}

// Count is how many places user holds now.
func (l *Leases) Count(ctx context.Context, user uuid.UUID) (int, error) {
	now, err := l.client.Time(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("count leases: %w", err)
	}
	n, err := l.client.ZCount(ctx, l.key(user), "("+strconv.FormatInt(now.UnixMilli(), 10), "+inf").Result()
	if err != nil {
		return 0, fmt.Errorf("count leases: %w", err)
	}
	return int(n), nil
}
