package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/testkit"
	"example.com/portcullis/internal/wire"
)

//control:proves close
//control:proves drain
func TestTalk_aMessageReachesEveryMemberAndIsAcknowledged(t *testing.T) {
	for name, options := range map[string][]worldOption{"pipe": nil, "tcp": {overTCP}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options...)
			room := w.chat.room()
			a, b := w.login().connect(), w.login().connect()
			if got := a.join(room); got.Data.Role != "member" {
				t.Errorf("role is %q", got.Data.Role)
			}
			b.join(room)
			answer, _ := a.ask(wire.MessageSend, map[string]any{"room_id": room.String(), "body": "hi"})
			if answer.Type != "ack" && answer.Type != "message.new" {
				t.Fatalf("answer: %+v", answer)
			}
			if f := b.read(); f.Type != "message.new" || f.Seq != 1 {
				t.Errorf("b received %+v", f)
			}
			if n := w.server.Count(chat.SessionID{UUID: a.login.sid}); n != 1 {
				t.Errorf("Count = %d, want 1", n)
			}
			end := watch(b)
			watch(a)
			w.stop()
			if code := end.wait(); code != int(closeRestart) {
				t.Errorf("closed with %d, want 1012", code)
			}
			if got := end.frames(); name == "tcp" && (len(got) != 1 || got[0].Type != "notice" || got[0].Data.Slug != noticeSlug) {
				t.Errorf("before the end: %+v, want one notice", got)
			}
		})
	}
}

func TestTalk_joinGivesWhatWasMissedThenTheAck(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	w.chat.post(room, 7, "earlier")
	c := w.login().connect()
	ack, before := c.ask(wire.RoomJoin, map[string]any{"room_id": room.String(), "after_seq": 4})
	if ack.Type != "ack" || ack.Data.HeadSeq != 7 || ack.Data.Role != "member" {
		t.Errorf("answer %+v", ack)
	}
	if len(before) != 3 || before[0].Seq != 5 || before[2].Seq != 7 {
		t.Errorf("missed: %+v, want 5 to 7", before)
	}
	w.chat.post(room, 600, "much")
	c.send(wire.RoomLeave, map[string]any{"room_id": room.String()})
	d := w.login().connect()
	ack, before = d.ask(wire.RoomJoin, map[string]any{"room_id": room.String(), "after_seq": 1})
	if len(before) != 1 || before[0].Type != "resync" || before[0].Data.HeadSeq != 607 || ack.Data.HeadSeq != 607 {
		t.Errorf("a gap of 606: %+v then %+v, want resync", before, ack)
	}
	if f, _ := d.ask(wire.RoomJoin, map[string]any{"room_id": room.String()}); f.Type != "ack" {
		t.Errorf("joining twice: %+v", f)
	}
}

//control:proves replay
func TestTalk_theSameCommandTwiceIsOneMessage(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	c := w.login().connect()
	c.join(room)
	id := uuid.Must(uuid.NewV7())
	var acks []frame
	for range 2 {
		b, _ := json.Marshal(map[string]any{"v": 1, "id": id, "type": "message.send", "data": map[string]any{"room_id": room, "body": "once"}})
		if err := c.ws.WriteMessage(websocket.TextMessage, b); err != nil {
			t.Fatal(err)
		}
	}
	news := 0
	for len(acks) < 2 || news < 1 {
		switch f := c.read(); f.Type {
		case "ack":
			acks = append(acks, f)
		case "message.new":
			news++
		}
	}
	w.chat.post(room, 1, "another")
	if f := c.read(); f.Seq != 2 {
		t.Errorf("the next message is %+v, want seq 2", f)
	}
	if news != 1 || acks[0].Data.MessageID != acks[1].Data.MessageID || acks[0].Data.Seq != 1 {
		t.Errorf("%d messages, acks %+v", news, acks)
	}
	w.events.has(t, audit.ReplayRejected, "client_id")
}

//control:proves dispatch
//control:proves errors
func TestTalk_errorsOfTheCoreHaveOneWordEach(t *testing.T) {
	for _, test := range []struct {
		err  error
		want wire.Code
	}{
		{chat.ErrDenied, wire.Denied},
		{&chat.Error{Kind: chat.Conflict}, wire.Duplicate},
		{&chat.Error{Kind: chat.RateLimited, RetryAfter: 2 * time.Second}, wire.RateLimited},
		{&chat.Error{Kind: chat.TooLarge}, wire.TooLarge},
		{&chat.Error{Kind: chat.Quota}, wire.Quota},
		{&chat.Error{Kind: chat.Busy}, wire.Busy},
		{&chat.Error{Kind: chat.Invalid}, wire.BadSchema},
		{errors.New("relation \"secret\" does not exist"), wire.Internal},
		{context.DeadlineExceeded, wire.Busy},
	} {
		t.Run(string(test.want), func(t *testing.T) {
			w := newWorld(t, overTCP)
			w.chat.before = func(string) error { return test.err }
			c := w.login().connect()
			f := c.say(w.chat.room(), "x")
			if f.Type != "error" || f.Code != string(test.want) {
				t.Errorf("answer %+v, want %s", f, test.want)
			}
			if test.want == wire.RateLimited && f.Retry != 2000 {
				t.Errorf("retry_ms %d", f.Retry)
			}
		})
	}
}

