package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

const (
	// changeColumns are a change c with its message m by u. The reactions come as two
	// arrays side by side, in the order in which they were made. coalesce: a member who
	// asks for a page without messages gets one row without one, a stranger none.
	changeColumns = `coalesce(c.seq, 0), coalesce(c.kind, ''), c.by_user, c.at, coalesce(c.epoch, 0), ` + messageColumns

	messageColumns = `m.id, coalesce(m.seq, 0), m.author_id, coalesce(u.username, ''), coalesce(u.display_name, ''), m.client_id,
		coalesce(m.body, ''), m.reply_to, m.created_at, m.edited_at, m.deleted_at,
		ARRAY(SELECT x.emoji FROM reactions x WHERE x.message_id = m.id ORDER BY x.at, x.user_id, x.emoji),
		ARRAY(SELECT x.user_id FROM reactions x WHERE x.message_id = m.id ORDER BY x.at, x.user_id, x.emoji),
		(SELECT jsonb_agg(` + fileObject + ` ORDER BY x.place) FROM uploads x WHERE x.message_id = m.id)`

	// fileObject is a file x as chat.Upload reads it.
	fileObject = `jsonb_build_object('ID', x.id, 'Name', x.name, 'Mime', x.mime, 'Size', x.size, 'Width', x.width, 'Height', x.height)`
)

// into lists the targets of messageColumns. Call the function after the scan.
func into(m *chat.Message) (targets []any, finish func()) {
	var emoji []string
	var users []uuid.UUID
	targets = []any{intoID{&m.ID.UUID}, &m.Seq, intoID{&m.Author.ID.UUID}, &m.Author.Username, &m.Author.DisplayName, intoID{&m.ClientID.UUID},
		&m.Body, intoID{&m.ReplyTo.UUID}, intoTime{&m.CreatedAt}, intoTime{&m.EditedAt}, intoTime{&m.DeletedAt}, &emoji, &users, &m.Uploads}
	return targets, func() { m.Reactions = group(emoji, users) }
}

// group collects reactions by emoji, the first made first.
func group(emoji []string, users []uuid.UUID) (list []chat.Reaction) {
	for i, e := range emoji {
		at := slices.IndexFunc(list, func(r chat.Reaction) bool { return r.Emoji == e })
		if at < 0 {
			at = len(list)
			list = append(list, chat.Reaction{Emoji: e})
		}
		list[at].Users = append(list[at].Users, chat.UserID{UUID: users[i]})
	}
	return list
}

// scanMessage reads messageColumns of a message in room.
func scanMessage(room chat.RoomID) func(row) (chat.Message, error) {
	return func(r row) (chat.Message, error) {
		m := chat.Message{Room: room}
		targets, finish := into(&m)
		err := r(targets...)
		finish()
		return m, err
	}
}

// scanChange reads changeColumns of a change in room.
func scanChange(room chat.RoomID) func(row) (chat.Change, error) {
	return func(r row) (chat.Change, error) {
		c := chat.Change{Room: room, Message: chat.Message{Room: room}}
		targets, finish := into(&c.Message)
		err := r(append([]any{&c.Seq, &c.Kind, intoID{&c.By.UUID}, intoTime{&c.At}, &c.Epoch}, targets...)...)
		finish()
		return c, err
	}
}

// now is the clock of changes that carry no time, in what PostgreSQL can store.
func (r *Rooms) now() time.Time { return r.db.now().UTC().Truncate(time.Microsecond) }

const (
	// step takes the room's next seq. It runs under the room's lock.
	step query = `
WITH head AS (UPDATE rooms SET head_seq = head_seq + 1, active_at = $5 WHERE id = $1 RETURNING head_seq, epoch)
INSERT INTO changes (room_id, seq, kind, message_id, by_user, at, epoch)
SELECT $1, head_seq, $2, $3, $4, $5, epoch FROM head RETURNING seq`

	readChange query = `SELECT ` + changeColumns + ` FROM changes c JOIN messages m ON m.id = c.message_id JOIN users u ON u.id = m.author_id
		WHERE c.room_id = $1 AND c.seq = $2`
)

