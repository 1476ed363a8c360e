package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// Events is the audit.Store: the security log, each row bound to the one before it.
type Events struct {
	db    *DB
	chain *audit.Chain // nil: for readers, who cannot insert and not purge
}

var _ audit.Store = (*Events)(nil)

// errNoChain says that these Events were made for reading.
var errNoChain = errors.New("security events are only written with the key of their chain")

// eventLock is the advisory lock that makes inserts come one after the other, on all
// nodes: each row names the one before it, and its id is its place. So a reader who goes
// on from the highest id it saw misses none.
const eventLock = 7_270_012

// maxEvents bounds one answer of Since.
const maxEvents = 1000

const (
	lockEvents query = `SELECT pg_advisory_xact_lock($1)`

	// eventHead is the end of the chain: the newest row, or what retention left of it.
	eventHead query = `
SELECT id, hash FROM (
	(SELECT id, hash FROM security_events WHERE id > 0 ORDER BY id DESC LIMIT 1)
	UNION ALL
	(SELECT id, hash FROM security_anchors WHERE id > 0 ORDER BY id DESC LIMIT 1)
) h ORDER BY id DESC LIMIT 1`

	insertEvents query = `
INSERT INTO security_events (id, at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
	close_code, took_us, count, detail, prev, hash)
SELECT i.id, i.at, i.name, i.level, i.control, i.reason, i.user_id, i.username, i.session, i.conn, i.request, i.room, i.ip, i.origin, i.user_agent,
	i.close_code, i.took_us, i.count, i.detail, i.prev, i.hash
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
	$12::text[], $13::text[], $14::text[], $15::text[], $16::integer[], $17::bigint[], $18::bigint[], $19::text[], $20::bytea[], $21::bytea[])
	AS i (id, at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
		close_code, took_us, count, detail, prev, hash)`

	eventColumns = `id, at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
		close_code, took_us, count, detail`

	eventsSince query = `SELECT ` + eventColumns + ` FROM security_events WHERE id > $1 ORDER BY id LIMIT $2`

	// eventPosition is the place before the first event since $1; the end when there is none.
	eventPosition query = `SELECT coalesce((SELECT id - 1 FROM security_events WHERE at >= $1 ORDER BY at LIMIT 1),
	(SELECT max(id) FROM security_events), (SELECT max(id) FROM security_anchors), 0)`

	eventsBefore query = `SELECT ` + eventColumns + ` FROM security_events WHERE id < $1 ORDER BY id DESC LIMIT $2`

	linksFrom query = `SELECT ` + eventColumns + `, prev, hash FROM security_events WHERE id >= $1 ORDER BY id LIMIT $2`

	newestAnchor query = `SELECT id, hash, at, mac FROM security_anchors ORDER BY id DESC LIMIT 1`

	eventActivity query = `
SELECT control, date_trunc('minute', at), count(*), count(*) FILTER (WHERE level <> 'INFO')
FROM security_events WHERE at >= $1 GROUP BY 1, 2 ORDER BY 2, 1 LIMIT $2`
)

// Insert stores a batch of events, all or none, in order, and returns the new end of
// the chain. The hashes are made here, between two statements of one transaction: the
// key does not go to the database.
func (e *Events) Insert(ctx context.Context, events []audit.Event) (head audit.Head, err error) {
	if e.chain == nil {
		return head, errNoChain
	}
	err = e.db.tx(ctx, func(ctx context.Context, c conn) error {
		heads, err := after(ctx, c, statement{lockEvents, []any{eventLock}}, scanHead, eventHead)
		if err != nil {
			return err
		}
		if len(heads) == 1 {
			head = heads[0]
		}
		links := make([]audit.Link, 0, len(events))
		for _, v := range events {
			l := e.chain.Next(head, v)
			head = audit.Head{ID: l.ID, Hash: l.Hash}
			links = append(links, l)
		}
		_, err = exec(ctx, c, insertEvents, eventArgs(links)...)
		return err
	})
	if err != nil {
		return audit.Head{}, fmt.Errorf("store security events: %w", err)
	}
	return head, nil
}

func eventArgs(links []audit.Link) []any {
	text := func(field func(audit.Link) string) []string { return column(links, field) }
	return []any{
		column(links, func(v audit.Link) int64 { return v.ID }),
		column(links, func(v audit.Link) time.Time { return v.At }),
		text(func(v audit.Link) string { return string(v.Name) }),
		text(func(v audit.Link) string { return string(v.Level) }),
		text(func(v audit.Link) string { return v.Control }),
		text(func(v audit.Link) string { return v.Reason }),
		text(func(v audit.Link) string { return v.User }),
		text(func(v audit.Link) string { return v.Username }),
		text(func(v audit.Link) string { return v.Session }),
		text(func(v audit.Link) string { return v.Conn }),
		text(func(v audit.Link) string { return v.Request }),
		text(func(v audit.Link) string { return v.Room }),
		text(func(v audit.Link) string { return v.IP }),
		text(func(v audit.Link) string { return v.Origin }),
		text(func(v audit.Link) string { return v.UserAgent }),
		column(links, func(v audit.Link) int32 { return int32(v.CloseCode) }),
		column(links, func(v audit.Link) int64 { return v.Took.Microseconds() }),
		column(links, func(v audit.Link) int64 { return v.Count }),
		text(func(v audit.Link) string { return v.Detail }),
		column(links, func(v audit.Link) []byte { return bytesOf(v.Prev) }),
		column(links, func(v audit.Link) []byte { return bytesOf(v.Hash) }),
	}
}

