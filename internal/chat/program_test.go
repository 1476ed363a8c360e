package chat_test

import (
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// Somebody made a program owner of a room. It leads nobody all the same.
//
//control:proves service-identity
func TestProgram_makesNoRoomsAndModeratesNobody(t *testing.T) {
	w, bot, ann := newWorld(t), person(), person()
	bot.Role = authz.Service
	w.standings[bot.User] = chat.Standing{Role: authz.Owner}
	w.standings[ann.User] = chat.Standing{Role: authz.Member}
	role, later := authz.Reader, noon.Add(time.Hour)
	for name, try := range map[string]func() error{
		"make a room": func() error { _, err := w.service.CreateRoom(t.Context(), bot, "Room", chat.Open); return err },
		"direct room": func() error { _, err := w.service.Direct(t.Context(), bot, "ann"); return err },
		"invite":      func() error { _, err := w.service.AddMember(t.Context(), bot, room, "ann"); return err },
		"remove":      func() error { return w.service.RemoveMember(t.Context(), bot, room, ann.User) },
		"ban":         func() error { return w.service.Ban(t.Context(), bot, room, ann.User) },
		"unban":       func() error { return w.service.Unban(t.Context(), bot, room, ann.User) },
		"role": func() error {
			return w.service.ChangeMember(t.Context(), bot, room, ann.User, chat.MemberChange{Role: &role})
		},
		"mute": func() error {
			return w.service.ChangeMember(t.Context(), bot, room, ann.User, chat.MemberChange{MutedUntil: &later})
		},
	} {
		if err := try(); chat.KindOf(err) != chat.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(w.order) != 0 || w.standings[ann.User].Role != authz.Member {
		t.Errorf("something happened: %v", w.order)
	}
	if _, _, err := w.service.Send(t.Context(), bot, chat.Draft{Room: room, Body: "built"}); err != nil {
		t.Errorf("it may talk: %v", err)
	}
}
