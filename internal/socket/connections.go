package socket

import (
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
)

// Connection is one socket of this node as its operators see it.
type Connection struct {
	ID, Route   string
	User        chat.UserID
	Username    string
	Session     string // audit.Ref: not the id
	SessionEnds time.Time
	Network     string // client prefix
	UserAgent   string // of the session, as it was at sign-in
	Since       time.Time
	Rooms       int
	Received    int64 // bytes
	Queued      int   // bytes that wait for the peer
}

// What a connection may use, for whoever compares.
const (
	MaxRooms  = maxRooms
	MaxQueued = maxQueueBytes
)

// Connections lists the sockets of this node. It takes one lock after the other, each
// for a look, so that nobody waits for a list of thousands.
func (s *Server) Connections() []Connection {
	conns := s.hub.everyone()
	list := make([]Connection, 0, len(conns))
	for _, c := range conns {
		v := Connection{ID: c.id, Route: c.route.name, User: c.actor.User, Username: c.actor.Username, Session: sessionRef(c.actor.Session.UUID),
			Network: c.ip, Since: c.opened, Received: c.net.BytesIn()}
		c.mu.Lock()
		v.Rooms, v.SessionEnds, v.UserAgent = len(c.rooms), c.session.EndsFirst(), c.session.UserAgent
		c.mu.Unlock()
		c.out.mu.Lock()
		v.Queued = c.out.bytes
		c.out.mu.Unlock()
		list = append(list, v)
	}
	return list
}

// CloseConnection closes one socket of this node with 1008, after which an honest client
// does not come back by itself; false if it is not here. The session lives on: whoever
// must not come back needs Revoke.
func (s *Server) CloseConnection(id string) bool {
	for _, c := range s.hub.everyone() {
		if c.id == id && c.close(closePolicy) {
			s.record(c, audit.RevokedClose, audit.Warn, "admin-separation", "admin", func(e *audit.Event) { e.CloseCode = int(closePolicy) })
			return true
		}
	}
	return false
}
