package chat

import (
	"context"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/authz"
)

// Draft is a message as its author sends it. Everything else about it, the author
// first of all, is derived by the server (CWE-915).
type Draft struct {
	Room     RoomID
	ClientID ClientID
	Body     string
	ReplyTo  MessageID // zero: none
	Uploads  []UploadID

	// Subscribed says that the author's socket receives this room, so they are known
	// to be a member. Only then is the room's own budget charged: otherwise a stranger
	// could spend it with messages that are refused, and silence the room.
	Subscribed bool
}

// Send stores one message and tells the room. This is the whole path, in order:
//
//  1. The words: a body that fits.
//  2. The budgets: user, client, room and all together.
//  3. The store: role, mute, dedupe, seq and row in one transaction. authz.Roles is the
//     table's answer as a bound parameter, so the check and the write cannot part.
//  4. The bus.
//
// After 3 the message is sent, whatever happens next: receivers repair a lost
// publication by seq. Sending the same ClientID again returns the first change with
// dup true and tells nobody twice.
//
//control:name replay
//control:name authz
//control:name ratelimit
func (s *Service) Send(ctx context.Context, a Actor, d Draft) (c Change, dup bool, err error) {
	if err := signedIn(a); err != nil {
		return Change{}, false, err
	}
	body, err := cleanBody(d.Body)
	if err != nil {
		return Change{}, false, err
	}
	if err := cleanUploads(d.Uploads); err != nil {
		return Change{}, false, err
	}
	budget := RoomID{}
	if d.Subscribed {
		budget = d.Room
	}
	if err := s.limits.Take(ctx, a, budget, costMessage); err != nil {
		return Change{}, false, err
	}
	id, err := uuid.NewRandom() // not v7: an id must not tell when a message was written
	if err != nil {
		return Change{}, false, wrap("make message id", err)
	}
	c, dup, err = s.store.Append(ctx, authz.Roles(authz.Send), Post{
		Room: d.Room, Author: a.person(), ID: MessageID{id}, ClientID: d.ClientID,
		Body: body, ReplyTo: d.ReplyTo, Uploads: d.Uploads, At: s.now(),
	})
	if err != nil {
		return Change{}, false, wrap("append message", err)
	}
	if !dup {
		s.bus.Publish(ctx, c)
	}
	return c, dup, nil
}

// Edit replaces the body of a's own message.
func (s *Service) Edit(ctx context.Context, a Actor, room RoomID, id MessageID, body string) (Change, error) {
	if err := signedIn(a); err != nil {
		return Change{}, err
	}
	body, err := cleanBody(body)
	if err != nil {
		return Change{}, err
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costMessage); err != nil {
		return Change{}, err
	}
	c, err := s.store.Edit(ctx, authz.Roles(authz.EditOwn), a.User, room, id, body)
	if err != nil {
		return Change{}, wrap("edit message", err)
	}
	s.bus.Publish(ctx, c)
	return c, nil
}

// Delete empties a's own message, or anybody's if a moderates the room.
func (s *Service) Delete(ctx context.Context, a Actor, room RoomID, id MessageID) (Change, error) {
	if err := signedIn(a); err != nil {
		return Change{}, err
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costMessage); err != nil {
		return Change{}, err
	}
	anybodys := authz.Roles(authz.DeleteAny)
	if !authz.CanLead(a.Role) {
		anybodys = nil // whatever role somebody gave it in the room
	}
	c, err := s.store.Delete(ctx, authz.Roles(authz.DeleteOwn), anybodys, a.User, room, id)
	if err != nil {
		return Change{}, wrap("delete message", err)
	}
	s.bus.Publish(ctx, c)
	return c, nil
}

// React adds or removes a's reaction with one emoji of the fixed list. It returns
// the seq of the change, or of the newest one when there was nothing to change.
func (s *Service) React(ctx context.Context, a Actor, room RoomID, id MessageID, emoji string, add bool) (int64, error) {
	if err := signedIn(a); err != nil {
		return 0, err
	}
	if !Emoji(emoji) {
		return 0, invalid("That is not one of the reactions.")
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costMessage); err != nil {
		return 0, err
	}
	c, changed, err := s.store.React(ctx, authz.Roles(authz.React), a.User, room, id, emoji, add)
	if err != nil {
		return 0, wrap("react", err)
	}
	if changed {
		s.bus.Publish(ctx, c)
	}
	return c.Seq, nil
}
