package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// keepEvents covers the time in which most intrusions are found. The database's
// function purge_security_events has the same number and does not take ours.
const keepEvents = 90 * 24 * time.Hour

const (
	// lastExpired is the last row of a piece of the chain's beginning in which every row
	// is old enough. Clocks of nodes differ, so an old row behind a young one waits.
	lastExpired query = `
SELECT id, hash FROM (
	SELECT id, hash FROM security_events
	WHERE id < coalesce((SELECT min(id) FROM security_events WHERE at >= $1 AND id > 0), 9223372036854775807)
	ORDER BY id LIMIT $2
) x ORDER BY id DESC LIMIT 1`

	purgeEvents query = `SELECT purge_security_events($1, $2, $3)`
)

// Purge removes the events that are older than 90 days and leaves an anchor, so that
// the chain can still be verified from there.
func (e *Events) Purge(ctx context.Context) error {
	if e.chain == nil {
		return errNoChain
	}
	now, total := e.db.now(), int64(0)
	for {
		var n int64
		err := e.db.tx(ctx, func(ctx context.Context, c conn) error {
			heads, err := after(ctx, c, statement{lockEvents, []any{eventLock}}, scanHead, lastExpired, now.Add(-keepEvents), purgeRows)
			if err != nil || len(heads) == 0 {
				return err
			}
			a := e.chain.Anchor(audit.Head{ID: heads[0].ID, Hash: heads[0].Hash}, now)
			n, _, err = one(ctx, c, value[int64], purgeEvents, a.ID, a.At, a.MAC)
			return err
		})
		if err != nil {
			return fmt.Errorf("purge security_events: %w", err)
		}
		if total += n; n < purgeRows {
			break
		}
	}
	if total > 0 {
		e.db.log.InfoContext(ctx, "rows purged", "table", "security_events", "rows", total)
	}
	return nil
}
