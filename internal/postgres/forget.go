package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
)

// What is forgotten is what people wrote: bodies, replaced bodies, reactions, files.
// The place of a message stays, as that of a deleted one does, because seqs of a room
// have no gaps.
const (
	// emptied is the second half of both statements: old are ids of messages.
	emptied = `, edits AS (
	DELETE FROM message_edits WHERE message_id IN (SELECT id FROM old)
), reacted AS (
	DELETE FROM reactions WHERE message_id IN (SELECT id FROM old)
), files AS (
	DELETE FROM uploads WHERE message_id IN (SELECT id FROM old)
)
UPDATE messages SET body = '', deleted_at = now() WHERE id IN (SELECT id FROM old)`

	// forgetOld empties what is older than messages are kept.
	//
	//control:name retention
	forgetOld query = `WITH old AS (SELECT m.id FROM messages m WHERE m.created_at < $1 AND m.deleted_at IS NULL LIMIT $2 FOR UPDATE SKIP LOCKED)` + emptied

	// forgetErased empties what those wrote whose account was erased.
	//
	//control:name retention
	forgetErased query = `WITH old AS (
	SELECT m.id FROM users u CROSS JOIN LATERAL (
		SELECT n.id FROM messages n WHERE n.author_id = u.id AND n.deleted_at IS NULL LIMIT $2 FOR UPDATE SKIP LOCKED) m
	WHERE u.erased_at IS NOT NULL AND u.erased_at <= $1 LIMIT $2
)` + emptied
)

// leastKeep is the floor of Forget: a zero that slipped in must not empty everything.
const leastKeep = 24 * time.Hour

// Forget empties messages older than keep, and all that erased accounts wrote.
//
//control:name retention
func (db *DB) Forget(ctx context.Context, keep time.Duration) error {
	if keep < leastKeep {
		return fmt.Errorf("forget messages: %s is less than %s", keep, leastKeep)
	}
	now := db.now()
	for _, f := range []struct {
		query  query
		before time.Time
	}{{forgetOld, now.Add(-keep)}, {forgetErased, now}} {
		for n := int64(purgeRows); n == purgeRows; {
			err := db.do(ctx, func(ctx context.Context, c conn) (err error) {
				n, err = exec(ctx, c, f.query, f.before, purgeRows)
				return err
			})
			if err != nil {
				return fmt.Errorf("forget messages: %w", err)
			}
			if n > 0 {
				db.log.InfoContext(ctx, "messages forgotten", "rows", n)
			}
		}
	}
	return nil
}

const (
	// eraseUser leaves a row that other rows point to, and nothing in it of the person.
	eraseUser query = `
UPDATE users SET username = 'deleted-' || left(replace($2::text, '-', ''), 24), display_name = 'Deleted account', role = 'user', password_hash = '$erased$',
	credential_gen = credential_gen + 1, disabled_at = coalesce(disabled_at, $3), erased_at = $3
WHERE id = $1 AND erased_at IS NULL`

	// inherit makes somebody owner of each room that would have none: the highest role,
	// the longest there.
	inherit query = `
UPDATE members SET role = 'owner' WHERE (room_id, user_id) IN (
	SELECT DISTINCT ON (o.room_id) o.room_id, o.user_id
	FROM members mine JOIN rooms r ON r.id = mine.room_id AND r.visibility <> 'direct'
	JOIN members o ON o.room_id = mine.room_id AND o.user_id <> $1
	WHERE mine.user_id = $1 AND mine.role = 'owner'
		AND NOT EXISTS (SELECT 1 FROM members x WHERE x.room_id = mine.room_id AND x.user_id <> $1 AND x.role = 'owner')
	ORDER BY o.room_id, o.role <> 'moderator', o.role <> 'member', o.joined_at
)`

	leaveRooms      query = `DELETE FROM members m USING rooms r WHERE m.user_id = $1 AND r.id = m.room_id AND r.visibility <> 'direct'`
	dropOwnFiles    query = `DELETE FROM uploads WHERE user_id = $1`
	dropOwnReaction query = `DELETE FROM reactions WHERE user_id = $1`
	dropPasskeys    query = `DELETE FROM passkeys WHERE user_id = $1`
	clearSessions   query = `UPDATE sessions SET ip = '', user_agent = '' WHERE user_id = $1`
)

// Erase makes an account nobody's: its name, password, passkeys, files, reactions and
// memberships go, its sessions end. What it wrote is emptied by Forget, in pieces.
func (a *Accounts) Erase(ctx context.Context, id chat.UserID, reason string) ([]chat.SessionID, error) {
	name, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("erase user: %w", err)
	}
	return a.change(ctx, id, statement{eraseUser, []any{id.UUID, name.String(), a.db.now()}}, account.ErrNoUser, chat.SessionID{}, reason,
		statement{inherit, []any{id.UUID}}, statement{leaveRooms, []any{id.UUID}}, statement{dropOwnFiles, []any{id.UUID}},
		statement{dropOwnReaction, []any{id.UUID}}, statement{dropPasskeys, []any{id.UUID}}, statement{clearSessions, []any{id.UUID}})
}
