package attack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func ticketAttacks() []Attack {
	attacks := []Attack{
		{
			Control: "ticket",
			Title:   "a ticket from an access log is used a second time",
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				first, err := victim.Open(ctx, Handshake{Ticket: ticket})
				if err != nil {
					return Outcome{}, err
				}
				defer first.Close()
				s, err := victim.Open(ctx, Handshake{Ticket: ticket})
				return handshakeOutcome(s, err)
			}),
		},
		{
			Control: "ticket",
			Title:   "40 sockets race for one ticket",
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				var opened atomic.Int32
				var wg sync.WaitGroup
				for range 40 {
					wg.Go(func() {
						if s, err := victim.Open(ctx, Handshake{Ticket: ticket}); err == nil {
							opened.Add(1)
							s.Close()
						}
					})
				}
				wg.Wait()
				if n := opened.Load(); n > 1 {
					return won("%d sockets opened with one ticket", n)
				}
				return lost("%d socket opened", opened.Load())
			}),
		},
		{
			Control: "ticket",
			Title:   "mallory rides in on the victim's cookie with a ticket of their own",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				mallory, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				ticket, err := mallory.Ticket(ctx, "/ws")
				if err != nil {
					return Outcome{}, err
				}
				s, err := victim.Open(ctx, Handshake{Ticket: ticket})
				return handshakeOutcome(s, err)
			}),
		},
		{
			Control: "ticket",
			Title:   "a ticket for one route opens another",
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				none := ""
				s, err := victim.Open(ctx, Handshake{Route: "/ws/cli", Origin: &none, NoCookie: true, Bearer: ticket})
				return handshakeOutcome(s, err)
			}),
		},
		{
			Control: "ticket",
			Title:   "the cookie alone opens a socket, without any ticket",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				s, err := victim.Open(ctx, Handshake{NoTicket: true})
				return handshakeOutcome(s, err)
			}),
		},
		{
			Control: "ticket",
			Title:   "a newline inside the ticket makes it look like another, unused one",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				ticket, err := victim.Ticket(ctx, "/ws/auth")
				if err != nil {
					return Outcome{}, err
				}
				if o, err := firstMessage(ctx, victim, ticket); err != nil || !o.Won {
					return Outcome{}, fmt.Errorf("the honest ticket must work first: %+v %w", o, err)
				}
				return firstMessage(ctx, victim, ticket[:10]+"\n"+ticket[10:])
			}),
		},
	}
	for _, f := range forgeries {
		attacks = append(attacks, Attack{
			Control: "ticket",
			Title:   "a forged ticket: " + f.name,
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				forged, err := f.make(ticket)
				if err != nil {
					return Outcome{}, err
				}
				s, err := victim.Open(ctx, Handshake{Ticket: forged})
				return handshakeOutcome(s, err)
			}),
		})
	}
	return attacks
}

// firstMessage authenticates on /ws/auth.
func firstMessage(ctx context.Context, c *Client, ticket string) (Outcome, error) {
	s, err := c.Open(ctx, Handshake{Route: "/ws/auth"})
	if err != nil {
		return Outcome{}, err
	}
	defer s.Close()
	if _, err := s.Send("auth", map[string]any{"ticket": ticket}); err != nil {
		return Outcome{}, err
	}
	f, err := s.Next(callTime)
	if err == nil && f.Type == "hello" {
		return won("hello: %s", f.Raw)
	}
	return lost("answered %q %v", f.Code, err)
}

// forgeries turn an honest ticket into one that gives more. RFC 8725 lists most.
var forgeries = []struct {
	name string
	make func(ticket string) (string, error)
}{
	{"alg none", resign(func(h, _ map[string]any) []byte { h["alg"] = "none"; return nil })},
	{"alg None in another case", resign(func(h, _ map[string]any) []byte { h["alg"] = "nOnE"; return nil })},
	{"an empty key", resign(func(_, _ map[string]any) []byte { return []byte{} })},
	{"a key that everybody has: secret", resign(func(_, _ map[string]any) []byte { return []byte("secret") })},
	{"a kid that names a file", resign(func(h, _ map[string]any) []byte { h["kid"] = "../../dev/null"; return []byte{} })},
	{"a kid with SQL", resign(func(h, _ map[string]any) []byte { h["kid"] = "x' UNION SELECT 'k"; return []byte("k") })},
	{"a jku that the attacker hosts", resign(func(h, _ map[string]any) []byte { h["jku"] = "https://evil.example/keys"; return []byte("k") })},
	{"claims changed under the old signature", func(ticket string) (string, error) {
		parts := strings.Split(ticket, ".")
		if len(parts) != 3 {
			return "", fmt.Errorf("not a JWT")
		}
		claims, err := part(parts[1])
		if err != nil {
			return "", err
		}
		claims["exp"] = time.Now().Add(time.Hour).Unix()
		body, err := json.Marshal(claims)
		if err != nil {
			return "", err
		}
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString(body) + "." + parts[2], nil
	}},
	{"no signature at all", func(ticket string) (string, error) { return ticket[:strings.LastIndex(ticket, ".")+1], nil }},
	{"8 KiB of nothing", func(string) (string, error) { return strings.Repeat("a", 8<<10), nil }},
}

// resign changes header and claims and signs with the key that change returns; nil: not at all.
func resign(change func(header, claims map[string]any) []byte) func(string) (string, error) {
	return func(ticket string) (string, error) {
		parts := strings.Split(ticket, ".")
		if len(parts) != 3 {
			return "", fmt.Errorf("not a JWT")
		}
		header, err := part(parts[0])
		if err != nil {
			return "", err
		}
		claims, err := part(parts[1])
		if err != nil {
			return "", err
		}
		claims["jti"] = fmt.Sprintf("forged-%d", time.Now().UnixNano())
		key := change(header, claims)
		h, err := json.Marshal(header)
		if err != nil {
			return "", err
		}
		c, err := json.Marshal(claims)
		if err != nil {
			return "", err
		}
		signed := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
		if key == nil {
			return signed + ".", nil
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
	}
}

func part(s string) (map[string]any, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	m := map[string]any{}
	return m, json.Unmarshal(b, &m)
}
