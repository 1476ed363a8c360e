package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

//control:proves retention
func TestForget_emptiesWhatIsOldAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	f := w.file(ann, room)
	old := draft(ann, room, "from long ago")
	old.At, old.Uploads = time.Now().Add(-48*time.Hour), []chat.UploadID{f.ID}
	if _, _, err := w.Rooms().Append(w.ctx, authz.Roles(authz.Send), old); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Rooms().React(w.ctx, authz.Roles(authz.React), ann.ID, room, old.ID, "👍", true); err != nil {
		t.Fatal(err)
	}
	w.post(ann, room, "from today")
	if err := w.Forget(w.ctx, 0); err == nil {
		t.Error("a time of zero was taken")
	}
	if err := w.Forget(w.ctx, 47*time.Hour); err != nil {
		t.Fatal(err)
	}
	ms, err := w.Rooms().History(w.ctx, authz.Roles(authz.Read), ann.ID, room, 0, 10)
	if err != nil || len(ms) != 2 {
		t.Fatalf("%v, %v", ms, err)
	}
	if m := ms[0]; m.Body != "" || m.DeletedAt.IsZero() || len(m.Uploads) != 0 || len(m.Reactions) != 0 {
		t.Errorf("the old one: %+v", m)
	}
	if ms[1].Body != "from today" {
		t.Errorf("the new one: %+v", ms[1])
	}
	_, err = w.reads(ann, f.ID)
	denied(t, "a file of an old message", err)
	if found, err := w.Rooms().Search(w.ctx, authz.Roles(authz.Read), ann.ID, room, "long ago", 10); err != nil || len(found) != 0 {
		t.Errorf("search finds %v, %v", found, err)
	}
}

//control:proves retention
func TestErase_leavesNothingOfThePerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Closed)
	w.join(room, ann, bob)
	c := w.post(ann, room, "where I live")
	if _, err := w.Rooms().Edit(w.ctx, authz.Roles(authz.EditOwn), ann.ID, room, c.Message.ID, "not here"); err != nil {
		t.Fatal(err)
	}
	w.file(ann, room)
	if _, err := w.Accounts().Erase(w.ctx, ann.ID, "erased"); err != nil {
		t.Fatal(err)
	}
	if err := w.Forget(w.ctx, leastKeep); err != nil {
		t.Fatal(err)
	}
	u, err := w.Accounts().ByID(w.ctx, ann.ID)
	if err != nil || !u.Disabled || u.Username == "ann" || u.DisplayName != "Deleted account" || u.PasswordHash != "$erased$" {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := w.Accounts().ByUsername(w.ctx, "ann"); !errors.Is(err, account.ErrNoUser) {
		t.Errorf("by name: %v", err)
	}
	ms, err := w.Rooms().History(w.ctx, authz.Roles(authz.Read), bob.ID, room, 0, 10)
	if err != nil || len(ms) != 1 || ms[0].Body != "" || ms[0].Author.DisplayName != "Deleted account" {
		t.Errorf("what is left: %+v, %v", ms, err)
	}
	for what, sql := range map[string]string{
		"files": "SELECT count(*) FROM uploads WHERE user_id = $1", "memberships": "SELECT count(*) FROM members WHERE user_id = $1",
		"old bodies": "SELECT count(*) FROM message_edits WHERE by_user = $1",
	} {
		if n := ask[int](w, sql, ann.ID.UUID); n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	}
	if r, err := w.Rooms().Room(w.ctx, bob.ID, room); err != nil || r.Role != authz.Owner {
		t.Errorf("the room has no owner: %+v, %v", r, err)
	}
	if _, err := w.Accounts().Erase(w.ctx, ann.ID, "erased"); !errors.Is(err, account.ErrNoUser) {
		t.Errorf("erased twice: %v", err)
	}
	// Commands that were on their way when the account ended.
	closed := w.room(bob, chat.Closed)
	for what, late := range map[string]func() error{
		"walks into an open room": func() error { _, _, _, err := w.Rooms().Enter(w.ctx, ann.ID, w.room(bob, chat.Open)); return err },
		"makes a room":            func() error { _, err := w.Rooms().CreateRoom(w.ctx, ann.ID, "mine", chat.Open); return err },
		"begins a direct talk":    func() error { _, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, bob.Username); return err },
		"is invited": func() error {
			_, _, err := w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), bob.ID, closed, u.Username)
			return err
		},
		"is talked to": func() error { _, _, err := w.Rooms().DirectRoom(w.ctx, bob.ID, u.Username); return err },
	} {
		if err := late(); chat.KindOf(err) != chat.Denied {
			t.Errorf("a deleted account %s: %v", what, err)
		}
	}
}

