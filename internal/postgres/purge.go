package postgres

import (
	"context"
	"fmt"
	"time"
)

// How long things are kept that have served their time.
const (
	// keepTombstones is added to a session's absolute end: no request that still holds
	// a copy of the session lives that long.
	keepTombstones = 24 * time.Hour
	// keepRevocations is far beyond the window that nodes poll, and lets an operator look.
	keepRevocations = 24 * time.Hour
	// keepEdits is long enough to answer a complaint, and no longer (ASVS 14.2.4).
	keepEdits = 30 * 24 * time.Hour

	// keepFirings is longer than a node reads back that begins.
	keepFirings = time.Hour

	// purgeRows bounds one statement, so that it stays below statementTimeout and holds
	// its locks shortly.
	purgeRows = 5000
)

const (
	purgeSessions query = `DELETE FROM sessions WHERE sid IN (SELECT sid FROM sessions WHERE ends_at < $1 LIMIT $2)`

	purgeRevocations query = `DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE at < $1 LIMIT $2)`

	purgeResponses query = `DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE until < $1 LIMIT $2)`

	purgeFirings query = `DELETE FROM firings WHERE (rule, subject_kind, subject) IN (SELECT rule, subject_kind, subject FROM firings WHERE until < $1 LIMIT $2)`

	purgeEdits query = `DELETE FROM message_edits WHERE (message_id, seq) IN (SELECT message_id, seq FROM message_edits WHERE at < $1 LIMIT $2)`
)

// Purge deletes what has been kept long enough: tombstones a day after their session's
// absolute end, revocations after a day, replaced bodies after 30 and responses after 90; who
// spoke for a rule after an hour. Security events have a Purge of their own. Call it now and then, on any node or on all.
func (db *DB) Purge(ctx context.Context) error {
	now := db.now()
	for _, p := range []struct {
		what   string
		query  query
		before time.Time
	}{
		{"sessions", purgeSessions, now.Add(-keepTombstones)},
		{"revocations", purgeRevocations, now.Add(-keepRevocations)},
		{"message_edits", purgeEdits, now.Add(-keepEdits)},
		{"firings", purgeFirings, now.Add(-keepFirings)},
		{"responses", purgeResponses, now.Add(-keepEvents)}, // as long as the events that led to them
	} {
		total := int64(0)
		for n := int64(purgeRows); n == purgeRows; total += n {
			err := db.do(ctx, func(ctx context.Context, c conn) (err error) {
				n, err = exec(ctx, c, p.query, p.before, purgeRows)
				return err
			})
			if err != nil {
				return fmt.Errorf("purge %s: %w", p.what, err)
			}
		}
		if total > 0 {
			db.log.InfoContext(ctx, "rows purged", "table", p.what, "rows", total)
		}
	}
	return nil
}
