package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

var (
	send = authz.Roles(authz.Send)
	read = authz.Roles(authz.Read)
)

//control:proves replay
func TestAppend_twoNodesLoseNothingDoubleNothingAndLeaveNoGap(t *testing.T) {
	t.Parallel()
	const writers, each, rooms = 8, 25, 2
	w := newWorld(t, Options{})
	nodes := []*DB{w.DB, node(t, w.url, Options{})}
	ann := w.user("ann")
	ids := []chat.RoomID{w.room(ann, chat.Open), w.room(ann, chat.Open)}
	authors := make([]chat.Person, writers)
	for i := range authors {
		authors[i] = w.user(name(i))
		for _, room := range ids {
			w.join(room, ann, authors[i])
		}
	}

	var mu sync.Mutex
	acks := map[chat.RoomID]map[int64]string{ids[0]: {}, ids[1]: {}} // seq → body
	var wg sync.WaitGroup
	for i, author := range authors {
		for r, room := range ids {
			wg.Go(func() {
				last := int64(0)
				for n := range each {
					p := draft(author, room, fmt.Sprintf("%d/%d/%d", i, r, n))
					// Every post is sent twice, to both nodes at once, as a client does whose
					// connection breaks before the ack.
					var got [2]chat.Change
					var dups [2]bool
					var twice sync.WaitGroup
					for k := range got {
						twice.Go(func() {
							p := p
							p.ID = chat.MessageID{UUID: uuid.New()}
							var err error
							if got[k], dups[k], err = nodes[(i+n+k)%2].Rooms().Append(w.ctx, send, p); err != nil {
								t.Errorf("append: %v", err)
							}
						})
					}
					twice.Wait()
					if got[0].Seq != got[1].Seq || got[0].Message.ID != got[1].Message.ID || dups[0] == dups[1] {
						t.Errorf("two acks for one message: %d %v, %d %v", got[0].Seq, dups[0], got[1].Seq, dups[1])
					}
					if got[0].Seq <= last {
						t.Errorf("seq %d after %d: reordered", got[0].Seq, last)
					}
					last = got[0].Seq
					mu.Lock()
					if other, taken := acks[room][last]; taken {
						t.Errorf("seq %d given to %q and %q", last, other, p.Body)
					}
					acks[room][last] = p.Body
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for _, room := range ids {
		const all = writers * each
		var list []chat.Change
		for from := int64(0); ; from = list[len(list)-1].Seq {
			page, head, err := nodes[1].Rooms().Changes(w.ctx, read, ann.ID, room, from, 70)
			if err != nil || head != all {
				t.Fatalf("head %d, error %v; want %d", head, err, all)
			}
			if len(page) == 0 {
				break
			}
			list = append(list, page...)
		}
		if len(list) != all {
			t.Errorf("%d changes stored, want %d", len(list), all)
		}
		for i, c := range list {
			if c.Seq != int64(i+1) || c.Message.Body != acks[room][c.Seq] || c.Message.Seq != c.Seq || c.Kind != chat.MessageNew {
				t.Fatalf("change %d: %+v; acknowledged was %q", i+1, c, acks[room][c.Seq])
			}
		}
	}
}

func TestAppend_returnsWhatIsReadBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Closed)
	first := w.post(ann, room, "naïve ☕ 'quoted' \\ \n second line")
	p := draft(ann, room, "an answer")
	p.ReplyTo = first.Message.ID
	second, _, err := w.Rooms().Append(w.ctx, send, p)
	if err != nil {
		t.Fatal(err)
	}
	list, head, err := w.Rooms().Changes(w.ctx, read, ann.ID, room, 0, 10)
	if err != nil || head != 2 {
		t.Fatalf("head %d, error %v", head, err)
	}
	if diff := cmp.Diff([]chat.Change{first, second}, list); diff != "" {
		t.Errorf("acknowledged and stored differ (-acknowledged +stored):\n%s", diff)
	}
	again, dup, err := w.Rooms().Append(w.ctx, send, p)
	again.Epoch = second.Epoch
	if diff := cmp.Diff(second, again); err != nil || !dup || diff != "" {
		t.Errorf("the second ack differs: dup %v, error %v\n%s", dup, err, diff)
	}
}

//control:proves authz
func TestAppend_refusesWhoMayNotPost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room, other := w.room(ann, chat.Closed), w.room(ann, chat.Closed)
	w.join(room, ann, bob)
	elsewhere := w.post(ann, other, "elsewhere")
	for _, c := range []struct {
		name string
		post func() chat.Post
	}{
		{"a stranger", func() chat.Post { return draft(eve, room, "hi") }},
		{"a room that does not exist", func() chat.Post { return draft(bob, chat.RoomID{UUID: uuid.New()}, "hi") }},
		{"a user that does not exist", func() chat.Post {
			return draft(chat.Person{ID: chat.UserID{UUID: uuid.New()}}, room, "hi")
		}},
		{"an answer to another room's message", func() chat.Post {
			p := draft(bob, room, "hi")
			p.ReplyTo = elsewhere.Message.ID
			return p
		}},
		{"an answer to no message", func() chat.Post {
			p := draft(bob, room, "hi")
			p.ReplyTo = chat.MessageID{UUID: uuid.New()}
			return p
		}},
		{"a reader", func() chat.Post {
			w.change(room, ann, bob, chat.Standing{Role: authz.Reader}, "role")
			return draft(bob, room, "hi")
		}},
	} {
		_, _, err := w.Rooms().Append(w.ctx, send, c.post())
		denied(t, c.name, err)
	}
	_, _, err := w.Rooms().Append(w.ctx, nil, draft(ann, room, "no roles"))
	denied(t, "an empty list of roles", err)
	if n := ask[int](w, "SELECT count(*) FROM changes WHERE room_id = $1", room.UUID); n != 0 {
		t.Errorf("%d changes stored", n)
	}
}

func TestAppend_refusesTheMutedUntilTheMuteEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	sent := draft(bob, room, "before")
	if _, _, err := w.Rooms().Append(w.ctx, send, sent); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	w.change(room, ann, bob, chat.Standing{Role: authz.Member, MutedUntil: until}, "muted")
	_, _, err := w.Rooms().Append(w.ctx, send, draft(bob, room, "muted"))
	e, ok := errors.AsType[*chat.Error](err)
	if !ok || e.Kind != chat.Denied || !strings.Contains(e.Public, until.UTC().Format("15:04 UTC")) {
		t.Errorf("error %v; want a denial that says until when", err)
	}
	if _, dup, err := w.Rooms().Append(w.ctx, send, sent); err != nil || !dup {
		t.Errorf("the retry of a message that was stored before the mute: dup %v, error %v", dup, err)
	}
	if _, err := w.Rooms().Edit(w.ctx, authz.Roles(authz.EditOwn), bob.ID, room, sentID(w, sent), "loud"); chat.KindOf(err) != chat.Denied {
		t.Errorf("edit while muted: %v", err)
	}
	late := draft(bob, room, "after")
	late.At = until.Add(time.Second)
	if _, _, err := w.Rooms().Append(w.ctx, send, late); err != nil {
		t.Errorf("after the mute: %v", err)
	}
}

func sentID(w *world, p chat.Post) chat.MessageID {
	return chat.MessageID{UUID: ask[uuid.UUID](w, "SELECT id FROM messages WHERE author_id = $1 AND client_id = $2", p.Author.ID.UUID, p.ClientID.UUID)}
}

//control:proves replay
func TestAppend_aClientIDCountsOncePerAuthor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room, other := w.room(ann, chat.Open), w.room(ann, chat.Open)
	w.join(room, ann, bob)
	p := draft(ann, room, "mine")
	first, _, err := w.Rooms().Append(w.ctx, send, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Body = "another text under the same id"
	again, dup, err := w.Rooms().Append(w.ctx, send, p)
	if err != nil || !dup || again.Seq != first.Seq || again.Message.Body != "mine" {
		t.Errorf("same id, same room: %+v, dup %v, error %v", again, dup, err)
	}
	p.Room = other
	_, _, err = w.Rooms().Append(w.ctx, send, p)
	kind(t, "same id, another room", err, chat.Conflict)
	theirs := draft(bob, room, "bob's")
	theirs.ClientID = p.ClientID
	if _, dup, err := w.Rooms().Append(w.ctx, send, theirs); err != nil || dup {
		t.Errorf("same id, another author: dup %v, error %v", dup, err)
	}
}

//control:proves replay
func TestAppend_oneClientIDInTwoRoomsAtOnceIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	rooms := []chat.RoomID{w.room(ann, chat.Open), w.room(ann, chat.Open), w.room(ann, chat.Open)}
	for range 10 {
		p := draft(ann, chat.RoomID{}, "which room?")
		errs := make([]error, len(rooms))
		var wg sync.WaitGroup
		for i, room := range rooms {
			wg.Go(func() {
				p := p
				p.Room, p.ID = room, chat.MessageID{UUID: uuid.New()}
				_, _, errs[i] = w.Rooms().Append(w.ctx, send, p)
			})
		}
		wg.Wait()
		stored := 0
		for _, err := range errs {
			if err == nil {
				stored++
			} else {
				kind(t, "the loser", err, chat.Conflict)
			}
		}
		if stored != 1 {
			t.Errorf("stored %d times", stored)
		}
	}
}

