package app

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/ratelimit"
)

// A school or an office is one address. Two hundred people behind it, who each say
// something twice a minute, are never told that they talk too much; and one flooder among
// them is stopped by the budget of the user before that of the network.
//
//control:proves clientip
//control:proves ratelimit
func TestBudgets_twoHundredPeopleBehindOneAddressTalkAndOneFloodsAlone(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var log events
	b := newBudgets(ratelimit.NewMemory(func() time.Time { return now }), config.Config{MessagesPerMinute: 100, MessageBurst: 20, InvitesPerHour: 60}, &log)
	school := clientip.Prefix(netip.MustParseAddr("203.0.113.9")).String()
	people := make([]chat.Actor, 200)
	for i := range people {
		people[i] = chat.Actor{User: chat.UserID{UUID: uuid.New()}, Client: school}
	}
	const minutes, each = 5, 2
	pause := time.Minute / time.Duration(each*len(people))
	for range minutes * each {
		for i, p := range people {
			now = now.Add(pause)
			if err := b.Take(t.Context(), p, chat.RoomID{}, 1); err != nil {
				t.Fatalf("person %d: %v", i, err)
			}
		}
	}
	now = now.Add(time.Minute)
	flooder, sent := chat.Actor{User: chat.UserID{UUID: uuid.New()}, Client: school}, 0
	for range 1000 {
		if b.Take(t.Context(), flooder, chat.RoomID{}, 1) == nil {
			sent++
		}
	}
	if sent > 20*perUser {
		t.Errorf("the flooder sent %d at once, a user may %d", sent, 20*perUser)
	}
	if err := b.Take(t.Context(), people[0], chat.RoomID{}, 1); err != nil {
		t.Error("the others pay for the flooder:", err)
	}
}

// Every customer has a /64 of IPv6, which is 2^64 addresses: together they are one.
//
//control:proves clientip
//control:proves ratelimit
func TestBudgets_aWholeNetworkOfIPv6AddressesIsOneClient(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var log events
	b := newBudgets(ratelimit.NewMemory(func() time.Time { return now }), config.Config{MessagesPerMinute: 100, MessageBurst: 20, InvitesPerHour: 60}, &log)
	address, sent := netip.MustParseAddr("2001:db8:1:2::1"), 0
	for range 1000 {
		address = address.Next()
		a := chat.Actor{User: chat.UserID{UUID: uuid.New()}, Client: clientip.Prefix(address).String()} // a new account each time, too
		if b.Take(t.Context(), a, chat.RoomID{}, 1) == nil {
			sent++
		}
	}
	if sent != 20*perNetwork {
		t.Errorf("a thousand addresses of one network sent %d at once, a network may %d", sent, 20*perNetwork)
	}
	neighbour := chat.Actor{User: chat.UserID{UUID: uuid.New()}, Client: clientip.Prefix(netip.MustParseAddr("2001:db8:1:3::1")).String()}
	if err := b.Take(t.Context(), neighbour, chat.RoomID{}, 1); err != nil {
		t.Error("the next customer:", err)
	}
}
