package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// twinTries is how often a batch is written again because an author used one client id
// in two rooms at the same moment. The loser finds the winner's message at the next try.
const twinTries = 3

func newRooms(db *DB, conns int, q chat.Quotas) *Rooms {
	usual := chat.DefaultQuotas()
	r := &Rooms{db: db, quotas: chat.Quotas{
		Rooms: cmp.Or(q.Rooms, usual.Rooms), Members: cmp.Or(q.Members, usual.Members),
		DirectPerDay: cmp.Or(q.DirectPerDay, usual.DirectPerDay), Emojis: cmp.Or(q.Emojis, usual.Emojis),
	}}
	// Half of the pool, so that a flood of posts leaves connections to everything else.
	r.commits = newCommits(conns/2, r.write)
	return r
}

// Append stores one message, together with others of its room; see chat.Store.
// Rows of members, bans and roles that a moderator changed before this post's turn
// count: the decision is made under the room's lock, in the statement that inserts.
func (r *Rooms) Append(ctx context.Context, roles []authz.Role, p chat.Post) (chat.Change, bool, error) {
	if err := storable(p); err != nil {
		return chat.Change{}, false, fmt.Errorf("append message: %w", err)
	}
	p.At = p.At.UTC().Truncate(time.Microsecond) // as it will be read back
	c, dup, err := r.commits.store(ctx, roles, p)
	if err != nil {
		return chat.Change{}, false, fmt.Errorf("append message: %w", err)
	}
	return c, dup, nil
}

// storable refuses what the table would: in a batch, it would take its neighbours down.
func storable(p chat.Post) error {
	switch {
	case p.ID.UUID == uuid.Nil || p.ClientID.UUID == uuid.Nil || p.At.IsZero():
		return errors.New("a post needs an id, a client id and a time")
	case utf8.RuneCountInString(p.Body) > chat.MaxBody:
		return &chat.Error{Kind: chat.TooLarge, Public: "A message has at most 4,096 characters."}
	case !utf8.ValidString(p.Body) || strings.ContainsRune(p.Body, 0):
		return &chat.Error{Kind: chat.Invalid, Public: "The text holds a character that cannot be stored."}
	}
	return nil
}

