package chat_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// pages is a store with a room of long messages.
type pages struct {
	*world
	all []chat.Message
}

func (p *pages) History(context.Context, []authz.Role, chat.UserID, chat.RoomID, int64, int) ([]chat.Message, error) {
	return p.all, nil
}
func (p *pages) Search(context.Context, []authz.Role, chat.UserID, chat.RoomID, string, int) ([]chat.Message, error) {
	return p.all, nil
}

// Ninety readers who do not read a page of a hundred of the longest messages kept 245 MB
// of it waiting for them.
//
//control:proves slow-consumer
func TestHistory_aPageIsBoundedInBytesAndSaysThatItWasCut(t *testing.T) {
	crowd := []chat.Reaction{{Emoji: "👍", Users: make([]chat.UserID, 10_000)}}
	for name, c := range map[string]struct {
		messages int
		body     string
		crowd    []chat.Reaction
		want     int
	}{
		"usual":               {100, "hello", nil, 100},
		"the longest":         {100, strings.Repeat("😀", chat.MaxBody), nil, 16},
		"many reactions":      {100, "hello", crowd, 1},
		"one that is so huge": {1, "hello", crowd, 1},
		"empty":               {0, "", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &pages{world: newWorld(t)}
			for seq := range c.messages {
				s.all = append(s.all, chat.Message{ID: chat.MessageID{UUID: uuid.New()}, Seq: int64(seq + 1), Body: c.body, Reactions: c.crowd})
			}
			service, err := chat.New(s, s.world, s.world, func() time.Time { return noon })
			if err != nil {
				t.Fatal(err)
			}
			got, more, err := service.History(t.Context(), person(), room, 0, 100)
			if err != nil || len(got) != c.want || more != (c.want < c.messages) {
				t.Errorf("%d messages, more %v, %v; want %d", len(got), more, err, c.want)
			}
			if n := len(got); n > 0 && got[n-1].Seq != int64(c.messages) {
				t.Errorf("the page ends with %d: the newest are cut", got[n-1].Seq)
			}
			if found, err := service.Search(t.Context(), person(), room, "hello", 100); err != nil || len(found) != c.want {
				t.Errorf("a search finds %d, %v; want %d", len(found), err, c.want)
			}
		})
	}
}
