package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// guesses are what five hexadecimal digits take.
const guesses = 5 * 16

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
	}, {
		Control: "detection",
		Title:   "somebody guesses a secret digit by digit in messages that come back to them, and reads the lengths",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			mallory, err := t.Person(ctx, "mallory")
			if err != nil {
				return Outcome{}, err
			}
			room, err := mallory.Room(ctx, "closed")
			if err != nil {
				return Outcome{}, err
			}
			r, err := mallory.openOn(ctx, "/ws", subprotocol, offerDeflate)
			if err != nil {
				return Outcome{}, err
			}
			defer r.Close()
			if _, err := r.command("room.join", map[string]any{"room_id": room}, "ack"); err != nil {
				return Outcome{}, err
			}
			// What repeats itself is shorter than it is when it comes back compressed.
			stem := strings.Repeat("csrf_token=", 40)
			for i := range guesses {
				guess := stem + "7c0ff"[:i/16] + "0123456789abcdef"[i%16:i%16+1]
				size, err := r.command("message.send", map[string]any{"room_id": room, "body": guess}, "message.new")
				if err != nil {
					return Outcome{}, fmt.Errorf("guess %d: %w", i, err)
				}
				if size < len(guess) {
					return won("a message of %d bytes came back in %d: lengths tell what is in it", len(guess), size)
				}
			}
			return lost("%d guesses, each as long when it came back as it is", guesses)
		},
	}}
}

// command sends one and returns how long the frame of the wanted type is that follows.
func (r *Raw) command(typ string, data map[string]any, want string) (int, error) {
	b, err := json.Marshal(map[string]any{"v": 1, "id": uuid.Must(uuid.NewV7()), "type": typ, "data": data})
	if err != nil {
		return 0, err
	}
	if err := r.SetDeadline(time.Now().Add(callTime)); err != nil {
		return 0, err
	}
	if _, err := r.Write(frame(true, opText, b)); err != nil {
		return 0, err
	}
	for {
		op, payload, err := r.readFrame()
		switch {
		case err != nil:
			return 0, err
		case op != opText || bytes.Contains(payload, []byte(`"type":"`+want+`"`)):
			return len(payload), nil
		case bytes.Contains(payload, []byte(`"type":"error"`)):
			return 0, fmt.Errorf("refused: %s", payload)
		}
	}
}
