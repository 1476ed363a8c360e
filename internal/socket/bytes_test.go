package socket

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/wire"
)

// Twenty messages may be sent at once. Twenty of 64 KB are 1.3 MB, and are stopped by
// the budget of bytes long before that of messages.
//
//control:proves ratelimit
func TestRateLimit_largeMessagesSpendTheBytesBeforeTheCount(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		room := w.chat.room()
		send := func(c *client, size int) int {
			end, sent := watch(c), 20
			for range sent {
				text := `{"v":1,"id":"` + uuid.Must(uuid.NewV7()).String() + `","type":"read.mark","data":{"room_id":"` + room.String() + `","seq":0}}`
				text += strings.Repeat(" ", max(0, size-len(text)))
				if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			answered := 0
			for _, f := range end.frames() {
				if f.Code != string(wire.RateLimited) {
					answered++
				}
			}
			return answered
		}
		most := byteLimit(w.server.Config).Burst / messageBytes
		if got := send(w.login().connect(), 64_000); got > most+1 || got < 1 {
			t.Errorf("%d messages of 64 KB were taken at once, the bytes are for %d", got, most)
		}
		if got := send(c, 0); got != 20 {
			t.Errorf("%d small messages were taken at once, want 20", got)
		}
		w.events.has(t, audit.RateLimitExceeded, "connection")
	})
}
