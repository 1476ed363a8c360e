package postgres

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/password"
	"example.com/portcullis/internal/guard/response"
)

//control:proves response
func TestResponses_holdOnAllNodesUntilTheyEndOrAreLifted(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, Options{Now: clock.now})
	other := node(t, w.url, Options{Now: clock.now})
	now := clock.now()
	var added []response.Response
	for _, until := range []time.Duration{time.Hour, 2 * time.Hour} {
		r, err := w.Responses().Add(w.ctx, response.Response{Kind: response.Block, Subject: detect.Subject{Kind: detect.Network, Key: "198.51.100.7/32"}, At: now, Until: now.Add(until), By: "command", Reason: "flood"})
		if err != nil {
			t.Fatal(err)
		}
		added = append(added, r)
	}
	list, err := other.Responses().Active(w.ctx)
	if err != nil || len(list) != 2 || list[1] != added[0] {
		t.Fatalf("another node reads %+v, error %v; want %+v as the second", list, err, added)
	}
	clock.advance(90 * time.Minute)
	if _, found, err := w.Responses().Lift(w.ctx, added[0].ID, "command"); err != nil || found {
		t.Errorf("what has ended was lifted: %v, %v", found, err)
	}
	if r, found, err := w.Responses().Lift(w.ctx, added[1].ID, "command"); err != nil || !found || r.LiftedAt.IsZero() {
		t.Errorf("lift: %+v, %v, %v", r, found, err)
	}
	if list, err := other.Responses().Active(w.ctx); err != nil || len(list) != 0 {
		t.Errorf("still in force: %+v, %v", list, err)
	}
}

// Whatever the program thinks, the table refuses it.
//
//control:proves response
func TestResponses_theTableRefusesABlockByARuleAndOneWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	now := time.Now()
	network := detect.Subject{Kind: detect.Network, Key: "198.51.100.7/32"}
	for name, r := range map[string]response.Response{
		"by a rule":   {Kind: response.Block, Subject: network, At: now, Until: now.Add(time.Hour), By: "rule", Reason: "x"},
		"for a week":  {Kind: response.Block, Subject: network, At: now, Until: now.Add(7 * 24 * time.Hour), By: "command", Reason: "x"},
		"of everyone": {Kind: response.Block, Subject: detect.Subject{Kind: detect.Network}, At: now, Until: now.Add(time.Hour), By: "command", Reason: "x"},
	} {
		if _, err := w.Responses().Add(w.ctx, r); err == nil {
			t.Errorf("a block %s was stored", name)
		}
	}
}

// A copy of the database has a room and an account that look like the others.
//
//control:proves detection
func TestHoney_isARoomAndAnAccountThatNobodyCanUseOrFind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	h, err := w.Responses().Honey(w.ctx)
	if err != nil || len(h.Rooms) != 1 || len(h.Usernames) != 1 || len(h.Usernames[0]) < 15 {
		t.Fatalf("%+v, %v", h, err)
	}
	id := chat.RoomID{UUID: uuid.MustParse(h.Rooms[0])}
	if n := ask[int](w, `SELECT count(*) FROM rooms r JOIN users u ON u.id = r.created_by
		WHERE r.id = $1 AND r.visibility = 'closed' AND u.username = $2 AND u.disabled_at IS NOT NULL`, id.UUID, h.Usernames[0]); n != 1 {
		t.Error("there is no closed room of a disabled account behind the honey")
	}
	if n := ask[int](w, `SELECT count(*) FROM members WHERE room_id = $1`, id.UUID); n != 0 {
		t.Errorf("the room has %d members", n)
	}
	passwords, err := password.New(password.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hash := ask[string](w, `SELECT password_hash FROM users WHERE username = $1`, h.Usernames[0])
	if ok, _, err := passwords.Verify(w.ctx, hash, "svc-backup"); ok || err != nil {
		t.Errorf("the hash %s takes a password, or another way than others: %v, %v", hash, ok, err)
	}
	ann := w.user("ann")
	users, err := w.Accounts().List(w.ctx, 100)
	if err != nil || len(users) != 1 || users[0].Username != "ann" {
		t.Errorf("users %+v, %v; want ann alone", users, err)
	}
	if rooms, err := w.Rooms().Rooms(w.ctx, ann.ID); err != nil || len(rooms) != 0 {
		t.Errorf("rooms %+v, %v", rooms, err)
	}
	_, err = w.Rooms().Room(w.ctx, ann.ID, id)
	denied(t, "the room", err)
	_, _, _, err = w.Rooms().Enter(w.ctx, ann.ID, id)
	denied(t, "entering it", err)
	_, _, err = w.Rooms().DirectRoom(w.ctx, ann.ID, h.Usernames[0])
	denied(t, "talking to its owner", err)
}

//control:proves detection
func TestClaim_oneOfAllNodesSpeaksOnceInTheQuietTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	nodes := []*Responses{w.Responses(), node(t, w.url, Options{}).Responses(), node(t, w.url, Options{}).Responses()}
	at := time.Now()
	claim := func(at time.Time, rule, who string) (n int) {
		t.Helper()
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, r := range nodes {
			wg.Go(func() {
				f := detect.Firing{Rule: rule, Subject: detect.Subject{Kind: detect.User, Key: who}, Cause: audit.Event{At: at}}
				ours, err := r.Claim(w.ctx, f, at.Add(10*time.Minute))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ours {
					n++
				}
			})
		}
		wg.Wait()
		return n
	}
	for _, c := range []struct {
		after     time.Duration
		rule, who string
		want      int
	}{
		{0, "id_probing", "mallory", 1}, {0, "id_probing", "mallory", 0}, {0, "size_search", "mallory", 1}, {0, "id_probing", "eve", 1},
		{9 * time.Minute, "id_probing", "mallory", 0}, {-time.Minute, "id_probing", "mallory", 0}, {10 * time.Minute, "id_probing", "mallory", 1}, {19 * time.Minute, "id_probing", "mallory", 0},
	} {
		if got := claim(at.Add(c.after), c.rule, c.who); got != c.want {
			t.Errorf("%s about %s after %s: %d of three nodes speak, want %d", c.rule, c.who, c.after, got, c.want)
		}
	}
}

//control:proves detection
func TestPosition_isBeforeTheFirstEventSinceATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	at := time.Now().Add(-time.Hour)
	position := func(since time.Duration) int64 {
		t.Helper()
		p, err := w.events().Position(w.ctx, at.Add(since))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := position(0); p != 0 {
		t.Errorf("in an empty log: %d", p)
	}
	w.record(10, at) // one each second
	for since, want := range map[time.Duration]int64{-time.Hour: 0, 0: 0, 4500 * time.Millisecond: 5, time.Hour: 10} {
		if p := position(since); p != want {
			t.Errorf("since %s: %d, want %d", since, p, want)
		}
	}
}