// The account ends between what a command has read and what it stores.
//
//control:proves retention
func TestErase_isObeyedByCommandsThatMeetIt(t *testing.T) {
	t.Parallel()
	for what, late := range map[string]func(w *world, ann, bob chat.Person, open, closed chat.RoomID) error{
		"a join": func(w *world, ann, _ chat.Person, open, _ chat.RoomID) error {
			_, _, _, err := w.Rooms().Enter(w.ctx, ann.ID, open)
			return err
		},
		"an invitation": func(w *world, ann, bob chat.Person, _, closed chat.RoomID) error {
			_, _, err := w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), bob.ID, closed, ann.Username)
			return err
		},
		"a new room": func(w *world, ann, _ chat.Person, _, _ chat.RoomID) error {
			_, err := w.Rooms().CreateRoom(w.ctx, ann.ID, "mine", chat.Open)
			return err
		},
		"a direct talk": func(w *world, ann, bob chat.Person, _, _ chat.RoomID) error {
			_, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, bob.Username)
			return err
		},
		"a direct talk to it": func(w *world, ann, bob chat.Person, _, _ chat.RoomID) error {
			_, _, err := w.Rooms().DirectRoom(w.ctx, bob.ID, ann.Username)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			ann, bob := w.user("ann"), w.user("bob")
			open, closed := w.room(bob, chat.Open), w.room(bob, chat.Closed)
			w.meet(func(ctx context.Context, c conn) error {
				for _, s := range []statement{{eraseUser, []any{ann.ID.UUID, uuid.NewString(), w.now()}}, {leaveRooms, []any{ann.ID.UUID}}} {
					if _, err := exec(ctx, c, s.query, s.args...); err != nil {
						return err
					}
				}
				return nil
			}, func() { denied(t, what, late(w, ann, bob, open, closed)) })
			if n := ask[int](w, "SELECT count(*) FROM members WHERE user_id = $1", ann.ID.UUID); n != 0 {
				t.Errorf("the deleted account is in %d rooms", n)
			}
		})
	}
}

// leftOf says, of every column that points to a person or a message, what Erase or Forget
// does with it. A table of yours belongs here, in forget.go, and in docs/privacy.md.
var leftOf = map[string]string{
	"bans.banned_by":           "stays: an id that names nobody any more",
	"bans.user_id":             "stays: who was banned does not come back",
	"members.user_id":          "Erase: leaves, but for direct rooms",
	"message_edits.by_user":    "Forget: deleted with the message's body",
	"message_edits.message_id": "Forget: deleted with the message's body",
	"messages.author_id":       "Forget: emptied",
	"messages.reply_to":        "stays: the place of a message",
	"passkeys.user_id":         "Erase: deleted",
	"reactions.message_id":     "Forget: deleted",
	"reactions.user_id":        "Erase: deleted",
	"rooms.created_by":         "stays: an id that names nobody any more",
	"sanctions.user_id":        "stays: who was muted and left is muted after coming back",
	"service_keys.user_id":     "stays: of a program, which is disabled",
	"sessions.user_id":         "Erase: ended, without address and browser; Purge",
	"tunnel_grants.granted_by": "stays: an id that names nobody any more",
	"tunnel_grants.user_id":    "stays: no session of an erased account opens a tunnel",
	"uploads.message_id":       "Forget: deleted",
	"uploads.user_id":          "Erase: deleted",
}

// A table that somebody adds holds something of people that nobody thought of when an
// account was erased.
//
//control:proves retention
func TestErase_knowsEveryTableThatPointsToAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.conn(func(c *pgx.Conn) {
		rows, err := c.Query(w.ctx, `SELECT DISTINCT c.conrelid::regclass || '.' || a.attname FROM pg_constraint c
			JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
			WHERE c.contype = 'f' AND c.confrelid IN ('users'::regclass, 'messages'::regclass) ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(leftOf)), columns); diff != "" {
			t.Errorf("say in leftOf what Erase and Forget (forget.go) do with a new column:\n%s", diff)
		}
	})
}
