package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

func unmarshal(f Frame, into any) error {
	if f.Type != "ack" {
		return fmt.Errorf("no ack: %s", f.Raw)
	}
	return json.Unmarshal(f.Data, into)
}

// ownRoom is somebody new with a closed room and a socket that has joined it.
func ownRoom(ctx context.Context, t *Target, visibility string) (*Client, *Socket, string, error) {
	c, err := t.Person(ctx, "mallory")
	if err != nil {
		return nil, nil, "", err
	}
	room, err := c.Room(ctx, visibility)
	if err != nil {
		return nil, nil, "", err
	}
	s, err := c.Open(ctx, Handshake{})
	if err != nil {
		return nil, nil, "", err
	}
	f, err := s.Ask("room.join", map[string]any{"room_id": room})
	if err != nil || f.Type != "ack" {
		return nil, nil, "", fmt.Errorf("join: %s %w", f.Raw, err)
	}
	return c, s, room, nil
}

func ratelimitAttacks() []Attack {
	return []Attack{
		{
			Control: "ratelimit",
			Strict:  true,
			Title:   "one socket sends 400 messages as fast as it can",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				_, s, room, err := ownRoom(ctx, t, "closed")
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				for i := range 400 {
					if _, err := s.Send("message.send", map[string]any{"room_id": room, "body": fmt.Sprint("flood ", i)}); err != nil {
						break // closed already
					}
				}
				acks, end := 0, time.Now().Add(5*time.Second)
				for {
					f, err := s.Next(time.Until(end))
					if err != nil {
						break
					}
					if f.Type == "ack" {
						acks++
					}
				}
				if acks > 60 { // a burst of 20 and what a minute's 100 allow in the time
					return won("%d of 400 messages were stored", acks)
				}
				return lost("%d of 400 messages were stored", acks)
			},
		},
		{
			Control: "ratelimit",
			Strict:  true,
			Title:   "a refused flood makes the server talk more than the attacker",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				_, s, room, err := ownRoom(ctx, t, "closed")
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				for range 400 {
					if _, err := s.Send("message.send", map[string]any{"room_id": room, "body": "x"}); err != nil {
						break
					}
				}
				refusals, end := 0, time.Now().Add(5*time.Second)
				for {
					f, err := s.Next(time.Until(end))
					if err != nil {
						break
					}
					if f.Type == "error" {
						refusals++
					}
				}
				if refusals > 50 {
					return won("%d errors for 400 messages", refusals)
				}
				return lost("%d errors for 400 messages", refusals)
			},
		},
	}
}

func replayAttacks() []Attack {
	return []Attack{{
		Control: "replay",
		Title:   "a captured command is sent again, on the same socket and on another",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			c, s, room, err := ownRoom(ctx, t, "closed")
			if err != nil {
				return Outcome{}, err
			}
			defer s.Close()
			data := map[string]any{"room_id": room, "body": "pay once"}
			id, err := s.Send("message.send", data)
			if err != nil {
				return Outcome{}, err
			}
			first, err := s.Answer(id)
			if err != nil {
				return Outcome{}, err
			}
			other, err := c.Open(ctx, Handshake{})
			if err != nil {
				return Outcome{}, err
			}
			defer other.Close()
			for _, again := range []*Socket{s, other} {
				if err := again.SendAs(id, "message.send", data); err != nil {
					return Outcome{}, err
				}
				f, err := again.Answer(id)
				if err != nil {
					return Outcome{}, err
				}
				if string(f.Data) != string(first.Data) {
					return won("a second message: %s after %s", f.Raw, first.Raw)
				}
			}
			a, err := c.Call(ctx, "GET", "/api/rooms/"+room+"/messages", nil)
			if err != nil {
				return Outcome{}, err
			}
			if n := strings.Count(string(a.Body), "pay once"); n != 1 {
				return won("the room holds it %d times", n)
			}
			return lost("the first ack came again and the room holds one message")
		},
	}}
}

