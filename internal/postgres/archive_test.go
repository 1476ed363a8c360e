package postgres

import (
	"fmt"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// What somebody takes with them is theirs: not a word of anybody else, also where they
// may not read any more.
//
//control:proves retention
func TestArchive_hasWhatIsTheUsersAndNothingOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room, theirs := w.room(ann, chat.Closed), w.room(bob, chat.Closed)
	w.join(room, ann, bob)
	w.join(theirs, bob, ann)
	direct, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	f := w.file(ann, room)
	d := draft(ann, room, "first")
	d.Uploads = []chat.UploadID{f.ID}
	if _, _, err := w.Rooms().Append(w.ctx, authz.Roles(authz.Send), d); err != nil {
		t.Fatal(err)
	}
	w.post(bob, room, "bob's secret")
	gone := w.post(ann, room, "taken back")
	if _, err := w.Rooms().Delete(w.ctx, authz.Roles(authz.DeleteOwn), nil, ann.ID, room, gone.Message.ID); err != nil {
		t.Fatal(err)
	}
	w.post(ann, theirs, "second")
	w.post(ann, direct.ID, "third")
	w.change(theirs, bob, ann, chat.Standing{}, chat.ReasonRemoved)

	a := w.Archive()
	var said []string
	var files int
	var after chat.ClientID
	for {
		page, err := a.Written(w.ctx, ann.ID, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			said, files, after = append(said, m.Body), files+len(m.Uploads), m.ClientID
			if m.Author.ID != ann.ID || m.Room == (chat.RoomID{}) || m.Seq == 0 || m.CreatedAt.IsZero() {
				t.Errorf("%+v", m)
			}
		}
		if len(page) < 2 {
			break
		}
	}
	if fmt.Sprint(said) != "[first second third]" || files != 1 {
		t.Errorf("ann said %q with %d files", said, files)
	}
	rooms := map[chat.RoomID]chat.Joined{}
	var last chat.RoomID
	for {
		page, err := a.Joined(w.ctx, ann.ID, last, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		rooms[page[0].Room], last = page[0], page[0].Room
	}
	if len(rooms) != 2 || rooms[room].Role != authz.Owner || rooms[room].At.IsZero() || rooms[direct.ID].Peer != "bob" || rooms[direct.ID].Visibility != chat.Direct {
		t.Errorf("ann is in %+v", rooms)
	}
	if at, err := a.MadeAt(w.ctx, ann.ID); err != nil || time.Since(at) > time.Hour {
		t.Errorf("made at %v, %v", at, err)
	}
}
