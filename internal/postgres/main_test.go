package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// node opens one more handle on the database at url, as another node would.
func node(t testing.TB, url string, o Options) *DB {
	t.Helper()
	if o.MaxConns == 0 {
		o.MaxConns = 4
	}
	db, err := Open(t.Context(), secret.NewText(url), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// world is a database with people in it.
type world struct {
	testing.TB
	*DB
	url string
	ctx context.Context
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	url := testkit.DatabaseURL(t)
	return &world{TB: t, DB: node(t, url, o), url: url, ctx: t.Context()}
}

// user makes an account; names are unique by themselves.
func (w *world) user(name string) chat.Person {
	w.Helper()
	p := chat.Person{ID: chat.UserID{UUID: uuid.New()}, Username: name, DisplayName: "The " + name}
	err := w.Accounts().Create(w.ctx, account.User{ID: p.ID, Username: name, DisplayName: p.DisplayName, Role: authz.User, PasswordHash: "$test$" + name, CreatedAt: time.Now()})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) room(owner chat.Person, v chat.Visibility) chat.RoomID {
	w.Helper()
	r, err := w.Rooms().CreateRoom(w.ctx, owner.ID, "A room", v)
	if err != nil {
		w.Fatal(err)
	}
	return r.ID
}

func (w *world) join(room chat.RoomID, by chat.Person, whom ...chat.Person) {
	w.Helper()
	for _, p := range whom {
		if _, _, err := w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), by.ID, room, p.Username); err != nil {
			w.Fatal(err)
		}
	}
}

// change stores next as target's standing in room, whatever it was before.
func (w *world) change(room chat.RoomID, by, target chat.Person, next chat.Standing, reason string) chat.Outcome {
	w.Helper()
	out, err := w.Rooms().ChangeMember(w.ctx, by.ID, room, target.ID, func(chat.Room, chat.Standing, chat.Standing) (chat.Standing, string, error) {
		return next, reason, nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func draft(author chat.Person, room chat.RoomID, body string) chat.Post {
	return chat.Post{Room: room, Author: author, ID: chat.MessageID{UUID: uuid.New()}, ClientID: chat.ClientID{UUID: uuid.Must(uuid.NewV7())}, Body: body, At: time.Now()}
}

func (w *world) post(author chat.Person, room chat.RoomID, body string) chat.Change {
	w.Helper()
	c, dup, err := w.Rooms().Append(w.ctx, authz.Roles(authz.Send), draft(author, room, body))
	if err != nil || dup {
		w.Fatalf("append: dup %v, error %v", dup, err)
	}
	return c
}

// raw runs SQL of the test's own.
func (w *world) raw(sql string, args ...any) {
	w.Helper()
	w.conn(func(c *pgx.Conn) {
		if _, err := c.Exec(w.ctx, sql, args...); err != nil {
			w.Fatal(err)
		}
	})
}

// ask reads one value.
func ask[T any](w *world, sql string, args ...any) (v T) {
	w.Helper()
	w.conn(func(c *pgx.Conn) {
		if err := c.QueryRow(w.ctx, sql, args...).Scan(&v); err != nil {
			w.Fatal(err)
		}
	})
	return v
}

// conn lends one of the node's connections.
func (w *world) conn(f func(*pgx.Conn)) {
	w.Helper()
	c, err := w.pool.Acquire(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Release()
	f(c.Conn())
}

// waiting polls until n statements of the stores wait for a lock. It looks as the owner:
// the server's role sees no other session's state.
func (w *world) waiting(n int) {
	w.Helper()
	c, err := pgx.Connect(w.ctx, testkit.OwnerURL(w.url))
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(w.ctx))
	testkit.Eventually(w, 5*time.Second, func() bool {
		var got int
		err := c.QueryRow(w.ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'portcullis' AND wait_event_type = 'Lock'`).Scan(&got)
		return err == nil && got >= n
	})
}

// clock is a time that tests move.
type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(time.Now().UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// denied demands the one answer to everything that is not allowed or not there, as
// the same value: nothing about it may depend on which of the two it was.
func denied(t testing.TB, what string, err error) {
	t.Helper()
	e, ok := errors.AsType[*chat.Error](err)
	if !ok || e != chat.ErrDenied {
		t.Errorf("%s: error %v; want chat.ErrDenied itself", what, err)
	}
}

func kind(t testing.TB, what string, err error, want chat.Kind) {
	t.Helper()
	if err == nil || chat.KindOf(err) != want {
		t.Errorf("%s: kind %v of %v; want %v", what, chat.KindOf(err), err, want)
	}
}

// with is url with one more parameter.
func with(t testing.TB, raw, key, value string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx takes + for itself
	return u.String()
}

func name(i int) string { return fmt.Sprintf("user-%d", i) }
