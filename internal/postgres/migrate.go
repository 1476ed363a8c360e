package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"example.com/portcullis/migrations"
)

const (
	// migrationLock is the advisory lock that lets one node at a time migrate.
	migrationLock = 7_270_010
	// migrationWait is how many seconds the others wait for it, asking once a second.
	migrationWait = 300
	// migrationTimeout lets one statement of a migration rewrite a large table.
	migrationTimeout = 15 * time.Minute
)

// Migrate brings the schema up to this program's version. Several nodes may call it
// at once: one does the work, the others wait. It never goes back.
func (db *DB) Migrate(ctx context.Context) error {
	p, done, err := db.migrator()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer done()
	applied, err := p.Up(ctx)
	for _, r := range applied {
		db.log.InfoContext(ctx, "migration applied", "file", r.Source.Path, "took", r.Duration)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Hint != "" { // the error's text lacks it, and it says what to do
		return fmt.Errorf("migrate: %w. Next: %s", err, pg.Hint)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Pending counts the migrations that the database lacks.
func (db *DB) Pending(ctx context.Context) (int, error) {
	p, done, err := db.migrator()
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	defer done()
	states, err := p.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", translate(ctx, err))
	}
	n := 0
	for _, s := range states {
		if s.State == goose.StatePending {
			n++
		}
	}
	return n, nil
}

// migrator makes goose's provider on connections of its own, with limits for DDL.
func (db *DB) migrator() (*goose.Provider, func(), error) {
	c := db.pool.Config().ConnConfig
	c.Tracer = nil
	c.RuntimeParams["application_name"] = "portcullis-migrate"
	c.RuntimeParams["statement_timeout"] = milliseconds(migrationTimeout)
	c.RuntimeParams["idle_in_transaction_session_timeout"] = milliseconds(migrationTimeout)
	std := stdlib.OpenDB(*c)
	p, err := provider(std)
	if err != nil {
		_ = std.Close()
		return nil, nil, err
	}
	return p, func() { _ = std.Close() }, nil
}

func provider(std *sql.DB) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, migrationWait))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, std, migrations.FS, goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}
