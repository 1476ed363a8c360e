package attack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// More than one account may have of each.
const (
	tooManyRooms     = 60
	tooManyInvites   = 70
	tooManyReactions = 13
)

// emojis are of the fixed list.
var emojis = []string{"👍", "👎", "❤️", "😂", "😮", "😢", "🎉", "🙏", "👀", "✅", "❌", "🔥", "🚀", "💡"}

func businessAttacks() []Attack {
	return []Attack{
		{
			Control: "business-limits",
			Title:   "one account makes rooms until the list is nothing else",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				for n := range tooManyRooms {
					a, err := c.Call(ctx, http.MethodPost, "/api/rooms", map[string]string{"title": "spam", "visibility": "open"})
					if err != nil {
						return Outcome{}, err
					}
					if a.Code() == "quota" {
						return lost("the quota ended it after %d rooms", n)
					}
					if a.Status != http.StatusCreated {
						return Outcome{}, fmt.Errorf("room %d: %d %s", n, a.Status, a.Body)
					}
				}
				return won("%d rooms were made", tooManyRooms)
			},
		},
		{
			Control: "business-limits",
			Title:   "one account tries names by the dozen, as if to add their owners to a room",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				room, err := c.Room(ctx, "closed")
				if err != nil {
					return Outcome{}, err
				}
				for n := range tooManyInvites {
					a, err := c.Call(ctx, http.MethodPost, "/api/rooms/"+room+"/members", map[string]string{"username": fmt.Sprint("guess", n)})
					if err != nil {
						return Outcome{}, err
					}
					if a.Code() == "quota" {
						return lost("the quota ended it after %d names", n)
					}
				}
				return won("%d names were tried", tooManyInvites)
			},
		},
		{
			Control: "business-limits",
			Title:   "one account tries names by the dozen, as if to talk with their owners",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				for n := range tooManyInvites {
					a, err := c.Call(ctx, http.MethodPost, "/api/direct", map[string]string{"username": fmt.Sprint("guess", n)})
					if err != nil {
						return Outcome{}, err
					}
					if a.Code() == "quota" {
						return lost("the quota ended it after %d names", n)
					}
				}
				return won("%d names were tried", tooManyInvites)
			},
		},
		{
			Control: "business-limits",
			Title:   "a message is buried under reactions",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				_, s, room, err := ownRoom(ctx, t, "closed")
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				f, err := s.Ask("message.send", map[string]any{"room_id": room, "body": "poor thing"})
				if err != nil {
					return Outcome{}, err
				}
				var sent struct {
					MessageID string `json:"message_id"`
				}
				if err := unmarshal(f, &sent); err != nil {
					return Outcome{}, err
				}
				for n := range tooManyReactions {
					f, err := s.Ask("reaction.add", map[string]any{"room_id": room, "message_id": sent.MessageID, "emoji": emojis[n]})
					if err != nil {
						return Outcome{}, err
					}
					if f.Code == "quota" {
						return lost("the quota ended it after %d reactions", n)
					}
					if f.Type != "ack" {
						return Outcome{}, fmt.Errorf("reaction %d: %s", n, f.Raw)
					}
				}
				return won("%d different reactions are on it", tooManyReactions)
			},
		},
		{
			Control: "retention",
			Title:   "somebody comes back with the cookie and the password of an account that erased itself",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Person(ctx, "gone")
				if err != nil {
					return Outcome{}, err
				}
				thief := *c
				if a, err := c.Call(ctx, http.MethodDelete, "/api/account", nil); err != nil || a.Status != http.StatusNoContent {
					return Outcome{}, fmt.Errorf("erase: %d %s %w", a.Status, a.Body, err)
				}
				if a, err := thief.Call(ctx, http.MethodGet, "/api/rooms", nil); err != nil || a.Status == http.StatusOK {
					return won("the old cookie still works (%v)", err)
				}
				again, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				a, err := again.Call(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": c.User.Username, "password": Password})
				if err != nil {
					return Outcome{}, err
				}
				if a.Status == http.StatusOK {
					return won("the password still opens the account")
				}
				return lost("the cookie is dead and the password is answered with %d", a.Status)
			},
		},
		{
			Control: "retention",
			Title:   "a foreign page makes its visitor's browser fetch, or end, everything that the visitor has",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				for _, path := range []string{"/account/export", "/account/delete"} {
					fields := url.Values{"username": {victim.User.Username}}.Encode()
					a, err := victim.Raw(ctx, http.MethodPost, path, http.Header{
						"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"},
					}, strings.NewReader(fields))
					if err != nil {
						return Outcome{}, err
					}
					if a.Status < 400 || strings.Contains(string(a.Body), `"messages"`) {
						return won("%s: %d", path, a.Status)
					}
					// And no address does it, as a picture or a link could ask for.
					a, err = victim.Call(ctx, http.MethodGet, path+"?username="+victim.User.Username, nil)
					if err != nil {
						return Outcome{}, err
					}
					if a.Status != http.StatusMethodNotAllowed {
						return won("GET %s: %d", path, a.Status)
					}
				}
				if a, err := victim.Call(ctx, http.MethodGet, "/api/rooms", nil); err != nil || a.Status != http.StatusOK {
					return won("the account is gone: %d, %v", a.Status, err)
				}
				return lost("a form of another site is refused, and an address alone does nothing")
			}),
		},
	}
}
