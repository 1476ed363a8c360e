package postgres

import (
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

func TestLeaving_isNoWayOutOfAMuteOrOfBeingAReader(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	for _, c := range []struct {
		name         string
		before, back chat.Standing
	}{
		{"a muted member", chat.Standing{Role: authz.Member, MutedUntil: later}, chat.Standing{Role: authz.Member, MutedUntil: later}},
		{"a reader", chat.Standing{Role: authz.Reader}, chat.Standing{Role: authz.Reader}},
		{"a muted moderator, who returns as a member", chat.Standing{Role: authz.Moderator, MutedUntil: later}, chat.Standing{Role: authz.Member, MutedUntil: later}},
		{"a member", chat.Standing{Role: authz.Member}, chat.Standing{Role: authz.Member}},
		{"a moderator, who returns as a member", chat.Standing{Role: authz.Moderator}, chat.Standing{Role: authz.Member}},
	} {
		for how, enter := range map[string]func(chat.RoomID) error{
			"enters again": func(room chat.RoomID) error { _, _, _, err := w.Rooms().Enter(w.ctx, bob.ID, room); return err },
			"is invited": func(room chat.RoomID) error {
				_, _, err := w.Rooms().AddMember(w.ctx, authz.Roles(authz.Invite), ann.ID, room, bob.Username)
				return err
			},
		} {
			t.Run(c.name+" "+how, func(t *testing.T) {
				room := w.room(ann, chat.Open)
				w.change(room, ann, bob, c.before, "setup")
				w.change(room, ann, bob, chat.Standing{}, "left")
				if err := enter(room); err != nil {
					t.Fatal(err)
				}
				m, err := w.Rooms().Membership(w.ctx, bob.ID, room)
				if got := (chat.Standing{Role: m.Role, MutedUntil: m.MutedUntil}); err != nil || got.Role != c.back.Role || !got.MutedUntil.Equal(c.back.MutedUntil) {
					t.Errorf("came back as %+v, want %+v: %v", got, c.back, err)
				}
			})
		}
	}
}

func TestLeaving_aSanctionThatWasLiftedDoesNotComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	room := w.room(ann, chat.Open)
	w.change(room, ann, bob, chat.Standing{Role: authz.Reader}, "setup")
	w.change(room, ann, bob, chat.Standing{}, "left")
	w.join(room, ann, bob)
	w.change(room, ann, bob, chat.Standing{Role: authz.Member}, "role")
	w.change(room, ann, bob, chat.Standing{}, "left")
	if _, _, _, err := w.Rooms().Enter(w.ctx, bob.ID, room); err != nil {
		t.Fatal(err)
	}
	if m, err := w.Rooms().Membership(w.ctx, bob.ID, room); err != nil || m.Role != authz.Member {
		t.Errorf("came back as %q: %v", m.Role, err)
	}
}

// A moderator may not give roles, but may ban and unban.
//
//control:proves authz
func TestUnban_isNoWayOutOfAMuteOrOfBeingAReader(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	w := newWorld(t, Options{})
	ann, bob := w.user("ann"), w.user("bob")
	banned, unbanned := chat.Standing{Banned: true}, chat.Standing{}
	for name, how := range map[string][]chat.Standing{
		"banned and unbanned":                    {banned, unbanned},
		"left, banned and unbanned":              {unbanned, banned, unbanned},
		"left and unbanned without ever a ban":   {unbanned, unbanned},
		"banned twice, as by two who do not ask": {banned, banned, unbanned},
	} {
		t.Run(name, func(t *testing.T) {
			room := w.room(ann, chat.Open)
			w.change(room, ann, bob, chat.Standing{Role: authz.Reader, MutedUntil: later}, "setup")
			for _, next := range how {
				w.change(room, ann, bob, next, "moderated")
			}
			if _, _, _, err := w.Rooms().Enter(w.ctx, bob.ID, room); err != nil {
				t.Fatal(err)
			}
			m, err := w.Rooms().Membership(w.ctx, bob.ID, room)
			if err != nil || m.Role != authz.Reader || !m.MutedUntil.Equal(later) {
				t.Errorf("came back as %q, muted until %v: %v", m.Role, m.MutedUntil, err)
			}
		})
	}
}
