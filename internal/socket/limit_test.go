package socket

import (
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/chat"
)

// ended is what every node hears, several times, of a session that the limit ended.
func (l login) ended() chat.Revocation {
	return chat.Revocation{Session: chat.SessionID{UUID: l.sid}, User: l.user, Reason: chat.ReasonSessionLimit, At: time.Now()}
}

// A thief signs in at one more place. The owner's sockets that are open hear of it, once
// each, in the encoding they speak; the ended one learns why, and nobody else anything.
//
//control:proves session-limit
func TestSessionLimit_tellsTheUsersOtherSocketsOnceAndTheEndedOneWhy(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		oldest := w.login()
		phone, tablet, stranger := w.loginAs(oldest.user), w.loginAs(oldest.user), w.login()
		end, other := watch(oldest.connect()), watch(stranger.connect())
		text := watch(phone.connect())
		board, _, err := w.try(phone.request("/ws/public"))
		if err != nil {
			t.Fatal(err)
		}
		board.read()
		public := watch(board)
		time.Sleep(time.Minute)
		pack := tablet.packed("/ws") // opened here: it answers no ping before it is read
		if f := pack.readPacked(); f.Type != "hello" {
			t.Fatalf("first frame %q", f.Type)
		}
		time.Sleep(time.Second)

		r := oldest.ended()
		w.server.Revoke(r)
		if code := end.wait(); code != int(closeLimit) {
			t.Errorf("the ended session's socket closed with %d, want %d", code, closeLimit)
		}
		if f := pack.readPacked(); f.Type != "notice" || f.Data.Slug != noticeLimit {
			t.Errorf("in MessagePack: %+v", f)
		}
		newest := watch(w.loginAs(oldest.user).connect()) // its page has told it already
		for range 30 {                                    // as the polls of the outbox do
			time.Sleep(2 * time.Second)
			w.server.Revoke(r)
		}
		synctest.Wait()
		if got := text.frames(); len(got) != 1 || got[0].Type != "notice" || got[0].Data.Slug != noticeLimit {
			t.Errorf("the other socket got %+v, want one notice", got)
		}
		for name, got := range map[string][]frame{"a stranger": other.frames(), "the newest": newest.frames(), "the announcements": public.frames(), "the ended one": end.frames()} {
			if len(got) != 0 {
				t.Errorf("%s got %+v", name, got)
			}
		}

		time.Sleep(tellEvery)
		next := tablet.ended()
		w.server.Revoke(next)
		synctest.Wait()
		if got := text.frames(); len(got) != 2 {
			t.Errorf("the next time: %d notices, want 2", len(got))
		}
	})
}

// Any other end of a session is that session's alone.
//
//control:proves session-limit
func TestRevoke_tellsNobodyElseOfOtherEnds(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		oldest := w.login()
		end, other := watch(oldest.connect()), watch(w.loginAs(oldest.user).connect())
		time.Sleep(time.Minute)
		r := oldest.ended()
		r.Reason = "sign_out"
		w.server.Revoke(r)
		if code := end.wait(); code != int(closeRevoked) {
			t.Errorf("closed with %d, want %d", code, closeRevoked)
		}
		synctest.Wait()
		if got := other.frames(); len(got) != 0 {
			t.Errorf("told %+v", got)
		}
	})
}