// step records what happened to a message and reads the change back.
func (r *Rooms) step(ctx context.Context, c conn, kind chat.ChangeKind, by chat.UserID, room chat.RoomID, id chat.MessageID, now time.Time) (chat.Change, error) {
	seq, err := must(one(ctx, c, value[int64], step, room.UUID, string(kind), id.UUID, by.UUID, now))
	if err != nil {
		return chat.Change{}, err
	}
	return must(one(ctx, c, scanChange(room), readChange, room.UUID, seq))
}

// inRoom runs f in a transaction that holds the room's lock.
func (r *Rooms) inRoom(ctx context.Context, op string, room chat.RoomID, f func(context.Context, conn) error) error {
	err := r.db.tx(ctx, func(ctx context.Context, c conn) error {
		if _, err := exec(ctx, c, lockRoom, room.UUID); err != nil {
			return err
		}
		return f(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// own is the author's message and their mute.
type own struct {
	body  string
	muted time.Time
}

const (
	// readOwn finds a message of this room that its author may still edit.
	//
	//control:name authz
	readOwn query = `SELECT m.body, me.muted_until FROM messages m JOIN members me ON me.room_id = m.room_id AND me.user_id = m.author_id
		WHERE m.room_id = $1 AND m.id = $2 AND m.author_id = $3 AND m.deleted_at IS NULL AND me.role = ANY($4)`
	setBody query = `UPDATE messages SET body = $2, edited_at = $3 WHERE id = $1`
	keepOld query = `INSERT INTO message_edits (message_id, seq, by_user, old_body, at) VALUES ($1, $2, $3, $4, $5)`
)

// Edit replaces the body of the author's own message and keeps the old one for 30 days.
// Who is muted cannot edit: it would be another way to speak.
func (r *Rooms) Edit(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, id chat.MessageID, body string) (got chat.Change, err error) {
	now := r.now()
	err = r.inRoom(ctx, "edit message", room, func(ctx context.Context, c conn) error {
		old, err := must(one(ctx, c, func(r row) (o own, err error) {
			err = r(&o.body, intoTime{&o.muted})
			return o, err
		}, readOwn, room.UUID, id.UUID, by.UUID, roles))
		if err != nil {
			return err
		}
		if old.muted.After(now) {
			return muted(old.muted)
		}
		if _, err := exec(ctx, c, setBody, id.UUID, body, now); err != nil {
			return err
		}
		got, err = r.replaced(ctx, c, chat.MessageEdited, by, room, id, old.body, now)
		return err
	})
	return got, err
}

// replaced records an edit or a deletion, and the body that it took away.
func (r *Rooms) replaced(ctx context.Context, c conn, kind chat.ChangeKind, by chat.UserID, room chat.RoomID, id chat.MessageID, old string, now time.Time) (chat.Change, error) {
	got, err := r.step(ctx, c, kind, by, room, id, now)
	if err != nil {
		return chat.Change{}, err
	}
	_, err = exec(ctx, c, keepOld, id.UUID, got.Seq, by.UUID, old, now)
	return got, err
}

// target is a message that somebody wants to delete or react to.
type target struct {
	body    string
	deleted bool
}

func scanTarget(r row) (t target, err error) {
	err = r(&t.body, &t.deleted)
	return t, err
}

const (
	// readTarget finds a message that its author, or somebody above them, may delete.
	//
	//control:name authz
	readTarget query = `SELECT m.body, m.deleted_at IS NOT NULL FROM messages m JOIN members me ON me.room_id = m.room_id AND me.user_id = $3
		WHERE m.room_id = $1 AND m.id = $2 AND (m.author_id = $3 AND me.role = ANY($4) OR me.role = ANY($5))`
	emptyBody    query = `UPDATE messages SET body = '', deleted_at = $2 WHERE id = $1`
	dropFiles    query = `DELETE FROM uploads WHERE message_id = $1`
	readDeletion query = `SELECT c.seq FROM changes c WHERE c.message_id = $1 AND c.kind = 'message.deleted'`
)

// Delete empties a message and removes its files; its place, and the old body for 30
// days, stay. A second
// deletion returns the change of the first.
func (r *Rooms) Delete(ctx context.Context, own, others []authz.Role, by chat.UserID, room chat.RoomID, id chat.MessageID) (got chat.Change, err error) {
	now := r.now()
	err = r.inRoom(ctx, "delete message", room, func(ctx context.Context, c conn) error {
		t, err := must(one(ctx, c, scanTarget, readTarget, room.UUID, id.UUID, by.UUID, own, others))
		if err != nil {
			return err
		}
		if t.deleted {
			seq, err := must(one(ctx, c, value[int64], readDeletion, id.UUID))
			if err != nil {
				return err
			}
			got, err = must(one(ctx, c, scanChange(room), readChange, room.UUID, seq))
			return err
		}
		for _, q := range []statement{{emptyBody, []any{id.UUID, now}}, {dropFiles, []any{id.UUID}}} {
			if _, err := exec(ctx, c, q.query, q.args...); err != nil {
				return err
			}
		}
		got, err = r.replaced(ctx, c, chat.MessageDeleted, by, room, id, t.body, now)
		return err
	})
	return got, err
}

const (
	// addReaction counts the reactions of a message, $6 at most, and the different ones, $5.
	//
	//control:name business-limits
	addReaction query = `INSERT INTO reactions (message_id, user_id, emoji, at) SELECT $1, $2, $3, $4
		WHERE (SELECT count(*) FROM reactions WHERE message_id = $1) < $6
			AND (EXISTS (SELECT 1 FROM reactions WHERE message_id = $1 AND emoji = $3)
				OR (SELECT count(DISTINCT emoji) FROM reactions WHERE message_id = $1) < $5) ON CONFLICT DO NOTHING`
	haveReaction query = `SELECT true FROM reactions WHERE message_id = $1 AND user_id = $2 AND emoji = $3`
	dropReaction query = `DELETE FROM reactions WHERE message_id = $1 AND user_id = $2 AND emoji = $3`
	readHead     query = `SELECT head_seq, epoch FROM rooms WHERE id = $1`
)

// React adds or removes a reaction. When there is nothing to change, changed is false
// and the change carries only the room's head.
//
//control:name business-limits
func (r *Rooms) React(ctx context.Context, roles []authz.Role, by chat.UserID, room chat.RoomID, id chat.MessageID, emoji string, add bool) (got chat.Change, changed bool, err error) {
	now := r.now()
	err = r.inRoom(ctx, "react", room, func(ctx context.Context, c conn) error {
		t, err := must(one(ctx, c, scanTarget, readTarget, room.UUID, id.UUID, by.UUID, []authz.Role{}, roles))
		if err != nil {
			return err
		}
		if t.deleted {
			return chat.ErrDenied
		}
		do := statement{dropReaction, []any{id.UUID, by.UUID, emoji}}
		if add {
			do = statement{addReaction, []any{id.UUID, by.UUID, emoji, now, r.quotas.Emojis, chat.MaxReactions}}
		}
		n, err := exec(ctx, c, do.query, do.args...)
		if err != nil {
			return err
		}
		if changed = n > 0; changed {
			got, err = r.step(ctx, c, chat.ReactionChanged, by, room, id, now)
			return err
		}
		if add {
			if _, have, err := one(ctx, c, value[bool], haveReaction, id.UUID, by.UUID, emoji); err != nil {
				return err
			} else if !have {
				return overQuota("This message has as many reactions as one may have.")
			}
		}
		got, err = must(one(ctx, c, func(r row) (chat.Change, error) {
			c := chat.Change{Room: room}
			err := r(&c.Seq, &c.Epoch)
			return c, err
		}, readHead, room.UUID))
		return err
	})
	return got, changed, err
}
