package socket

import (
	"context"
	"sync"
	"time"

	"example.com/portcullis/internal/chat"
)

// Presence is best effort, a dot beside a name, and must delay nothing: not a message,
// not a removal, not the slot of a socket that closes. So whoever takes a member in
// or out only notes it, in memory, and one goroutine tells the other nodes.

const (
	// maxTidings bounds what waits to be told: some seconds of a Redis that is well.
	// What finds no place heals by itself: who is there is renewed, who is not expires.
	maxTidings = 16 << 10
	// presenceTimeout bounds one call, and what Shutdown waits for all that are left.
	presenceTimeout = 2 * time.Second
)

// place is one connection in one room.
type place struct {
	room chat.RoomID
	conn string
}

// tidings are who came and went and has not been told yet. Of one place only the
// newest counts: who came and went meanwhile has just gone.
type tidings struct {
	server *Server
	life   context.Context
	end    context.CancelFunc

	mu      sync.Mutex
	news    map[place]chat.Signal
	order   []place // of news, by age
	working bool
	stopped bool
	work    sync.WaitGroup // the one goroutine that tells
}

func newTidings(s *Server) *tidings {
	t := &tidings{server: s, news: make(map[place]chat.Signal)}
	t.life, t.end = context.WithCancel(s.life)
	return t
}

// appear says that m's user is there, unless m has been taken out meanwhile.
func (c *conn) appear(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms[m.room.id] == m {
		c.server.tidings.note(c, m.room.id, true)
	}
}

// depart takes m out of its room and says so; false: somebody else did.
func (c *conn) depart(m *member) bool {
	if !c.server.hub.leave(m) {
		return false
	}
	c.vanish(m.room.id)
	return true
}

// vanish says that c is no longer in a room, unless it has joined again meanwhile.
func (c *conn) vanish(room chat.RoomID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rooms[room] == nil {
		c.server.tidings.note(c, room, false)
	}
}

// note takes down that c came into room or went. It never blocks. The caller holds
// c.mu, so that what is noted of a place last is true.
func (t *tidings) note(c *conn, room chat.RoomID, online bool) {
	if !t.server.Feed.Note(room, c.actor.User, c.id, online) {
		return
	}
	at := place{room, c.id}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, waits := t.news[at]; !waits {
		if t.stopped || len(t.order) >= maxTidings {
			t.server.metrics.untold.Inc()
			return
		}
		t.order = append(t.order, at)
	}
	user := chat.Person{ID: c.actor.User, Username: c.actor.Username, DisplayName: c.actor.DisplayName}
	t.news[at] = chat.Signal{Kind: chat.Presence, Room: room, User: user, Online: online}
	if !t.working {
		t.working = true
		t.work.Go(t.tellAll)
	}
}

// tellAll tells until nothing is left.
func (t *tidings) tellAll() {
	for {
		at, news, ok := t.next()
		if !ok {
			return
		}
		t.tell(at, news)
	}
}

// next takes the oldest; false: there is none, or no more time.
func (t *tidings) next() (place, chat.Signal, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.Err() != nil {
		t.server.metrics.untold.Add(float64(len(t.order)))
		t.stopped, t.order = true, nil
		clear(t.news)
	}
	if len(t.order) == 0 {
		t.working, t.order = false, nil
		return place{}, chat.Signal{}, false
	}
	at := t.order[0]
	t.order = t.order[1:]
	news := t.news[at]
	delete(t.news, at)
	return at, news, true
}

// tell counts the connection in or out on all nodes and, if it is the user's first
// or was the last in the room, tells the room.
func (t *tidings) tell(at place, news chat.Signal) {
	ctx, cancel := context.WithTimeout(t.life, presenceTimeout)
	defer cancel()
	count := t.server.Feed.Leave
	if news.Online {
		count = t.server.Feed.Enter
	}
	changed, err := count(ctx, at.room, news.User.ID, at.conn)
	if err != nil {
		t.server.metrics.untold.Inc()
		return
	}
	if changed {
		t.server.Feed.Signal(ctx, news)
	}
}

// stop takes nothing more, gives what waits a moment to be told, drops the rest and
// returns when the goroutine has ended.
func (t *tidings) stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	late := time.AfterFunc(presenceTimeout, t.end)
	t.work.Wait()
	late.Stop()
	t.end()
}
