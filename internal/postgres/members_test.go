package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

var invites = authz.Roles(authz.Invite)

func TestEnter_makesAMemberOfAnOpenRoomOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	open, closed := w.room(ann, chat.Open), w.room(ann, chat.Closed)
	w.post(ann, open, "before bob")
	for _, want := range []bool{true, false} {
		m, head, joined, err := w.Rooms().Enter(w.ctx, bob.ID, open)
		if err != nil || joined != want || head != 1 || m.Role != authz.Member || m.Room != open || m.User != bob.ID {
			t.Errorf("%+v, head %d, joined %v, error %v", m, head, joined, err)
		}
	}
	if r, err := w.Rooms().Room(w.ctx, bob.ID, open); err != nil || r.ReadSeq != 1 {
		t.Errorf("what was said before bob came is unread: %+v, error %v", r, err)
	}
	for what, room := range map[string]chat.RoomID{"closed": closed, "none": {UUID: uuid.New()}} {
		_, _, _, err := w.Rooms().Enter(w.ctx, bob.ID, room)
		denied(t, what, err)
	}
	if _, _, joined, err := w.Rooms().Enter(w.ctx, ann.ID, closed); err != nil || joined {
		t.Errorf("the owner of a closed room: joined %v, error %v", joined, err)
	}
}

func TestEnter_waitsForABanThatIsBeingMadeAndObeysIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.held(room, "INSERT INTO bans (room_id, user_id, banned_by, at) VALUES ($1, $2, $3, now())", []any{room.UUID, bob.ID.UUID, ann.ID.UUID}, func(release func()) {
		result := make(chan error, 1)
		go func() {
			_, _, _, err := w.Rooms().Enter(w.ctx, bob.ID, room)
			result <- err
		}()
		w.waiting(1)
		release()
		denied(t, "enter", <-result)
	})
}

func TestAddMember_refusesWhoMayNotInviteAndWhoMayNotCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve, gone := w.user("ann"), w.user("bob"), w.user("eve"), w.user("gone")
	room := w.room(ann, chat.Closed)
	w.raw("UPDATE users SET disabled_at = now() WHERE id = $1", gone.ID.UUID)
	w.change(room, ann, eve, chat.Standing{Banned: true}, "banned")
	direct, _, err := w.Rooms().DirectRoom(w.ctx, ann.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	add := func(by chat.Person, room chat.RoomID, name string) (chat.Member, bool, error) {
		return w.Rooms().AddMember(w.ctx, invites, by.ID, room, name)
	}
	for _, c := range []struct {
		name string
		by   chat.Person
		room chat.RoomID
		whom string
	}{
		{"a stranger invites", bob, room, "bob"},
		{"an unknown user", ann, room, "nobody"},
		{"a disabled user", ann, room, "gone"},
		{"a banned user", ann, room, "eve"},
		{"a third in a direct room", ann, direct.ID, "eve"},
		{"no room", ann, chat.RoomID{UUID: uuid.New()}, "bob"},
	} {
		_, _, err := add(c.by, c.room, c.whom)
		denied(t, c.name, err)
	}
	_, _, err = w.Rooms().AddMember(w.ctx, send, ann.ID, direct.ID, "bob") // whatever the roles
	denied(t, "anybody to a direct room", err)
	for _, want := range []bool{true, false} {
		m, added, err := add(ann, room, "bob")
		if err != nil || added != want || m.Person != bob || m.Role != authz.Member || m.JoinedAt.IsZero() {
			t.Errorf("%+v, added %v, error %v; want added %v", m, added, err, want)
		}
	}
	_, _, err = add(bob, room, "ann")
	denied(t, "a plain member invites", err)
	_, _, err = w.Rooms().AddMember(w.ctx, nil, ann.ID, room, "bob")
	denied(t, "an empty list of roles", err)
}

func TestMembers_areListedForMembersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	w.change(room, ann, bob, chat.Standing{Role: authz.Member, MutedUntil: until}, "muted")
	list, err := w.Rooms().Members(w.ctx, read, bob.ID, room)
	if err != nil || len(list) != 2 || list[0].Person != ann || list[0].Role != authz.Owner || list[1].Person != bob || !list[1].MutedUntil.Equal(until) {
		t.Errorf("%+v, error %v", list, err)
	}
	_, err = w.Rooms().Members(w.ctx, read, eve.ID, room)
	denied(t, "a stranger", err)
	_, err = w.Rooms().Members(w.ctx, []authz.Role{}, bob.ID, room)
	denied(t, "no roles", err)
}

func TestStandings_readsMembersAndTheEpochTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob, eve)
	w.change(room, ann, eve, chat.Standing{}, "removed")
	epoch, list, err := w.Rooms().Standings(w.ctx, room, []chat.UserID{bob.ID, eve.ID})
	want := []chat.Membership{{Room: room, User: bob.ID, Role: authz.Member, Epoch: 1}}
	if diff := cmp.Diff(want, list); err != nil || epoch != 1 || diff != "" {
		t.Errorf("epoch %d, error %v\n%s", epoch, err, diff)
	}
	if epoch, list, err := w.Rooms().Standings(w.ctx, room, nil); err != nil || epoch != 1 || len(list) != 0 {
		t.Errorf("of nobody: epoch %d, %v, error %v", epoch, list, err)
	}
	_, _, err = w.Rooms().Standings(w.ctx, chat.RoomID{UUID: uuid.New()}, []chat.UserID{bob.ID})
	denied(t, "no room", err)
	_, err = w.Rooms().Membership(w.ctx, eve.ID, room)
	denied(t, "no membership", err)
	if m, err := w.Rooms().Membership(w.ctx, bob.ID, room); err != nil || m != want[0] {
		t.Errorf("%+v, error %v", m, err)
	}
}

