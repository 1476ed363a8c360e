package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// maxMembers bounds the member list.
const maxMembers = 500

// entry is what Enter reads.
type entry struct {
	m      chat.Membership
	head   int64
	joined bool
}

const (
	readEntry query = `SELECT m.role, m.muted_until, r.epoch, r.head_seq, false
		FROM rooms r JOIN members m ON m.room_id = r.id WHERE r.id = $1 AND m.user_id = $2`

	// enterRoom runs under the room's lock: otherwise a user could slip in between the
	// look at the bans and a ban that is being made. Who comes new has read everything,
	// as nothing before was addressed to them. A program (authz.CanLead) has to be invited.
	// A command that was on its way when its account was erased makes no member of it: the
	// lock on the user waits for an end that is being made, and looks again behind it.
	//
	//control:name business-limits
	//control:name retention
	enterRoom query = `
WITH person AS (
	SELECT u.id FROM users u WHERE u.id = $2 AND u.role <> 'service' AND u.disabled_at IS NULL FOR KEY SHARE
), wanted AS (
	SELECT r.id, coalesce(s.role, 'member') AS role, s.muted_until, r.head_seq, r.epoch
	FROM rooms r CROSS JOIN person LEFT JOIN sanctions s ON s.room_id = r.id AND s.user_id = $2
	WHERE r.id = $1 AND r.visibility = 'open' AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.room_id = r.id AND b.user_id = $2)
), came AS (
	INSERT INTO members (room_id, user_id, role, muted_until, read_seq, joined_at)
	SELECT w.id, $2, w.role, w.muted_until, w.head_seq, $3
	FROM wanted w WHERE (SELECT count(*) FROM members c WHERE c.room_id = w.id) < $4
	ON CONFLICT DO NOTHING
	RETURNING role, muted_until
)
SELECT came.role, came.muted_until, r.epoch, r.head_seq, true FROM rooms r, came WHERE r.id = $1
UNION ALL
SELECT m.role, m.muted_until, r.epoch, r.head_seq, false FROM rooms r JOIN members m ON m.room_id = r.id WHERE r.id = $1 AND m.user_id = $2
UNION ALL
SELECT '', NULL, w.epoch, w.head_seq, false FROM wanted w
	WHERE NOT EXISTS (SELECT 1 FROM came) AND NOT EXISTS (SELECT 1 FROM members m WHERE m.room_id = $1 AND m.user_id = $2)`
)

// errRoomFull says that a room has all the members that it may have, to those whom it would
// have let in otherwise.
var errRoomFull = overQuota("This room is full.")

// Enter confirms a membership, which takes no lock, or makes one of an open room.
//
//control:name business-limits
func (r *Rooms) Enter(ctx context.Context, user chat.UserID, room chat.RoomID) (m chat.Membership, head int64, joined bool, err error) {
	scan := func(r row) (e entry, err error) {
		e.m = chat.Membership{Room: room, User: user}
		err = r(&e.m.Role, intoTime{&e.m.MutedUntil}, &e.m.Epoch, &e.head, &e.joined)
		return e, err
	}
	var e entry
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		var member bool
		if e, member, err = one(ctx, c, scan, readEntry, room.UUID, user.UUID); err != nil || member {
			return err
		}
		es, err := after(ctx, c, statement{lockRoom, []any{room.UUID}}, scan, enterRoom, room.UUID, user.UUID, r.now(), r.quotas.Members)
		switch {
		case err != nil:
			return err
		case len(es) == 0:
			return chat.ErrDenied
		case es[0].m.Role == "":
			return errRoomFull
		}
		e = es[0]
		return nil
	})
	if err != nil {
		return chat.Membership{}, 0, false, fmt.Errorf("enter room: %w", err)
	}
	return e.m, e.head, e.joined, nil
}

const readStandings query = `SELECT r.epoch, m.user_id, coalesce(m.role, ''), m.muted_until
	FROM rooms r LEFT JOIN members m ON m.room_id = r.id AND m.user_id = ANY($2) WHERE r.id = $1`

// standings reads one row for each of users who is a member, or one without a user.
func (r *Rooms) standings(ctx context.Context, room chat.RoomID, users []chat.UserID) (list []chat.Membership, err error) {
	ids := make([]uuid.UUID, len(users))
	for i, id := range users {
		ids[i] = id.UUID
	}
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, func(r row) (chat.Membership, error) {
			m := chat.Membership{Room: room}
			err := r(&m.Epoch, intoID{&m.User.UUID}, &m.Role, intoTime{&m.MutedUntil})
			return m, err
		}, readStandings, room.UUID, ids)
		if err == nil && len(list) == 0 {
			return chat.ErrDenied
		}
		return err
	})
	return list, err
}

// Membership reads user's standing in a room.
func (r *Rooms) Membership(ctx context.Context, user chat.UserID, room chat.RoomID) (chat.Membership, error) {
	list, err := r.standings(ctx, room, []chat.UserID{user})
	if err == nil && list[0].Role == "" {
		err = chat.ErrDenied
	}
	if err != nil {
		return chat.Membership{}, fmt.Errorf("read membership: %w", err)
	}
	return list[0], nil
}

