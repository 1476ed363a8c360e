// Package testkit gives tests real servers: a migrated PostgreSQL database of its own for each test, a Redis with a key
// prefix of its own for each test, and the tools to break the line between.
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
//	func TestAppend_refusesNonMember(t *testing.T) {
//		db := testkit.DB(t)            // *pgxpool.Pool, dropped with the test
//		rdb, prefix := testkit.Redis(t)
//
// Nothing starts before a test asks. Then DATABASE_URL and REDIS_URL are used when set, else throwaway servers are run for
// this test process (package internal/embedded; in memory on Linux) and ended with it. DATABASE_URL needs PostgreSQL 15 or
// newer and a role that may create databases and roles.
//
// This is the only place in the project that may skip a test: when there is no server and no way to start one. With
// REQUIRE_SERVICES=1, as in a pipeline, that is a failure, and so is the stand-in for Redis.
package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/embedded"
)

// startTimeout bounds a first start that has to fetch binaries over a slow line.
const startTimeout = 8 * time.Minute

// stopTimeout bounds the end of the servers; they are thrown away and need some 50 ms.
const stopTimeout = 20 * time.Second

// dirPrefix starts the name of every throwaway directory.
const dirPrefix = "portcullis-test-"

// process is what the tests of one process share. The testing package gives TestMain no way to hand something to the tests,
// so this is the one variable of its kind in the project.
var process struct {
	mu      sync.Mutex
	main    bool
	cleanup []func() error

	postgres, redis server
	template        template
}

// server is started once, by the first test that asks.
type server struct {
	once sync.Once
	url  string
	kind string
	err  error
}

// Main runs the tests of a package, ends what they started and exits. Call it from TestMain.
func Main(m *testing.M) {
	process.main = true
	code := m.Run()
	process.mu.Lock()
	defer process.mu.Unlock()
	for i := len(process.cleanup) - 1; i >= 0; i-- {
		if err := process.cleanup[i](); err != nil {
			fmt.Fprintln(os.Stderr, "testkit: clean-up:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// start returns the URL from the environment variable, or that of a throwaway server.
func (s *server) start(t testing.TB, variable string, need embedded.Need) string {
	t.Helper()
	if !process.main {
		t.Fatal("testkit: TestMain must call testkit.Main, or the servers would stay behind")
	}
	s.once.Do(func() {
		if s.url = os.Getenv(variable); s.url != "" {
			return
		}
		s.url, s.kind, s.err = startThrowaway(need)
	})
	switch {
	case s.err != nil:
		Unavailable(t, s.err)
	case s.kind == "miniredis" && required():
		t.Fatal("testkit: REQUIRE_SERVICES=1 and no redis-server was found; install one or set REDIS_URL")
	}
	return s.url
}

// Unavailable ends a test that got an error from [embedded.Start]: it skips when the machine has no server and nobody
// requires one, and fails otherwise.
func Unavailable(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, embedded.ErrUnavailable) && !required() {
		t.Skip("testkit: skipped, because there is no server:", err)
	}
	t.Fatal("testkit:", err)
}

func required() bool { return os.Getenv("REQUIRE_SERVICES") == "1" }

// startThrowaway runs a server without durability in a directory that is removed at the end.
func startThrowaway(need embedded.Need) (url, kind string, err error) {
	base := fastDir()
	sweep(base)
	dir, err := os.MkdirTemp(base, dirPrefix)
	if err != nil {
		return "", "", err
	}
	onExit(func() error { return os.RemoveAll(dir) })
	if os.Geteuid() == 0 { // then the servers run as another account, which has to come through
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	stack, err := embedded.Start(ctx, embedded.Options{DataDir: dir, Throwaway: true}, need)
	if err != nil {
		return "", "", err
	}
	onExit(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		return stack.Stop(ctx)
	})
	return stack.OwnerURL + stack.RedisURL, stack.RedisKind, nil // one of them was asked for
}

func onExit(f func() error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.cleanup = append(process.cleanup, f)
}

// fastDir is memory where the system has such a place, for a database of some 40 MB.
func fastDir() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// sweep removes the directories of test processes that were killed. A fresh one may not have its lock yet.
func sweep(base string) {
	const fresh = time.Minute
	entries, _ := os.ReadDir(base) // a hint; the next run sweeps as well
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), dirPrefix) || time.Since(info.ModTime()) < fresh {
			continue
		}
		if dir := filepath.Join(base, e.Name()); !embedded.InUse(dir) {
			_ = os.RemoveAll(dir) // of another account: not ours to remove
		}
	}
}
