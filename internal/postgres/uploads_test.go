package postgres

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

const quota = 1 << 20

// file stores a clean text file of p's for room.
func (w *world) file(p chat.Person, room chat.RoomID) chat.StoredUpload {
	w.Helper()
	f := newFile(p, room, []byte("some text"))
	if err := w.Uploads().Put(w.ctx, authz.Roles(authz.Send), f, quota); err != nil {
		w.Fatal(err)
	}
	return f
}

func newFile(p chat.Person, room chat.RoomID, body []byte) chat.StoredUpload {
	return chat.StoredUpload{
		Upload: chat.Upload{ID: chat.UploadID{UUID: uuid.New()}, Name: "notes.txt", Mime: "text/plain", Size: int64(len(body))},
		Room:   room, User: p.ID, Bytes: body, Clean: true, At: time.Now(),
	}
}

// sends posts a message of p's with files.
func (w *world) sends(p chat.Person, room chat.RoomID, files ...chat.UploadID) (chat.Change, error) {
	d := draft(p, room, "look")
	d.Uploads = files
	c, _, err := w.Rooms().Append(w.ctx, authz.Roles(authz.Send), d)
	return c, err
}

func (w *world) reads(p chat.Person, id chat.UploadID) ([]byte, error) {
	got, err := w.Uploads().Read(w.ctx, authz.Roles(authz.Read), p.ID, id, 0)
	return got.Bytes, err
}

//control:proves upload
func TestAppend_attachesOnlyOnesOwnFilesOfThisRoomOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room, other := w.room(ann, chat.Closed), w.room(ann, chat.Closed)
	w.join(room, ann, bob)

	waiting := newFile(ann, room, []byte("in quarantine"))
	waiting.Clean = false
	if err := w.Uploads().Put(w.ctx, authz.Roles(authz.Send), waiting, quota); err != nil {
		t.Fatal(err)
	}
	used := w.file(ann, room)
	if _, err := w.sends(ann, room, used.ID); err != nil {
		t.Fatal(err)
	}
	good := w.file(ann, room)
	for name, id := range map[string]chat.UploadID{
		"of another person": w.file(bob, room).ID, "of another room": w.file(ann, other).ID, "in quarantine": waiting.ID,
		"of an earlier message": used.ID, "that is not there": {UUID: uuid.New()},
	} {
		_, err := w.sends(ann, room, good.ID, id)
		denied(t, "a file "+name, err)
	}
	if _, err := w.sends(ann, room, good.ID, good.ID); err == nil {
		t.Error("one file was attached twice")
	}
	second := w.file(ann, room)
	c, err := w.sends(ann, room, second.ID, good.ID)
	if err != nil || len(c.Message.Uploads) != 2 || c.Message.Uploads[0] != second.Upload || c.Message.Uploads[1] != good.Upload {
		t.Fatalf("files %v, error %v", c.Message.Uploads, err)
	}
	history, err := w.Rooms().History(w.ctx, authz.Roles(authz.Read), bob.ID, room, 0, 1)
	if err != nil || !slices.Equal(history[0].Uploads, c.Message.Uploads) {
		t.Errorf("history has the files %v, error %v", history, err)
	}
	again := draft(ann, room, "look")
	again.ClientID, again.Uploads = c.Message.ClientID, []chat.UploadID{good.ID}
	if rc, dup, err := w.Rooms().Append(w.ctx, authz.Roles(authz.Send), again); err != nil || !dup || !slices.Equal(rc.Message.Uploads, c.Message.Uploads) {
		t.Errorf("sent again: dup %v, files %v, error %v", dup, rc.Message.Uploads, err)
	}
}

