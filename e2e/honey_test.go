package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/postgres"
	"example.com/portcullis/internal/secret"
)

// Mallory has a copy of the database and goes through its rooms. One of them is honey.
// It answers as every other one does, and tells on them at the first touch, by whatever
// door they come.
//
//control:proves detection
//control:proves existence
func TestHoney_looksLikeEveryOtherRoomAndTellsAtTheFirstTouch(t *testing.T) {
	t.Parallel()
	env := backends(t)
	s := startGenerous(t, env...)
	db, err := postgres.Open(t.Context(), secret.NewText(variable(env, "DATABASE_URL")), postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	honey, err := db.Responses().Honey(t.Context())
	if err != nil || len(honey.Rooms) != 1 || len(honey.Usernames) != 1 {
		t.Fatalf("honey %+v, %v", honey, err)
	}
	theirs := room(t, signUp(t, s, "alice"), "closed")
	const id = "0198c0de-0000-7000-8000-00000000000c"
	api := func(method, path string, body any) func(t *testing.T, c *attack.Client, room string) string {
		return func(t *testing.T, c *attack.Client, room string) string {
			a, err := c.Call(t.Context(), method, "/api/rooms/"+room+path, body)
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(string(a.Body), `"request_id"`)
			return http.StatusText(a.Status) + text
		}
	}
	over := func(typ string, d data) func(t *testing.T, c *attack.Client, room string) string {
		return func(t *testing.T, c *attack.Client, room string) string {
			d["room_id"] = room
			return answer(t, open(t, c, attack.Handshake{}), id, typ, d)
		}
	}
	for name, touch := range map[string]func(t *testing.T, c *attack.Client, room string) string{
		"join":   over("room.join", data{}),
		"write":  over("message.send", data{"body": "hi"}),
		"read":   api(http.MethodGet, "/messages", nil),
		"search": api(http.MethodGet, "/search?q=key", nil),
		"who":    api(http.MethodGet, "/members", nil),
		"invite": api(http.MethodPost, "/members", data{"username": "alice"}),
	} {
		t.Run(name, func(t *testing.T) {
			mallory := signUp(t, s, "mallory")
			other, none := touch(t, mallory, theirs), touch(t, mallory, uuid.NewString())
			mark := s.Logs.Mark()
			bait := touch(t, mallory, honey.Rooms[0])
			if bait != other || bait != none || !strings.Contains(bait, "denied") {
				t.Errorf("honey: %s\nnot theirs: %s\nnot there: %s", bait, other, none)
			}
			told := func(e Event) bool { return e.Name == "detect_rule_fired" && e.Reason == "honey_room" }
			if _, ok := s.Logs.Wait(mark, soon, told); !ok {
				t.Errorf("nobody was told; there were %v", s.Logs.summary(mark))
			}
		})
	}
	t.Run("sign in", func(t *testing.T) {
		mark := s.Logs.Mark()
		var answers []string
		for _, name := range []string{honey.Usernames[0], "nobody-of-that-name", "alice"} {
			c, err := s.Target(t).Visit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.Call(t.Context(), http.MethodPost, "/api/sign-in", data{"username": name, "password": "guess guess guess"})
			if err != nil {
				t.Fatal(err)
			}
			text, _, _ := strings.Cut(string(a.Body), `"request_id"`)
			answers = append(answers, http.StatusText(a.Status)+text)
		}
		if answers[0] != answers[1] || answers[0] != answers[2] {
			t.Errorf("different answers: %q", answers)
		}
		told := func(e Event) bool { return e.Name == "detect_rule_fired" && e.Reason == "honey_account" }
		if _, ok := s.Logs.Wait(mark, soon, told); !ok {
			t.Errorf("nobody was told; there were %v", s.Logs.summary(mark))
		}
	})
}
