package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
)

// One user, five sockets on each of two nodes, every one of them below its own limit: the
// budget of the user holds over all of them.
//
//control:proves ratelimit
func TestNodes_oneUserOverTenSocketsStaysWithinOneBudget(t *testing.T) {
	t.Parallel()
	const perMinute, burst, userTimes, each = 60, 10, 3, 40 // three times the connection's, as docs/controls/ratelimit.md says
	env := append(backends(t), fmt.Sprint("PORTCULLIS_MESSAGES_PER_MINUTE=", perMinute), fmt.Sprint("PORTCULLIS_MESSAGE_BURST=", burst),
		"PORTCULLIS_SOCKETS_PER_USER=10", "PORTCULLIS_HANDSHAKES_PER_MINUTE=1000")
	a, b := twoNodes(t, env...)
	alice := signUp(t, a, "alice")
	id := room(t, alice, "closed")
	var sockets []*attack.Socket
	for range 5 {
		sockets = append(sockets, open(t, alice, attack.Handshake{}), open(t, at(t, alice, b), attack.Handshake{}))
	}
	begin := time.Now()
	stored := make([]int, len(sockets))
	var flood sync.WaitGroup
	for i, s := range sockets {
		flood.Go(func() {
			sent := []string{}
			for n := range each {
				command, err := s.Send("message.send", data{"room_id": id, "body": fmt.Sprint(i, " ", n)})
				if err != nil {
					break // closed for not listening: that is a refusal, too
				}
				sent = append(sent, command)
			}
			for { // until nothing more comes: refusals are told once a second at most
				f, err := s.Next(1500 * time.Millisecond)
				if err != nil {
					return
				}
				if f.Type == "ack" && slices.Contains(sent, f.Re) {
					stored[i]++
				}
			}
		})
	}
	flood.Wait()
	took, total := time.Since(begin), 0
	for _, n := range stored {
		total += n
	}
	most := userTimes*burst + int(took.Seconds()*userTimes*perMinute/60) + 1
	t.Logf("%d of %d messages over %d sockets were stored in %s, at most %d may be", total, each*len(sockets), len(sockets), took.Round(time.Millisecond), most)
	if total > most || total < burst {
		t.Errorf("%d messages were stored, want %d to %d", total, burst, most)
	}
}
