package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/portcullis/internal/chat"
)

// Archive reads what one user has here, for that user. Each statement begins with the
// user, so that nobody else's rows can be among them.
type Archive struct{ db *DB }

// Archive reads what one user has here.
func (db *DB) Archive() *Archive { return &Archive{db} }

const (
	madeAt query = `SELECT u.created_at FROM users u WHERE u.id = $1`

	// joinedRooms tells the other person of a direct room, whose name is its title.
	joinedRooms query = `
SELECT m.room_id, r.title, r.visibility, coalesce(p.username, ''), m.role, m.muted_until, m.read_seq, m.joined_at
FROM members m JOIN rooms r ON r.id = m.room_id
LEFT JOIN members o ON r.visibility = 'direct' AND o.room_id = m.room_id AND o.user_id <> m.user_id
LEFT JOIN users p ON p.id = o.user_id
WHERE m.user_id = $1 AND m.room_id > $2
ORDER BY m.room_id LIMIT $3`

	// writtenBy goes along the index of client ids, which begin with a time. What was
	// said in a room stays its author's, whether they may still read there or not; what
	// others said is not here.
	//
	//control:name retention
	writtenBy query = `
SELECT m.room_id, m.id, m.seq, m.client_id, m.body, m.reply_to, m.created_at, m.edited_at,
	(SELECT jsonb_agg(` + fileObject + ` ORDER BY x.place) FROM uploads x WHERE x.message_id = m.id)
FROM messages m
WHERE m.author_id = $1 AND m.client_id > $2 AND m.deleted_at IS NULL
ORDER BY m.client_id LIMIT $3`
)

// MadeAt is when the account of user was made.
func (a *Archive) MadeAt(ctx context.Context, user chat.UserID) (at time.Time, err error) {
	err = a.db.do(ctx, func(ctx context.Context, c conn) error {
		at, _, err = one(ctx, c, func(r row) (t time.Time, err error) {
			err = r(intoTime{&t})
			return t, err
		}, madeAt, user.UUID)
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("read account: %w", err)
	}
	return at, nil
}

// Joined lists the rooms that user is in, in the order of their ids, after one.
func (a *Archive) Joined(ctx context.Context, user chat.UserID, after chat.RoomID, limit int) (list []chat.Joined, err error) {
	err = a.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, func(r row) (j chat.Joined, err error) {
			err = r(&j.Room.UUID, &j.Title, &j.Visibility, &j.Peer, &j.Role, intoTime{&j.MutedUntil}, &j.ReadSeq, intoTime{&j.At})
			return j, err
		}, joinedRooms, user.UUID, after.UUID, clamp(limit))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list memberships: %w", err)
	}
	return list, nil
}

// Written lists the messages of user that are not deleted, in the order of their client
// ids, after one.
func (a *Archive) Written(ctx context.Context, user chat.UserID, after chat.ClientID, limit int) (list []chat.Message, err error) {
	err = a.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, func(r row) (m chat.Message, err error) {
			err = r(&m.Room.UUID, &m.ID.UUID, &m.Seq, &m.ClientID.UUID, &m.Body, intoID{&m.ReplyTo.UUID}, intoTime{&m.CreatedAt}, intoTime{&m.EditedAt}, &m.Uploads)
			m.Author.ID = user
			return m, err
		}, writtenBy, user.UUID, after.UUID, clamp(limit))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return list, nil
}
