package postgres

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/secret"
)

func bodies(list []chat.Message) (b []string) {
	for _, m := range list {
		b = append(b, m.Body)
	}
	return b
}

func TestHistory_pagesBackwardsWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	var want []string
	for i := range 7 {
		m := w.post(ann, room, name(i)).Message
		if i%2 == 0 { // seqs of messages are not next to each other
			if _, _, err := w.Rooms().React(w.ctx, react, ann.ID, room, m.ID, "👍", true); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, name(i))
	}
	var got []string
	for before := int64(0); ; {
		page, err := w.Rooms().History(w.ctx, read, ann.ID, room, before, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(bodies(page), got...)
		before = page[0].Seq
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	page, err := w.Rooms().History(w.ctx, read, ann.ID, room, 0, 1_000_000)
	if err != nil || len(page) != 7 {
		t.Errorf("%d messages, error %v", len(page), err)
	}
}

//control:proves authz
func TestReading_refusesStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, eve := w.user("ann"), w.user("eve")
	room := w.room(ann, chat.Open)
	w.post(ann, room, "hidden words")
	for what, id := range map[string]chat.RoomID{"not yours": room, "none": {UUID: uuid.New()}} {
		_, _, err := w.Rooms().Changes(w.ctx, read, eve.ID, id, 0, 10)
		denied(t, "changes: "+what, err)
		_, err = w.Rooms().History(w.ctx, read, eve.ID, id, 0, 10)
		denied(t, "history: "+what, err)
		_, err = w.Rooms().Search(w.ctx, read, eve.ID, id, "hidden", 10)
		denied(t, "search: "+what, err)
	}
	for what, roles := range map[string][]authz.Role{"nil": nil, "empty": {}, "others": {"moderator"}} {
		_, err := w.Rooms().History(w.ctx, roles, ann.ID, room, 0, 10)
		denied(t, "roles: "+what, err)
	}
}

func TestReading_anEmptyRoomIsNotARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	if list, head, err := w.Rooms().Changes(w.ctx, read, ann.ID, room, 0, 10); err != nil || len(list) != 0 || head != 0 {
		t.Errorf("changes: %v, head %d, error %v", list, head, err)
	}
	if list, err := w.Rooms().History(w.ctx, read, ann.ID, room, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("history: %v, error %v", list, err)
	}
	if list, err := w.Rooms().Search(w.ctx, read, ann.ID, room, "anything", 10); err != nil || len(list) != 0 {
		t.Errorf("search: %v, error %v", list, err)
	}
}

//control:proves sql
func TestSearch_findsWordsOfThisRoomNewestLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room, other := w.room(ann, chat.Open), w.room(ann, chat.Open)
	for _, body := range []string{"The quick brown fox", "a brown bear", "nothing here", "BROWN, quick and sly", "Größe zählt"} {
		w.post(ann, room, body)
	}
	w.post(ann, other, "a quick brown rabbit in another room")
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"brown", []string{"The quick brown fox", "a brown bear", "BROWN, quick and sly"}},
		{"quick brown", []string{"The quick brown fox", "BROWN, quick and sly"}},
		{"Quick, Brown!", []string{"The quick brown fox", "BROWN, quick and sly"}},
		{"größe", []string{"Größe zählt"}},
		{"bro", nil},
		{"rabbit", nil},
		{"!!! ---", nil},
		{"", nil},
	} {
		got, err := w.Rooms().Search(w.ctx, read, ann.ID, room, c.query, 10)
		if diff := cmp.Diff(c.want, bodies(got)); err != nil || diff != "" {
			t.Errorf("%q: error %v\n%s", c.query, err, diff)
		}
	}
	if got, err := w.Rooms().Search(w.ctx, read, ann.ID, room, "brown", 1); err != nil || len(got) != 1 || got[0].Body != "BROWN, quick and sly" {
		t.Errorf("the newest one: %v, error %v", bodies(got), err)
	}
}

// injections are texts that mean something to a database that reads them as SQL, as a
// pattern, as a query language or as a format.
var injections = []string{
	`' OR '1'='1`, `" OR ""="`, `'; DROP TABLE messages; --`, `1; SELECT pg_sleep(5)`, `' UNION SELECT id::text, username, password_hash FROM users --`,
	`$1`, `$$ ; SELECT 1 $$`, `\'; SELECT 1 --`, `%`, `_`, `%' ESCAPE '!`, `a & !b | (c <-> d):*`, `'a':*`, `E'\x27'`, `/* x */ -- y`, `{"a": 1}`, `%s%d%n`, `\`, `''`,
	`⟨'⟩ ＇ OR 1=1`, `ʼ; SELECT 1`, `:name @name ?`, "line\nbreak\ttab",
}

