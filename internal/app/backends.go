package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/fanout"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/postgres"
	"example.com/portcullis/internal/secret"
)

// Backends are the servers that an App needs: yours, or the embedded ones.
type Backends struct {
	DB       *postgres.DB
	Redis    redis.UniversalClient
	Database secret.Text // where they are
	owner    secret.Text // the database, as the role that owns its tables
	RedisURL secret.Text
	Embedded string // what was started here, for the card; empty: nothing

	stack      *embedded.Stack
	redisRoots *x509.CertPool // nil: those that the system trusts
}

// OpenBackends starts the embedded servers for which no URL is set, and connects.
// Production never gets here without URLs: config refuses it.
func OpenBackends(ctx context.Context, c config.Config, dataDir string, log *slog.Logger, progress func(string, time.Duration)) (_ *Backends, err error) {
	b := &Backends{Database: believing(c.DatabaseURL, c.DatabaseCA), owner: believing(owner(c), c.DatabaseCA), RedisURL: c.RedisURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close(context.WithoutCancel(ctx)))
		}
	}()
	if c.RedisCA != "" {
		if b.redisRoots, err = certs.Pool(c.RedisCA); err != nil {
			return b, fmt.Errorf("read PORTCULLIS_REDIS_CA: %w", err)
		}
	}
	if need := (embedded.Need{Postgres: c.DatabaseURL.Empty(), Redis: c.RedisURL.Empty()}); need.Postgres || need.Redis {
		b.stack, err = embedded.Start(ctx, embedded.Options{DataDir: dataDir, Offline: c.Offline, Log: log, Progress: progress}, need)
		if err != nil {
			return b, err
		}
		if need.Postgres {
			b.Database, b.owner = secret.NewText(b.stack.DatabaseURL), secret.NewText(b.stack.OwnerURL)
			b.Embedded = "PostgreSQL " + b.stack.PostgresVersion
		}
		if need.Redis {
			b.RedisURL = secret.NewText(b.stack.RedisURL)
			if b.Embedded != "" {
				b.Embedded += " and "
			}
			b.Embedded += b.stack.RedisKind
		}
	}
	return b, b.connect(ctx, c, log)
}

// believing adds the authority that signs PostgreSQL's certificate to its URL, where
// the driver looks for it.
//
//control:name backend-tls
func believing(database secret.Text, ca string) secret.Text {
	u, err := url.Parse(database.Reveal())
	if ca == "" || err != nil || u.Scheme == "" {
		return database
	}
	q := u.Query()
	q.Set("sslrootcert", ca)
	u.RawQuery = q.Encode()
	return secret.NewText(u.String())
}

// OpenDatabase is OpenBackends for what needs no Redis: migrating, in production with
// other rights than serving.
func OpenDatabase(ctx context.Context, c config.Config, dataDir string, log *slog.Logger) (_ *Backends, err error) {
	b := &Backends{Database: believing(owner(c), c.DatabaseCA)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close(context.WithoutCancel(ctx)))
		}
	}()
	if c.DatabaseURL.Empty() {
		b.stack, err = embedded.Start(ctx, embedded.Options{DataDir: dataDir, Offline: c.Offline, Log: log}, embedded.Need{Postgres: true})
		if err != nil {
			return b, err
		}
		b.Database = secret.NewText(b.stack.OwnerURL)
	}
	b.DB, err = postgres.Open(ctx, b.Database, postgres.Options{Log: log})
	return b, err
}

// owner is the database as the role that owns the tables, if it has one of its own.
func owner(c config.Config) secret.Text {
	if c.MigrateURL.Empty() {
		return c.DatabaseURL
	}
	return c.MigrateURL
}

// Migrate brings the schema up to date, as the role that owns it. In production that is
// a step of its own, with a password that the server does not have.
func (b *Backends) Migrate(ctx context.Context, log *slog.Logger) error {
	db, err := postgres.Open(ctx, b.owner, postgres.Options{Log: log, MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	if n, err := db.Pending(ctx); err != nil || n == 0 {
		return err
	}
	return db.Migrate(ctx)
}

// CheckRole refuses a database role that may more than a server should.
func (b *Backends) CheckRole(ctx context.Context) error {
	excess, err := b.DB.Excess(ctx)
	if err != nil || len(excess) == 0 {
		return err
	}
	return config.Problems{{What: "DATABASE_URL signs in as a role that has too many rights: " + strings.Join(excess, ", "),
		Why: "whoever makes the server run one statement would have them too", Next: "sign in as a role in portcullis_app, and give the owner's URL to `portcullis migrate` alone, as DATABASE_MIGRATE_URL"}}
}

// VerifyLog walks along the security log's chain, with the key of this configuration.
func (b *Backends) VerifyLog(ctx context.Context, c config.Config, from int64, head *audit.Head) (audit.Report, error) {
	key, err := auditKey(ctx, c, b)
	if err != nil {
		return audit.Report{}, err
	}
	chain, err := audit.NewChain(key)
	if err != nil {
		return audit.Report{}, err
	}
	history := b.DB.Events(nil)
	anchor, err := history.Anchor(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	return chain.Verify(history.Links(ctx, from), from, anchor, head)
}

// connect opens both clients.
func (b *Backends) connect(ctx context.Context, c config.Config, log *slog.Logger) (err error) {
	quotas := chat.Quotas{Rooms: c.RoomsPerUser, Members: c.MembersPerRoom, DirectPerDay: c.DirectRoomsPerDay}
	if b.DB, err = postgres.Open(ctx, b.Database, postgres.Options{Log: log, Quotas: quotas}); err != nil {
		return err
	}
	if b.Redis, err = fanout.Connect(b.RedisURL, b.redisRoots); err != nil {
		return err
	}
	if err := b.Redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach Redis: %w", err)
	}
	return nil
}

// Close disconnects and stops what was started here.
func (b *Backends) Close(ctx context.Context) error {
	var errs []error
	if b.DB != nil {
		b.DB.Close()
	}
	if b.Redis != nil {
		errs = append(errs, b.Redis.Close())
	}
	if b.stack != nil {
		errs = append(errs, b.stack.Stop(ctx))
	}
	return errors.Join(errs...)
}
