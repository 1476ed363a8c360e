package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Rooms is the chat.Store.
//
// The row of a room is the room's lock. Whoever takes a seq or changes a membership
// holds it (lockRoom), so posts and removals of one room come one after the other and
// seqs have neither gaps nor twins. Statements after the lock see what its last
// holder left.
type Rooms struct {
	db      *DB
	commits *commits
	quotas  chat.Quotas
}

var _ chat.Store = (*Rooms)(nil)

// lockRoom takes the lock. It is NO KEY UPDATE so that rows that only refer to the
// room need not wait. A room that does not exist locks nothing, and the next
// statement then finds no member: the same way as for a stranger.
const lockRoom query = `SELECT true FROM rooms WHERE id = $1 FOR NO KEY UPDATE`

// maxRooms bounds the room list.
const maxRooms = 200

const (
	// roomColumns and roomTables are a room as the user $1 sees it.
	roomColumns = `r.id, r.title, r.visibility, r.head_seq, coalesce(m.role, ''), coalesce(m.read_seq, 0),
		(SELECT count(*) FROM members c WHERE c.room_id = r.id), p.id, coalesce(p.username, ''), coalesce(p.display_name, ''), r.created_at`

	roomTables = ` FROM rooms r
		LEFT JOIN members m ON m.room_id = r.id AND m.user_id = $1
		LEFT JOIN members o ON r.visibility = 'direct' AND o.room_id = r.id AND o.user_id <> $1
		LEFT JOIN users p ON p.id = o.user_id`

	// visible is true of a room that the user $1 may know of.
	visible = `(m.role IS NOT NULL
		OR r.visibility = 'open' AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.room_id = r.id AND b.user_id = $1))`

	// listRooms takes the user's own rooms first: otherwise anybody could push them off
	// the list with busy open rooms.
	listRooms query = `
WITH shown AS (
	(SELECT n.id FROM members me JOIN rooms n ON n.id = me.room_id WHERE me.user_id = $1 ORDER BY n.active_at DESC LIMIT $2)
	UNION ALL
	(SELECT r.id FROM rooms r LEFT JOIN members m ON m.room_id = r.id AND m.user_id = $1
	WHERE r.visibility = 'open' AND m.role IS NULL AND ` + visible + ` ORDER BY r.active_at DESC LIMIT $2)
)
SELECT ` + roomColumns + roomTables + ` JOIN shown ON shown.id = r.id ORDER BY m.role IS NULL, r.active_at DESC, r.id LIMIT $2`

	readRoom   query = `SELECT ` + roomColumns + roomTables + ` WHERE r.id = $2 AND ` + visible
	readDirect query = `SELECT ` + roomColumns + roomTables + ` WHERE r.direct_key = $2 AND ` + visible
)

func scanRoom(r row) (v chat.Room, err error) {
	var peer chat.Person
	err = r(&v.ID.UUID, &v.Title, &v.Visibility, &v.HeadSeq, &v.Role, &v.ReadSeq,
		&v.Members, intoID{&peer.ID.UUID}, &peer.Username, &peer.DisplayName, intoTime{&v.CreatedAt})
	if peer.ID.UUID != uuid.Nil {
		v.Peer = &peer
	}
	return v, err
}

// Rooms lists what user may see: their own rooms, then open ones, each newest activity
// first, at most 200.
func (r *Rooms) Rooms(ctx context.Context, user chat.UserID) (list []chat.Room, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanRoom, listRooms, user.UUID, maxRooms)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list rooms: %w", err)
	}
	return list, nil
}

// Room reads one room that user may see.
func (r *Rooms) Room(ctx context.Context, user chat.UserID, room chat.RoomID) (got chat.Room, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		got, err = must(one(ctx, c, scanRoom, readRoom, user.UUID, room.UUID))
		return err
	})
	if err != nil {
		return chat.Room{}, fmt.Errorf("read room: %w", err)
	}
	return got, nil
}

// overQuota is the answer to one thing too many.
func overQuota(public string) error { return &chat.Error{Kind: chat.Quota, Public: public} }

// must turns "no row" into chat.ErrDenied: not there and not allowed are one.
func must[T any](v T, found bool, err error) (T, error) {
	if err == nil && !found {
		err = chat.ErrDenied
	}
	return v, err
}

const (
	// lockUser makes what one user makes wait for each other, so that they are counted.
	lockUser query = `SELECT true FROM users WHERE id = $1 FOR NO KEY UPDATE`

	// lockActive does the same for those whose account has not ended. It waits for an end
	// that is being made and obeys it: a command on its way makes nothing for nobody.
	//
	//control:name retention
	lockActive query = `SELECT true FROM users WHERE id = $1 AND disabled_at IS NULL FOR NO KEY UPDATE`

	// insertRoom counts behind lockActive what its owner has made.
	//
	//control:name business-limits
	insertRoom query = `
WITH made AS (
	INSERT INTO rooms (id, title, visibility, created_by, created_at, active_at)
	SELECT $2, $3, $4, $1, $5, $5
	WHERE (SELECT count(*) FROM rooms WHERE created_by = $1 AND visibility <> 'direct') < $6
	RETURNING id
)
INSERT INTO members (room_id, user_id, role, joined_at) SELECT id, $1, 'owner', $5 FROM made RETURNING room_id`
)