// bytesOf binds no bytes as an empty value instead of NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// column takes one field of every event.
func column[T any](links []audit.Link, field func(audit.Link) T) []T {
	values := make([]T, len(links))
	for i, v := range links {
		values[i] = field(v)
	}
	return values
}

// Since reads the events with an id above id, oldest first, at most limit and 1,000.
func (e *Events) Since(ctx context.Context, id int64, limit int) ([]audit.Stored, error) {
	return e.read(ctx, eventsSince, id, limit)
}

// Position is the place before the first event since a time: read on from there with Since.
func (e *Events) Position(ctx context.Context, since time.Time) (place int64, err error) {
	err = e.db.do(ctx, func(ctx context.Context, c conn) error {
		place, _, err = one(ctx, c, value[int64], eventPosition, since)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("find place in security events: %w", err)
	}
	return place, nil
}

// Before reads the events with an id below id, newest first, at most limit and 1,000.
// Begin with math.MaxInt64.
func (e *Events) Before(ctx context.Context, id int64, limit int) ([]audit.Stored, error) {
	return e.read(ctx, eventsBefore, id, limit)
}

func (e *Events) read(ctx context.Context, q query, id int64, limit int) (list []audit.Stored, err error) {
	err = e.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, scanEvent, q, id, min(max(limit, 1), maxEvents))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read security events: %w", err)
	}
	return list, nil
}

// Activity counts events by control and minute, on all nodes, since a time at most an
// hour ago. A minute of a control without events is left out.
func (e *Events) Activity(ctx context.Context, since time.Time) (list []audit.Activity, err error) {
	const minutes, controls = 60, 200 // bounds of the answer
	if oldest := e.db.now().Add(-minutes * time.Minute); since.Before(oldest) {
		since = oldest
	}
	err = e.db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, func(r row) (a audit.Activity, err error) {
			err = r(&a.Control, intoTime{&a.Minute}, &a.Events, &a.Refused)
			return a, err
		}, eventActivity, since, minutes*controls)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count security events: %w", err)
	}
	return list, nil
}

// Links reads the chain from id on, page by page, as long as the caller wants.
func (e *Events) Links(ctx context.Context, id int64) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for {
			var page []audit.Link
			err := e.db.do(ctx, func(ctx context.Context, c conn) (err error) {
				page, err = all(ctx, c, scanLink, linksFrom, id, maxEvents)
				return err
			})
			if err != nil {
				yield(audit.Link{}, fmt.Errorf("read security events: %w", err))
				return
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
				id = l.ID + 1
			}
			if len(page) < maxEvents {
				return
			}
		}
	}
}

// Anchor is the newest that retention left; nil: none.
func (e *Events) Anchor(ctx context.Context) (*audit.Anchor, error) {
	var a audit.Anchor
	var found bool
	err := e.db.do(ctx, func(ctx context.Context, c conn) (err error) {
		a, found, err = one(ctx, c, func(r row) (a audit.Anchor, err error) {
			err = r(&a.ID, &a.Hash, intoTime{&a.At}, &a.MAC)
			return a, err
		}, newestAnchor)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read audit anchor: %w", err)
	}
	if !found {
		return nil, nil
	}
	return &a, nil
}

func scanHead(r row) (h audit.Head, err error) {
	err = r(&h.ID, &h.Hash)
	return h, err
}

func eventTargets(v *audit.Stored, us *int64) []any {
	return []any{&v.ID, intoTime{&v.At}, &v.Name, &v.Level, &v.Control, &v.Reason, &v.User, &v.Username, &v.Session, &v.Conn, &v.Request,
		&v.Room, &v.IP, &v.Origin, &v.UserAgent, &v.CloseCode, us, &v.Count, &v.Detail}
}

func scanEvent(r row) (v audit.Stored, err error) {
	var us int64
	err = r(eventTargets(&v, &us)...)
	v.Took = time.Duration(us) * time.Microsecond
	return v, err
}

func scanLink(r row) (l audit.Link, err error) {
	var us int64
	err = r(append(eventTargets(&l.Stored, &us), &l.Prev, &l.Hash)...)
	l.Took = time.Duration(us) * time.Microsecond
	return l, err
}
