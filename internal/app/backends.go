package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/fanout"
	"example.com/portcullis/internal/postgres"
	"example.com/portcullis/internal/secret"
)

// Backends are the servers that an App needs: yours, or the embedded ones.
type Backends struct {
	DB       *postgres.DB
	Redis    redis.UniversalClient
	Database secret.Text // where they are
	RedisURL secret.Text
	Embedded string // what was started here, for the card; empty: nothing

	stack *embedded.Stack
}

// OpenBackends starts the embedded servers for which no URL is set, and connects.
// Production never gets here without URLs: config refuses it.
func OpenBackends(ctx context.Context, c config.Config, dataDir string, log *slog.Logger, progress func(string, time.Duration)) (_ *Backends, err error) {
	b := &Backends{Database: c.DatabaseURL, RedisURL: c.RedisURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close(context.WithoutCancel(ctx)))
		}
	}()
	if need := (embedded.Need{Postgres: c.DatabaseURL.Empty(), Redis: c.RedisURL.Empty()}); need.Postgres || need.Redis {
		b.stack, err = embedded.Start(ctx, embedded.Options{DataDir: dataDir, Offline: c.Offline, Log: log, Progress: progress}, need)
		if err != nil {
			return b, err
		}
		if need.Postgres {
			b.Database = secret.NewText(b.stack.DatabaseURL)
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
	return b, b.connect(ctx, log)
}

// OpenDatabase is OpenBackends for what needs no Redis: migrating, in production with
// other rights than serving.
func OpenDatabase(ctx context.Context, c config.Config, dataDir string, log *slog.Logger) (_ *Backends, err error) {
	b := &Backends{Database: c.DatabaseURL}
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
		b.Database = secret.NewText(b.stack.DatabaseURL)
	}
	b.DB, err = postgres.Open(ctx, b.Database, postgres.Options{Log: log})
	return b, err
}

// connect opens both clients.
func (b *Backends) connect(ctx context.Context, log *slog.Logger) (err error) {
	if b.DB, err = postgres.Open(ctx, b.Database, postgres.Options{Log: log}); err != nil {
		return err
	}
	if b.Redis, err = fanout.Connect(b.RedisURL); err != nil {
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