// CreateRoom stores an open or closed room with its owner; kind Quota when owner made
// Quotas.Rooms already.
//
//control:name business-limits
func (r *Rooms) CreateRoom(ctx context.Context, owner chat.UserID, title string, v chat.Visibility) (chat.Room, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return chat.Room{}, fmt.Errorf("create room: %w", err)
	}
	now := r.now()
	err = r.db.tx(ctx, func(ctx context.Context, c conn) error {
		if _, err := must(one(ctx, c, value[bool], lockActive, owner.UUID)); err != nil {
			return err
		}
		_, made, err := one(ctx, c, value[uuid.UUID], insertRoom, owner.UUID, id, title, string(v), now, r.quotas.Rooms)
		if err == nil && !made {
			return overQuota("You have made as many rooms as one account may.")
		}
		return err
	})
	if err != nil {
		return chat.Room{}, fmt.Errorf("create room: %w", err)
	}
	return chat.Room{ID: chat.RoomID{UUID: id}, Title: title, Visibility: v, Role: authz.Owner, Members: 1, CreatedAt: now}, nil
}

const (
	// findPeer locks like lockActive, but as little as a row that refers to the peer does.
	//
	//control:name retention
	findPeer query = `SELECT id FROM users WHERE username = $2 AND id <> $1 AND disabled_at IS NULL FOR KEY SHARE`

	// insertDirect counts behind lockActive what its maker began within a day.
	//
	//control:name business-limits
	insertDirect query = `
WITH made AS (
	INSERT INTO rooms (id, title, visibility, direct_key, created_by, created_at, active_at)
	SELECT $1, '', 'direct', $2, $3, $5, $5
	WHERE (SELECT count(*) FROM rooms WHERE created_by = $3 AND visibility = 'direct' AND created_at > $5::timestamptz - interval '24 hours') < $6
	ON CONFLICT (direct_key) DO NOTHING
	RETURNING id
)
INSERT INTO members (room_id, user_id, role, joined_at)
SELECT made.id, u.id, 'member', $5 FROM made, unnest(ARRAY[$3::uuid, $4::uuid]) AS u (id)`
)

// findTalk begins at the user's own rooms, which are few.
const findTalk query = `SELECT ` + roomColumns + roomTables + `
	WHERE r.visibility = 'direct' AND p.username = $2 AND r.id IN (SELECT mine.room_id FROM members mine WHERE mine.user_id = $1)`

// Talk finds the direct room of two users.
func (r *Rooms) Talk(ctx context.Context, user chat.UserID, username string) (room chat.Room, found bool, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		room, found, err = one(ctx, c, scanRoom, findTalk, user.UUID, username)
		return err
	})
	if err != nil {
		return chat.Room{}, false, fmt.Errorf("find direct room: %w", err)
	}
	return room, found, nil
}

// DirectRoom returns the one direct room of two users. Both are plain members: nobody
// invites a third, and nobody removes the other.
//
//control:name business-limits
func (r *Rooms) DirectRoom(ctx context.Context, user chat.UserID, username string) (room chat.Room, made bool, err error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return chat.Room{}, false, fmt.Errorf("open direct room: %w", err)
	}
	err = r.db.tx(ctx, func(ctx context.Context, c conn) error {
		peer, err := must(one(ctx, c, value[uuid.UUID], findPeer, user.UUID, username))
		if err != nil {
			return err
		}
		if _, err := must(one(ctx, c, value[bool], lockActive, user.UUID)); err != nil {
			return err
		}
		key := directKey(user.UUID, peer)
		n, err := exec(ctx, c, insertDirect, id, key, user.UUID, peer, r.now(), r.quotas.DirectPerDay)
		if err != nil {
			return err
		}
		made = n > 0
		var there bool
		room, there, err = one(ctx, c, scanRoom, readDirect, user.UUID, key)
		if err == nil && !there {
			err = overQuota("You have begun as many direct talks as one account may in a day.")
		}
		return err
	})
	if err != nil {
		return chat.Room{}, false, fmt.Errorf("open direct room: %w", err)
	}
	return room, made, nil
}

// directKey is the same for both users of a pair.
func directKey(a, b uuid.UUID) string {
	return min(a.String(), b.String()) + ":" + max(a.String(), b.String())
}

const readHeads query = `SELECT id, head_seq, epoch FROM rooms WHERE id = ANY($1)`

// Heads reads how far rooms have come. Rooms that do not exist are absent.
func (r *Rooms) Heads(ctx context.Context, rooms []chat.RoomID) (heads []chat.Head, err error) {
	ids := make([]uuid.UUID, len(rooms))
	for i, id := range rooms {
		ids[i] = id.UUID
	}
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		heads, err = all(ctx, c, func(r row) (h chat.Head, err error) {
			err = r(&h.Room.UUID, &h.Seq, &h.Epoch)
			return h, err
		}, readHeads, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read heads: %w", err)
	}
	return heads, nil
}
