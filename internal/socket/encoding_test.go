package socket

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/tinylib/msgp/msgp"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/wire"
)

// packed opens a socket that speaks MessagePack.
func (l login) packed(path string) *client {
	l.w.t.Helper()
	r := l.request(path)
	r.protocols[0] = wire.SubprotocolPack
	c, resp, err := l.w.try(r)
	if err != nil {
		l.w.t.Fatalf("connect: %v", err)
	}
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != wire.SubprotocolPack {
		l.w.t.Fatalf("selected %q", got)
	}
	c.login = l
	return c
}

// readPacked reads the next frame, which must be binary.
func (c *client) readPacked() frame {
	c.t.Helper()
	kind, b, err := c.ws.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage {
		c.t.Fatalf("read: kind %d, %v", kind, err)
	}
	var asJSON bytes.Buffer
	if _, err := msgp.UnmarshalAsJSON(&asJSON, b); err != nil {
		c.t.Fatalf("not MessagePack: %v", err)
	}
	var f frame
	if err := json.Unmarshal(asJSON.Bytes(), &f); err != nil {
		c.t.Fatal(err)
	}
	return f
}

// askPacked sends a command as MessagePack and returns its answer.
func (c *client) askPacked(kind wire.Type, data map[string]any) (answer frame, before []frame) {
	c.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	text, err := json.Marshal(map[string]any{"v": 1, "id": id, "type": kind, "data": data})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, wire.Repack(nil, text)); err != nil {
		c.t.Fatal(err)
	}
	for {
		f := c.readPacked()
		if f.Re == id {
			return f, before
		}
		before = append(before, f)
	}
}

//control:proves msgpack
func TestTalk_bothEncodingsShareARoom(t *testing.T) {
	w := newWorld(t)
	room := w.chat.room()
	text, packed := w.login().connect(), w.login().packed("/ws")
	if f := packed.readPacked(); f.Type != "hello" {
		t.Fatalf("first frame %+v", f)
	}
	text.join(room)
	if f, _ := packed.askPacked(wire.RoomJoin, map[string]any{"room_id": room.String()}); f.Type != "ack" || f.Data.Role != "member" {
		t.Fatalf("join: %+v", f)
	}
	if f := text.say(room, "from JSON"); f.Type != "ack" {
		t.Fatalf("send: %+v", f)
	}
	if f := packed.readPacked(); f.Type != "message.new" || f.Seq != 1 || !bytes.Contains(f.Data.Message, []byte("from JSON")) {
		t.Errorf("packed received %+v", f)
	}
	answer, before := packed.askPacked(wire.MessageSend, map[string]any{"room_id": room.String(), "body": "from MessagePack"})
	if answer.Type != "ack" || answer.Data.Seq != 2 {
		t.Errorf("send: %+v after %+v", answer, before)
	}
	for _, c := range []*client{w.login().packed("/ws"), w.login().packed("/ws/cli")} {
		if f := c.readPacked(); f.Type != "hello" {
			t.Fatalf("first frame %+v", f)
		}
		answer, before := c.askPacked(wire.RoomJoin, map[string]any{"room_id": room.String(), "after_seq": 0})
		missed := 0
		for _, f := range before {
			if f.Type == "message.new" {
				missed++
			}
		}
		if answer.Data.HeadSeq != 2 || missed != 2 {
			t.Errorf("a resume gave %d messages and %+v, want 2", missed, answer)
		}
	}
}

//control:proves msgpack
func TestRead_oneKindOfMessagePerSocket(t *testing.T) {
	w := newWorld(t)
	text, packed := w.login().connect(), w.login().packed("/ws")
	packed.readPacked()
	if err := packed.ws.WriteMessage(websocket.TextMessage, []byte(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	if code := packed.closed(); code != 1003 {
		t.Errorf("text on a MessagePack socket: %d, want 1003", code)
	}
	w.events.has(t, audit.ProtocolError, "binary")
	if err := text.ws.WriteMessage(websocket.BinaryMessage, wire.Repack(nil, []byte(`{"v":1}`))); err != nil {
		t.Fatal(err)
	}
	if code := text.closed(); code != 1003 {
		t.Errorf("binary on a JSON socket: %d, want 1003", code)
	}
}

// Nine bytes that claim four thousand million elements are an invalid frame like others.
//
//control:proves msgpack
func TestDispatch_refusesWhatAPackedFrameOnlyClaims(t *testing.T) {
	w := newWorld(t)
	c := w.login().packed("/ws")
	c.readPacked()
	if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte{0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if f := c.readPacked(); f.Type != "error" || f.Code != string(wire.BadJSON) {
		t.Errorf("answered %+v", f)
	}
	w.events.has(t, audit.InputFail, string(wire.BadJSON))
}

func TestBatch_repacksOnceAndKeepsItsMarks(t *testing.T) {
	b := &batch{}
	for seq, payload := range []string{`{"v":1,"seq":1}`, `{"v":1,"seq":2,"body":"` + string(bytes.Repeat([]byte("x"), 300)) + `"}`, `{"v":1,"seq":3}`} {
		b.buf = appendFrame(b.buf, opText, []byte(payload))
		b.marks = append(b.marks, mark{int64(seq + 1), len(b.buf)})
	}
	p := b.in(inPack)
	if b.in(inPack) != p || b.in(inJSON) != b {
		t.Error("made more than once, or for those who have it")
	}
	rest := p.after(1)
	size := frameSize(rest)
	if got := wire.Repack(nil, []byte(`{"v":1,"seq":3}`)); !bytes.Equal(rest[size+2:], got) || rest[0] != finBit|opBinary {
		t.Errorf("after seq 1 comes %x, whose last frame should hold %x", rest, got)
	}
}

// The last word before a planned end is in the client's encoding, as all others are.
func TestShutdown_saysSoInTheEncodingOfEachClient(t *testing.T) {
	w := newWorld(t, overTCP)
	packed := w.login().packed("/ws")
	if f := packed.readPacked(); f.Type != "hello" {
		t.Fatalf("%+v", f)
	}
	packed.askPacked(wire.RoomJoin, map[string]any{"room_id": w.chat.room().String()}) // hello is sent before the connection is ready
	done := make(chan error, 1)
	go func() { done <- w.server.Shutdown(t.Context()) }()
	if f := packed.readPacked(); f.Type != "notice" {
		t.Errorf("%+v, want the notice", f)
	}
	if code := packed.closed(); code != int(closeRestart) {
		t.Errorf("closed with %d", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
