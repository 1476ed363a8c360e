package socket

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/admission"
)

const (
	// leaseEvery is how often leases are renewed: a third of their life of 30 s, so
	// that one failed call costs nobody a place.
	leaseEvery = 10 * time.Second
	// leaseTimeout bounds one call.
	leaseTimeout = 3 * time.Second
)

// renewLeases keeps the places of this node's sockets, in one call for each kind.
// A node that dies stops, and its users' places come back.
func (s *Server) renewLeases(ctx context.Context) {
	tick := time.NewTicker(leaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held := make(map[Leases][]admission.Lease)
		for _, c := range s.hub.everyone() {
			leases, _ := c.route.leases(s)
			held[leases] = append(held[leases], admission.Lease{User: c.actor.User.UUID, Conn: c.id})
		}
		for leases, list := range held {
			call, cancel := context.WithTimeout(ctx, leaseTimeout)
			err := leases.Renew(call, list)
			cancel()
			if err != nil && ctx.Err() == nil {
				s.Log.Warn("leases not renewed", "count", len(list), "error", err)
			}
		}
	}
}

// releaseLease gives a user's place back. If that fails it comes back by itself.
func (s *Server) releaseLease(leases Leases, user uuid.UUID, conn string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.life), leaseTimeout)
	defer cancel()
	if err := leases.Release(ctx, user, conn); err != nil {
		s.Log.Warn("lease not released", "conn_id", conn, "error", err)
	}
}
