package postgres

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/migrations"
)

func TestOpen_refusesTheSimpleProtocol(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), secret.NewText("postgres://app@127.0.0.1/app?default_query_exec_mode=simple_protocol"), Options{})
	if err == nil || !strings.Contains(err.Error(), "simple protocol") {
		t.Errorf("error %v; want a refusal that names the simple protocol", err)
	}
	if _, err := Open(t.Context(), secret.Text{}, Options{}); err == nil {
		t.Error("no URL was accepted")
	}
}

func TestOpen_doesNotQuoteThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://app:hunter2hunter2@127.0.0.1:port/app",
		"postgres://app:hunter2hunter2@127.0.0.1/app?sslmode=hunter2hunter2",
		"host=127.0.0.1 password = hunter2hunter2 sslmode=nonsense",
		"hunter2hunter2",
		"postgres://app:hunter2hunter2@127.0.0.1:1/app?connect_timeout=1",
	} {
		_, err := Open(t.Context(), secret.NewText(url), Options{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v; want one without the password", err)
		}
	}
}

func TestOpen_limitsEveryStatement(t *testing.T) {
	t.Parallel()
	url := testkit.DatabaseURL(t)
	url = with(t, url, "statement_timeout", "0") // an operator's slip of the pen
	url = with(t, url, "options", "-c lock_timeout=0 -c default_transaction_isolation=serializable")
	w := &world{TB: t, DB: node(t, url, Options{}), ctx: t.Context()}
	for setting, want := range map[string]string{
		"statement_timeout": "5s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "10s",
		"default_transaction_isolation": "read committed", "application_name": "portcullis",
	} {
		var got string
		err := w.do(w.ctx, func(ctx context.Context, c conn) (err error) {
			got, _, err = one(ctx, c, value[string], "SELECT current_setting($1)", setting)
			return err
		})
		if err != nil || got != want {
			t.Errorf("%s = %q, error %v; want %q", setting, got, err, want)
		}
	}
}

func TestCalls_areBusyWhenTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	proxy := testkit.NewProxy(t, testkit.DatabaseURL(t))
	w := &world{TB: t, DB: node(t, proxy.URL(), Options{MaxConns: 2}), ctx: t.Context()}
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	w.post(ann, room, "before")

	proxy.Cut()
	_, err := w.Rooms().Rooms(w.ctx, ann.ID)
	kind(t, "rooms", err, chat.Busy)
	_, _, err = w.Rooms().Append(w.ctx, send, draft(ann, room, "lost"))
	kind(t, "append", err, chat.Busy)
	_, _, err = w.Sessions().FindCtx(w.ctx, "token")
	kind(t, "find session", err, chat.Busy)
	kind(t, "ping", w.Ping(w.ctx), chat.Busy)

	proxy.Resume()
	testkit.Eventually(t, 5*time.Second, func() bool { return w.Ping(w.ctx) == nil })
	if c := w.post(ann, room, "after"); c.Seq != 2 {
		t.Errorf("seq %d after the outage, want 2", c.Seq)
	}
}

func TestCalls_endWhenTheDatabaseFallsSilent(t *testing.T) {
	t.Parallel()
	proxy := testkit.NewProxy(t, testkit.DatabaseURL(t))
	w := &world{TB: t, DB: node(t, proxy.URL(), Options{MaxConns: 1}), ctx: t.Context()}
	w.callTime, w.acquireTime = 200*time.Millisecond, 50*time.Millisecond
	proxy.Pause()
	began := time.Now()
	var wg sync.WaitGroup
	for range 2 { // one holds the only connection, the other waits for it
		wg.Go(func() { kind(t, "ping", w.Ping(w.ctx), chat.Busy) })
	}
	wg.Wait()
	proxy.Resume() // so that Close need not wait for it
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestCalls_passTheCallersOwnEndThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	_, err := w.Rooms().Rooms(ctx, chat.UserID{})
	if err == nil || ctx.Err() == nil || chat.KindOf(err) == chat.Busy {
		t.Errorf("error %v; want the context's", err)
	}
}

func TestMigrate_letsOneNodeDoItAndTheOthersWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.owner("CREATE DATABASE empty_one")
	u := strings.Replace(testkit.OwnerURL(w.url), "/"+ask[string](w, "SELECT current_database()"), "/empty_one", 1)
	t.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), testkit.OwnerURL(w.url))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(context.Background())
		if _, err := c.Exec(context.Background(), "DROP DATABASE empty_one WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	a, b := node(t, u, Options{}), node(t, u, Options{})
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := a.Pending(w.ctx); err != nil || n != len(files) {
		t.Errorf("%d pending, error %v; want %d", n, err, len(files))
	}
	var wg sync.WaitGroup
	for _, db := range []*DB{a, b} {
		wg.Go(func() {
			if err := db.Migrate(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, err := b.Pending(w.ctx); err != nil || n != 0 {
		t.Errorf("%d pending after, error %v; want 0", n, err)
	}
	a.Close()
	b.Close()
}

func TestMigrations_goForwardOnly(t *testing.T) {
	t.Parallel()
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := migrations.FS.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "-- +goose Up\n") || strings.Contains(string(text), "+goose Down") {
			t.Errorf("%s: want one way, up", f.Name())
		}
	}
}

func TestMigrations_commentOnEveryTableAndColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.conn(func(c *pgx.Conn) {
		rows, err := c.Query(w.ctx, `
			SELECT c.relname || coalesce('.' || a.attname, '')
			FROM pg_class c
			LEFT JOIN LATERAL (SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
				UNION ALL SELECT NULL, 0) a ON true
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'goose_db_version'
				AND coalesce(col_description(c.oid, a.attnum), CASE WHEN a.attnum = 0 THEN obj_description(c.oid, 'pg_class') END, '') = ''`)
		if err != nil {
			t.Fatal(err)
		}
		bare, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(bare) != 0 {
			t.Errorf("without a comment: %v, error %v", bare, err)
		}
	})
}

func TestMigrations_knowEveryKindOfChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.conn(func(c *pgx.Conn) {
		var rule string
		if err := c.QueryRow(w.ctx, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'changes_kind_known'`).Scan(&rule); err != nil {
			t.Fatal(err)
		}
		for _, kind := range chat.ChangeKinds() {
			if !strings.Contains(rule, "'"+string(kind)+"'") {
				t.Errorf("a migration has to add %q to changes_kind_known: %s", kind, rule)
			}
		}
	})
}