func TestAppend_refusesWhatWouldSpoilItsBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	for _, c := range []struct {
		name, body string
		want       chat.Kind
	}{
		{"a NUL", "a\x00b", chat.Invalid},
		{"broken UTF-8", "a\xffb", chat.Invalid},
		{"4,097 characters", strings.Repeat("é", chat.MaxBody+1), chat.TooLarge},
	} {
		_, _, err := w.Rooms().Append(w.ctx, send, draft(ann, room, c.body))
		kind(t, c.name, err, c.want)
	}
	if c := w.post(ann, room, strings.Repeat("𝕏", chat.MaxBody)); c.Seq != 1 {
		t.Errorf("seq %d", c.Seq)
	}
}

func TestAppend_aPostThatPostgreSQLRefusesCostsOnlyItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	taken := w.post(ann, room, "first")
	batch := make([]*post, 5)
	for i := range batch {
		batch[i] = &post{roles: send, Post: draft(ann, room, name(i)), done: make(chan struct{})}
	}
	batch[2].ID = taken.Message.ID // a primary key twice
	batch[4].ClientID = batch[3].ClientID
	w.Rooms().write(w.ctx, batch)
	var got []int64
	for i, p := range batch {
		<-p.done
		if (p.err != nil) != (i == 2) {
			t.Errorf("post %d: error %v", i, p.err)
		}
		got = append(got, p.change.Seq)
	}
	if want := []int64{2, 3, 0, 4, 4}; !slices.Equal(got, want) || !batch[4].dup {
		t.Errorf("seqs %v, want %v; dup %v", got, want, batch[4].dup)
	}
}

