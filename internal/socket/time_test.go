package socket

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/wire"
)

// inBubble runs test with a fake clock, a world of pipes and one connected client.
func inBubble(t *testing.T, test func(t *testing.T, w *world, c *client)) {
	t.Helper()
	codec() // compiled outside, once
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(t, w, w.login().connect())
	})
}

// endsAfter checks when and how a watched connection ended.
func endsAfter(t *testing.T, end *watcher, start time.Time, least, most time.Duration, code closeCode) {
	t.Helper()
	got := end.wait()
	if took := time.Since(start); got != int(code) || took < least || took > most {
		t.Errorf("closed with %d after %v, want %d after %v to %v", got, took, code, least, most)
	}
}

//control:proves heartbeat
func TestHeartbeat_aPeerThatDoesNotAnswerIsClosed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		c.ws.SetPingHandler(func(string) error { return nil })
		endsAfter(t, watch(c), start, 35*time.Second, 36*time.Second, closeHeartbeat)
		w.events.has(t, audit.HeartbeatLost, "no_pong")
	})
}

//control:proves heartbeat
func TestHeartbeat_forgedPongsDoNotExtend(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *world, c *client) {
		start := time.Now()
		c.ws.SetPingHandler(func(string) error { return nil })
		end := watch(c)
		for range 40 {
			_ = c.ws.WriteControl(websocket.PongMessage, []byte("12345678"), time.Now().Add(time.Second))
			time.Sleep(time.Second)
		}
		endsAfter(t, end, start, 35*time.Second, 41*time.Second, closeHeartbeat)
	})
}

//control:proves heartbeat
func TestHeartbeat_aPongCountsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *world, c *client) {
		start := time.Now()
		first := make(chan string, 10)
		c.ws.SetPingHandler(func(payload string) error { first <- payload; return nil })
		end := watch(c)
		payload := <-first // at 25 s, and nothing later is answered
		for range 12 {
			_ = c.ws.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(time.Second))
			time.Sleep(2 * time.Second)
		}
		// The first was good for 35 s; the same bytes again are worth nothing.
		endsAfter(t, end, start, 59*time.Second, 61*time.Second, closeHeartbeat)
	})
}

//control:proves revalidation
//control:proves idle
func TestSession_anHonestIdleClientLivesUntilTheIdleEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		endsAfter(t, watch(c), start, 30*time.Minute, 30*time.Minute+time.Second, closeExpired)
		w.events.has(t, audit.IdleTimeout, "idle_end")
	})
}

//control:proves revalidation
//control:proves idle
func TestSession_activityMovesTheIdleEndButNeverTheAbsoluteEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		room := w.chat.room()
		end := watch(c)
		c.send(wire.RoomJoin, map[string]any{"room_id": room.String()})
		for range 48 { // 8 hours
			c.send(wire.MessageSend, map[string]any{"room_id": room.String(), "body": "x"})
			time.Sleep(10 * time.Minute)
		}
		endsAfter(t, end, start, 8*time.Hour, 8*time.Hour+time.Second, closeExpired)
		w.events.has(t, audit.SessionExpired, "absolute_end")
	})
}

//control:proves dispatch
//control:proves revalidation
//control:proves idle
func TestSession_whatAPageDoesByItselfIsNoActivity(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		room := w.chat.room()
		end := watch(c)
		for range 29 {
			c.send(wire.RoomJoin, map[string]any{"room_id": room.String()})
			c.send(wire.ReadMark, map[string]any{"room_id": room.String(), "seq": 0})
			time.Sleep(time.Minute)
		}
		endsAfter(t, end, start, 30*time.Minute, 30*time.Minute+time.Second, closeExpired)
	})
}

//control:proves revalidation
//control:proves idle
func TestSession_activityElsewhereKeepsTheSocket(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		end := watch(c)
		time.Sleep(29 * time.Minute)
		if _, err := w.sessions.Touch(t.Context(), c.login.sid); err != nil {
			t.Fatal(err)
		}
		endsAfter(t, end, start, 59*time.Minute, 59*time.Minute+time.Second, closeExpired)
	})
}