// storePosts judges every post of a batch and stores those that pass, in order. It
// runs under the room's lock, so the seqs that it counts up are the room's next ones.
//
//control:name authz
//control:name replay
//control:name upload
const storePosts query = `
WITH input AS (
	SELECT i.n, i.id, i.author_id, i.client_id, i.body, i.reply_to, i.at
	FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[], $8::timestamptz[])
		WITH ORDINALITY AS i (id, author_id, client_id, body, reply_to, at, n)
), wanted AS (
	SELECT w.n, w.upload_id, w.place, i.author_id
	FROM unnest($9::bigint[], $10::uuid[]) WITH ORDINALITY AS w (n, upload_id, place) JOIN input i ON i.n = w.n
), held AS ( -- locked, so that none is swept away or attached meanwhile
	SELECT u.id, u.user_id FROM uploads u
	WHERE u.id = ANY($10) AND u.room_id = $1 AND u.message_id IS NULL AND u.state = 'clean' FOR UPDATE
), fit AS ( -- each file goes to the first post of its owner that names it
	SELECT DISTINCT ON (h.id) h.id, w.n, w.place FROM wanted w JOIN held h ON h.id = w.upload_id AND h.user_id = w.author_id
	ORDER BY h.id, w.n, w.place
), judged AS (
	SELECT i.n, i.id, i.author_id, i.client_id, i.body, i.reply_to, i.at, me.muted_until,
		d.id AS old_id, d.seq AS old_seq, d.body AS old_body, d.reply_to AS old_reply_to,
		d.created_at AS old_created_at, d.edited_at AS old_edited_at, d.deleted_at AS old_deleted_at,
		CASE
			WHEN (me.role = ANY($2)) IS NOT TRUE THEN 'denied' -- also for no role and no list
			WHEN d.room_id = $1 THEN 'duplicate'
			WHEN d.room_id IS NOT NULL THEN 'conflict'
			WHEN me.muted_until > i.at THEN 'muted'
			WHEN i.reply_to IS NOT NULL AND p.id IS NULL THEN 'denied'
			WHEN (SELECT count(*) FROM wanted w WHERE w.n = i.n) <> (SELECT count(*) FROM fit f WHERE f.n = i.n) THEN 'denied'
			ELSE 'stored'
		END AS verdict
	FROM input i
	LEFT JOIN LATERAL (SELECT role, muted_until FROM members WHERE room_id = $1 AND user_id = i.author_id LIMIT 1) me ON true
	LEFT JOIN LATERAL (
		SELECT id, room_id, seq, body, reply_to, created_at, edited_at, deleted_at FROM messages
		WHERE author_id = i.author_id AND client_id = i.client_id LIMIT 1) d ON true
	LEFT JOIN LATERAL (SELECT id FROM messages WHERE id = i.reply_to AND room_id = $1 LIMIT 1) p ON true
), placed AS (
	SELECT j.n, j.id, j.author_id, j.client_id, j.body, j.reply_to, j.at, r.epoch,
		r.head_seq + row_number() OVER (ORDER BY j.n) AS seq
	FROM judged j JOIN rooms r ON r.id = $1
	WHERE j.verdict = 'stored'
), stored AS (
	INSERT INTO messages (id, room_id, seq, author_id, client_id, body, reply_to, created_at)
	SELECT id, $1, seq, author_id, client_id, body, reply_to, at FROM placed ORDER BY n
), attached AS (
	UPDATE uploads u SET message_id = placed.id, place = f.place
	FROM fit f JOIN placed ON placed.n = f.n WHERE u.id = f.id
), logged AS (
	INSERT INTO changes (room_id, seq, kind, message_id, by_user, at, epoch)
	SELECT $1, seq, 'message.new', id, author_id, at, epoch FROM placed ORDER BY n
), moved AS (
	UPDATE rooms SET head_seq = head_seq + t.posts, active_at = greatest(active_at, t.at)
	FROM (SELECT count(*) AS posts, max(at) AS at FROM placed) t
	WHERE id = $1 AND t.posts > 0
)
SELECT j.verdict, coalesce(placed.seq, j.old_seq, 0), coalesce(placed.epoch, 0), j.muted_until,
	j.old_id, coalesce(j.old_body, ''), j.old_reply_to, j.old_created_at, j.old_edited_at, j.old_deleted_at,
	CASE WHEN j.old_id IS NULL
		THEN (SELECT jsonb_agg(` + fileObject + ` ORDER BY f.place) FROM fit f JOIN uploads x ON x.id = f.id WHERE f.n = j.n)
		ELSE (SELECT jsonb_agg(` + fileObject + ` ORDER BY x.place) FROM uploads x WHERE x.message_id = j.old_id)
	END
FROM judged j LEFT JOIN placed ON placed.n = j.n
ORDER BY j.n`

// verdict is what storePosts says of one post.
type verdict struct {
	what  string
	seq   int64
	epoch int64
	muted time.Time
	old   chat.Message // duplicate: the message that is there
	files []chat.Upload
}

func scanVerdict(r row) (v verdict, err error) {
	err = r(&v.what, &v.seq, &v.epoch, intoTime{&v.muted}, intoID{&v.old.ID.UUID}, &v.old.Body, intoID{&v.old.ReplyTo.UUID},
		intoTime{&v.old.CreatedAt}, intoTime{&v.old.EditedAt}, intoTime{&v.old.DeletedAt}, &v.files)
	return v, err
}

