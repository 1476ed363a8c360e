package fanout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
)

const (
	// presenceTTL is how long a connection counts as online without being renewed:
	// what a crashed node leaves behind.
	presenceTTL = 60 * time.Second
	// presenceRenew leaves two chances to renew before the end.
	presenceRenew = 20 * time.Second
	// presenceBatch is the most renewals of one round trip.
	presenceBatch = 256
)

// Presence lives in two sorted sets, scored by when an entry ends: the connections
// of a user in a room, and the users of a room. Time is Redis' own.
var (
	enterScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local ttl = tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local before = redis.call('ZCARD', KEYS[1])
redis.call('ZADD', KEYS[1], now + ttl, ARGV[2])
redis.call('ZADD', KEYS[2], now + ttl, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
if before == 0 then return 1 end
return 0`)

	leaveScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local gone = redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) > 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
return gone`)
)

// standing is one connection of a user in a room.
type standing struct {
	room chat.RoomID
	user chat.UserID
	conn string
}

// presence is who is connected here, which is said again from time to time.
type presence struct {
	mu   sync.Mutex
	held map[standing]struct{}
}

func (n *Node) presenceKeys(s standing) []string {
	room := n.prefix + "online:" + s.room.String()
	return []string{room + ":" + s.user.String(), room}
}

// Note says whether a connection of user on this node is in room; changed if that is
// news. It never blocks. What Note says becomes true in Redis even without Enter and
// Leave: who is there is renewed within 20 s, who is not expires within 60 s.
func (n *Node) Note(room chat.RoomID, user chat.UserID, conn string, there bool) (changed bool) {
	s := standing{room, user, conn}
	n.presence.mu.Lock()
	defer n.presence.mu.Unlock()
	if _, was := n.presence.held[s]; was == there {
		return false
	}
	if there {
		n.presence.held[s] = struct{}{}
	} else {
		delete(n.presence.held, s)
	}
	return true
}

// Enter tells all nodes now what Note said; first if the connection is the user's
// only one in room on any node.
func (n *Node) Enter(ctx context.Context, room chat.RoomID, user chat.UserID, conn string) (first bool, err error) {
	return n.runPresence(ctx, enterScript, standing{room, user, conn})
}

// Leave undoes Enter; last if the user has no connection left in room on any node.
func (n *Node) Leave(ctx context.Context, room chat.RoomID, user chat.UserID, conn string) (last bool, err error) {
	return n.runPresence(ctx, leaveScript, standing{room, user, conn})
}

func (n *Node) runPresence(ctx context.Context, script *redis.Script, s standing) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	changed, err := script.Run(ctx, n.redis, n.presenceKeys(s), s.user.String(), s.conn, presenceTTL.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("presence: %w", err)
	}
	return changed, nil
}

// Online lists the users with a connection in room, on any node.
func (n *Node) Online(ctx context.Context, room chat.RoomID) ([]chat.UserID, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	now, err := n.redis.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	members, err := n.redis.ZRangeByScore(ctx, n.prefix+"online:"+room.String(),
		&redis.ZRangeBy{Min: "(" + strconv.FormatInt(now.UnixMilli(), 10), Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("presence: %w", err)
	}
	users := make([]chat.UserID, 0, len(members))
	for _, m := range members {
		if id, err := chat.ParseUserID(m); err == nil { // what is no id is not ours
			users = append(users, id)
		}
	}
	return users, nil
}

// renewPresence says again who is connected here until ctx ends.
func (n *Node) renewPresence(ctx context.Context) {
	tick := time.NewTicker(presenceRenew)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.renewAll(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) renewAll(ctx context.Context) {
	n.presence.mu.Lock()
	held := make([]standing, 0, len(n.presence.held))
	for s := range n.presence.held {
		held = append(held, s)
	}
	n.presence.mu.Unlock()
	for some := range slices.Chunk(held, presenceBatch) {
		short, cancel := call(ctx)
		_, err := n.redis.Pipelined(short, func(p redis.Pipeliner) error {
			for _, s := range some {
				enterScript.Eval(short, p, n.presenceKeys(s), s.user.String(), s.conn, presenceTTL.Milliseconds())
			}
			return nil
		})
		cancel()
		if err != nil {
			n.log.Debug("presence not renewed", "error", err)
			return
		}
	}
}
