package app

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/ratelimit"
)

//control:proves business-limits
func TestInvite_stopsWhoeverAddsPeopleByTheHundred(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var log events
	b := newBudgets(ratelimit.NewMemory(func() time.Time { return now }), config.Config{MessagesPerMinute: 10, MessageBurst: 10, InvitesPerHour: 6}, &log)
	mallory, other := chat.Actor{User: chat.UserID{UUID: uuid.New()}}, chat.Actor{User: chat.UserID{UUID: uuid.New()}}
	added := 0
	for range 100 {
		err := b.Invite(t.Context(), mallory)
		if err == nil {
			added++
		} else if chat.KindOf(err) != chat.Quota {
			t.Fatal(err)
		}
	}
	if added != 6 {
		t.Errorf("%d were added, want 6", added)
	}
	if err := b.Invite(t.Context(), other); err != nil {
		t.Error("somebody else:", err)
	}
	now = now.Add(10 * time.Minute)
	if b.Invite(t.Context(), mallory) != nil || b.Invite(t.Context(), mallory) == nil {
		t.Error("ten minutes are one of six in an hour")
	}
}
