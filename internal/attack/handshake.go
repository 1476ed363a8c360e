package attack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

func handshakeAttacks() []Attack {
	attacks := []Attack{
		{
			Control: "handshake",
			Title:   "a foreign page burns the victim's ticket, because it is spent before the Origin is looked at",
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				foreign := "https://evil.example"
				if s, err := victim.Open(ctx, Handshake{Origin: &foreign, Ticket: ticket}); err == nil {
					s.Close()
					return won("the foreign page got in")
				}
				s, err := victim.Open(ctx, Handshake{Ticket: ticket})
				if err != nil {
					return won("the victim's own ticket is spent: %v", err)
				}
				s.Close()
				return lost("the ticket still worked for the victim")
			}),
		},
		{
			Control: "handshake-protocol",
			Title:   "the server agrees to a subprotocol that it does not know",
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				s, err := victim.Open(ctx, Handshake{Subprotocols: []string{"mqtt", "ticket." + ticket}})
				return handshakeOutcome(s, err)
			}),
		},
		{
			Control: "handshake-protocol",
			Title:   "the ticket comes back in the answer, for everybody who logs answers",
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				s, err := victim.Open(ctx, Handshake{Ticket: ticket, Subprotocols: []string{"ticket." + ticket, subprotocol}})
				if err != nil {
					return lost("refused: %v", err)
				}
				defer s.Close()
				if got := s.conn.Subprotocol(); got != subprotocol || strings.Contains(s.Hello.Raw, ticket) {
					return won("the server selected %q", got)
				}
				return lost("the server selected %q", s.conn.Subprotocol())
			}),
		},
		firstMessageAttack("nobody says who they are, and the socket stays", 4401, func(*Socket) error { return nil }),
		firstMessageAttack("a message goes in front of auth", 4401, func(s *Socket) error {
			_, err := s.Send("room.join", map[string]any{"room_id": "0198c0de-0000-4000-8000-00000000000a"})
			return err
		}),
		firstMessageAttack("tickets are guessed on one open socket", 4401, func(s *Socket) error {
			for range 3 {
				if _, err := s.Send("auth", map[string]any{"ticket": strings.Repeat("a", 200)}); err != nil {
					return nil // closed after the first, as it should be
				}
			}
			return nil
		}),
		firstMessageAttack("64 KiB are sent before anybody has been authenticated", 4401, func(s *Socket) error {
			return s.Text([]byte(`{"v":1,"id":` + newID() + `,"type":"auth","data":{"ticket":"` + strings.Repeat("a", 60_000) + `"}}`))
		}),
	}
	for _, h := range []struct {
		name   string
		header map[string]string
		method string
	}{
		{"version 8, which has other rules", map[string]string{"Sec-WebSocket-Version": "8"}, http.MethodGet},
		{"no key", map[string]string{"Sec-WebSocket-Key": ""}, http.MethodGet},
		{"a key of three bytes", map[string]string{"Sec-WebSocket-Key": "YWJj"}, http.MethodGet},
		{"POST", nil, http.MethodPost},
		{"h2c instead of websocket", map[string]string{"Upgrade": "h2c"}, http.MethodGet},
	} {
		attacks = append(attacks, Attack{
			Control: "handshake-protocol",
			Title:   "an upgrade that a proxy reads in another way than the server: " + h.name,
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"c2l4dGVlbiBieXRlcyBvaw=="},
					"Origin": {t.Base.String()}, "Sec-Websocket-Protocol": {subprotocol + ", ticket." + ticket}}
				for k, v := range h.header {
					header.Set(k, v)
					if v == "" {
						header.Del(k)
					}
				}
				a, err := victim.Raw(ctx, h.method, "/ws", header, nil)
				if err != nil {
					return Outcome{}, err
				}
				if a.Status == http.StatusSwitchingProtocols {
					return won("upgraded")
				}
				return lost("refused with %d", a.Status)
			}),
		})
	}
	return attacks
}

