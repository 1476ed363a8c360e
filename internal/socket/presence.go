package socket

import (
	"context"
	"time"

	"example.com/portcullis/internal/chat"
)

// presenceTimeout bounds what is best effort: a dot beside a name.
const presenceTimeout = 2 * time.Second

// appear tells the room that the user is there, if this is their first connection
// in it on any node.
func (c *conn) appear(ctx context.Context, room chat.RoomID) {
	first, err := c.server.Feed.Enter(ctx, room, c.actor.User, c.id)
	if err == nil && first {
		c.server.Feed.Signal(ctx, c.presence(room, true))
	}
}

// depart takes m out of its room and, after the last connection of the user, tells
// the room; false: somebody else did.
func (c *conn) depart(m *member) bool {
	s := c.server
	if !s.hub.leave(m) {
		return false
	}
	ctx, cancel := context.WithTimeout(s.life, presenceTimeout)
	defer cancel()
	last, err := s.Feed.Leave(ctx, m.room.id, c.actor.User, c.id)
	if err == nil && last {
		s.Feed.Signal(ctx, c.presence(m.room.id, false))
	}
	return true
}

func (c *conn) presence(room chat.RoomID, online bool) chat.Signal {
	user := chat.Person{ID: c.actor.User, Username: c.actor.Username, DisplayName: c.actor.DisplayName}
	return chat.Signal{Kind: chat.Presence, Room: room, User: user, Online: online}
}
