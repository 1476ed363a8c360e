// Package postgres keeps everything that must survive: accounts, sessions, rooms and
// their history, the security log, and the outbox of revocations.
//
// Threat: text that becomes SQL (CWE-89): a search box, a message or a user name that
// reads other rooms, or changes them. A check that is true when it is made and no
// longer when its result is used: a member removed between "may post" and the post
// (CWE-367). A session that ended and comes back because a slow request saved its copy
// of it (CWE-613). An answer, or the time it takes, that tells which rooms exist
// (CWE-203). And one slow statement that takes the database away from everybody.
//
// Rule:
//   - SQL is constant text with bound parameters. Statements are of the type query,
//     and nothing in this package converts a string to it: a statement that was built
//     at run time does not compile. Only the extended protocol is used, which takes one
//     statement at a time (sql.go). pgx's Exec, which falls back to the simple protocol
//     when it has no arguments, is never called.
//   - Who may do it is asked in the statement that does it, or in its transaction under
//     the lock on the room's row. Posts and changes of membership take the same lock,
//     so each post is before a removal or refused by it.
//   - "No such room" and "not yours" are one statement with no rows and one error.
//   - Sessions are live or not in one place (sessions.go), and no statement makes one
//     live again.
//   - Every call ends: statement_timeout and lock_timeout in the server, a deadline
//     in the client, a bound on every queue and on every answer.
//
// What is not available now is an error of kind chat.Busy (errors.go), so callers fail
// closed in one way.
//
// Not covered: an attacker with the database's password or its files, and a database
// that lies. The role that serves needs no DDL; run the migrations with another one.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
)

// The limits of every connection. The server enforces the first three whatever the
// client does.
const (
	// statementTimeout is far above every statement's normal time (milliseconds) and
	// short enough that a few bad ones cannot hold the pool for long.
	statementTimeout = 5 * time.Second
	// lockTimeout is below statementTimeout, so that waiting for a room that somebody
	// holds is told apart from working.
	lockTimeout = 3 * time.Second
	// idleInTransaction ends a transaction whose node has died with a lock in its hand.
	idleInTransaction = 10 * time.Second

	// callTime bounds a whole call on this side, for a server that does not answer at
	// all: somewhat more than statementTimeout, so that the server's own word comes first.
	callTime = statementTimeout + time.Second
	// acquireTime bounds the wait for a connection: a pool that is empty for so long is
	// a busy server, and a client that is told so can try again.
	acquireTime = 2 * time.Second
	// connectTime bounds the making of a connection.
	connectTime = 3 * time.Second

	// maxConns is the default size of the pool: PostgreSQL is fastest with a few
	// connections per core, and three nodes must fit into its default of 100.
	maxConns = 16
)

// Options of Open. The zero value is good.
type Options struct {
	MaxConns int              // connections at most; 0: 16
	Log      *slog.Logger     // nil: discarded
	Now      func() time.Time // the clock of sessions and of changes that carry no time; nil: time.Now
	Quotas   chat.Quotas      // those that are 0: chat.DefaultQuotas
}

// DB is a pool of connections and the stores on top of it.
type DB struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	now   func() time.Time
	rooms *Rooms

	callTime, acquireTime time.Duration // the constants, except in tests
}

// Open makes the pool and checks that the database answers. The schema may be older
// than this program: see Migrate and Pending.
func Open(ctx context.Context, url secret.Text, o Options) (*DB, error) {
	return open(ctx, url, o, nil)
}

func open(ctx context.Context, url secret.Text, o Options, tracer pgx.QueryTracer) (*DB, error) {
	c, err := parse(url)
	if err != nil {
		return nil, err
	}
	c.MaxConns = maxConns
	if o.MaxConns > 0 {
		c.MaxConns = int32(min(o.MaxConns, 1000))
	}
	c.MaxConnLifetime = time.Hour
	c.MaxConnLifetimeJitter = 10 * time.Minute // so that connections are not renewed all at once
	c.PingTimeout = acquireTime
	c.ConnConfig.Tracer = tracer
	c.AfterConnect = newEnough
	limits := map[string]time.Duration{
		"statement_timeout":                   statementTimeout,
		"lock_timeout":                        lockTimeout,
		"idle_in_transaction_session_timeout": idleInTransaction,
	}
	for name, d := range limits {
		c.ConnConfig.RuntimeParams[name] = milliseconds(d)
	}

	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &DB{pool: pool, log: o.Log, now: o.Now, callTime: callTime, acquireTime: acquireTime}
	db.rooms = newRooms(db, int(c.MaxConns), o.Quotas)
	if err := db.Ping(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("reach database: %w", err)
	}
	return db, nil
}

// parse reads a database URL and settles what no URL may change.
//
//control:name sql
func parse(url secret.Text) (*pgxpool.Config, error) {
	if url.Empty() {
		return nil, errors.New("open database: no URL")
	}
	c, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		// Not wrapped: pgx quotes the URL and masks the password as well as it can.
		return nil, errors.New("open database: the URL is not one that PostgreSQL understands")
	}
	if c.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		// It puts arguments into the text of the statement; every SQL injection that pgx
		// ever had was there (CVE-2026-41889, GHSA-j38q-h3ph-jjpq).
		return nil, errors.New("open database: the URL asks for the simple protocol, which is refused")
	}
	if c.ConnConfig.ConnectTimeout <= 0 || c.ConnConfig.ConnectTimeout > connectTime {
		c.ConnConfig.ConnectTimeout = connectTime
	}
	c.ConnConfig.RuntimeParams["application_name"] = "portcullis"
	// The stores rely on each statement of a transaction seeing what was committed
	// before that statement, in particular before the lock in front of it was granted.
	c.ConnConfig.RuntimeParams["default_transaction_isolation"] = "read committed"
	// A plan is kept while the tables grow. One that was made when a table was small must
	// not read all of it for every post a day later; no statement here wants a whole table.
	c.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	c.ConnConfig.RuntimeParams["jit"] = "off" // it pays for long statements; before PostgreSQL 18 the line above set it off
	return c, nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	return db.do(ctx, func(ctx context.Context, c conn) error {
		_, err := exec(ctx, c, "SELECT 1")
		return err
	})
}

// Now is the database's clock.
func (db *DB) Now(ctx context.Context) (at time.Time, err error) {
	err = db.do(ctx, func(ctx context.Context, c conn) error {
		at, _, err = one(ctx, c, value[time.Time], "SELECT clock_timestamp()")
		return err
	})
	return at, err
}

// Close writes the posts that are queued, then closes every connection, for which pgx
// gives a server that has fallen silent 15 seconds. Calls that come later are answered
// with chat.Busy.
func (db *DB) Close() {
	db.rooms.commits.close()
	db.pool.Close()
}

// Rooms is the chat.Store.
func (db *DB) Rooms() *Rooms { return db.rooms }

// Sessions is the session.Store.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

// Accounts is the account.Store.
func (db *DB) Accounts() *Accounts { return &Accounts{db} }

// Events is the audit.Store. Without a chain it only reads.
func (db *DB) Events(chain *audit.Chain) *Events { return &Events{db, chain} }

// Revocations is the outbox, for nodes that poll it.
func (db *DB) Revocations() *Revocations { return &Revocations{db} }

// Announcements keeps what the operator tells everybody.
func (db *DB) Announcements() *Announcements { return &Announcements{db} }

// Keys holds the ticket keys of a development set-up.
func (db *DB) Keys() *Keys { return &Keys{db} }
