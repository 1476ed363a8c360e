package socket

import (
	"context"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/wire"
)

// Joining a room gives the client every change after the seq it knows, once, in
// order, while others go on writing. The order of the steps is the proof:
//
//  1. Enter: the core confirms the membership.
//  2. Follow: the room's events reach this node.
//  3. Hold: the connection is in the room's list; what passes write from now on waits in hold.
//  4. Missed: the store gives the changes up to some head H. It is read after 3, so
//     whatever was passed before 3 is at most H: nothing is missing. It requires the
//     right to read in the same statement, after 3, so a removal is either seen here
//     or finds the member in the list: nobody removed stays.
//  5. Release, one step under the outbox's lock: of hold, what is newer than H is
//     sent; from then on the member is live, and a pass that still carries changes up
//     to H skips them for this member only: nothing comes twice.
//
// Then the ack, in the same queue, so it comes after all of it.

const (
	// maxRooms is how many rooms one connection may follow (Centrifugo: 128).
	maxRooms = 100
	// maxHeld bounds what waits while the store is read.
	maxHeld = 256 << 10
	// maxJoinRounds is how often the store is read again when more than maxHeld came
	// meanwhile. A peer that cannot keep up even so is too slow for the room.
	maxJoinRounds = 4
)

// joinRoom is room.join.
func (c *conn) joinRoom(ctx context.Context, cmd wire.Command) (wire.AckData, error) {
	entered, err := c.server.Chat.Enter(ctx, c.actor, cmd.Room)
	if err != nil {
		return wire.AckData{}, err
	}
	m, err := c.hold(ctx, cmd.Room)
	if err != nil {
		return wire.AckData{}, err
	}
	seen := entered.Head
	if cmd.Resume {
		seen = cmd.AfterSeq
	}
	if seen, err = m.catchUp(ctx, seen); err != nil {
		c.depart(m)
		return wire.AckData{}, err
	}
	c.appear(m)
	return wire.AckData{HeadSeq: seen, Role: entered.Role}, nil
}

// leaveRoom is room.leave: nothing more comes, the membership stays.
func (c *conn) leaveRoom(_ context.Context, cmd wire.Command) (wire.AckData, error) {
	if m := c.member(cmd.Room); m != nil {
		c.depart(m)
	}
	return wire.AckData{}, nil
}

// hold puts c into the room, holding back. Joining a room again starts over, and
// the room is not told that the user was away, unless it fails.
func (c *conn) hold(ctx context.Context, id chat.RoomID) (m *member, err error) {
	if old := c.member(id); old != nil {
		c.server.hub.leave(old)
		defer func() {
			if m == nil {
				c.vanish(id)
			}
		}()
	}
	c.mu.Lock()
	full := len(c.rooms) >= maxRooms
	c.mu.Unlock()
	if full {
		return nil, &chat.Error{Kind: chat.Quota, Public: "This connection follows too many rooms."}
	}
	m, err = c.server.hub.enter(ctx, c, id)
	if err != nil {
		return nil, &chat.Error{Kind: chat.Busy, Public: "This room cannot be followed now.", Err: err}
	}
	return m, nil
}

// catchUp sends what the client missed after seq seen and makes the member live.
// It returns the seq up to which the client has everything.
func (m *member) catchUp(ctx context.Context, seen int64) (int64, error) {
	c := m.conn
	for range maxJoinRounds {
		missed, err := c.server.Chat.Missed(ctx, c.actor, m.room.id, seen)
		if err != nil {
			return 0, err
		}
		if missed.Resync {
			c.send(wire.Resync(nil, m.room.id, missed.Head))
			seen = missed.Head
		}
		if seen, err = m.replay(ctx, missed.Changes, seen); err != nil {
			return 0, err
		}
		done, err := m.release(seen)
		if done || err != nil {
			return seen, err
		}
	}
	c.tooSlow()
	return 0, ctx.Err()
}

// replay sends changes of the past at the pace of the peer. It returns the last
// seq sent: only what was sent counts as seen, whatever head the store told.
func (m *member) replay(ctx context.Context, changes []chat.Change, seen int64) (int64, error) {
	var buf, payload []byte
	for i, ch := range changes {
		payload = wire.Change(payload[:0], ch)
		buf = m.conn.encoding.append(buf, payload)
		seen = ch.Seq
		if len(buf) < passBytes/2 && i < len(changes)-1 {
			continue
		}
		if err := m.conn.out.room(ctx); err != nil {
			return seen, err
		}
		if !m.put(buf) {
			return seen, chat.ErrDenied // removed since the store was read
		}
		buf = nil
	}
	return seen, m.conn.out.room(ctx)
}

// put sends frames of the past, unless the right to them was taken away meanwhile: the
// purge that came with it must be the last word.
//
//control:name delivery
func (m *member) put(b []byte) bool {
	o := &m.conn.out
	o.mu.Lock()
	may := m.mayRead
	fits := !may || o.write(entry{b: b, member: m})
	o.mu.Unlock()
	if !fits {
		m.conn.tooSlow()
	}
	return may
}

// holdBack keeps b until release. The caller holds the outbox's lock.
func (m *member) holdBack(b *batch) {
	switch {
	case b.ephemeral: // not worth waiting for
	case m.overflow:
	case m.held+len(b.buf) > maxHeld:
		m.hold, m.held, m.overflow = nil, 0, true // read the store again: it has them all
	default:
		m.hold = append(m.hold, b)
		m.held += len(b.buf)
	}
}

// release flushes what was held and makes the member live from seq seen. false: too
// much came to hold it, and the store must be read again from seen.
//
//control:name concurrency
func (m *member) release(seen int64) (bool, error) {
	o := &m.conn.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !m.mayRead {
		return false, chat.ErrDenied // removed while the join was under way
	}
	if m.overflow {
		m.overflow = false
		return false, nil
	}
	m.seen, m.holding = seen, false
	for _, b := range m.hold {
		// room left at least half of the queue free, and maxHeld is less than that.
		if part := b.after(seen); len(part) > 0 {
			o.write(entry{b: part, member: m})
		}
	}
	m.hold, m.held = nil, 0
	return true, nil
}

// member returns c's membership of a room, nil if it has not joined it.
func (c *conn) member(id chat.RoomID) *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms[id]
}

// members lists all of c's memberships.
func (c *conn) members() []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*member, 0, len(c.rooms))
	for _, m := range c.rooms {
		all = append(all, m)
	}
	return all
}

func (c *conn) addMember(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms == nil {
		c.rooms = make(map[chat.RoomID]*member)
	}
	c.rooms[m.room.id] = m
}

// dropMember forgets m; false: somebody else did.
func (c *conn) dropMember(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms[m.room.id] != m {
		return false
	}
	delete(c.rooms, m.room.id)
	return true
}
