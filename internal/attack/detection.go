package attack

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// probes is more than anybody does by mistake within a minute.
const probes = 8

func detectionAttacks() []Attack {
	return []Attack{{
		Control: "detection",
		Title:   "somebody tries one room id after the other, each refused, and nobody adds it up",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			mallory, err := t.Person(ctx, "mallory")
			if err != nil {
				return Outcome{}, err
			}
			s, err := mallory.Open(ctx, Handshake{})
			if err != nil {
				return Outcome{}, err
			}
			defer s.Close()
			for i := range probes {
				f, err := s.Ask("room.join", map[string]any{"room_id": uuid.NewString()})
				if err != nil {
					return Outcome{}, fmt.Errorf("probe %d: %w", i, err)
				}
				if f.Type != "error" {
					return won("a made-up id opened a room: %s", f.Raw)
				}
			}
			return lost("%d ids, each answered as if there were no such room", probes)
		},
	}}
}
