package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// Events is the audit.Store.
type Events struct{ db *DB }

var _ audit.Store = (*Events)(nil)

// eventLock is the advisory lock that makes inserts come one after the other. Without
// it an id could become visible after a higher one, and a reader who goes on from the
// highest it saw would never see that event.
const eventLock = 7_270_012

// maxEvents bounds one answer of Since.
const maxEvents = 1000

const (
	lockEvents query = `SELECT pg_advisory_xact_lock($1)`

	insertEvents query = `
INSERT INTO security_events (at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
	close_code, took_us, count, detail)
SELECT i.at, i.name, i.level, i.control, i.reason, i.user_id, i.username, i.session, i.conn, i.request, i.room, i.ip, i.origin, i.user_agent,
	i.close_code, i.took_us, i.count, i.detail
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
	$11::text[], $12::text[], $13::text[], $14::text[], $15::integer[], $16::bigint[], $17::bigint[], $18::text[]) WITH ORDINALITY
	AS i (at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
		close_code, took_us, count, detail, n)
ORDER BY i.n
RETURNING id`

	eventsSince query = `SELECT id, at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
		close_code, took_us, count, detail FROM security_events WHERE id > $1 ORDER BY id LIMIT $2`
)

// Insert stores a batch of events, all or none, in order.
func (e *Events) Insert(ctx context.Context, events []audit.Event) error {
	text := func(field func(audit.Event) string) []string { return column(events, field) }
	args := []any{
		column(events, func(v audit.Event) time.Time { return v.At }),
		text(func(v audit.Event) string { return string(v.Name) }),
		text(func(v audit.Event) string { return string(v.Level) }),
		text(func(v audit.Event) string { return v.Control }),
		text(func(v audit.Event) string { return v.Reason }),
		text(func(v audit.Event) string { return v.User }),
		text(func(v audit.Event) string { return v.Username }),
		text(func(v audit.Event) string { return v.Session }),
		text(func(v audit.Event) string { return v.Conn }),
		text(func(v audit.Event) string { return v.Request }),
		text(func(v audit.Event) string { return v.Room }),
		text(func(v audit.Event) string { return v.IP }),
		text(func(v audit.Event) string { return v.Origin }),
		text(func(v audit.Event) string { return v.UserAgent }),
		column(events, func(v audit.Event) int32 { return int32(v.CloseCode) }),
		column(events, func(v audit.Event) int64 { return v.Took.Microseconds() }),
		column(events, func(v audit.Event) int64 { return v.Count }),
		text(func(v audit.Event) string { return v.Detail }),
	}
	err := e.db.do(ctx, func(ctx context.Context, c conn) error {
		_, err := after(ctx, c, statement{lockEvents, []any{eventLock}}, value[int64], insertEvents, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("store security events: %w", err)
	}
	return nil
}

// column takes one field of every event.
func column[T any](events []audit.Event, field func(audit.Event) T) []T {
	values := make([]T, len(events))
	for i, v := range events {
		values[i] = field(v)
	}
	return values
}

// Since reads the events with an id above id, oldest first, at most limit and 1,000.
func (e *Events) Since(ctx context.Context, id int64, limit int) (list []audit.Stored, err error) {
	err = e.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanEvent, eventsSince, id, min(max(limit, 1), maxEvents))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read security events: %w", err)
	}
	return list, nil
}

func scanEvent(r row) (v audit.Stored, err error) {
	var us int64
	err = r(&v.ID, intoTime{&v.At}, &v.Name, &v.Level, &v.Control, &v.Reason, &v.User, &v.Username, &v.Session, &v.Conn, &v.Request,
		&v.Room, &v.IP, &v.Origin, &v.UserAgent, &v.CloseCode, &us, &v.Count, &v.Detail)
	v.Took = time.Duration(us) * time.Microsecond
	return v, err
}
