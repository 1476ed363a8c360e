package chat

import (
	"context"
	"time"

	"example.com/portcullis/internal/guard/authz"
)

// Reasons of membership changes, as revocations and room.removed carry them.
const (
	ReasonRemoved = "removed"
	ReasonLeft    = "left"
	ReasonBanned  = "banned"
	ReasonMuted   = "muted"
	ReasonRole    = "role"
)

// maxMute is the longest mute: long enough to be a punishment, short enough to end
// by itself when the moderator has forgotten it.
const maxMute = 30 * 24 * time.Hour

// Members lists who is in a room of a's.
func (s *Service) Members(ctx context.Context, a Actor, room RoomID) ([]Member, error) {
	if err := signedIn(a); err != nil {
		return nil, err
	}
	ms, err := s.store.Members(ctx, authz.Roles(authz.Read), a.User, room)
	return ms, wrap("list members", err)
}

// AddMember adds a user by name to a room that a may invite to.
func (s *Service) AddMember(ctx context.Context, a Actor, room RoomID, username string) (Member, error) {
	if err := signedIn(a); err != nil {
		return Member{}, err
	}
	if !authz.CanLead(a.Role) {
		return Member{}, ErrDenied
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costChange); err != nil {
		return Member{}, err
	}
	if err := s.limits.Invite(ctx, a); err != nil {
		return Member{}, err
	}
	m, added, err := s.store.AddMember(ctx, authz.Roles(authz.Invite), a.User, room, fold(username))
	if err != nil {
		return Member{}, wrap("add member", err)
	}
	if added {
		s.bus.Signal(ctx, Signal{Kind: MemberChanged, Room: room, User: m.Person, Role: m.Role})
	}
	return m, nil
}

// errLastOwner keeps a room from being left without anybody who may change it.
var errLastOwner = &Error{Kind: Conflict, Public: "Give the room another owner first."}

// RemoveMember takes a member out of a room; oneself is leaving. The last owner cannot leave.
//
//control:name authz
func (s *Service) RemoveMember(ctx context.Context, a Actor, room RoomID, target UserID) error {
	return s.moderate(ctx, a, room, target, func(r Room, actor, t Standing) (Standing, string, error) {
		if t.Role == "" || r.Visibility == Direct {
			return t, "", ErrDenied
		}
		if target == a.User {
			if t.Role == authz.Owner && r.Owners < 2 {
				return t, "", errLastOwner
			}
			return Standing{}, ReasonLeft, nil
		}
		if !authz.CanOn(actor.Role, authz.Remove, t.Role) {
			return t, "", ErrDenied
		}
		return Standing{}, ReasonRemoved, nil
	})
}

// MemberChange is what to change about a member; nil leaves it.
type MemberChange struct {
	Role       *authz.Role
	MutedUntil *time.Time // in the past or zero: no longer muted
}

// ChangeMember gives a member another role, mutes them, or ends a mute.
func (s *Service) ChangeMember(ctx context.Context, a Actor, room RoomID, target UserID, change MemberChange) error {
	if change.Role == nil && change.MutedUntil == nil {
		return invalid("Name a role or a time.")
	}
	if change.Role != nil && !authz.Known(*change.Role) {
		return invalid("A role is reader, member, moderator or owner.")
	}
	if change.MutedUntil != nil && change.MutedUntil.After(s.now().Add(maxMute)) {
		return invalid("A mute ends within 30 days.")
	}
	return s.moderate(ctx, a, room, target, func(r Room, actor, t Standing) (Standing, string, error) {
		next, reason := t, ""
		if t.Role == "" {
			return t, "", ErrDenied
		}
		if change.Role != nil && *change.Role != t.Role {
			// An owner may make another owner, which is how a room is handed over.
			// An owner may also step down, unless they are the last.
			steppingDown := target == a.User && t.Role == authz.Owner
			if steppingDown && r.Owners < 2 {
				return t, "", errLastOwner
			}
			if !steppingDown && !authz.CanOn(actor.Role, authz.ChangeRole, t.Role) {
				return t, "", ErrDenied
			}
			next.Role, reason = *change.Role, ReasonRole
		}
		if change.MutedUntil != nil {
			if !authz.CanOn(actor.Role, authz.Mute, t.Role) {
				return t, "", ErrDenied
			}
			next.MutedUntil, reason = *change.MutedUntil, ReasonMuted
			if !next.MutedUntil.After(s.now()) {
				next.MutedUntil = time.Time{}
			}
		}
		return next, reason, nil
	})
}

// Ban removes a user, member or not, and refuses their return.
func (s *Service) Ban(ctx context.Context, a Actor, room RoomID, target UserID) error {
	return s.moderate(ctx, a, room, target, func(r Room, actor, t Standing) (Standing, string, error) {
		if r.Visibility == Direct || target == a.User || !authz.CanOn(actor.Role, authz.Ban, t.Role) {
			return t, "", ErrDenied
		}
		return Standing{Banned: true}, ReasonBanned, nil
	})
}

// Unban lets a banned user come back; it does not make them a member.
func (s *Service) Unban(ctx context.Context, a Actor, room RoomID, target UserID) error {
	return s.moderate(ctx, a, room, target, func(_ Room, actor, t Standing) (Standing, string, error) {
		if !authz.Can(actor.Role, authz.Ban) {
			return t, "", ErrDenied
		}
		t.Banned = false
		return t, "", nil
	})
}

// moderate runs one decision under the room's lock and tells every node. The
// revocation goes out before the signal, so that a removed member's sockets are
// shut out of the room before the others read about it.
func (s *Service) moderate(ctx context.Context, a Actor, room RoomID, target UserID, decide Decide) error {
	if err := signedIn(a); err != nil {
		return err
	}
	if !authz.CanLead(a.Role) {
		return ErrDenied
	}
	if err := s.limits.Take(ctx, a, RoomID{}, costChange); err != nil {
		return err
	}
	out, err := s.store.ChangeMember(ctx, a.User, room, target, decide)
	if err != nil {
		return wrap("change member", err)
	}
	if out.Before == out.After {
		return nil
	}
	if out.LostRights || out.Before.Role != out.After.Role {
		s.bus.Revoke(ctx, Revocation{User: target, Room: room, Reason: out.Reason, At: s.now()})
	}
	s.bus.Signal(ctx, Signal{Kind: MemberChanged, Room: room, User: out.Person, Role: out.After.Role, Muted: out.After.MutedUntil})
	return nil
}
