package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// query is the text of one statement. An untyped constant is one by itself; a string
// that was put together at run time is not, and converting it by hand is refused by
// TestQuery_isNeverBuilt. So values can only be bound.
//
// All SQL goes through exec, all, one and after. They use pgx's Query and SendBatch,
// which speak the extended protocol, and never its Exec, which without arguments
// speaks the simple one and runs as many statements as the text holds.
//
//control:name sql
type query string

// conn is a connection or a transaction on it.
type conn struct {
	pg interface {
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
		SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
	}
}

// row reads the columns of one row into its targets.
type row func(targets ...any) error

// do runs f on one connection, each statement a transaction of its own.
func (db *DB) do(ctx context.Context, f func(context.Context, conn) error) error {
	return db.acquire(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return f(ctx, conn{c})
	})
}

// tx runs f in one transaction, READ COMMITTED, which is rolled back if f fails.
func (db *DB) tx(ctx context.Context, f func(context.Context, conn) error) error {
	return db.acquire(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return f(ctx, conn{tx}) })
	})
}

// acquire lends f a connection for callTime at most.
func (db *DB) acquire(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	inner, cancel := context.WithTimeout(ctx, db.callTime)
	defer cancel()
	wait, waited := context.WithTimeout(inner, db.acquireTime)
	c, err := db.pool.Acquire(wait)
	waited()
	if err != nil {
		return translate(ctx, err)
	}
	defer c.Release()
	return translate(ctx, f(inner, c))
}

// exec runs q and returns how many rows it touched.
//
//control:name sql
func exec(ctx context.Context, c conn, q query, args ...any) (int64, error) {
	rows, err := c.pg.Query(ctx, string(q), args...)
	if err != nil {
		return 0, err
	}
	rows.Close()
	return rows.CommandTag().RowsAffected(), rows.Err()
}

// all runs q and reads every row.
func all[T any](ctx context.Context, c conn, scan func(row) (T, error), q query, args ...any) ([]T, error) {
	rows, err := c.pg.Query(ctx, string(q), args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

// one runs q, which gives a row or none; found is false when it gives none.
func one[T any](ctx context.Context, c conn, scan func(row) (T, error), q query, args ...any) (v T, found bool, err error) {
	vs, err := all(ctx, c, scan, q, args...)
	if err != nil || len(vs) == 0 {
		return v, false, err
	}
	if len(vs) > 1 {
		return v, false, errors.New("more than one row")
	}
	return vs[0], true, nil
}

// statement is a query with its values.
type statement struct {
	query query
	args  []any
}

// after runs first and then q in one transaction and one round trip. What first
// locks, q sees as it was left by whoever held it before: in a pipeline, too, each
// statement has a snapshot of its own.
func after[T any](ctx context.Context, c conn, first statement, scan func(row) (T, error), q query, args ...any) (vs []T, err error) {
	var b pgx.Batch
	b.Queue(string(first.query), first.args...)
	b.Queue(string(q), args...)
	results := c.pg.SendBatch(ctx, &b)
	defer func() {
		// Close reports a failed commit: nothing is stored before it succeeds.
		if closed := results.Close(); err == nil && closed != nil {
			vs, err = nil, closed
		}
	}()
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if rows, err = results.Query(); err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

func collect[T any](rows pgx.Rows, scan func(row) (T, error)) ([]T, error) {
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (T, error) { return scan(r.Scan) })
}

// value reads a row of one column.
func value[T any](r row) (v T, err error) { err = r(&v); return v, err }

// null binds zero as NULL.
func null[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// nullTime binds the zero time as NULL.
func nullTime(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

// intoTime reads a time in UTC, NULL as the zero time.
type intoTime struct{ t *time.Time }

// ScanTimestamptz is called by pgx.
func (i intoTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	*i.t = time.Time{}
	if v.Valid {
		*i.t = v.Time.UTC()
	}
	return nil
}

// intoID reads an id, NULL as the zero id.
type intoID struct{ id *uuid.UUID }

// ScanUUID is called by pgx.
func (i intoID) ScanUUID(v pgtype.UUID) error {
	*i.id = v.Bytes
	return nil
}
