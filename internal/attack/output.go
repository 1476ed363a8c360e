package attack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// markup is text that is harmless as text only.
const markup = `"><img src=x onerror=alert(1)></title><script>alert(1)</script>`

func outputAttacks() []Attack {
	return []Attack{{
		Control: "output",
		Title:   "the name of a room becomes markup of the page that shows it",
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			var room struct {
				ID string `json:"id"`
			}
			if err := victim.do(ctx, http.MethodPost, "/api/rooms", map[string]string{"title": markup, "visibility": "closed"}, http.StatusCreated, &room); err != nil {
				return Outcome{}, err
			}
			a, err := victim.Raw(ctx, http.MethodGet, "/rooms/"+room.ID, http.Header{}, nil)
			if err != nil || a.Status != http.StatusOK {
				return Outcome{}, fmt.Errorf("open the room: %d %w", a.Status, err)
			}
			return asText(a)
		}),
	}, {
		Control: "output",
		Title:   "what stands in an address becomes markup of the page, or the address of its socket",
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			q := url.QueryEscape(markup)
			for _, path := range []string{"/?socket=wss://evil.example/ws&q=" + q, "/controls?q=" + q + "&layer=" + q, "/sessions?done=" + q, "/no/such/" + url.PathEscape(markup), "/controls/" + url.PathEscape(markup)} {
				a, err := victim.Raw(ctx, http.MethodGet, path, http.Header{}, nil)
				if err != nil {
					return Outcome{}, err
				}
				if strings.Contains(string(a.Body), "evil.example") {
					return won("%s names another server in the page", path)
				}
				if o, err := asText(a); o.Won || err != nil {
					return o, err
				}
			}
			return lost("it is text wherever it is shown, and the socket's address is the server's own")
		}),
	}}
}

func asText(a Answer) (Outcome, error) {
	if body := string(a.Body); strings.Contains(body, "<img src=x") || strings.Contains(body, "<script>alert") {
		return won("the page holds it as markup")
	}
	return lost("it is shown as text")
}

func roomNameAttacks() []Attack {
	return []Attack{{
		Control: "room-names",
		Title:   "a room's id is a pattern, a separator or a key of the server's own in Redis",
		Run: withVictim(func(ctx context.Context, _ *Target, victim *Client) (Outcome, error) {
			s, err := victim.Open(ctx, Handshake{})
			if err != nil {
				return Outcome{}, err
			}
			defer s.Close()
			for _, id := range []string{"*", "?", "[a-z]", "a:b", "a\nb", "portcullis:revocations", "../bell", "room:*", "\x00"} {
				f, err := s.Ask("room.join", map[string]any{"room_id": id})
				if err != nil {
					return Outcome{}, err
				}
				if f.Type == "ack" {
					return won("joined %q", id)
				}
			}
			return lost("an id that is no id gets nowhere near a name in Redis")
		}),
	}}
}
