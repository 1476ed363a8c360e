package app

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/ratelimit"
)

type events []audit.Event

func (e *events) Record(_ context.Context, one audit.Event) { *e = append(*e, one) }

func TestBudgets_eachOfThemStopsAFloodByItself(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	room := chat.RoomID{UUID: uuid.New()}
	someone := func() chat.UserID { return chat.UserID{UUID: uuid.New()} }
	alice := someone()
	for _, tt := range []struct {
		name  string
		limit int // messages at once
		actor func(i int) chat.Actor
		room  func() chat.RoomID
	}{
		{"user", 10 * perUser, func(int) chat.Actor { return chat.Actor{User: alice, Client: uuid.NewString()} }, func() chat.RoomID { return chat.RoomID{} }},
		{"network", 10 * perNetwork, func(int) chat.Actor { return chat.Actor{User: someone(), Client: "192.0.2.1/32"} }, func() chat.RoomID { return chat.RoomID{} }},
		{"room", 10 * perRoom, func(int) chat.Actor { return chat.Actor{User: someone(), Client: uuid.NewString()} }, func() chat.RoomID { return room }},
		{"all", 10 * perAll, func(int) chat.Actor { return chat.Actor{User: someone(), Client: uuid.NewString()} }, func() chat.RoomID { return chat.RoomID{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log events
			b := newBudgets(ratelimit.NewMemory(func() time.Time { return now }), config.Config{MessagesPerMinute: 10, MessageBurst: 10}, &log)
			for i := range tt.limit + 1 {
				err := b.Take(t.Context(), tt.actor(i), tt.room(), 1)
				if i < tt.limit && err != nil {
					t.Fatalf("message %d of %d: %v", i, tt.limit, err)
				}
				if i == tt.limit && (chat.KindOf(err) != chat.RateLimited || len(log) != 1 || log[0].Reason != tt.name) {
					t.Errorf("message %d: %v, events %+v; want the budget %q to be spent", i, err, log, tt.name)
				}
			}
		})
	}
}
