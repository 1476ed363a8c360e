package fanout

import (
	"regexp"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
)

// A channel takes a room's id and no text, and text becomes an id in one spelling only.
//
//control:proves room-names
func TestChannel_noTextOfAClientBecomesAName(t *testing.T) {
	n := &Node{prefix: "portcullis:"}
	for _, text := range []string{"", "*", "?", "[a-z]*", "a:b", "a\nb", "\x00", "../bell", "room:*", "portcullis:revocations", "urn:uuid:0198c0de-0000-7000-8000-000000000001",
		"{0198c0de-0000-7000-8000-000000000001}", "0198C0DE-0000-7000-8000-000000000001", "0198c0de00007000800000000000001f", "0198c0de-0000-7000-8000-000000000001\n"} {
		if id, err := chat.ParseRoomID(text); err == nil {
			t.Errorf("%q became the channel %q", text, n.channel(id))
		}
	}
	form := regexp.MustCompile(`^portcullis:room:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for range 100 {
		if got := n.channel(chat.RoomID{UUID: uuid.New()}); !form.MatchString(got) {
			t.Errorf("channel %q", got)
		}
	}
}