func revokeAttacks() []Attack {
	return []Attack{{
		Control: "revocation",
		Title:   "a socket that is open when its user signs out goes on receiving",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			c, s, _, err := ownRoom(ctx, t, "closed")
			if err != nil {
				return Outcome{}, err
			}
			defer s.Close()
			if err := c.do(ctx, "POST", "/api/sign-out", map[string]string{}, 204, nil); err != nil {
				return Outcome{}, err
			}
			return closedWith(s, 4403)
		},
	}, {
		Control: "revocation",
		Title:   "a thief's socket survives the owner's \"sign out everywhere else\"",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			owner, own, _, err := ownRoom(ctx, t, "closed")
			if err != nil {
				return Outcome{}, err
			}
			defer own.Close()
			thief, err := t.SignIn(ctx, owner.User.Username, Password)
			if err != nil {
				return Outcome{}, err
			}
			s, err := thief.Open(ctx, Handshake{})
			if err != nil {
				return Outcome{}, err
			}
			defer s.Close()
			a, err := owner.Call(ctx, "POST", "/api/sessions/revoke-others", map[string]string{})
			if err != nil || a.Status >= 300 {
				return Outcome{}, fmt.Errorf("revoke others: %d %s %w", a.Status, a.Body, err)
			}
			return closedWith(s, 4403)
		},
	}}
}

func closedWith(s *Socket, want int) (Outcome, error) {
	code, err := s.Closed(2 * time.Second)
	if err != nil {
		return won("the socket is still open after 2 s")
	}
	if code != want {
		return won("closed with %d, which tells the client to come back", code)
	}
	return lost("closed with %d", code)
}

func outboxAttacks() []Attack {
	return []Attack{{
		Control: "slow-consumer",
		Title:   "a member of a busy room never reads, so that the server keeps everything for them",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			_, first, room, err := ownRoom(ctx, t, "open")
			if err != nil {
				return Outcome{}, err
			}
			defer first.Close()
			slow, err := t.Person(ctx, "slow")
			if err != nil {
				return Outcome{}, err
			}
			r, err := slow.OpenRaw(ctx)
			if err != nil {
				return Outcome{}, err
			}
			defer r.Close()
			if _, err := r.Write(frame(true, opText, []byte(`{"v":1,"id":`+newID()+`,"type":"room.join","data":{"room_id":"`+room+`"}}`))); err != nil {
				return Outcome{}, err
			}
			there := func(online bool) func(Frame) bool {
				return func(f Frame) bool {
					return f.Type == "presence.changed" && strings.Contains(string(f.Data), slow.User.ID) && strings.Contains(string(f.Data), fmt.Sprintf(`"online":%t`, online))
				}
			}
			if _, err := first.Until(callTime, there(true)); err != nil {
				return Outcome{}, fmt.Errorf("the slow one must be in the room first: %w", err)
			}
			// Several who talk, because each alone would run into a limit of their own.
			talkers := []*Socket{first}
			for range 2 {
				c, err := t.Person(ctx, "busy")
				if err != nil {
					return Outcome{}, err
				}
				s, err := c.Open(ctx, Handshake{})
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				if f, err := s.Ask("room.join", map[string]any{"room_id": room}); err != nil || f.Type != "ack" {
					return Outcome{}, fmt.Errorf("join: %s %w", f.Raw, err)
				}
				talkers = append(talkers, s)
			}
			sent, gone := 0, false
			for _, s := range talkers {
				for round := 0; round < 30 && !gone; round++ {
					n, err := s.burst(room, 30)
					if sent += n; err != nil {
						return Outcome{}, err
					}
					gone = slices.ContainsFunc(s.Seen, there(false))
					s.Seen = nil
				}
			}
			code, err := r.CloseCode(5 * time.Second)
			if err != nil {
				return won("%d messages of 4 KB later the server still keeps the socket", sent)
			}
			return lost("closed with %d after %d messages of 4 KB", code, sent)
		},
	}}
}

// burst sends count large messages at once and waits until all are stored.
func (s *Socket) burst(room string, count int) (int, error) {
	body := strings.Repeat("fill the socket ", 250)
	last := ""
	for range count {
		id, err := s.Send("message.send", map[string]any{"room_id": room, "body": body})
		if err != nil {
			return 0, err
		}
		last = id
	}
	f, err := s.Until(callTime, func(f Frame) bool { return f.Re == last || f.Type == "error" })
	if err == nil && f.Type != "ack" {
		err = fmt.Errorf("the target's limits are too low for this attack: %s", f.Raw)
	}
	return count, err
}
