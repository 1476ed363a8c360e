package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

const (
	// pieceBytes is what one statement reads of a file: what a download costs in memory,
	// however large the file and slow its reader.
	pieceBytes = 256 << 10
	// keepAbandoned is how long a file waits for its message.
	keepAbandoned = time.Hour
	// scanWait is the pause before the second question about a file; it doubles with each,
	// up to scanWait × 2^6, five minutes.
	scanWait = 5 * time.Second
)

// Uploads is the chat.UploadStore.
type Uploads struct{ db *DB }

var _ chat.UploadStore = (*Uploads)(nil)

// Uploads keeps files.
func (db *DB) Uploads() *Uploads { return &Uploads{db} }

const (
	// askedUpload says whether user $1 may put $4 bytes into room $2, at time $6, with a
	// quota of $5. Behind lockUser the sum cannot change until the transaction ends. Beside
	// their bytes, a user has 2,000 files at most: a row costs too.
	//
	//control:name business-limits
	askedUpload = `
WITH asked AS (
	SELECT CASE
		WHEN (me.role = ANY($3)) IS NOT TRUE THEN 'denied'
		WHEN me.muted_until > $6::timestamptz THEN 'denied'
		WHEN (SELECT coalesce(sum(u.size), 0) FROM uploads u WHERE u.user_id = $1) + $4::bigint > $5::bigint THEN 'quota'
		WHEN (SELECT count(*) FROM uploads u WHERE u.user_id = $1) >= 2000 THEN 'quota'
		ELSE 'stored'
	END AS verdict
	FROM (SELECT true) one LEFT JOIN members me ON me.room_id = $2 AND me.user_id = $1
)`

	mayUpload query = askedUpload + ` SELECT verdict FROM asked`

	insertUpload query = askedUpload + `, stored AS (
	INSERT INTO uploads (id, room_id, user_id, state, name, mime, size, width, height, bytes, created_at, scan_after)
	SELECT $7, $2, $1, $8, $9, $10, $4, $11, $12, $13, $6, $14 FROM asked WHERE verdict = 'stored'
)
SELECT verdict FROM asked`
)

// May asks what Put would answer.
func (u *Uploads) May(ctx context.Context, roles []authz.Role, user chat.UserID, room chat.RoomID, size, quota int64) error {
	err := u.db.do(ctx, func(ctx context.Context, c conn) error {
		verdict, err := must(one(ctx, c, value[string], mayUpload, user.UUID, room.UUID, roles, size, quota, u.db.now()))
		if err != nil {
			return err
		}
		return uploadVerdict(verdict)
	})
	if err != nil {
		return fmt.Errorf("ask about upload: %w", err)
	}
	return nil
}

// Put stores a file, in one transaction with the count of the user's quota: fifty at
// once come one after the other behind the lock on the user.
func (u *Uploads) Put(ctx context.Context, roles []authz.Role, f chat.StoredUpload, quota int64) error {
	state := "pending"
	if f.Clean {
		state = "clean"
	}
	err := u.db.do(ctx, func(ctx context.Context, c conn) error {
		verdicts, err := after(ctx, c, statement{lockUser, []any{f.User.UUID}}, value[string], insertUpload,
			f.User.UUID, f.Room.UUID, roles, f.Size, quota, f.At, f.ID.UUID, state, f.Name, f.Mime, f.Width, f.Height, f.Bytes, f.At.Add(scanWait))
		if err != nil {
			return err
		}
		verdict, err := must(verdicts[0], len(verdicts) > 0, nil)
		if err != nil {
			return err
		}
		return uploadVerdict(verdict)
	})
	if err != nil {
		return fmt.Errorf("store upload: %w", err)
	}
	return nil
}

func uploadVerdict(verdict string) error {
	switch verdict {
	case "stored":
		return nil
	case "quota":
		return &chat.Error{Kind: chat.Quota, Public: "You have stored as many files as one account may. Delete messages with files to make room."}
	}
	return chat.ErrDenied
}

const (
	fileColumns = `u.id, u.name, u.mime, u.size, u.width, u.height`

	uploadStatus query = `SELECT ` + fileColumns + `, u.state = 'clean' FROM uploads u WHERE u.id = $1 AND u.user_id = $2`

	// readPiece asks for every piece anew whether the reader may: the uploader until the
	// file is attached, then the members of its room.
	//
	//control:name upload
	//control:name malware
	readPiece query = `SELECT ` + fileColumns + `, substring(u.bytes FROM $4::integer + 1 FOR $5) FROM uploads u
		WHERE u.id = $1 AND u.state = 'clean' AND CASE
			WHEN u.message_id IS NULL THEN u.user_id = $2
			ELSE EXISTS (SELECT 1 FROM members me WHERE me.room_id = u.room_id AND me.user_id = $2 AND me.role = ANY($3))
		END`
)