// Standings reads the memberships of users in a room, and the room's epoch in the same
// snapshot. ErrDenied if there is no such room.
func (r *Rooms) Standings(ctx context.Context, room chat.RoomID, users []chat.UserID) (epoch int64, list []chat.Membership, err error) {
	list, err = r.standings(ctx, room, users)
	if err != nil {
		return 0, nil, fmt.Errorf("read standings: %w", err)
	}
	epoch = list[0].Epoch
	if list[0].Role == "" { // the room, and nobody of those asked for
		list = nil
	}
	return epoch, list, nil
}

const memberColumns = `u.id, u.username, u.display_name, m.role, m.muted_until, m.joined_at`

func scanMember(r row) (m chat.Member, err error) {
	err = r(&m.Person.ID.UUID, &m.Person.Username, &m.Person.DisplayName, &m.Role, intoTime{&m.MutedUntil}, intoTime{&m.JoinedAt})
	return m, err
}

const listMembers query = `SELECT ` + memberColumns + `
	FROM members me JOIN members m ON m.room_id = me.room_id JOIN users u ON u.id = m.user_id
	WHERE me.room_id = $1 AND me.user_id = $2 AND me.role = ANY($3)
	ORDER BY lower(u.display_name), u.username LIMIT $4`

// Members lists the members of a room by display name, at most 500.
func (r *Rooms) Members(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID) (list []chat.Member, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanMember, listMembers, room.UUID, by.UUID, roles, maxMembers)
		if err == nil && len(list) == 0 { // whoever may read is in the list
			return chat.ErrDenied
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	return list, nil
}

// invite is a member and whether they came by this call.
type invite struct {
	member chat.Member
	added  bool
}

// addMember runs under the room's lock, like enterRoom, and like it locks whom it adds.
//
//control:name business-limits
//control:name retention
const addMember query = `
WITH person AS (
	SELECT u.id, u.username, u.display_name FROM users u WHERE u.username = $4 AND u.disabled_at IS NULL FOR KEY SHARE
), wanted AS (
	SELECT r.id AS room_id, r.head_seq, u.id AS user_id, u.username, u.display_name
	FROM rooms r
	JOIN members me ON me.room_id = r.id AND me.user_id = $2 AND me.role = ANY($3)
	CROSS JOIN person u
	WHERE r.id = $1 AND r.visibility <> 'direct'
		AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.room_id = r.id AND b.user_id = u.id)
), came AS (
	INSERT INTO members (room_id, user_id, role, muted_until, read_seq, joined_at)
	SELECT w.room_id, w.user_id, coalesce(s.role, 'member'), s.muted_until, w.head_seq, $5
	FROM wanted w LEFT JOIN sanctions s ON s.room_id = w.room_id AND s.user_id = w.user_id
	WHERE (SELECT count(*) FROM members c WHERE c.room_id = w.room_id) < $6
	ON CONFLICT DO NOTHING
	RETURNING user_id, role, muted_until, joined_at
)
SELECT w.user_id, w.username, w.display_name, coalesce(came.role, m.role, ''), coalesce(came.muted_until, m.muted_until),
	coalesce(came.joined_at, m.joined_at), came.role IS NOT NULL
FROM wanted w LEFT JOIN came ON true LEFT JOIN members m ON m.room_id = w.room_id AND m.user_id = w.user_id`

// AddMember makes username a member and reports whether they were none before.
//
//control:name business-limits
func (r *Rooms) AddMember(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, username string) (chat.Member, bool, error) {
	var list []invite
	err := r.db.do(ctx, func(ctx context.Context, c conn) (err error) {
		list, err = after(ctx, c, statement{lockRoom, []any{room.UUID}}, func(r row) (i invite, err error) {
			m := &i.member
			err = r(&m.Person.ID.UUID, &m.Person.Username, &m.Person.DisplayName, &m.Role, intoTime{&m.MutedUntil}, intoTime{&m.JoinedAt}, &i.added)
			return i, err
		}, addMember, room.UUID, by.UUID, roles, username, r.now(), r.quotas.Members)
		switch {
		case err != nil:
			return err
		case len(list) == 0:
			return chat.ErrDenied
		case list[0].member.Role == "":
			return errRoomFull
		}
		return nil
	})
	if err != nil {
		return chat.Member{}, false, fmt.Errorf("add member: %w", err)
	}
	return list[0].member, list[0].added, nil
}

const markRead query = `UPDATE members m SET read_seq = greatest(m.read_seq, least($4, r.head_seq))
	FROM rooms r WHERE r.id = m.room_id AND m.room_id = $1 AND m.user_id = $2 AND m.role = ANY($3) RETURNING m.read_seq`

// Mark moves the read marker forward, at most to the head, and returns where it is.
func (r *Rooms) Mark(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, seq int64) (at int64, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		at, err = must(one(ctx, c, value[int64], markRead, room.UUID, by.UUID, roles, seq))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("move read marker: %w", err)
	}
	return at, nil
}