//control:proves schema
//control:proves sql
func TestText_isNeverReadAsSQL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	hidden := w.room(w.user("owner"), chat.Closed)
	tables := ask[int](w, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
	for i, text := range injections {
		c := w.post(ann, room, text)
		if c.Seq != int64(2*i+1) || c.Message.Body != text {
			t.Errorf("%q: seq %d, body %q", text, c.Seq, c.Message.Body)
		}
		if edited, err := w.Rooms().Edit(w.ctx, editOwn, ann.ID, room, c.Message.ID, text+" "+text); err != nil || edited.Message.Body != text+" "+text {
			t.Errorf("%q: edited to %q, error %v", text, edited.Message.Body, err)
		}
		hits, err := w.Rooms().Search(w.ctx, read, ann.ID, room, text, 100)
		if err != nil {
			t.Errorf("search %q: %v", text, err)
		}
		for _, m := range hits {
			if m.Room != room {
				t.Errorf("search %q left the room", text)
			}
		}
		_, err = w.Rooms().Search(w.ctx, read, ann.ID, hidden, text, 100)
		denied(t, "search elsewhere: "+text, err)
		_, _, err = w.Rooms().DirectRoom(w.ctx, ann.ID, text)
		denied(t, "direct room: "+text, err)
		_, _, err = w.Rooms().AddMember(w.ctx, invites, ann.ID, room, text)
		denied(t, "add member: "+text, err)
		if r, err := w.Rooms().CreateRoom(w.ctx, ann.ID, text, chat.Closed); err != nil || r.Title != text {
			t.Errorf("room %q: %q, error %v", text, r.Title, err)
		}
		if _, found, err := w.Sessions().FindCtx(w.ctx, text); err != nil || found {
			t.Errorf("session %q: %v, error %v", text, found, err)
		}
	}
	list, err := w.Rooms().History(w.ctx, read, ann.ID, room, 0, 100)
	if err != nil || len(list) != len(injections) {
		t.Errorf("%d messages, error %v; want %d", len(list), err, len(injections))
	}
	if got := ask[int](w, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); got != tables {
		t.Errorf("%d tables, want %d", got, tables)
	}
	_, err = w.Rooms().Search(w.ctx, read, ann.ID, room, "nul\x00byte", 10)
	kind(t, "a NUL in a search", err, chat.Invalid)
}

// recorder keeps the text of every statement, with the number of its arguments.
type recorder struct {
	mu  sync.Mutex
	sql []string
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sql = append(r.sql, d.SQL)
	return ctx
}
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (r *recorder) TraceBatchStart(ctx context.Context, c *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	for _, q := range d.Batch.QueuedQueries {
		r.TraceQueryStart(ctx, c, pgx.TraceQueryStartData{SQL: q.SQL})
	}
	return ctx
}
func (r *recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.sql
	r.sql = nil
	return got
}

//control:proves authz
//control:proves existence
func TestRefusals_areTheSameAnswerAndTheSameWorkForNoRoomAndNotYours(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	closed := w.room(ann, chat.Closed)
	m := w.post(ann, closed, "words").Message
	var seen recorder
	db, err := open(w.ctx, secret.NewText(w.url), Options{MaxConns: 1}, &seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	r := db.Rooms()
	for name, call := range map[string]func(room chat.RoomID, id chat.MessageID) error{
		"room": func(room chat.RoomID, _ chat.MessageID) error { _, err := r.Room(w.ctx, eve.ID, room); return err },
		"enter": func(room chat.RoomID, _ chat.MessageID) error {
			_, _, _, err := r.Enter(w.ctx, eve.ID, room)
			return err
		},
		"member": func(room chat.RoomID, _ chat.MessageID) error {
			_, err := r.Membership(w.ctx, eve.ID, room)
			return err
		},
		"append": func(room chat.RoomID, _ chat.MessageID) error {
			_, _, err := r.Append(w.ctx, send, draft(eve, room, "hi"))
			return err
		},
		"reply": func(room chat.RoomID, id chat.MessageID) error {
			p := draft(eve, room, "hi")
			p.ReplyTo = id
			_, _, err := r.Append(w.ctx, send, p)
			return err
		},
		"edit": func(room chat.RoomID, id chat.MessageID) error {
			_, err := r.Edit(w.ctx, editOwn, eve.ID, room, id, "x")
			return err
		},
		"delete": func(room chat.RoomID, id chat.MessageID) error {
			_, err := r.Delete(w.ctx, deleteOwn, deleteAny, eve.ID, room, id)
			return err
		},
		"react": func(room chat.RoomID, id chat.MessageID) error {
			_, _, err := r.React(w.ctx, react, eve.ID, room, id, "👍", true)
			return err
		},
		"changes": func(room chat.RoomID, _ chat.MessageID) error {
			_, _, err := r.Changes(w.ctx, read, eve.ID, room, 0, 10)
			return err
		},
		"history": func(room chat.RoomID, _ chat.MessageID) error {
			_, err := r.History(w.ctx, read, eve.ID, room, 0, 10)
			return err
		},
		"search": func(room chat.RoomID, _ chat.MessageID) error {
			_, err := r.Search(w.ctx, read, eve.ID, room, "words", 10)
			return err
		},
		"members": func(room chat.RoomID, _ chat.MessageID) error {
			_, err := r.Members(w.ctx, read, eve.ID, room)
			return err
		},
		"add": func(room chat.RoomID, _ chat.MessageID) error {
			_, _, err := r.AddMember(w.ctx, invites, eve.ID, room, "bob")
			return err
		},
		"change": func(room chat.RoomID, _ chat.MessageID) error {
			_, err := r.ChangeMember(w.ctx, eve.ID, room, bob.ID, func(chat.Room, chat.Standing, chat.Standing) (chat.Standing, string, error) {
				return chat.Standing{}, "removed", nil
			})
			return err
		},
		"mark": func(room chat.RoomID, _ chat.MessageID) error {
			_, err := r.Mark(w.ctx, read, eve.ID, room, 1)
			return err
		},
	} {
		call(closed, m.ID) // statements are prepared now
		seen.take()
		notYours := call(closed, m.ID)
		work := seen.take()
		none := call(chat.RoomID{UUID: uuid.New()}, chat.MessageID{UUID: uuid.New()})
		if diff := cmp.Diff(work, seen.take()); diff != "" || len(work) == 0 {
			t.Errorf("%s: the statements differ (-not yours +none):\n%s", name, diff)
		}
		denied(t, name+": not yours", notYours)
		denied(t, name+": none", none)
		if notYours.Error() != none.Error() || strings.Contains(none.Error(), closed.String()) {
			t.Errorf("%s: %q and %q", name, notYours, none)
		}
	}
}