func fileTargets(f *chat.Upload) []any {
	return []any{&f.ID.UUID, &f.Name, &f.Mime, &f.Size, &f.Width, &f.Height}
}

// Status reads a file of user's own; ErrDenied for any other.
func (u *Uploads) Status(ctx context.Context, user chat.UserID, id chat.UploadID) (f chat.Upload, clean bool, err error) {
	err = u.db.do(ctx, func(ctx context.Context, c conn) error {
		clean, err = must(one(ctx, c, func(r row) (clean bool, err error) {
			err = r(append(fileTargets(&f), &clean)...)
			return clean, err
		}, uploadStatus, id.UUID, user.UUID))
		return err
	})
	if err != nil {
		return chat.Upload{}, false, fmt.Errorf("read upload: %w", err)
	}
	return f, clean, nil
}

// Read reads at most 256 KiB of a file from an offset.
func (u *Uploads) Read(ctx context.Context, roles []authz.Role, user chat.UserID, id chat.UploadID, from int64) (p chat.Piece, err error) {
	err = u.db.do(ctx, func(ctx context.Context, c conn) error {
		p, err = must(one(ctx, c, func(r row) (p chat.Piece, err error) {
			err = r(append(fileTargets(&p.Upload), &p.Bytes)...)
			return p, err
		}, readPiece, id.UUID, user.UUID, roles, from, pieceBytes))
		return err
	})
	if err != nil {
		return chat.Piece{}, fmt.Errorf("read upload: %w", err)
	}
	return p, nil
}

const (
	// claimUpload skips what another node has just taken. The next turn is set before the
	// scanner is asked, so a file that kills its scanner does not do so in a loop.
	claimUpload query = `
UPDATE uploads SET scans = scans + 1, scan_after = $1::timestamptz + $2::bigint * (2 ^ least(scans, 6)) * interval '1 microsecond'
WHERE id = (SELECT u.id FROM uploads u WHERE u.state = 'pending' AND u.scan_after <= $1 ORDER BY u.scan_after LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, user_id, bytes`

	publishUpload query = `UPDATE uploads SET state = 'clean' WHERE id = $1`
	removeUpload  query = `DELETE FROM uploads WHERE id = $1 AND state = 'pending'`
	sweepUploads  query = `DELETE FROM uploads WHERE id IN (SELECT u.id FROM uploads u WHERE u.message_id IS NULL AND u.created_at < $1 ORDER BY u.created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`
)

// Claim takes one file in quarantine whose turn has come.
func (u *Uploads) Claim(ctx context.Context) (q chat.Quarantined, found bool, err error) {
	err = u.db.do(ctx, func(ctx context.Context, c conn) error {
		q, found, err = one(ctx, c, func(r row) (q chat.Quarantined, err error) {
			err = r(&q.ID.UUID, &q.User.UUID, &q.Bytes)
			return q, err
		}, claimUpload, u.db.now(), scanWait.Microseconds())
		return err
	})
	if err != nil {
		return chat.Quarantined{}, false, fmt.Errorf("claim upload: %w", err)
	}
	return q, found, nil
}

// Settle ends a file's quarantine.
func (u *Uploads) Settle(ctx context.Context, id chat.UploadID, clean bool) error {
	q := removeUpload
	if clean {
		q = publishUpload
	}
	return u.exec(ctx, "settle upload", q, id.UUID)
}

// Sweep removes abandoned files, a few at a time: they are large.
func (u *Uploads) Sweep(ctx context.Context) error {
	const atOnce = 200
	return u.exec(ctx, "sweep uploads", sweepUploads, u.db.now().Add(-keepAbandoned), atOnce)
}

func (u *Uploads) exec(ctx context.Context, op string, q query, args ...any) error {
	err := u.db.do(ctx, func(ctx context.Context, c conn) error {
		_, err := exec(ctx, c, q, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// attachments are the ids of a batch's files beside the number of their post, from 1.
func attachments(batch []*post) (posts []int64, ids []uuid.UUID) {
	posts, ids = []int64{}, []uuid.UUID{}
	for i, p := range batch {
		for _, id := range p.Uploads {
			posts, ids = append(posts, int64(i+1)), append(ids, id.UUID)
		}
	}
	return posts, ids
}
