package attack

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// strangers is a closed room of a victim with one message, and an attacker outside.
type strangers struct {
	victim, mallory *Client
	room, message   string
	socket          *Socket // mallory's
}

const privateText = "the gate code is 4711"

func meet(ctx context.Context, t *Target) (*strangers, error) {
	victim, err := t.Person(ctx, "victim")
	if err != nil {
		return nil, err
	}
	mallory, err := t.Person(ctx, "mallory")
	if err != nil {
		return nil, err
	}
	room, err := victim.Room(ctx, "closed")
	if err != nil {
		return nil, err
	}
	s, err := victim.Open(ctx, Handshake{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if f, err := s.Ask("room.join", map[string]any{"room_id": room}); err != nil || f.Type != "ack" {
		return nil, fmt.Errorf("join: %s %w", f.Raw, err)
	}
	id, err := s.Send("message.send", map[string]any{"room_id": room, "body": privateText})
	if err != nil {
		return nil, err
	}
	var ack struct {
		MessageID string `json:"message_id"`
	}
	f, err := s.Answer(id)
	if err == nil {
		err = unmarshal(f, &ack)
	}
	if err != nil {
		return nil, err
	}
	ms, err := mallory.Open(ctx, Handshake{})
	return &strangers{victim, mallory, room, ack.MessageID, ms}, err
}

func authzAttacks() []Attack {
	var attacks []Attack
	for _, a := range []struct {
		typ  string
		data func(x *strangers) map[string]any
	}{
		{"room.join", func(x *strangers) map[string]any { return map[string]any{"room_id": x.room} }},
		{"message.send", func(x *strangers) map[string]any { return map[string]any{"room_id": x.room, "body": "hello"} }},
		{"message.edit", func(x *strangers) map[string]any {
			return map[string]any{"room_id": x.room, "message_id": x.message, "body": "changed"}
		}},
		{"message.delete", func(x *strangers) map[string]any { return map[string]any{"room_id": x.room, "message_id": x.message} }},
		{"reaction.add", func(x *strangers) map[string]any {
			return map[string]any{"room_id": x.room, "message_id": x.message, "emoji": "👍"}
		}},
		{"read.mark", func(x *strangers) map[string]any { return map[string]any{"room_id": x.room, "seq": 1} }},
	} {
		attacks = append(attacks, Attack{
			Control: "authz",
			Title:   "a stranger who knows the ids sends " + a.typ + " to a closed room",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				x, err := meet(ctx, t)
				if err != nil {
					return Outcome{}, err
				}
				defer x.socket.Close()
				f, err := x.socket.Ask(a.typ, a.data(x))
				if err != nil {
					return Outcome{}, err
				}
				if f.Type == "ack" {
					return won("acknowledged: %s", f.Raw)
				}
				return lost("error %s", f.Code)
			},
		})
	}
	for _, path := range []string{"messages", "search?q=gate", "members"} {
		attacks = append(attacks, Attack{
			Control: "authz",
			Title:   "a stranger who knows the room's id reads its " + path,
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				x, err := meet(ctx, t)
				if err != nil {
					return Outcome{}, err
				}
				defer x.socket.Close()
				a, err := x.mallory.Call(ctx, http.MethodGet, "/api/rooms/"+x.room+"/"+path, nil)
				if err != nil {
					return Outcome{}, err
				}
				if a.Status == http.StatusOK {
					return won("read %s", a.Body)
				}
				return lost("answered %d %s", a.Status, a.Code())
			},
		})
	}
	return append(attacks, Attack{
		Control: "existence",
		Title:   "a stranger tells a room that exists from one that does not",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			x, err := meet(ctx, t)
			if err != nil {
				return Outcome{}, err
			}
			defer x.socket.Close()
			none := uuid.NewString()
			const id = "0198c0de-0000-7000-8000-00000000000b"
			answers := map[string]string{}
			for _, room := range []string{x.room, none} {
				if err := x.socket.SendAs(id, "room.join", map[string]any{"room_id": room}); err != nil {
					return Outcome{}, err
				}
				f, err := x.socket.Answer(id)
				if err != nil {
					return Outcome{}, err
				}
				a, err := x.mallory.Call(ctx, http.MethodGet, "/api/rooms/"+room+"/messages", nil)
				if err != nil {
					return Outcome{}, err
				}
				answers[room] = f.Raw + fmt.Sprint(a.Status) + withoutRequestID(a.Body)
			}
			if answers[x.room] != answers[none] {
				return won("%s\nbut\n%s", answers[x.room], answers[none])
			}
			return lost("both: %s", answers[none])
		},
	}, Attack{
		Control: "delivery",
		Title:   "a removed member goes on reading through the socket that is open",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			x, err := meet(ctx, t)
			if err != nil {
				return Outcome{}, err
			}
			defer x.socket.Close()
			if err := x.victim.do(ctx, http.MethodPost, "/api/rooms/"+x.room+"/members", map[string]string{"username": x.mallory.User.Username}, 201, nil); err != nil {
				return Outcome{}, err
			}
			if f, err := x.socket.Ask("room.join", map[string]any{"room_id": x.room}); err != nil || f.Type != "ack" {
				return Outcome{}, fmt.Errorf("mallory must be in first: %s %w", f.Raw, err)
			}
			if err := x.victim.do(ctx, http.MethodDelete, "/api/rooms/"+x.room+"/members/"+x.mallory.User.ID, nil, 204, nil); err != nil {
				return Outcome{}, err
			}
			vs, err := x.victim.Open(ctx, Handshake{})
			if err != nil {
				return Outcome{}, err
			}
			defer vs.Close()
			const after = "said after mallory was removed"
			if f, err := vs.Ask("message.send", map[string]any{"room_id": x.room, "body": after}); err != nil || f.Type != "ack" {
				return Outcome{}, fmt.Errorf("send: %s %w", f.Raw, err)
			}
			f, err := x.socket.Until(1500*time.Millisecond, func(f Frame) bool { return f.Type == "message.new" })
			if err == nil {
				return won("received %s", f.Raw)
			}
			return lost("received nothing more")
		},
	})
}
