package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/attack"
)

// median is robust against the pauses of a busy machine, which hit both sides.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// A stranger asks for a room that is not theirs and for one that is not there, again and
// again, in turns. The answers are the same bytes, and their times tell nothing either.
//
//control:proves existence
func TestExistence_neitherBytesNorTimeTellARoomThatIsNotYoursFromNone(t *testing.T) {
	t.Parallel()
	const samples, warmUp, ratio = 150, 20, 1.5
	s := startGenerous(t)
	alice, mallory := signUp(t, s, "alice"), signUp(t, s, "mallory")
	theirs, none := room(t, alice, "closed"), uuid.NewString()
	as := enter(t, alice, theirs)
	for n := range 20 { // a room with something in it takes no longer to refuse
		say(t, as, theirs, fmt.Sprint("secret ", n))
	}
	socket := open(t, mallory, attack.Handshake{})
	const id = "0198c0de-0000-7000-8000-00000000000b"
	over := map[string]func(room string) string{
		"GET messages": func(room string) string {
			a := call(t, mallory, http.MethodGet, "/api/rooms/"+room+"/messages", nil, http.StatusNotFound, nil)
			body := string(a.Body)
			if at := strings.Index(body, `"request_id"`); at > 0 {
				body = body[:at]
			}
			return fmt.Sprint(a.Status, len(a.Body), body)
		},
		"GET members": func(room string) string {
			return fmt.Sprint(call(t, mallory, http.MethodGet, "/api/rooms/"+room+"/members", nil, http.StatusNotFound, nil).Code())
		},
		"room.join": func(room string) string { return answer(t, socket, id, "room.join", data{"room_id": room}) },
		"message.send": func(room string) string {
			return answer(t, socket, id, "message.send", data{"room_id": room, "body": "hi"})
		},
	}
	for name, try := range over {
		var took [2][]time.Duration
		seen := map[string]bool{}
		for n := range samples + warmUp {
			order := []int{0, 1}
			if n%2 == 1 {
				order = []int{1, 0} // neither is always the first
			}
			for _, which := range order {
				begin := time.Now()
				got := try([]string{theirs, none}[which])
				if d := time.Since(begin); n >= warmUp {
					took[which] = append(took[which], d)
				}
				seen[got] = true
			}
		}
		if len(seen) != 1 {
			t.Errorf("%s: %d different answers: %v", name, len(seen), seen)
		}
		a, b := median(took[0]), median(took[1])
		t.Logf("%s: not yours %s, not there %s", name, a, b)
		// A look-up that is left out or made twice is a factor of two, or milliseconds.
		if max(a, b) > time.Duration(float64(min(a, b))*ratio)+500*time.Microsecond {
			t.Errorf("%s: not yours takes %s, not there %s", name, a, b)
		}
	}
}

// answer is the whole answer to a command, as text.
func answer(t *testing.T, s *attack.Socket, id, typ string, d data) string {
	t.Helper()
	s.Seen = nil
	if err := s.SendAs(id, typ, d); err != nil {
		t.Fatal(err)
	}
	f, err := s.Answer(id)
	if err != nil {
		t.Fatal(err)
	}
	return f.Raw
}