//control:proves revalidation
func TestRevalidation_findsARevocationThatNobodyTold(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		w.sessions.revoke(c.login.sid)
		endsAfter(t, watch(c), start, 9*time.Minute, 11*time.Minute, closeRevoked)
		w.events.has(t, audit.RevokedClose, "session_gone")
	})
}

//control:proves revalidation
func TestRevalidation_aStoreThatCannotAnswerEndsTheSocket(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		w.sessions.fail(errors.New("down"))
		endsAfter(t, watch(c), start, 9*time.Minute, 11*time.Minute, closeTryLater)
		w.events.has(t, audit.FailClosed, "session_store")
	})
}

//control:proves frames
func TestRead_aMessageThatIsNotFinishedIsCutOffWhateverThePongsSay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		start := time.Now()
		end := watch(c)
		// A text frame of 100 bytes of which one comes every second.
		if _, err := c.ws.NetConn().Write([]byte{0x81, 0x80 | 100, 1, 2, 3, 4}); err != nil {
			t.Fatal(err)
		}
		for range 12 {
			_, _ = c.ws.NetConn().Write([]byte{'x'})
			time.Sleep(time.Second)
		}
		endsAfter(t, end, start, 10*time.Second, 12*time.Second+closeWait, closePolicy)
		w.events.has(t, audit.FrameAbuse, "slow_message")
	})
}

//control:proves first-message
func TestAuth_nothingWithinFiveSecondsEndsIt(t *testing.T) {
	codec()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, _, err := w.try(w.login().request("/ws/auth"))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		endsAfter(t, watch(c), start, authWindow, authWindow+time.Second, closeAuth)
		w.events.has(t, audit.HandshakeReject, "timeout")
	})
}

//control:proves revocation
func TestRevoke_endsEverySocketOfTheSessionAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		l := c.login
		same, other := l.connect(), w.loginAs(l.user).connect()
		ends, stays := []*watcher{watch(c), watch(same)}, watch(other)
		time.Sleep(time.Second)
		start := time.Now()
		w.sessions.revoke(l.sid)
		w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: l.sid}, User: l.user, Reason: "sign_out", At: start.Add(-40 * time.Millisecond)})
		w.server.Revoke(chat.Revocation{Session: chat.SessionID{UUID: l.sid}, User: l.user, Reason: "sign_out", At: start})
		for _, end := range ends {
			endsAfter(t, end, start, 0, 0, closeRevoked)
		}
		synctest.Wait()
		if len(stays.frames()) != 0 || w.server.SocketsOf(t.Context(), l.user)[chat.SessionID{UUID: l.sid}] != 0 {
			t.Error("the other session was hurt, or this one is still counted")
		}
		if n := w.server.Count(chat.SessionID{UUID: other.login.sid}); n != 1 {
			t.Errorf("the other session has %d sockets, want 1", n)
		}
		if e, _ := w.events.find(audit.RevokedClose); e.Took != 40*time.Millisecond || e.Reason != "sign_out" {
			t.Errorf("event %+v", e)
		}
	})
}

//control:proves ratelimit
func TestRateLimit_isToldOnceASecondAndThenCloses(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		room := w.chat.room()
		end := watch(c)
		for range 20 + 10 {
			c.send(wire.ReadMark, map[string]any{"room_id": room.String(), "seq": 0})
		}
		synctest.Wait()
		told := 0
		for _, f := range end.frames() {
			if f.Code == string(wire.RateLimited) {
				told++
				if f.Retry <= 0 || f.Re == "" {
					t.Errorf("refusal without a way on: %+v", f)
				}
			}
		}
		if told != 1 {
			t.Errorf("told %d times within one second, want once", told)
		}
		for range maxRefused {
			c.send(wire.ReadMark, map[string]any{"room_id": room.String(), "seq": 0})
		}
		if code := end.wait(); code != int(closeRateLimited) {
			t.Errorf("closed with %d, want 4429", code)
		}
		w.events.has(t, audit.RateLimitExceeded, "connection")
	})
}

//control:proves revocation
func TestBlind_closesEverybody(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, c *client) {
		end := watch(c)
		w.server.Blind()
		if code := end.wait(); code != int(closeTryLater) {
			t.Errorf("closed with %d, want 1013", code)
		}
		w.events.has(t, audit.FailClosed, "fanout")
	})
}
