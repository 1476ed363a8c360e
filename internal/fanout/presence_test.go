package fanout

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/testkit"
)

func TestPresence_countsConnectionsOfAllNodes(t *testing.T) {
	p, h, url := prefix(t), newHistory(), testkit.RedisURL(t)
	a, b := startNode(t, url, p, h, lazy), startNode(t, url, p, h, lazy)
	bob := chat.UserID{UUID: uuid.New()}
	enter := func(n *node, user chat.UserID, conn string, want bool) {
		t.Helper()
		n.Note(roomA, user, conn, true)
		if first, err := n.Enter(t.Context(), roomA, user, conn); err != nil || first != want {
			t.Errorf("enter %s: first %v, %v, want %v", conn, first, err, want)
		}
	}
	leave := func(n *node, user chat.UserID, conn string, want bool) {
		t.Helper()
		n.Note(roomA, user, conn, false)
		if last, err := n.Leave(t.Context(), roomA, user, conn); err != nil || last != want {
			t.Errorf("leave %s: last %v, %v, want %v", conn, last, err, want)
		}
	}
	online := func(want int) {
		t.Helper()
		if users, err := a.Online(t.Context(), roomA); err != nil || len(users) != want {
			t.Errorf("online %v, %v, want %d", users, err, want)
		}
	}
	enter(a, alice.ID, "1", true)
	enter(b, alice.ID, "2", false)
	enter(b, bob, "3", true)
	online(2)
	leave(a, alice.ID, "1", false)
	leave(b, alice.ID, "2", true)
	leave(b, alice.ID, "2", false) // twice
	online(1)

	// A node dies and says nothing more: its entries end by themselves.
	for _, key := range b.presenceKeys(standing{roomA, bob, "3"}) {
		members := b.redis.ZRange(t.Context(), key, 0, -1).Val()
		for _, m := range members {
			if err := b.redis.ZAdd(t.Context(), key, redis.Z{Score: 1, Member: m}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	online(0)
	enter(a, bob, "4", true)
	b.renewAll(context.Background()) // it was only slow
	online(1)
	leave(a, bob, "4", false)
}

func TestPresence_whatWasNotToldBecomesTrueByItself(t *testing.T) {
	n := startNode(t, testkit.RedisURL(t), prefix(t), newHistory(), lazy)
	online := func(want int) {
		t.Helper()
		if users, err := n.Online(t.Context(), roomA); err != nil || len(users) != want {
			t.Errorf("online %v, %v, want %d", users, err, want)
		}
	}
	if !n.Note(roomA, alice.ID, "1", true) || n.Note(roomA, alice.ID, "1", true) {
		t.Error("to come is news once")
	}
	online(0)
	n.renewAll(t.Context()) // Enter was dropped
	online(1)
	if !n.Note(roomA, alice.ID, "1", false) || n.Note(roomA, alice.ID, "1", false) {
		t.Error("to go is news once")
	}
	s := standing{roomA, alice.ID, "1"}
	n.redis.Del(t.Context(), n.presenceKeys(s)...) // Leave was dropped, and the entry expires
	n.renewAll(t.Context())
	online(0)

	// An Enter that was under way when the connection went is not renewed either.
	if _, err := n.Enter(t.Context(), roomA, alice.ID, "1"); err != nil {
		t.Fatal(err)
	}
	n.redis.Del(t.Context(), n.presenceKeys(s)...)
	n.renewAll(t.Context())
	online(0)
}
