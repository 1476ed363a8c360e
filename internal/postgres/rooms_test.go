package postgres

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

func ids(rooms []chat.Room) []chat.RoomID {
	var list []chat.RoomID
	for _, r := range rooms {
		list = append(list, r.ID)
	}
	return list
}

func TestRooms_showsMineAndOpenOnesNeverClosedOnesOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	open, closed, hidden := w.room(ann, chat.Open), w.room(ann, chat.Closed), w.room(eve, chat.Closed)
	w.join(closed, ann, bob)
	direct, made, err := w.Rooms().DirectRoom(w.ctx, ann.ID, "bob")
	if err != nil || !made {
		t.Fatal(made, err)
	}
	w.post(ann, closed, "newest")

	list, err := w.Rooms().Rooms(w.ctx, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]chat.RoomID{closed, direct.ID, open}, ids(list)); diff != "" {
		t.Fatalf("bob's own by activity, then open ones:\n%s", diff)
	}
	if r := list[0]; r.Role != authz.Member || r.HeadSeq != 1 || r.Members != 2 || r.Title != "A room" || r.Peer != nil {
		t.Errorf("closed: %+v", r)
	}
	if r := list[1]; r.Peer == nil || *r.Peer != ann || r.Visibility != chat.Direct || r.Members != 2 || r.Title != "" {
		t.Errorf("direct: %+v", r)
	}
	if r := list[2]; r.Role != "" || r.Members != 1 {
		t.Errorf("open: %+v", r)
	}
	for _, room := range []chat.RoomID{closed, direct.ID} {
		_, err := w.Rooms().Room(w.ctx, eve.ID, room)
		denied(t, "eve reads a room", err)
	}
	if r, err := w.Rooms().Room(w.ctx, eve.ID, hidden); err != nil || r.Role != authz.Owner {
		t.Errorf("eve's own: %+v, error %v", r, err)
	}
	w.change(open, ann, eve, chat.Standing{Banned: true}, "banned")
	_, err = w.Rooms().Room(w.ctx, eve.ID, open)
	denied(t, "a banned user reads the room", err)
	list, err = w.Rooms().Rooms(w.ctx, eve.ID)
	if err != nil || slices.Contains(ids(list), open) {
		t.Errorf("a banned user finds the room; error %v", err)
	}
}

func TestRooms_ownOnesCannotBePushedOffTheListByOpenOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, eve := w.user("ann"), w.user("eve")
	mine := w.room(ann, chat.Closed)
	w.raw(`INSERT INTO rooms (id, title, visibility, created_by, created_at, active_at)
		SELECT gen_random_uuid(), 'spam ' || n, 'open', $1, now(), now() + interval '1 hour' FROM generate_series(1, 300) n`, eve.ID.UUID)
	list, err := w.Rooms().Rooms(w.ctx, ann.ID)
	if err != nil || len(list) != maxRooms || list[0].ID != mine {
		t.Errorf("%d rooms, error %v; want %d with ann's own first", len(list), err, maxRooms)
	}
}

//control:proves business-limits
func TestCreateRoom_stopsAtTheQuotaAlsoWhenAskedAtOnce(t *testing.T) {
	t.Parallel()
	const quota = 2
	w := newWorld(t, Options{MaxConns: 5, Quotas: chat.Quotas{Rooms: quota}})
	ann := w.user("ann")
	errs := make([]error, 3)
	var wg sync.WaitGroup
	w.conn(func(c *pgx.Conn) {
		tx, err := c.Begin(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(w.ctx, string(lockUser), ann.ID.UUID); err != nil {
			t.Fatal(err)
		}
		for i := range errs {
			wg.Go(func() { _, errs[i] = w.Rooms().CreateRoom(w.ctx, ann.ID, "A room", chat.Open) })
		}
		w.waiting(len(errs)) // all of them are there before one may count
		if err := tx.Commit(w.ctx); err != nil {
			t.Fatal(err)
		}
	})
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			kind(t, "over the quota", err, chat.Quota)
		}
	}
	if made != quota || ask[int](w, "SELECT count(*) FROM rooms WHERE created_by = $1", ann.ID.UUID) != quota {
		t.Errorf("%d rooms made, want %d", made, quota)
	}
}

func TestDirectRoom_isOnePerPair(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	var mu sync.Mutex
	made, rooms := 0, map[chat.RoomID]bool{}
	var wg sync.WaitGroup
	for range 4 {
		for user, peer := range map[chat.Person]chat.Person{ann: bob, bob: ann} {
			wg.Go(func() {
				r, m, err := w.Rooms().DirectRoom(w.ctx, user.ID, peer.Username)
				if err != nil || r.Peer == nil || *r.Peer != peer || r.Role != authz.Member {
					t.Errorf("room %+v, error %v", r, err)
				}
				mu.Lock()
				defer mu.Unlock()
				rooms[r.ID] = true
				if m {
					made++
				}
			})
		}
	}
	wg.Wait()
	if made != 1 || len(rooms) != 1 {
		t.Errorf("made %d times, %d rooms", made, len(rooms))
	}
}

func TestTalk_findsOnesOwnAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	w.join(w.room(ann, chat.Closed), ann, bob, eve) // a room of all of them is no talk
	made, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, bob.Username)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user  chat.Person
		name  string
		found bool
	}{{ann, "bob", true}, {bob, "ann", true}, {ann, "ann", false}, {ann, "eve", false}, {eve, "ann", false}, {eve, "bob", false}, {ann, "nobody", false}} {
		r, found, err := w.Rooms().Talk(w.ctx, tt.user.ID, tt.name)
		if err != nil || found != tt.found || found && (r.ID != made.ID || r.Peer == nil || r.Peer.Username != tt.name) {
			t.Errorf("%s with %s: %+v, found %v, error %v", tt.user.Username, tt.name, r, found, err)
		}
	}
}

func TestDirectRoom_refusesOneselfAndNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, gone := w.user("ann"), w.user("gone")
	w.raw("UPDATE users SET disabled_at = now() WHERE id = $1", gone.ID.UUID)
	for _, name := range []string{"ann", "nobody", "gone", "", "' OR true --"} {
		_, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, name)
		denied(t, name, err)
	}
}

func TestHeads_leavesOutRoomsThatDoNotExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.post(ann, room, "one")
	w.join(room, ann, bob)
	w.change(room, ann, bob, chat.Standing{}, "removed")
	got, err := w.Rooms().Heads(w.ctx, []chat.RoomID{room, {UUID: uuid.New()}})
	if diff := cmp.Diff([]chat.Head{{Room: room, Seq: 1, Epoch: 1}}, got); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
}
