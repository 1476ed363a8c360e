package postgres

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Two ways lead into a room. Whoever takes the last place is the last, by either, and
// also when all come at once.
//
//control:proves business-limits
func TestMembers_stopAtTheQuotaByEveryWayInAndAtOnce(t *testing.T) {
	t.Parallel()
	const places = 5
	w := newWorld(t, Options{Quotas: chat.Quotas{Members: places}})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	errs := make([]error, 12)
	people := make([]chat.Person, len(errs))
	for i := range people {
		people[i] = w.user(name(i))
	}
	var crowd sync.WaitGroup
	for i, p := range people {
		crowd.Go(func() {
			if i%2 == 0 {
				_, _, _, errs[i] = w.Rooms().Enter(w.ctx, p.ID, room)
			} else {
				_, _, errs[i] = w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), ann.ID, room, p.Username)
			}
		})
	}
	crowd.Wait()
	in := 1 // ann
	for i, err := range errs {
		if err == nil {
			in++
			continue
		}
		kind(t, people[i].Username, err, chat.Quota)
	}
	if stored := ask[int](w, "SELECT count(*) FROM members WHERE room_id = $1", room.UUID); in != places || stored != places {
		t.Errorf("%d were let in and %d are stored, want %d", in, stored, places)
	}
	for i, err := range errs { // a full room still is a member's
		if err == nil {
			if _, _, joined, err := w.Rooms().Enter(w.ctx, people[i].ID, room); err != nil || joined {
				t.Errorf("a member of a full room: joined %v, error %v", joined, err)
			}
			if _, added, err := w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), ann.ID, room, people[i].Username); err != nil || added {
				t.Errorf("a member of a full room, invited: added %v, error %v", added, err)
			}
		}
	}
	// Full is said only to whom the room would have let in.
	eve, banned := w.user("eve"), w.user("banned")
	w.raw("INSERT INTO bans (room_id, user_id, banned_by, at) VALUES ($1, $2, $3, now())", room.UUID, banned.ID.UUID, ann.ID.UUID)
	_, _, _, err := w.Rooms().Enter(w.ctx, banned.ID, room)
	denied(t, "a banned user at a full room", err)
	_, _, err = w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), eve.ID, room, "eve")
	denied(t, "a stranger who invites", err)
	w.raw("UPDATE rooms SET visibility = 'closed' WHERE id = $1", room.UUID)
	_, _, _, err = w.Rooms().Enter(w.ctx, eve.ID, room)
	denied(t, "a stranger at a full closed room", err)
}

//control:proves business-limits
func TestDirectRoom_stopsAtTheDaysQuotaAlsoWhenAskedAtOnce(t *testing.T) {
	t.Parallel()
	clock := newClock()
	const day = 3
	w := newWorld(t, Options{Now: clock.now, Quotas: chat.Quotas{DirectPerDay: day}})
	ann, bob := w.user("ann"), w.user("bob")
	errs := make([]error, 8)
	people := make([]chat.Person, len(errs))
	for i := range people {
		people[i] = w.user(name(i))
	}
	var crowd sync.WaitGroup
	for i, p := range people {
		crowd.Go(func() { _, _, errs[i] = w.Rooms().DirectRoom(w.ctx, ann.ID, p.Username) })
	}
	crowd.Wait()
	made, again := 0, chat.Person{}
	for i, err := range errs {
		if err == nil {
			made++
			again = people[i]
			continue
		}
		kind(t, people[i].Username, err, chat.Quota)
	}
	if made != day {
		t.Fatalf("%d direct rooms, want %d", made, day)
	}
	if _, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, again.Username); err != nil {
		t.Error("a talk that exists:", err)
	}
	if _, _, err := w.Rooms().DirectRoom(w.ctx, bob.ID, ann.Username); err != nil {
		t.Error("somebody else begins a talk with ann:", err)
	}
	_, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, "nobody")
	denied(t, "somebody who is not there", err)
	clock.advance(25 * time.Hour)
	if _, made, err := w.Rooms().DirectRoom(w.ctx, bob.ID, name(0)); err != nil || !made {
		t.Errorf("the next day: made %v, error %v", made, err)
	}
	fresh := w.user("fresh")
	if _, made, err := w.Rooms().DirectRoom(w.ctx, ann.ID, fresh.Username); err != nil || !made {
		t.Errorf("ann on the next day: made %v, error %v", made, err)
	}
}

//control:proves business-limits
func TestReact_stopsAtSoManyDifferentEmojis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Quotas: chat.Quotas{Emojis: 2}})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	m := w.post(ann, room, "a joke").Message
	do := func(p chat.Person, emoji string, add bool) (bool, error) {
		_, changed, err := w.Rooms().React(w.ctx, react, p.ID, room, m.ID, emoji, add)
		return changed, err
	}
	for _, c := range []struct {
		who   chat.Person
		emoji string
		add   bool
		want  error
		moves bool
	}{
		{ann, "👍", true, nil, true}, {ann, "🎉", true, nil, true},
		{ann, "🔥", true, overQuota(""), false}, {bob, "🔥", true, overQuota(""), false},
		{bob, "👍", true, nil, true},   // of the two, everybody may
		{bob, "👍", true, nil, false},  // twice is once, and no error
		{bob, "🔥", false, nil, false}, // nothing to take away
		{ann, "🎉", false, nil, true},  // makes room
		{bob, "🔥", true, nil, true},
		{ann, "🎉", true, overQuota(""), false},
	} {
		changed, err := do(c.who, c.emoji, c.add)
		if changed != c.moves || (err == nil) != (c.want == nil) || chat.KindOf(err) != chat.KindOf(c.want) {
			t.Errorf("%s %s %v: changed %v, error %v; want %v, %v", c.who.Username, c.emoji, c.add, changed, err, c.moves, c.want)
		}
	}
	list, err := w.Rooms().History(w.ctx, read, ann.ID, room, 0, 1)
	want := []chat.Reaction{{Emoji: "👍", Users: []chat.UserID{ann.ID, bob.ID}}, {Emoji: "🔥", Users: []chat.UserID{bob.ID}}}
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages, error %v", len(list), err)
	}
	if diff := cmp.Diff(want, list[0].Reactions); diff != "" {
		t.Error(diff)
	}
}

//control:proves business-limits
func TestReact_stopsAtSoManyReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	popular := w.post(ann, room, "who comes along?").Message.ID
	w.raw(`WITH crowd AS (
	INSERT INTO users (id, username, display_name, role, password_hash, created_at)
	SELECT gen_random_uuid(), 'fan' || g || 'x', 'Fan', 'user', '$argon2id$', now() FROM generate_series(1, $2::int) g RETURNING id
) INSERT INTO reactions (message_id, user_id, emoji, at) SELECT $1, id, '👍', now() FROM crowd`, popular.UUID, chat.MaxReactions-1)
	react := func(emoji string, add bool) error {
		_, _, err := w.Rooms().React(w.ctx, authz.Roles(authz.React), ann.ID, room, popular, emoji, add)
		return err
	}
	if err := react("👍", true); err != nil {
		t.Fatalf("the last that fits: %v", err)
	}
	if err := react("🎉", true); chat.KindOf(err) != chat.Quota {
		t.Errorf("one more: %v, want the quota", err)
	}
	if err := react("👍", true); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	if err := react("👍", false); err != nil {
		t.Errorf("to take it back: %v", err)
	}
	if err := react("🎉", true); err != nil {
		t.Errorf("in the place of the one that was taken back: %v", err)
	}
}
