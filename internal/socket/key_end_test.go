package socket

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
)

// A service's key was rotated: what it opened ends with the overlap, to the second, and
// nothing that the connection reads or does afterwards moves that.
//
//control:proves service-identity
//control:proves revalidation
func TestRevoke_withATimeEndsTheSessionThenAndNotLater(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withNumbers(func(n *Numbers) { n.SessionIdle = 12 * time.Hour }))
		l := w.login()
		room := w.chat.room()
		c := l.connect()
		other := watch(w.loginAs(l.user).connect())
		c.join(room)
		start := time.Now()
		r := chat.Revocation{Session: chat.SessionID{UUID: l.sid}, User: l.user, Reason: "key_rotated", At: start, Until: start.Add(time.Hour)}
		w.server.Revoke(r)
		later := r
		later.Until = start.Add(2 * time.Hour)
		w.server.Revoke(later) // of another rotation
		c.say(room, "as before")
		end := watch(c)
		endsAfter(t, end, start, time.Hour, time.Hour+time.Second, closeExpired)
		w.events.has(t, audit.SessionExpired, "absolute_end")
		for _, f := range other.frames() {
			t.Errorf("another session got %+v", f)
		}
		w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: uuid.New()}, User: l.user, Reason: "key_rotated", At: start, Until: start})
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-other.done:
			t.Error("another session's socket ended")
		default:
		}
	})
}