// held runs f while another transaction holds the room's lock, after it ran sql there.
func (w *world) held(room chat.RoomID, sql string, args []any, f func(release func())) {
	w.Helper()
	w.conn(func(c *pgx.Conn) {
		tx, err := c.Begin(w.ctx)
		if err != nil {
			w.Fatal(err)
		}
		if _, err := tx.Exec(w.ctx, string(lockRoom), room.UUID); err != nil {
			w.Fatal(err)
		}
		if _, err := tx.Exec(w.ctx, sql, args...); err != nil {
			w.Fatal(err)
		}
		f(func() {
			if err := tx.Commit(w.ctx); err != nil {
				w.Error(err)
			}
		})
	})
}

//control:proves authz
func TestAppend_aPostThatWaitedForARemovalIsDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	w.held(room, "DELETE FROM members WHERE room_id = $1 AND user_id = $2", []any{room.UUID, bob.ID.UUID}, func(release func()) {
		result := make(chan error, 1)
		go func() {
			_, _, err := w.Rooms().Append(w.ctx, send, draft(bob, room, "while it is decided"))
			result <- err
		}()
		w.waiting(1)
		release()
		denied(t, "the post", <-result)
	})
}

//control:proves authz
func TestAppend_afterARemovalIsDeniedOnEveryNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	other := node(t, w.url, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	for round := range 5 {
		w.join(room, ann, bob)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		var acked []int64
		wg.Go(func() { // bob posts on the other node until he is refused
			for len(acked) < 5000 { // far more than fit before the removal
				c, _, err := other.Rooms().Append(w.ctx, send, draft(bob, room, "still here"))
				if err != nil {
					denied(t, "after the removal", err)
					return
				}
				acked = append(acked, c.Seq)
				select {
				case <-stop:
				default:
					if len(acked) == 3 {
						close(stop)
					}
				}
			}
		})
		<-stop
		out := w.change(room, ann, bob, chat.Standing{}, "removed")
		head := ask[int64](w, "SELECT head_seq FROM rooms WHERE id = $1", room.UUID)
		wg.Wait()
		if !out.LostRights || acked[len(acked)-1] > head {
			t.Fatalf("round %d: acknowledged %d after the removal at %d", round, acked[len(acked)-1], head)
		}
	}
}

func TestAppend_aQueuedPostWhoseCallerLeftIsNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	w.held(room, "SELECT 1", nil, func(release func()) {
		taken := make(chan error, 1)
		takenCtx, leaveTaken := context.WithCancel(w.ctx)
		go func() {
			_, _, err := w.Rooms().Append(takenCtx, send, draft(ann, room, "taken"))
			taken <- err
		}()
		w.waiting(1)
		ctx, leave := context.WithCancel(w.ctx)
		queued := make(chan error, 1)
		go func() {
			_, _, err := w.Rooms().Append(ctx, send, draft(ann, room, "queued"))
			queued <- err
		}()
		leave()
		if err := <-queued; !errors.Is(err, context.Canceled) {
			t.Errorf("queued: %v", err)
		}
		leaveTaken() // too late: it is being written
		release()
		if err := <-taken; err != nil {
			t.Errorf("a post that was taken must tell its true outcome: %v", err)
		}
	})
	if n := ask[int](w, "SELECT count(*) FROM messages"); n != 1 {
		t.Errorf("%d stored, want 1", n)
	}
}

func TestClose_settlesWhatIsQueuedAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	db := node(t, w.url, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	w.held(room, "SELECT 1", nil, func(release func()) {
		for i := range errs {
			wg.Go(func() { _, _, errs[i] = db.Rooms().Append(w.ctx, send, draft(ann, room, name(i))) })
		}
		w.waiting(1)
		release()
	})
	db.Close()
	wg.Wait()
	stored := 0
	for _, err := range errs {
		if err == nil {
			stored++
		} else {
			kind(t, "append", err, chat.Busy)
		}
	}
	if n := ask[int](w, "SELECT count(*) FROM messages"); n != stored || stored == 0 {
		t.Errorf("%d acknowledged, %d stored", stored, n)
	}
	_, _, err := db.Rooms().Append(w.ctx, send, draft(ann, room, "too late"))
	kind(t, "after close", err, chat.Busy)
}
