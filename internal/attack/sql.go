package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// payloads are search texts that a statement glued together from text would run.
// None of their words stands in the room that is searched.
var payloads = []string{
	`' OR '1'='1`,
	`') OR 1=1 --`,
	`%`, `_`, `*`, `\`,
	`'; DROP TABLE messages; --`,
	`' UNION SELECT username, password_hash, 1, 1 FROM users --`,
	`$$ OR true $$`,
	`:* | !nothing`,
	`"); SELECT pg_sleep(5); --`,
	`' || pg_sleep(5) || '`,
}

func sqlAttacks() []Attack {
	return []Attack{{
		Control: "sql",
		Title:   "a search text is run as SQL: it finds everything, sleeps, or drops a table",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			mallory, s, room, err := ownRoom(ctx, t, "closed")
			if err != nil {
				return Outcome{}, err
			}
			defer s.Close()
			const body = "lanterns along the quay"
			if f, err := s.Ask("message.send", map[string]any{"room_id": room, "body": body}); err != nil || f.Type != "ack" {
				return Outcome{}, fmt.Errorf("send: %s %w", f.Raw, err)
			}
			search := func(q string) (found int, took time.Duration, a Answer, err error) {
				begin := time.Now()
				a, err = mallory.Call(ctx, http.MethodGet, "/api/rooms/"+room+"/search?q="+url.QueryEscape(q), nil)
				var page struct {
					Messages []json.RawMessage `json:"messages"`
				}
				_ = json.Unmarshal(a.Body, &page)
				return len(page.Messages), time.Since(begin), a, err
			}
			for _, p := range payloads {
				found, took, a, err := search(p)
				switch {
				case err != nil:
					return Outcome{}, err
				case found > 0:
					return won("%q found %d messages", p, found)
				case took > 4*time.Second:
					return won("%q slept for %s", p, took)
				case a.Status >= http.StatusInternalServerError:
					return won("%q broke the statement: %d %s", p, a.Status, a.Body)
				}
			}
			if found, _, _, err := search("lanterns"); err != nil || found != 1 {
				return won("after it an honest search finds %d messages: %v", found, err)
			}
			return lost("%d texts found nothing, and the room is as it was", len(payloads))
		},
	}}
}
