package postgres

import (
	"context"
	"fmt"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// maxRepair bounds one answer of ChangesBetween; a longer gap takes more calls.
const maxRepair = 1000

// The statements below have one shape: the reader's membership first, and the page as
// a left join behind it. A stranger gets no row, and so does whoever names a room that
// does not exist; a member gets at least one.
const (
	changesAfter query = `SELECT r.head_seq, ` + changeColumns + `
		FROM rooms r JOIN members me ON me.room_id = r.id AND me.user_id = $2 AND me.role = ANY($3)
		LEFT JOIN LATERAL (
			SELECT n.seq, n.kind, n.message_id, n.by_user, n.at, n.epoch FROM changes n
			WHERE n.room_id = r.id AND n.seq > $4 ORDER BY n.seq LIMIT $5) c ON true
		LEFT JOIN messages m ON m.id = c.message_id LEFT JOIN users u ON u.id = m.author_id
		WHERE r.id = $1 ORDER BY c.seq`

	changesBetween query = `SELECT ` + changeColumns + `
		FROM changes c JOIN messages m ON m.id = c.message_id JOIN users u ON u.id = m.author_id
		WHERE c.room_id = $1 AND c.seq BETWEEN $2 AND $3 ORDER BY c.seq LIMIT $4`

	// pageColumns are those of messages that messageColumns reads.
	pageColumns = `n.id, n.seq, n.author_id, n.client_id, n.body, n.reply_to, n.created_at, n.edited_at, n.deleted_at`

	historyBefore query = `SELECT ` + messageColumns + `
		FROM members me
		LEFT JOIN LATERAL (
			SELECT ` + pageColumns + ` FROM messages n
			WHERE n.room_id = me.room_id AND n.seq < coalesce(nullif($4::bigint, 0), 9223372036854775807) ORDER BY n.seq DESC LIMIT $5) m ON true
		LEFT JOIN users u ON u.id = m.author_id
		WHERE me.room_id = $1 AND me.user_id = $2 AND me.role = ANY($3) ORDER BY m.seq`

	// searchMessages takes the query as words, not as a language: no operator, quote or
	// wildcard of it means anything. Text without a word finds nothing.
	searchMessages query = `SELECT ` + messageColumns + `
		FROM members me
		LEFT JOIN LATERAL (
			SELECT ` + pageColumns + ` FROM messages n
			WHERE n.room_id = me.room_id AND n.search @@ plainto_tsquery('simple', $4) ORDER BY n.seq DESC LIMIT $5) m ON true
		LEFT JOIN users u ON u.id = m.author_id
		WHERE me.room_id = $1 AND me.user_id = $2 AND me.role = ANY($3) ORDER BY m.seq`
)

// replay is a change with the head of its room.
type replay struct {
	head   int64
	change chat.Change
}

// Changes reads the history after a seq with each message as it is now, and the head,
// all in one snapshot.
func (r *Rooms) Changes(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, after int64, limit int) (list []chat.Change, head int64, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		rows, err := all(ctx, c, func(r row) (p replay, err error) {
			p.change, err = scanChange(room)(func(targets ...any) error { return r(append([]any{&p.head}, targets...)...) })
			return p, err
		}, changesAfter, room.UUID, by.UUID, roles, after, max(limit, 0))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return chat.ErrDenied
		}
		head = rows[0].head
		for _, p := range rows {
			if p.change.Seq != 0 {
				list = append(list, p.change)
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read changes: %w", err)
	}
	return list, head, nil
}

// ChangesBetween reads from ≤ seq ≤ to, at most the first 1,000, for a node that
// repairs a gap. It asks nobody's rights: check them at delivery.
func (r *Rooms) ChangesBetween(ctx context.Context, room chat.RoomID, from, to int64) (list []chat.Change, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanChange(room), changesBetween, room.UUID, from, to, maxRepair)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	return list, nil
}

// History reads the page of messages before a seq (0: the newest), newest last.
func (r *Rooms) History(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, before int64, limit int) ([]chat.Message, error) {
	list, err := r.page(ctx, room, historyBefore, room.UUID, by.UUID, roles, before, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return list, nil
}

// Search finds the newest messages that hold every word of text, newest last.
func (r *Rooms) Search(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, text string, limit int) ([]chat.Message, error) {
	list, err := r.page(ctx, room, searchMessages, room.UUID, by.UUID, roles, text, clamp(limit))
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return list, nil
}

func (r *Rooms) page(ctx context.Context, room chat.RoomID, q query, args ...any) (list []chat.Message, err error) {
	err = r.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanMessage(room), q, args...)
		if err == nil && len(list) == 0 {
			return chat.ErrDenied
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if list[0].Seq == 0 { // a member, and no message
		return nil, nil
	}
	return list, nil
}

func clamp(limit int) int { return min(max(limit, 1), chat.MaxPage) }