func TestMark_movesForwardOnlyAndNotPastTheHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, eve := w.user("ann"), w.user("eve")
	room := w.room(ann, chat.Closed)
	for range 3 {
		w.post(ann, room, "x")
	}
	for _, c := range []struct{ to, want int64 }{{2, 2}, {1, 2}, {99, 3}, {0, 3}} {
		if got, err := w.Rooms().Mark(w.ctx, authz.Roles(authz.Mark), ann.ID, room, c.to); err != nil || got != c.want {
			t.Errorf("mark %d: %d, error %v; want %d", c.to, got, err, c.want)
		}
	}
	_, err := w.Rooms().Mark(w.ctx, authz.Roles(authz.Mark), eve.ID, room, 1)
	denied(t, "a stranger", err)
}

func TestChangeMember_raisesTheEpochAndFillsTheOutboxWhenARightIsLost(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	member := chat.Standing{Role: authz.Member}
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	for _, c := range []struct {
		name         string
		before, next chat.Standing
		reason       string
		lost         bool
	}{
		{"removed", member, chat.Standing{}, "removed", true},
		{"banned", member, chat.Standing{Banned: true}, "banned", true},
		{"banned in advance", chat.Standing{}, chat.Standing{Banned: true}, "banned", true},
		{"demoted", member, chat.Standing{Role: authz.Reader}, "role", true},
		{"promoted", member, chat.Standing{Role: authz.Moderator}, "role", true}, // too often is harmless
		{"muted", member, chat.Standing{Role: authz.Member, MutedUntil: later}, "muted", true},
		{"mute made longer", chat.Standing{Role: authz.Member, MutedUntil: later}, chat.Standing{Role: authz.Member, MutedUntil: later.Add(1e9)}, "muted", true},
		{"unmuted", chat.Standing{Role: authz.Member, MutedUntil: later}, member, "muted", false},
		{"unbanned", chat.Standing{Banned: true}, chat.Standing{}, "", false},
		{"left as it was", member, member, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			room := w.room(ann, chat.Open)
			w.change(room, ann, bob, c.before, "setup")
			w.raw("DELETE FROM revocations")
			w.raw("UPDATE rooms SET epoch = 7 WHERE id = $1", room.UUID)

			out, err := w.Rooms().ChangeMember(w.ctx, ann.ID, room, bob.ID, func(r chat.Room, actor, target chat.Standing) (chat.Standing, string, error) {
				if r.ID != room || r.Visibility != chat.Open || actor != (chat.Standing{Role: authz.Owner}) || target != c.before {
					t.Errorf("decide was asked about %+v, %+v, %+v", r, actor, target)
				}
				return c.next, c.reason, nil
			})
			want := chat.Outcome{Person: bob, Before: c.before, After: c.next, Reason: c.reason, LostRights: c.lost}
			if diff := cmp.Diff(want, out); err != nil || diff != "" {
				t.Errorf("error %v\n%s", err, diff)
			}
			epoch := int64(7)
			if c.lost {
				epoch = 8
			}
			list, err := w.Revocations().Since(w.ctx, time.Minute)
			if got := ask[int64](w, "SELECT epoch FROM rooms WHERE id = $1", room.UUID); err != nil || (len(list) == 1) != c.lost || got != epoch {
				t.Fatalf("outbox %+v, epoch %d, error %v", list, got, err)
			}
			if c.lost && (list[0].Room != room || list[0].User != bob.ID || list[0].Session != (chat.SessionID{}) || list[0].Reason != c.reason) {
				t.Errorf("entry %+v", list[0])
			}
			_, err = w.Rooms().ChangeMember(w.ctx, ann.ID, room, bob.ID, func(_ chat.Room, _, target chat.Standing) (chat.Standing, string, error) {
				if target != c.next {
					t.Errorf("read back %+v, want %+v", target, c.next)
				}
				return target, "", nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChangeMember_stopsWhenItMust(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob, eve := w.user("ann"), w.user("bob"), w.user("eve")
	room := w.room(ann, chat.Open)
	w.join(room, ann, bob)
	never := func(chat.Room, chat.Standing, chat.Standing) (chat.Standing, string, error) {
		t.Error("decide was asked")
		return chat.Standing{}, "removed", nil
	}
	for _, c := range []struct {
		name       string
		by, target chat.UserID
		room       chat.RoomID
	}{
		{"a stranger acts", eve.ID, bob.ID, room},
		{"on nobody", ann.ID, chat.UserID{UUID: uuid.New()}, room},
		{"in no room", ann.ID, bob.ID, chat.RoomID{UUID: uuid.New()}},
	} {
		_, err := w.Rooms().ChangeMember(w.ctx, c.by, c.room, c.target, never)
		denied(t, c.name, err)
	}
	veto := errors.New("veto")
	_, err := w.Rooms().ChangeMember(w.ctx, ann.ID, room, bob.ID, func(chat.Room, chat.Standing, chat.Standing) (chat.Standing, string, error) {
		return chat.Standing{}, "removed", veto
	})
	if !errors.Is(err, veto) {
		t.Errorf("error %v; want decide's", err)
	}
	_, err = w.Rooms().ChangeMember(w.ctx, ann.ID, room, bob.ID, func(chat.Room, chat.Standing, chat.Standing) (chat.Standing, string, error) {
		return chat.Standing{Role: authz.Member, Banned: true}, "banned", nil
	})
	if err == nil {
		t.Error("a banned member was stored")
	}
	if m, err := w.Rooms().Membership(w.ctx, bob.ID, room); err != nil || m.Role != authz.Member || m.Epoch != 0 {
		t.Errorf("something was stored: %+v, error %v", m, err)
	}
}
