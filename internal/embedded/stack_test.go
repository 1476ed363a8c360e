package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/testkit"
)

var both = embedded.Need{Postgres: true, Redis: true}

// reachableDir is a directory that another account can pass through; t.TempDir is closed to others.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// start starts a stack that the test stops, or that stops with the test.
func start(t *testing.T, o embedded.Options, need embedded.Need) *embedded.Stack {
	t.Helper()
	s, err := embedded.Start(t.Context(), o, need)
	if err != nil {
		testkit.Unavailable(t, err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embedded.Stack) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error("Stop:", err)
	}
}

func connect(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, conn *pgx.Conn, sql string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// actionable asserts that err has the three parts and that they mention what a person needs.
func actionable(t *testing.T, err error, mentions ...string) {
	t.Helper()
	e, ok := errors.AsType[*embedded.Error](err)
	if !ok || e.What == "" || e.Why == "" || e.Next == "" {
		t.Fatalf("err = %#v, want what, why and next", err)
	}
	for _, m := range mentions {
		if !strings.Contains(e.Error(), m) {
			t.Errorf("%q does not mention %q", e.Error(), m)
		}
	}
}

func TestStart_givesALeastPrivilegeDatabaseThatOutlivesAStop(t *testing.T) {
	t.Parallel()
	var phases []string
	o := embedded.Options{DataDir: filepath.Join(reachableDir(t), "data"), Progress: func(phase string, took time.Duration) {
		phases = append(phases, phase)
		t.Log(phase, took)
	}}
	first := start(t, o, both)
	conn := connect(t, first.OwnerURL)
	exec(t, conn, "CREATE TABLE kept (word text)")
	exec(t, conn, "INSERT INTO kept VALUES ('Grüße')")
	if n := count(t, conn, "SELECT count(*) FROM kept WHERE lower(word) = 'grüße' AND to_tsvector('simple', word) @@ to_tsquery('simple', 'GRÜSSE | grüße')"); n != 1 {
		t.Errorf("letters beyond ASCII are not understood")
	}
	givesNoSuperuser(t, first)
	options, err := redis.ParseURL(first.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	stop(t, first)
	t.Log("stop", time.Since(began))
	if embedded.InUse(o.DataDir) {
		t.Error("the data directory is still locked after Stop")
	}

	second := start(t, o, both)
	if n := count(t, connect(t, second.OwnerURL), "SELECT count(*) FROM kept"); n != 1 {
		t.Errorf("rows after a restart = %d, want 1", n)
	}
	if first.RedisKind != "miniredis" {
		if fresh, err := redis.ParseURL(second.RedisURL); err != nil || fresh.Password == options.Password {
			t.Errorf("the second Redis has the first one's password, or %v", err)
		}
	}
	want := "create database"
	if got := strings.Join(phases, ","); strings.Count(got, want) != 1 {
		t.Errorf("phases %q; want %q once", got, want)
	}
}

// givesNoSuperuser checks the rights of the application's role.
func givesNoSuperuser(t *testing.T, s *embedded.Stack) {
	t.Helper()
	conn := connect(t, s.DatabaseURL)
	if n := count(t, conn, "SELECT count(*) FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls)"); n != 0 {
		t.Error("the application's role has more rights than it needs")
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (a int)"); err == nil {
		t.Error("the application's role made a table: it could change the log's as well")
	}
	if _, err := conn.Exec(t.Context(), "COPY (SELECT 1) TO PROGRAM 'cat'"); err == nil {
		t.Error("an injected COPY TO PROGRAM would run a command")
	}
	for _, role := range []string{"postgres", "portcullis", "portcullis_app"} {
		u, err := url.Parse(s.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(role, "guess")
		if stranger, err := pgx.Connect(t.Context(), u.String()); err == nil {
			stranger.Close(t.Context())
			t.Errorf("signed in as %s with a guessed password", role)
		}
	}
}

func TestStart_secondStartSaysWhoHoldsTheDirectory(t *testing.T) {
	t.Parallel()
	o := embedded.Options{DataDir: filepath.Join(reachableDir(t), "data"), Throwaway: true}
	start(t, o, embedded.Need{Redis: true})
	_, err := embedded.Start(t.Context(), o, both)
	actionable(t, err, "in use", "since 20", "PORTCULLIS_DATA_DIR")
	if !embedded.InUse(o.DataDir) {
		t.Error("the refused start took the lock away")
	}
}

func TestStart_neverTouchesADirectoryItDidNotMake(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, content string
		mentions            []string
	}{
		{"files without a version", "precious.txt", "do not lose me", []string{"no PG_VERSION", "never re-created"}},
		{"a version that is too old", "PG_VERSION", "9\n", []string{"PostgreSQL 9", "install PostgreSQL 9", "stays as it is"}},
		{"a version that is not here", "PG_VERSION", "99\n", []string{"was made by PostgreSQL 99 and needs the same", "install PostgreSQL 99", "stays as it is"}},
		{"a version that is no version", "PG_VERSION", "x\n", []string{"names no version"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(reachableDir(t), "data")
			precious := filepath.Join(dir, "postgres", tt.file)
			if err := os.MkdirAll(filepath.Dir(precious), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(precious, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := embedded.Start(t.Context(), embedded.Options{DataDir: dir, Offline: true}, both)
			actionable(t, err, tt.mentions...)
			if got, err := os.ReadFile(precious); err != nil || string(got) != tt.content {
				t.Errorf("after the refusal the file has %q, %v", got, err)
			}
		})
	}
}

func TestStart_aLostPasswordFileIsToldNotRepairedByDeleting(t *testing.T) {
	t.Parallel()
	o := embedded.Options{DataDir: filepath.Join(reachableDir(t), "data"), Throwaway: true}
	stop(t, start(t, o, embedded.Need{Postgres: true}))
	if err := os.Remove(filepath.Join(o.DataDir, "postgres.password")); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Start(t.Context(), o, embedded.Need{Postgres: true})
	actionable(t, err, "postgres.password", "restore that file")
	if _, err := os.Stat(filepath.Join(o.DataDir, "postgres", "PG_VERSION")); err != nil {
		t.Error("the cluster is gone:", err)
	}
}

func TestStart_aServerThatDoesNotComeUpLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	o := embedded.Options{DataDir: filepath.Join(reachableDir(t), "data"), Throwaway: true}
	stop(t, start(t, o, embedded.Need{Postgres: true}))
	config := filepath.Join(o.DataDir, "postgres", "postgresql.conf")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = embedded.Start(t.Context(), o, both)
	actionable(t, err, "did not start", "postgresql.conf")
	if embedded.InUse(o.DataDir) {
		t.Error("the failed start keeps the lock")
	}
	if _, err := os.Stat(filepath.Join(o.DataDir, "run")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the failed start keeps its socket directory:", err)
	}
	if err := os.WriteFile(config, good, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, o, both)
}

func TestStart_withoutRedisRunsAStandInAndSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var log bytes.Buffer
	o := embedded.Options{DataDir: filepath.Join(reachableDir(t), "data"), Log: slog.New(slog.NewTextHandler(&log, nil))}
	s := start(t, o, embedded.Need{Redis: true})
	if s.RedisKind != "miniredis" || !strings.Contains(log.String(), "in-process stand-in; not Redis") {
		t.Errorf("kind %q, log %q; want the stand-in and a line about it", s.RedisKind, log.String())
	}
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	if err := rdb.Set(t.Context(), "k", "v", 20*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return rdb.Exists(t.Context(), "k").Val() == 0 })
	options.Password = "guess"
	stranger := redis.NewClient(options)
	defer stranger.Close()
	if err := stranger.Get(t.Context(), "k").Err(); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("a stranger on the port got %v, want a refusal", err)
	}
}

func TestStart_refusesAPathThatIsNoDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "relative/dir", file, filepath.Join(file, "below")} {
		_, err := embedded.Start(t.Context(), embedded.Options{DataDir: dir}, both)
		actionable(t, err, "PORTCULLIS_DATA_DIR")
	}
}

func TestStart_withNothingNeededTouchesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := embedded.Start(t.Context(), embedded.Options{DataDir: dir}, embedded.Need{})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a directory was made:", err)
	}
}
