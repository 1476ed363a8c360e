package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

var (
	editOwn, deleteOwn = authz.Roles(authz.EditOwn), authz.Roles(authz.DeleteOwn)
	deleteAny, react   = authz.Roles(authz.DeleteAny), authz.Roles(authz.React)
)

func TestEdit_takesTheNextSeqAndKeepsTheOldBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	m := w.post(ann, room, "frist").Message
	c, err := w.Rooms().Edit(w.ctx, editOwn, ann.ID, room, m.ID, "first")
	if err != nil {
		t.Fatal(err)
	}
	m.Body, m.EditedAt = "first", c.At
	want := chat.Change{Room: room, Seq: 2, Kind: chat.MessageEdited, By: ann.ID, At: c.At, Message: m}
	if diff := cmp.Diff(want, c); diff != "" || c.At.IsZero() {
		t.Errorf("at %v\n%s", c.At, diff)
	}
	if old := ask[string](w, "SELECT old_body FROM message_edits WHERE message_id = $1 AND seq = 2", m.ID.UUID); old != "frist" {
		t.Errorf("kept %q", old)
	}
	if next := w.post(ann, room, "second"); next.Seq != 3 {
		t.Errorf("the next post has seq %d, want 3", next.Seq)
	}
}

func TestDelete_emptiesTheMessageOnceAndKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	m := w.post(bob, room, "regret").Message
	c, err := w.Rooms().Delete(w.ctx, deleteOwn, deleteAny, ann.ID, room, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	m.Body, m.DeletedAt = "", c.At
	want := chat.Change{Room: room, Seq: 2, Kind: chat.MessageDeleted, By: ann.ID, At: c.At, Message: m}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	again, err := w.Rooms().Delete(w.ctx, deleteOwn, deleteAny, bob.ID, room, m.ID)
	if diff := cmp.Diff(c, again); err != nil || diff != "" {
		t.Errorf("the second deletion: error %v\n%s", err, diff)
	}
	_, err = w.Rooms().Edit(w.ctx, editOwn, bob.ID, room, m.ID, "it was not me")
	denied(t, "edit after deletion", err)
	_, _, err = w.Rooms().React(w.ctx, react, bob.ID, room, m.ID, "👍", true)
	denied(t, "react after deletion", err)
	list, err := w.Rooms().History(w.ctx, read, bob.ID, room, 0, 10)
	if diff := cmp.Diff([]chat.Message{m}, list); err != nil || diff != "" {
		t.Errorf("history: error %v\n%s", err, diff)
	}
	if hits, err := w.Rooms().Search(w.ctx, read, bob.ID, room, "regret", 10); err != nil || len(hits) != 0 {
		t.Errorf("search finds a deleted message: %v, error %v", hits, err)
	}
}

func TestReact_countsAChangeOnlyWhenThereIsOne(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, Options{Now: clock.now})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	m := w.post(ann, room, "a joke").Message
	for _, c := range []struct {
		by      chat.Person
		emoji   string
		add     bool
		seq     int64
		changed bool
		want    []chat.Reaction
	}{
		{ann, "😂", true, 2, true, []chat.Reaction{{Emoji: "😂", Users: []chat.UserID{ann.ID}}}},
		{ann, "😂", true, 2, false, nil},
		{bob, "👍", true, 3, true, []chat.Reaction{{Emoji: "😂", Users: []chat.UserID{ann.ID}}, {Emoji: "👍", Users: []chat.UserID{bob.ID}}}},
		{bob, "😂", true, 4, true, []chat.Reaction{{Emoji: "😂", Users: []chat.UserID{ann.ID, bob.ID}}, {Emoji: "👍", Users: []chat.UserID{bob.ID}}}},
		{ann, "👍", false, 4, false, nil},
		{ann, "😂", false, 5, true, []chat.Reaction{{Emoji: "👍", Users: []chat.UserID{bob.ID}}, {Emoji: "😂", Users: []chat.UserID{bob.ID}}}},
	} {
		clock.advance(1e6)
		got, changed, err := w.Rooms().React(w.ctx, react, c.by.ID, room, m.ID, c.emoji, c.add)
		if err != nil || got.Seq != c.seq || changed != c.changed {
			t.Errorf("%s %v: seq %d, changed %v, error %v; want %d, %v", c.emoji, c.add, got.Seq, changed, err, c.seq, c.changed)
		}
		if diff := cmp.Diff(c.want, got.Message.Reactions); changed && (diff != "" || got.Kind != chat.ReactionChanged || got.Message.Body != "a joke") {
			t.Errorf("%+v\n%s", got, diff)
		}
	}
}