//control:proves upload
func TestAppend_attachesAFileOnceAlsoWhenAskedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	f := w.file(ann, room)
	var wg sync.WaitGroup
	var mu sync.Mutex
	sent := 0
	for range 20 {
		wg.Go(func() {
			if _, err := w.sends(ann, room, f.ID); err == nil {
				mu.Lock()
				sent++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if sent != 1 {
		t.Errorf("%d messages carry the file", sent)
	}
}

//control:proves upload
func TestRead_isForTheUploaderAndThenForTheRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room := w.room(ann, chat.Closed)
	w.join(room, ann, bob)
	f := w.file(ann, room)
	if b, err := w.reads(ann, f.ID); err != nil || !bytes.Equal(b, f.Bytes) {
		t.Errorf("uploader: %q, %v", b, err)
	}
	_, err := w.reads(bob, f.ID)
	denied(t, "a member, before it is posted", err)
	c, err := w.sends(ann, room, f.ID)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := w.reads(bob, f.ID); err != nil || !bytes.Equal(b, f.Bytes) {
		t.Errorf("member: %q, %v", b, err)
	}
	_, err = w.reads(eve, f.ID)
	denied(t, "a stranger", err)
	_, err = w.reads(eve, chat.UploadID{UUID: uuid.New()})
	denied(t, "a file that is not there", err)
	w.change(room, ann, bob, chat.Standing{}, chat.ReasonRemoved)
	_, err = w.reads(bob, f.ID)
	denied(t, "a former member", err)
	if _, err := w.Rooms().Delete(w.ctx, authz.Roles(authz.DeleteOwn), nil, ann.ID, room, c.Message.ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.reads(ann, f.ID)
	denied(t, "a file of a deleted message", err)
}

//control:proves upload
func TestRead_givesAPieceAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	f := newFile(ann, w.room(ann, chat.Closed), bytes.Repeat([]byte("0123456789"), pieceBytes/8))
	if err := w.Uploads().Put(w.ctx, authz.Roles(authz.Send), f, quota); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for int64(len(got)) < f.Size {
		p, err := w.Uploads().Read(w.ctx, authz.Roles(authz.Read), ann.ID, f.ID, int64(len(got)))
		if err != nil || len(p.Bytes) == 0 || len(p.Bytes) > pieceBytes {
			t.Fatalf("%d bytes at %d, %v", len(p.Bytes), len(got), err)
		}
		got = append(got, p.Bytes...)
	}
	if !bytes.Equal(got, f.Bytes) {
		t.Error("the pieces are not the file")
	}
}

//control:proves upload
//control:proves business-limits
func TestPut_holdsTheQuotaAgainstFiftyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{MaxConns: 8})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := w.Uploads().Put(w.ctx, authz.Roles(authz.Send), newFile(ann, room, make([]byte, 100)), 1000)
			if err != nil && chat.KindOf(err) != chat.Quota && chat.KindOf(err) != chat.Busy {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := ask[int](w, "SELECT sum(size) FROM uploads WHERE user_id = $1", ann.ID.UUID); n != 1000 {
		t.Errorf("%d bytes are stored", n)
	}
	kind(t, "the cheap question", w.Uploads().May(w.ctx, authz.Roles(authz.Send), ann.ID, room, 1, 1000), chat.Quota)
}

//control:proves upload
func TestPut_asksWhetherOneMayWriteThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room := w.room(ann, chat.Closed)
	w.join(room, ann, bob)
	w.change(room, ann, bob, chat.Standing{Role: authz.Member, MutedUntil: time.Now().Add(time.Hour)}, chat.ReasonMuted)
	for name, p := range map[string]chat.Person{"a stranger": eve, "somebody who is muted": bob} {
		denied(t, name, w.Uploads().Put(w.ctx, authz.Roles(authz.Send), newFile(p, room, []byte("x")), quota))
		denied(t, name+" who asks first", w.Uploads().May(w.ctx, authz.Roles(authz.Send), p.ID, room, 1, quota))
	}
}

//control:proves malware
func TestQuarantine_isNotServedAndIsAskedAboutLessAndLessOften(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newWorld(t, Options{Now: c.now})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	f := newFile(ann, room, []byte("unknown"))
	f.Clean, f.At = false, c.now()
	if err := w.Uploads().Put(w.ctx, authz.Roles(authz.Send), f, quota); err != nil {
		t.Fatal(err)
	}
	_, err := w.reads(ann, f.ID)
	denied(t, "a file in quarantine", err)
	if _, clean, err := w.Uploads().Status(w.ctx, ann.ID, f.ID); err != nil || clean {
		t.Errorf("clean %v, error %v", clean, err)
	}
	claim := func() bool {
		t.Helper()
		q, found, err := w.Uploads().Claim(w.ctx)
		if err != nil || found && (q.ID != f.ID || q.User != ann.ID || !bytes.Equal(q.Bytes, f.Bytes)) {
			t.Fatalf("%v %v", q, err)
		}
		return found
	}
	if claim() {
		t.Error("asked again at once")
	}
	c.advance(scanWait)
	if !claim() || claim() {
		t.Error("not asked once after the first pause")
	}
	c.advance(scanWait)
	if !claim() {
		t.Error("not asked after the second pause")
	}
	c.advance(scanWait)
	if claim() {
		t.Error("the pause does not grow")
	}
	if err := w.Uploads().Settle(w.ctx, f.ID, true); err != nil {
		t.Fatal(err)
	}
	if b, err := w.reads(ann, f.ID); err != nil || !bytes.Equal(b, f.Bytes) {
		t.Errorf("published: %q, %v", b, err)
	}
	g := newFile(ann, room, []byte("bad"))
	g.Clean = false
	if err := w.Uploads().Put(w.ctx, authz.Roles(authz.Send), g, quota); err != nil {
		t.Fatal(err)
	}
	if err := w.Uploads().Settle(w.ctx, g.ID, false); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Uploads().Status(w.ctx, ann.ID, g.ID)
	denied(t, "an infected file", err)
}

//control:proves upload
func TestSweep_removesWhatNobodyPosted(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newWorld(t, Options{Now: c.now})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	kept, left := w.file(ann, room), w.file(ann, room)
	if _, err := w.sends(ann, room, kept.ID); err != nil {
		t.Fatal(err)
	}
	c.advance(keepAbandoned - time.Minute)
	if err := w.Uploads().Sweep(w.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reads(ann, left.ID); err != nil {
		t.Errorf("too early: %v", err)
	}
	c.advance(2 * time.Minute)
	if err := w.Uploads().Sweep(w.ctx); err != nil {
		t.Fatal(err)
	}
	_, err := w.reads(ann, left.ID)
	denied(t, "an abandoned file", err)
	if _, err := w.reads(ann, kept.ID); err != nil {
		t.Errorf("a posted file: %v", err)
	}
}
