package app

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/session"
)

// endedByOperator is the reason that sockets, tombstones and events carry.
const endedByOperator = "admin"

// endings ends sessions on every node.
type endings struct {
	store interface {
		Revoke(ctx context.Context, user, sid uuid.UUID, reason string) (bool, error)
		RevokeAll(ctx context.Context, user, keep uuid.UUID, reason string) ([]uuid.UUID, error)
		OfUser(ctx context.Context, user uuid.UUID) ([]session.Session, error)
	}
	node interface {
		Revoke(ctx context.Context, r chat.Revocation)
	}
	audit audit.Recorder
}

// EndSessions ends one session of a user on an operator's word, or all of them when sid
// is the zero id, closes their sockets on every node, and says how many it ended.
func EndSessions(ctx context.Context, p Parts, b *Backends, user chat.UserID, sid chat.SessionID) (int, error) {
	e := endings{b.DB.Sessions(), p.Node, p.Audit}
	if sid.UUID != uuid.Nil {
		return e.one(ctx, user.UUID, sid.UUID, endedByOperator)
	}
	ended, err := e.store.RevokeAll(ctx, user.UUID, uuid.Nil, endedByOperator)
	if err != nil {
		return 0, err
	}
	e.tell(ctx, user.UUID, endedByOperator, ended...)
	return len(ended), nil
}

// EndEverySession ends the sessions of everybody on an operator's word. Whoever signs in
// meanwhile has proven who they are, and stays.
func EndEverySession(ctx context.Context, p Parts, b *Backends) (int, error) {
	users, err := b.DB.Sessions().Users(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, user := range users {
		ended, err := EndSessions(ctx, p, b, chat.UserID{UUID: user}, chat.SessionID{})
		if err != nil {
			return total, err
		}
		total += ended
	}
	return total, nil
}

func (e endings) one(ctx context.Context, user, sid uuid.UUID, reason string) (int, error) {
	ended, err := e.store.Revoke(ctx, user, sid, reason)
	if err != nil || !ended {
		return 0, err
	}
	e.tell(ctx, user, reason, sid)
	return 1, nil
}

func (e endings) tell(ctx context.Context, user uuid.UUID, reason string, ended ...uuid.UUID) {
	for _, id := range ended {
		e.audit.Record(ctx, audit.Event{Name: audit.TokenRevoked, Level: audit.Warn, Control: "session", Reason: reason, User: user.String(), Session: audit.Ref(id.String())})
		e.node.Revoke(ctx, chat.Revocation{Session: chat.SessionID{UUID: id}, User: chat.UserID{UUID: user}, Reason: reason, At: time.Now()})
	}
}

// EndSession ends the session of a user that the log calls ref.
//
//control:name response
func (e endings) EndSession(ctx context.Context, user, ref, reason string) (bool, error) {
	id, err := uuid.Parse(user)
	if err != nil {
		return false, err
	}
	live, err := e.store.OfUser(ctx, id)
	if err != nil {
		return false, err
	}
	for _, s := range live {
		if audit.Ref(s.SID.String()) == ref {
			n, err := e.one(ctx, id, s.SID, reason)
			return n > 0, err
		}
	}
	return false, nil
}
