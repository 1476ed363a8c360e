package socket

import (
	"context"
	"sync"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// room is one room with members on this node.
type room struct {
	hub *hub
	id  chat.RoomID

	refs int // members and joins under way; guarded by hub.mu

	follow    sync.Mutex // held across subscribing and unsubscribing
	following bool

	mu      sync.Mutex
	members []*member
	pending []*batch   // changes that wait for the next pass
	bytes   int        // of pending
	signals *batch     // ephemeral events that wait for it
	running bool       // a pass is under way
	space   *sync.Cond // on mu: pending has shrunk
}

// member is one connection in one room. Where it is in the room's list is guarded
// by room.mu; everything about delivery by the mutex of the connection's outbox, so
// that the decision to deliver and the write are one step.
type member struct {
	conn  *conn
	room  *room
	index int // in room.members

	mayRead bool  // the cached standing: may this user receive here? The zero member may not
	seen    int64 // changes up to this seq have been sent by the join; live ones are skipped

	holding  bool     // a join is under way: live frames wait in hold
	hold     []*batch // bounded by maxHeld
	held     int      // bytes in hold
	overflow bool     // hold was full and is not complete
}

// followed returns once events of the room reach this node.
func (r *room) followed(ctx context.Context) error {
	r.follow.Lock()
	defer r.follow.Unlock()
	if r.following {
		return nil
	}
	if _, err := r.hub.server.Feed.Follow(ctx, r.id); err != nil {
		return err
	}
	r.following = true
	return nil
}

// add appends m in O(1).
func (r *room) add(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.index = len(r.members)
	r.members = append(r.members, m)
}

// remove takes m out in O(1): the last one moves to its place. A list that was
// copied on each change would make a mass disconnect quadratic.
func (r *room) remove(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.members) - 1
	moved := r.members[last]
	r.members[m.index] = moved
	moved.index = m.index
	r.members[last] = nil
	r.members = r.members[:last]
}

// of lists the members that are sockets of user, or all for the zero user.
func (r *room) of(user chat.UserID) []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*member
	for _, m := range r.members {
		if user == (chat.UserID{}) || m.conn.actor.User == user {
			found = append(found, m)
		}
	}
	return found
}

// readable is the delivery side of the authz table.
func readable(role authz.Role) bool { return authz.Can(role, authz.Read) }
