package postgres

import (
	"context"
	"errors"
	"fmt"

	"example.com/portcullis/internal/chat"
)

const (
	readStanding query = `SELECT u.id, u.username, u.display_name, coalesce(m.role, ''), m.muted_until,
		EXISTS (SELECT 1 FROM bans b WHERE b.room_id = $1 AND b.user_id = u.id)
		FROM users u LEFT JOIN members m ON m.room_id = $1 AND m.user_id = u.id WHERE u.id = $2`

	setStanding query = `INSERT INTO members (room_id, user_id, role, muted_until, read_seq, joined_at)
		SELECT r.id, $2, $3, $4, r.head_seq, $5 FROM rooms r WHERE r.id = $1
		ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role, muted_until = excluded.muted_until`
	dropMember query = `DELETE FROM members WHERE room_id = $1 AND user_id = $2`

	// Leaving must not be a way out of a mute or of being a reader: both are kept for
	// the day that the user comes back (enterRoom, addMember). Nor must a ban that is
	// lifted: of somebody who is no member, what was kept stays.
	dropSanction query = `DELETE FROM sanctions WHERE room_id = $1 AND user_id = $2`
	keepSanction query = `INSERT INTO sanctions (room_id, user_id, role, muted_until)
		SELECT m.room_id, m.user_id, CASE m.role WHEN 'reader' THEN 'reader' ELSE 'member' END, m.muted_until
		FROM members m WHERE m.room_id = $1 AND m.user_id = $2 AND (m.role = 'reader' OR m.muted_until > $3)`

	countOwners query = `SELECT count(*) FROM members WHERE room_id = $1 AND role = 'owner'`

	ban   query = `INSERT INTO bans (room_id, user_id, banned_by, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	unban query = `DELETE FROM bans WHERE room_id = $1 AND user_id = $2`

	raiseEpoch     query = `UPDATE rooms SET epoch = epoch + 1 WHERE id = $1`
	revokeStanding query = `INSERT INTO revocations (user_id, room_id, reason) VALUES ($1, $2, $3)`
)

// someone is a user with their standing in a room.
type someone struct {
	person   chat.Person
	standing chat.Standing
}

func scanSomeone(r row) (s someone, err error) {
	err = r(&s.person.ID.UUID, &s.person.Username, &s.person.DisplayName, &s.standing.Role, intoTime{&s.standing.MutedUntil}, &s.standing.Banned)
	return s, err
}

// ChangeMember asks decide about the target under the room's lock and stores the
// answer. A post that takes the lock later finds the new standing, on every node; and
// the outbox tells the nodes that hold sockets of the target.
func (r *Rooms) ChangeMember(ctx context.Context, by chat.UserID, room chat.RoomID, target chat.UserID, decide chat.Decide) (out chat.Outcome, err error) {
	err = r.db.tx(ctx, func(ctx context.Context, c conn) error {
		if _, err := exec(ctx, c, lockRoom, room.UUID); err != nil {
			return err
		}
		seen, inRoom, err := one(ctx, c, scanRoom, readRoom, by.UUID, room.UUID)
		if err != nil {
			return err
		}
		actor, _, err := one(ctx, c, scanSomeone, readStanding, room.UUID, by.UUID)
		if err != nil {
			return err
		}
		whom, known, err := one(ctx, c, scanSomeone, readStanding, room.UUID, target.UUID)
		if err != nil {
			return err
		}
		if !inRoom || !known || actor.standing.Role == "" {
			return chat.ErrDenied
		}
		if seen.Owners, _, err = one(ctx, c, value[int], countOwners, room.UUID); err != nil {
			return err
		}
		next, reason, err := decide(seen, actor.standing, whom.standing)
		if err != nil {
			return err
		}
		out = chat.Outcome{Person: whom.person, Before: whom.standing, After: next, Reason: reason, LostRights: loses(whom.standing, next)}
		return r.store(ctx, c, by, room, out)
	})
	if err != nil {
		return chat.Outcome{}, fmt.Errorf("change member: %w", err)
	}
	return out, nil
}

// loses reports whether a standing became less than it was. Every change of a role
// counts: to re-read one promotion too many costs nothing, one demotion too few is a
// reader who should not be.
func loses(before, next chat.Standing) bool {
	return before.Role != "" && next.Role != before.Role ||
		next.MutedUntil.After(before.MutedUntil) ||
		next.Banned && !before.Banned
}

// store writes what a moderation came to. Whoever is out keeps a mute, and being a reader,
// as a sanction: to leave and come back lifts nothing, and neither does a ban that ends.
//
//control:name authz
func (r *Rooms) store(ctx context.Context, c conn, by chat.UserID, room chat.RoomID, out chat.Outcome) error {
	target, now := out.Person.ID.UUID, r.now()
	steps := []statement{{setStanding, []any{room.UUID, target, string(out.After.Role), nullTime(out.After.MutedUntil), now}}}
	if out.After.Role == "" {
		steps = nil
		if out.Before.Role != "" {
			who := []any{room.UUID, target}
			steps = []statement{{dropSanction, who}, {keepSanction, append(who, now)}, {dropMember, who}}
		}
	}
	switch {
	case out.After.Banned && out.After.Role != "":
		return errors.New("a banned user cannot have a role")
	case out.After.Banned:
		steps = append(steps, statement{ban, []any{room.UUID, target, by.UUID, now}})
	case out.Before.Banned:
		steps = append(steps, statement{unban, []any{room.UUID, target}})
	}
	if out.LostRights {
		steps = append(steps, statement{raiseEpoch, []any{room.UUID}}, statement{revokeStanding, []any{target, room.UUID, out.Reason}})
	}
	for _, s := range steps {
		if _, err := exec(ctx, c, s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}