// firstMessageAttack opens /ws/auth with the cookie, misbehaves, and wins if the
// socket lives on or says hello.
func firstMessageAttack(title string, want int, do func(*Socket) error) Attack {
	return Attack{Control: "first-message", Title: title, Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
		s, err := victim.Open(ctx, Handshake{Route: "/ws/auth"})
		if err != nil {
			return Outcome{}, err
		}
		defer s.Close()
		begin := time.Now()
		if err := do(s); err != nil {
			return Outcome{}, err
		}
		code, err := s.Closed(8 * time.Second)
		for _, f := range s.Seen {
			if f.Type == "hello" || f.Type == "ack" {
				return won("the server said %s", f.Raw)
			}
		}
		if err != nil {
			return won("still open after 8 s")
		}
		if code != want {
			return won("closed with %d, not with %d", code, want)
		}
		return lost("closed with %d after %s", code, time.Since(begin).Round(time.Second))
	})}
}

func dispatchAttacks() []Attack {
	return []Attack{
		{
			Control: "dispatch",
			Title:   "a client that only talks nonsense is answered for ever",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				_, s, _, err := ownRoom(ctx, t, "closed")
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				for range 100 {
					if err := s.Text([]byte(`{"v":1,"id":` + newID() + `,"type":"no.such","data":{}}`)); err != nil {
						break
					}
				}
				return closedWith(s, 4422)
			},
		},
		{
			Control: "dispatch",
			Title:   "a second auth on an open socket makes it somebody else's",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				mallory, s, _, err := ownRoom(ctx, t, "closed")
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				ticket, err := mallory.Ticket(ctx, "/ws/auth")
				if err != nil {
					return Outcome{}, err
				}
				f, err := s.Ask("auth", map[string]any{"ticket": ticket})
				if err != nil {
					return lost("closed: %v", err)
				}
				if f.Type != "error" {
					return won("answered %s", f.Raw)
				}
				return lost("error %s", f.Code)
			},
		},
		{
			Control: "close",
			Title:   "the reason of a close tells what the inside is made of",
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
				if err := s.conn.WriteMessage(websocket.BinaryMessage, []byte{1}); err != nil {
					return Outcome{}, err
				}
				for {
					_, err := s.Next(callTime)
					if err == nil {
						continue
					}
					ce, ok := errors.AsType[*websocket.CloseError](err)
					if !ok {
						return Outcome{}, fmt.Errorf("no close frame: %w", err)
					}
					if ce.Text != "unsupported_data" {
						return won("the reason is %q", ce.Text)
					}
					return lost("the reason is one word of a fixed list: %s", ce.Text)
				}
			},
		},
		{
			Control: "heartbeat",
			Strict:  true,
			Title:   "a peer that has gone keeps its place: it never answers a ping",
			Run:     func(ctx context.Context, t *Target) (Outcome, error) { return silent(ctx, t, nil) },
		},
		{
			Control: "heartbeat",
			Strict:  true,
			Title:   "a peer sends pongs that nobody asked for, so as not to have to read",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				return silent(ctx, t, frame(true, opPong, []byte("12345678")))
			},
		},
	}
}

// silent opens a socket and answers no ping; it may send something once a second.
// The target must ping every second or so.
func silent(ctx context.Context, t *Target, say []byte) (Outcome, error) {
	r, err := openRawAs(ctx, t)
	if err != nil {
		return Outcome{}, err
	}
	defer r.Close()
	begin := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Since(begin) < 20*time.Second {
		<-tick.C
		if say != nil {
			_ = r.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = r.Write(say)
		}
		if code, open := r.CloseCode(10 * time.Millisecond); open == nil {
			if code != 0 && code != 4431 {
				return won("closed with %d", code)
			}
			return lost("closed with %d after %s", code, time.Since(begin).Round(time.Second))
		}
	}
	return won("still open after 20 s")
}