// write stores a batch of one room and settles every post in it.
func (r *Rooms) write(ctx context.Context, batch []*post) {
	first, twins := dedupe(batch)
	verdicts, err := r.storePosts(ctx, first)
	if err != nil && len(first) > 1 && refused(err) {
		// One post that PostgreSQL refuses must not cost the others theirs.
		for _, p := range batch {
			r.write(ctx, []*post{p})
		}
		return
	}
	if err != nil {
		r.db.log.WarnContext(ctx, "posts not stored", "posts", len(batch), "error", err)
	}
	for i, p := range first {
		if err != nil {
			p.settle(chat.Change{}, false, err)
			continue
		}
		p.settle(outcome(p.Post, verdicts[i]))
	}
	for twin, p := range twins {
		twin.settle(p.change, p.err == nil, p.err)
	}
}

// dedupe separates the posts that repeat the author and client id of an earlier one in
// the same batch; they share its outcome.
func dedupe(batch []*post) (first []*post, twins map[*post]*post) {
	type once struct {
		author chat.UserID
		id     chat.ClientID
	}
	seen := make(map[once]*post, len(batch))
	twins = map[*post]*post{}
	for _, p := range batch {
		k := once{p.Author.ID, p.ClientID}
		if earlier, again := seen[k]; again {
			twins[p] = earlier
			continue
		}
		seen[k] = p
		first = append(first, p)
	}
	return first, twins
}

// storePosts runs the two statements in one round trip and one transaction.
func (r *Rooms) storePosts(ctx context.Context, batch []*post) (verdicts []verdict, err error) {
	n := len(batch)
	ids, authors, clients := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	bodies, replies, times := make([]string, n), make([]pgtype.UUID, n), make([]time.Time, n)
	for i, p := range batch {
		ids[i], authors[i], clients[i] = p.ID.UUID, p.Author.ID.UUID, p.ClientID.UUID
		bodies[i], times[i] = p.Body, p.At
		replies[i] = pgtype.UUID{Bytes: p.ReplyTo.UUID, Valid: p.ReplyTo.UUID != uuid.Nil}
	}
	room, roles := batch[0].Room.UUID, batch[0].roles
	owners, files := attachments(batch)
	for try := 1; ; try++ {
		err = r.db.do(ctx, func(ctx context.Context, c conn) error {
			verdicts, err = after(ctx, c, statement{lockRoom, []any{room}}, scanVerdict,
				storePosts, room, roles, ids, authors, clients, bodies, replies, times, owners, files)
			return err
		})
		if try == twinTries || !violates(err, "messages_once") {
			break
		}
	}
	if err == nil && len(verdicts) != n {
		err = fmt.Errorf("%d verdicts for %d posts", len(verdicts), n)
	}
	return verdicts, err
}

// refused reports whether PostgreSQL refused a value (classes 22 and 23), which
// another batch of the same posts without it would not meet.
func refused(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// outcome turns a verdict into what Append returns.
func outcome(p chat.Post, v verdict) (chat.Change, bool, error) {
	m := chat.Message{ID: p.ID, Body: p.Body, ReplyTo: p.ReplyTo, CreatedAt: p.At}
	switch v.what {
	case "stored":
	case "duplicate":
		m = v.old
	case "conflict":
		return chat.Change{}, false, &chat.Error{Kind: chat.Conflict, Public: "This message id was used before, in another room."}
	case "muted":
		return chat.Change{}, false, muted(v.muted)
	default:
		return chat.Change{}, false, chat.ErrDenied
	}
	m.Room, m.Seq, m.Author, m.ClientID, m.Uploads = p.Room, v.seq, p.Author, p.ClientID, v.files
	return chat.Change{Room: p.Room, Seq: v.seq, Kind: chat.MessageNew, By: p.Author.ID, At: m.CreatedAt, Message: m, Epoch: v.epoch},
		v.what == "duplicate", nil
}

func muted(until time.Time) error {
	return &chat.Error{Kind: chat.Denied, Public: "You are muted in this room until " + until.UTC().Format("2006-01-02 15:04 UTC") + "."}
}