//control:proves authz
func TestMessages_areChangedByNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room, other := w.room(ann, chat.Open), w.room(eve, chat.Open)
	w.join(room, ann, bob)
	m := w.post(ann, room, "ann's").Message
	nowhere := chat.MessageID{UUID: uuid.New()}
	type target struct {
		name string
		by   chat.Person
		room chat.RoomID
		id   chat.MessageID
	}
	for _, c := range []target{
		{"a stranger", eve, room, m.ID},
		{"through another room", eve, other, m.ID},
		{"no message", ann, room, nowhere},
		{"no room", ann, chat.RoomID{UUID: uuid.New()}, m.ID},
	} {
		_, err := w.Rooms().Edit(w.ctx, editOwn, c.by.ID, c.room, c.id, "mine now")
		denied(t, "edit: "+c.name, err)
		_, err = w.Rooms().Delete(w.ctx, deleteOwn, deleteAny, c.by.ID, c.room, c.id)
		denied(t, "delete: "+c.name, err)
		_, _, err = w.Rooms().React(w.ctx, react, c.by.ID, c.room, c.id, "👍", true)
		denied(t, "react: "+c.name, err)
	}
	_, err := w.Rooms().Edit(w.ctx, editOwn, bob.ID, room, m.ID, "mine now")
	denied(t, "edit: another member", err)
	_, err = w.Rooms().Edit(w.ctx, authz.Roles(authz.Manage), ann.ID, room, m.ID, "an owner may")
	if err != nil {
		t.Errorf("edit: the author, an owner: %v", err)
	}
	_, err = w.Rooms().Delete(w.ctx, deleteOwn, deleteAny, bob.ID, room, m.ID)
	denied(t, "delete: another member", err)
	w.change(room, ann, bob, chat.Standing{Role: authz.Reader}, "role")
	_, _, err = w.Rooms().React(w.ctx, react, bob.ID, room, m.ID, "👍", true)
	denied(t, "react: a reader", err)
	if n := ask[int64](w, "SELECT head_seq FROM rooms WHERE id = $1", room.UUID); n != 2 {
		t.Errorf("head %d, want 2: the message and one edit", n)
	}
}

func TestChanges_replayTheMessageAsItIsNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	m := w.post(ann, room, "secret").Message
	if _, err := w.Rooms().Edit(w.ctx, editOwn, ann.ID, room, m.ID, "still secret"); err != nil {
		t.Fatal(err)
	}
	deleted, err := w.Rooms().Delete(w.ctx, deleteOwn, nil, ann.ID, room, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	list, head, err := w.Rooms().Changes(w.ctx, read, ann.ID, room, 0, 10)
	if err != nil || head != 3 || len(list) != 3 {
		t.Fatalf("%d changes, head %d, error %v", len(list), head, err)
	}
	for i, k := range []chat.ChangeKind{chat.MessageNew, chat.MessageEdited, chat.MessageDeleted} {
		if list[i].Kind != k || list[i].Seq != int64(i+1) {
			t.Errorf("change %d: %v %d", i, list[i].Kind, list[i].Seq)
		}
		if diff := cmp.Diff(deleted.Message, list[i].Message, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("change %d tells what was deleted:\n%s", i, diff)
		}
	}
	between, err := w.Rooms().ChangesBetween(w.ctx, room, 2, 99)
	if diff := cmp.Diff(list[1:], between); err != nil || diff != "" {
		t.Errorf("between: error %v\n%s", err, diff)
	}
}
