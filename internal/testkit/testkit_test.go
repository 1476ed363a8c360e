package testkit

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/embedded"
)

func TestMain(m *testing.M) { Main(m) }

func TestDB_givesEachTestItsOwnMigratedDatabase(t *testing.T) {
	one, other := DB(t), DB(t)
	if _, err := one.Exec(t.Context(), "CREATE TABLE mine (n int)"); err != nil {
		t.Fatal(err)
	}
	var applied int
	if err := one.QueryRow(t.Context(), "SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&applied); err != nil || applied == 0 {
		t.Errorf("migrations applied = %d, %v; want some", applied, err)
	}
	var there bool
	if err := other.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&there); err != nil || there {
		t.Errorf("the other test's table is visible = %v, %v; want false", there, err)
	}
}

func TestDatabaseURL_dropsTheDatabaseAlthoughAConnectionIsOpen(t *testing.T) {
	var database string
	t.Run("test that leaves a connection open", func(t *testing.T) {
		database = DatabaseURL(t)
		conn, err := pgx.Connect(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if conn, err := pgx.Connect(t.Context(), database); err == nil {
		conn.Close(t.Context())
		t.Error("the database is still there")
	}
}

func TestBuildTemplate_takesGooseFilesAndFollowsTheirContent(t *testing.T) {
	server := process.postgres.start(t, "DATABASE_URL", embedded.Need{Postgres: true})
	files := fstest.MapFS{"00001_pets.sql": {Data: []byte("-- +goose Up\nCREATE TABLE pets (name text);\n")}}
	first, err := buildTemplate(server, files)
	if err != nil {
		t.Fatal(err)
	}
	again, err := buildTemplate(server, files)
	if err != nil || again != first {
		t.Errorf("second build = %q, %v; want the same template %q", again, err, first)
	}
	conn, err := pgx.Connect(t.Context(), freshDatabase(t, server, first))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "INSERT INTO pets (name) VALUES ('Rex')"); err != nil {
		t.Error(err)
	}
	files["00002_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE pets ADD age int;\n")}
	if changed, err := buildTemplate(server, files); err != nil || changed == first {
		t.Errorf("after a new migration = %q, %v; want another template", changed, err)
	}
}

func TestRedis_isRealAndGivesEachTestItsOwnPrefix(t *testing.T) {
	client, prefix := Redis(t)
	_, other := Redis(t)
	if prefix == other || !strings.HasSuffix(prefix, ":") {
		t.Errorf("prefixes %q and %q; want two different ones", prefix, other)
	}
	if err := client.Set(t.Context(), prefix+"k", "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := client.GetDel(t.Context(), prefix+"k").Result(); err != nil || got != "v" {
		t.Errorf("GETDEL = %q, %v; want v", got, err)
	}
}

func TestPipeListener_isVisibleToSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewPipeListener()
		heard := make(chan string)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				heard <- err.Error()
				return
			}
			defer conn.Close()
			all, _ := io.ReadAll(conn)
			heard <- string(all)
		}()
		conn, err := l.Dial(t.Context(), "tcp", "anything:1")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Hour, func() { conn.Close() }) // the bubble's clock jumps: nothing else is left to do
		if _, err := io.WriteString(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != "hello" {
			t.Errorf("heard %q, want hello", got)
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close = %v, want net.ErrClosed", err)
		}
		if _, err := l.Dial(t.Context(), "", ""); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial after Close = %v, want net.ErrClosed", err)
		}
	})
}

func TestPipeListener_dialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := NewPipeListener().Dial(ctx, "", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
	})
}

func TestProxy_breaksAndMendsTheLineToRedis(t *testing.T) {
	p := NewProxy(t, RedisURL(t))
	options, err := redis.ParseURL(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	defer client.Close()
	ping := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		return client.Ping(ctx).Err()
	}
	if err := ping(); err != nil {
		t.Fatal("before:", err)
	}
	p.Pause()
	if err := ping(); !timedOut(err) {
		t.Errorf("paused: %v, want a timeout", err)
	}
	p.Resume()
	Eventually(t, 5*time.Second, func() bool { return ping() == nil })
	p.Cut()
	if err := ping(); err == nil || timedOut(err) {
		t.Errorf("cut: %v, want a closed connection", err)
	}
	p.Resume()
	Eventually(t, 5*time.Second, func() bool { return ping() == nil })
}

func timedOut(err error) bool {
	slow, ok := errors.AsType[net.Error](err)
	return ok && slow.Timeout()
}

func TestProxy_breaksTheLineToPostgreSQL(t *testing.T) {
	p := NewProxy(t, DatabaseURL(t))
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the connection survived the cut")
	}
}
