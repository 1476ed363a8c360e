package socket

import (
	"context"
	"slices"
	"sync"

	"example.com/portcullis/internal/chat"
)

// hub knows the connections of this node, by session and by user, and the rooms
// that they are in. Its mutex is held for look-ups only, never across I/O: a peer that
// does not read must not be able to stop a lock that others wait for. Whoever holds a
// room's lock may take an outbox's, never the other way round.
//
//control:name concurrency
type hub struct {
	server *Server

	mu       sync.Mutex
	closed   bool
	all      map[*conn]struct{}
	sessions map[chat.SessionID][]*conn // few each: SocketsPerUser
	users    map[chat.UserID][]*conn
	rooms    map[chat.RoomID]*room
	passes   sync.WaitGroup // goroutines that write what rooms have gathered
}

func newHub(s *Server) *hub {
	return &hub{
		server: s, all: make(map[*conn]struct{}), sessions: make(map[chat.SessionID][]*conn),
		users: make(map[chat.UserID][]*conn), rooms: make(map[chat.RoomID]*room),
	}
}

// register makes c findable, so that a revocation finds it; false when stopping.
func (h *hub) register(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.all[c] = struct{}{}
	h.sessions[c.actor.Session] = append(h.sessions[c.actor.Session], c)
	h.users[c.actor.User] = append(h.users[c.actor.User], c)
	return true
}

// unregister forgets c and takes it out of its rooms. Only c's reader calls it.
func (h *hub) unregister(c *conn) {
	h.mu.Lock()
	delete(h.all, c)
	forget(h.sessions, c.actor.Session, c)
	forget(h.users, c.actor.User, c)
	h.mu.Unlock()
	for _, m := range c.members() {
		c.depart(m)
	}
}

func forget[K comparable](m map[K][]*conn, key K, c *conn) {
	left := slices.DeleteFunc(m[key], func(x *conn) bool { return x == c })
	if len(left) == 0 {
		delete(m, key)
		return
	}
	m[key] = left
}

func (h *hub) ofSession(sid chat.SessionID) []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.sessions[sid])
}

func (h *hub) ofUser(user chat.UserID) []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.users[user])
}

func (h *hub) everyone() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*conn, 0, len(h.all))
	for c := range h.all {
		all = append(all, c)
	}
	return all
}

// room returns a room that somebody here is in, nil if nobody is.
func (h *hub) room(id chat.RoomID) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[id]
}

// enter adds c to a room as a member that holds back what is delivered, and returns
// once the room's events reach this node.
//
//control:name concurrency
func (h *hub) enter(ctx context.Context, c *conn, id chat.RoomID) (*member, error) {
	h.mu.Lock()
	r := h.rooms[id]
	if r == nil {
		r = &room{hub: h, id: id}
		r.space = sync.NewCond(&r.mu)
		h.rooms[id] = r
	}
	r.refs++
	h.mu.Unlock()

	if err := r.followed(ctx); err != nil {
		h.release(r)
		return nil, err
	}
	m := &member{conn: c, room: r, mayRead: true, holding: true}
	c.addMember(m)
	r.add(m)
	return m, nil
}

// leave takes m out of its room: nothing of the room is sent to it after this. It
// may be called from several sides at once; one of them does it.
func (h *hub) leave(m *member) bool {
	if !m.conn.dropMember(m) {
		return false
	}
	m.room.remove(m)
	o := &m.conn.out
	o.mu.Lock()
	m.mayRead, m.hold, m.held = false, nil, 0
	o.purge(m)
	o.mu.Unlock()
	h.release(m.room)
	return true
}

// release gives one reference to r back; the last one ends the subscription. The
// room stays findable until that is done, so that somebody who enters meanwhile
// waits for it and subscribes again, instead of losing the race.
func (h *hub) release(r *room) {
	h.mu.Lock()
	r.refs--
	unused := r.refs == 0
	h.mu.Unlock()
	if !unused {
		return
	}
	r.follow.Lock()
	defer r.follow.Unlock()
	h.mu.Lock()
	unused = r.refs == 0
	h.mu.Unlock()
	if unused && r.following {
		h.server.Feed.Unfollow(r.id)
		r.following = false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.refs == 0 && h.rooms[r.id] == r {
		delete(h.rooms, r.id)
	}
}

// startPass counts a goroutine that writes for a room; false when stopping.
func (h *hub) startPass() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.passes.Add(1)
	return true
}

// close refuses new connections and passes. Those under way go on.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}
