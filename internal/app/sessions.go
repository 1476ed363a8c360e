package app

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
)

// endedByOperator is the reason that sockets, tombstones and events carry.
const endedByOperator = "admin"

// EndSessions ends one session of a user on an operator's word, or all of them when sid
// is the zero id, closes their sockets on every node, and says how many it ended.
func EndSessions(ctx context.Context, p Parts, b *Backends, user chat.UserID, sid chat.SessionID) (int, error) {
	var ended []uuid.UUID
	var err error
	if sid.UUID == uuid.Nil {
		ended, err = b.DB.Sessions().RevokeAll(ctx, user.UUID, uuid.Nil, endedByOperator)
	} else {
		var was bool
		if was, err = b.DB.Sessions().Revoke(ctx, user.UUID, sid.UUID, endedByOperator); was {
			ended = []uuid.UUID{sid.UUID}
		}
	}
	if err != nil {
		return 0, err
	}
	for _, id := range ended {
		p.Audit.Record(ctx, audit.Event{Name: audit.TokenRevoked, Level: audit.Warn, Control: "session", Reason: endedByOperator, User: user.String(), Session: audit.Ref(id.String())})
		p.Node.Revoke(ctx, chat.Revocation{Session: chat.SessionID{UUID: id}, User: user, Reason: endedByOperator, At: time.Now()})
	}
	return len(ended), nil
}
