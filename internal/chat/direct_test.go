package chat_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
)

// talks is a store in which alice talks with bob, and with nobody else.
type talks struct {
	*world
	begun int
}

func (s *talks) Talk(_ context.Context, _ chat.UserID, name string) (chat.Room, bool, error) {
	return chat.Room{ID: room}, name == "bob", nil
}

func (s *talks) DirectRoom(_ context.Context, _ chat.UserID, name string) (chat.Room, bool, error) {
	s.begun++
	if name == "nobody" {
		return chat.Room{}, false, chat.ErrDenied
	}
	return chat.Room{ID: chat.RoomID{UUID: uuid.New()}}, true, nil
}

// Whoever has tried as many names as one may in an hour must not learn from a direct talk
// which of the next ones there are. A talk that there is stays open.
//
//control:proves business-limits
func TestDirect_namesThatAreTriedAreInvitations(t *testing.T) {
	s := &talks{world: newWorld(t)}
	service, err := chat.New(s, s.world, s.world, func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	alice := person()
	if _, err := service.Direct(t.Context(), alice, "nobody"); chat.KindOf(err) != chat.Denied {
		t.Errorf("a name that nobody has: %v", err)
	}
	if _, err := service.Direct(t.Context(), alice, "carol"); err != nil {
		t.Errorf("somebody new: %v", err)
	}
	s.invites = &chat.Error{Kind: chat.Quota, Public: "No more."}
	before := s.begun
	for _, name := range []string{"nobody", "carol"} {
		if _, err := service.Direct(t.Context(), alice, name); chat.KindOf(err) != chat.Quota {
			t.Errorf("%s, when the hour is used up: %v", name, err)
		}
	}
	if s.begun != before {
		t.Error("the store was asked all the same")
	}
	if r, err := service.Direct(t.Context(), alice, " Bob "); err != nil || r.ID != room {
		t.Errorf("a talk that there is: %+v, %v", r, err)
	}
}