//control:proves close
//control:proves dispatch
func TestTalk_aPanicEndsOneConnectionOnly(t *testing.T) {
	w := newWorld(t, overTCP)
	room := w.chat.room()
	a, b := w.login().connect(), w.login().connect()
	a.join(room)
	b.join(room)
	w.chat.before = func(what string) error {
		if what == "react" {
			panic("secret value")
		}
		return nil
	}
	a.send(wire.ReactionAdd, map[string]any{"room_id": room, "message_id": uuid.NewString(), "emoji": "👍"})
	if code := a.closed(); code != int(closeInternal) {
		t.Errorf("closed with %d, want 1011", code)
	}
	if f := b.say(room, "still here"); f.Type == "error" {
		t.Errorf("answer %+v", f)
	}
	e, ok := w.events.find(audit.Crash)
	if !ok || strings.Contains(fmt.Sprint(e), "secret value") {
		t.Errorf("event %+v", e)
	}
}

//control:proves close
//control:proves dispatch
//control:proves first-message
//control:proves frames
func TestTalk_framesThatAreNotCommands(t *testing.T) {
	for _, test := range []struct {
		name  string
		kind  int
		data  string
		close int // 0: stays open
		code  wire.Code
		event audit.Name
	}{
		{"not JSON", websocket.TextMessage, "{", 0, wire.BadJSON, audit.InputFail},
		{"unknown type", websocket.TextMessage, `{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"admin.kill","data":{}}`, 0, wire.UnknownType, audit.InputDiscreteFail},
		{"auth out of place", websocket.TextMessage, `{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"auth","data":{"ticket":"a.b.c"}}`, 0, wire.BadState, audit.SequenceFail},
		{"binary", websocket.BinaryMessage, "x", 1003, "", audit.ProtocolError},
		{"close code that may not be sent", websocket.CloseMessage, "\x03\xed", 1002, "", audit.ProtocolError},
		{"not UTF-8", websocket.TextMessage, "\xff\xfe", 1007, "", audit.ProtocolError},
		{"too big", websocket.TextMessage, strings.Repeat("x", messageBytes+1), 1009, "", audit.MessageTooBig},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, overTCP)
			c := w.login().connect()
			if err := c.ws.WriteMessage(test.kind, []byte(test.data)); err != nil {
				t.Fatal(err)
			}
			if test.close != 0 {
				if code := c.closed(); code != test.close || c.word != slugs[closeCode(code)] {
					t.Errorf("closed with %d %q, want %d and our word for it", code, c.word, test.close)
				}
			} else if f := c.read(); f.Type != "error" || f.Code != string(test.code) {
				t.Errorf("answer %+v, want %s", f, test.code)
			}
			if _, ok := w.events.find(test.event); !ok {
				t.Errorf("no event %s", test.event)
			}
		})
	}
}

//control:proves dispatch
func TestTalk_tooManyInvalidFramesEndIt(t *testing.T) {
	w := newWorld(t, overTCP)
	c := w.login().connect()
	for range maxInvalid {
		if err := c.ws.WriteMessage(websocket.TextMessage, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if code := c.closed(); code != int(closeInvalid) {
		t.Errorf("closed with %d, want 4422", code)
	}
}

//control:proves dispatch
func TestTalk_roomsPerConnectionAreBounded(t *testing.T) {
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) { n.MessageBurst, n.MessagesPerMinute = 1000, 6000 }))
	c := w.login().connect()
	for range maxRooms {
		c.join(w.chat.room())
	}
	if f, _ := c.ask(wire.RoomJoin, map[string]any{"room_id": w.chat.room().String()}); f.Code != string(wire.Quota) {
		t.Errorf("room %d: %+v, want quota", maxRooms+1, f)
	}
}

//control:proves close
func TestTalk_thePeersCloseIsAnsweredWithItsCode(t *testing.T) {
	w := newWorld(t, overTCP)
	c := w.login().connect()
	if err := c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(3333, "mine")); err != nil {
		t.Fatal(err)
	}
	if code := c.closed(); code != 3333 {
		t.Errorf("answered with %d", code)
	}
	testkit.Eventually(t, testWait, func() bool { return w.gate.inside() == 0 })
	if e, _ := w.events.find(audit.Disconnect); e.CloseCode != 3333 || e.Reason != "peer" {
		t.Errorf("event %+v", e)
	}
}

func TestTalk_commandsAreChargedToTheClientsNetworkAndTheRoomOnlyWhenJoined(t *testing.T) {
	w := newWorld(t, overTCP)
	room, other := w.chat.room(), w.chat.room()
	c := w.login().connect()
	c.join(room)
	for _, id := range []chat.RoomID{room, other} {
		c.ask(wire.MessageSend, map[string]any{"room_id": id.String(), "body": "whose budget?"})
	}
	w.chat.mu.Lock()
	defer w.chat.mu.Unlock()
	if len(w.chat.sends) != 2 {
		t.Fatalf("%d sends", len(w.chat.sends))
	}
	for i, s := range w.chat.sends {
		if s.actor.Client != "192.0.2.7/32" {
			t.Errorf("charged to network %q: everybody would share one budget", s.actor.Client)
		}
		if joined := i == 0; s.draft.Subscribed != joined {
			t.Errorf("room %d: subscribed %v, want %v: a stranger could spend the room's budget", i, s.draft.Subscribed, joined)
		}
	}
}
