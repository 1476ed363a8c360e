package ratelimit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// takeScript is decide over several keys, all or nothing, in whole microseconds. It uses
// only what Redis 7.0 and its in-process stand-in share. A bucket that is spent for longer
// than it takes to fill can only come from a clock that was set back, or from a limit that
// was lowered: it counts as just spent, or it would lock its user out.
//
// ARGV: cost, then interval and burst of each key. Reply: {allowed, number of the bucket
// that takes longest, microseconds to wait}.
//
//control:name ratelimit
const takeScript = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local cost = tonumber(ARGV[1])
local next, by, longest = {}, 0, 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local size = burst * interval
  local full = tonumber(redis.call('GET', key) or '0')
  if full > now + size then
    full = now + size
    redis.call('SET', key, full, 'PX', math.ceil(size / 1000))
  end
  next[i] = math.max(full, now) + cost * interval
  local wait = next[i] - (now + size)
  if wait > longest then by, longest = i, wait end
end
if by > 0 then return {0, by, longest} end
for i, key in ipairs(KEYS) do
  local ms = math.ceil((next[i] - now) / 1000)
  redis.call('SET', key, next[i], 'PX', math.max(ms, 1))
end
return {1, 0, 0}
`

// Redis is a Source that all nodes share.
type Redis struct {
	client redis.Scripter
	prefix string
	script *redis.Script
}

// NewRedis returns a Source over client. All keys begin with prefix and carry one hash
// tag, as a script may only touch keys of one slot in a cluster. The client should have
// short timeouts and ContextTimeoutEnabled: without it go-redis ignores ctx.
func NewRedis(client redis.Scripter, prefix string) Source {
	return &Redis{client: client, prefix: prefix + "{rate}:", script: redis.NewScript(takeScript)}
}

// Take implements Source in one round trip.
//
//control:name ratelimit
func (r *Redis) Take(ctx context.Context, buckets []Bucket, cost int) (Result, error) {
	if len(buckets) == 0 || len(buckets) > maxBuckets {
		return Result{}, errBuckets
	}
	cost = max(cost, 1)
	keys := make([]string, len(buckets))
	args := make([]any, 1, 1+2*len(buckets))
	args[0] = cost
	for i, b := range buckets {
		interval := b.Limit.interval()
		if interval == 0 || cost > b.Limit.Burst {
			return Result{By: b.Name, RetryAfter: Never}, nil
		}
		id := b.id()
		keys[i] = r.prefix + b.Name + ":" + hex.EncodeToString(id[:])
		args = append(args, microseconds(interval), b.Limit.Burst)
	}
	reply, err := r.script.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return Result{}, fmt.Errorf("take from redis: %w", err)
	}
	if len(reply) != 3 || reply[1] < 0 || reply[1] > int64(len(buckets)) || (reply[0] == 1) != (reply[1] == 0) {
		return Result{}, errors.New("take from redis: reply makes no sense")
	}
	if reply[0] == 1 {
		return Result{Allowed: true}, nil
	}
	return Result{By: buckets[reply[1]-1].Name, RetryAfter: time.Duration(reply[2]) * time.Microsecond}, nil
}

// microseconds rounds up: a bucket may give a little less than its rate, never more.
func microseconds(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}
