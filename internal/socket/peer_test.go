package socket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// crowd is a world in which everybody has the same to say.
type crowd struct {
	*world
	room    chat.RoomID
	command []byte // a frame
}

func newCrowd(t testing.TB) crowd {
	t.Helper()
	w := newWorld(t, overTCP, withNumbers(func(n *Numbers) {
		n.HandshakesPerMinute, n.MessagesPerMinute, n.MessageBurst = 1_000_000, 3_000_000, 50_000
		n.PingEvery = time.Hour // the benchmark pings when it wants to
	}))
	room := w.chat.room()
	id := func() string { return uuid.Must(uuid.NewV7()).String() }
	return crowd{w, room, peerFrame(opText, []byte(`{"v":1,"id":"`+id()+`","type":"reaction.add","data":{"room_id":"`+room.String()+`","message_id":"`+id()+`","emoji":"👍"}}`))}
}

// peer is a client that costs next to nothing.
type peer struct {
	io.ReadWriteCloser
	command []byte
}

// hands counts those of the crew that have nothing to do.
func (w *world) hands() int {
	w.server.crew.mu.Lock()
	defer w.server.crew.mu.Unlock()
	return len(w.server.crew.idle)
}

// goroutines counts those that are there for somebody.
func (w *world) goroutines() int { return runtime.NumGoroutine() - w.hands() }

// gather opens n connections; each sends a message and answers a ping.
func (w crowd) gather(t testing.TB, n int, dial func(addr string) (io.ReadWriteCloser, error)) []*peer {
	t.Helper()
	peers := make([]*peer, n)
	for i := range peers {
		peers[i] = w.knock(t, dial)
		peers[i].ask(t)
	}
	for _, c := range w.server.hub.everyone() {
		c.sendPing()
	}
	for _, p := range peers {
		p.send(t, peerFrame(opPong, p.read(t, opPing)), peerFrame(opPing, nil)) // the second is answered after the first
		p.read(t, opPong)
	}
	return peers
}

// loopback dials a connection that does not wait for ever.
func loopback(addr string) (io.ReadWriteCloser, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(time.Minute))
}

func hangUp(peers []*peer) {
	for _, p := range peers {
		_ = p.Close()
	}
}

// knock opens a connection of somebody new, and reads hello.
func (w crowd) knock(t testing.TB, dial func(addr string) (io.ReadWriteCloser, error)) *peer {
	t.Helper()
	l := w.login()
	w.chat.setRole(w.room, l.user, authz.Member)
	c, err := dial(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{c, w.command}
	if err := l.request("/ws").raw(t.Context()).Write(c); err != nil {
		t.Fatal(err)
	}
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		var one [1]byte
		if _, err := io.ReadFull(c, one[:]); err != nil {
			t.Fatal(err)
		}
		head = append(head, one[0])
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%q, %v", head, err)
	}
	p.read(t, opText)
	return p
}

// peerFrame is one whole frame, masked with nothing.
func peerFrame(op byte, payload []byte) []byte {
	length := short(len(payload))
	if len(payload) > 125 {
		length = long16(len(payload))
	}
	return []byte(wireFrame(finBit|op, length, string(payload)))
}

func (p *peer) send(t testing.TB, frames ...[]byte) {
	t.Helper()
	if _, err := p.Write(bytes.Join(frames, nil)); err != nil {
		t.Error(err)
	}
}

// next reads the next frame.
func (p *peer) next() (op byte, payload []byte, err error) {
	var head [maxHeader]byte
	if _, err = io.ReadFull(p, head[:2]); err != nil {
		return 0, nil, err
	}
	if _, err = io.ReadFull(p, head[2:headerSize(head[:])]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, frameSize(head[:])-headerSize(head[:]))
	_, err = io.ReadFull(p, payload)
	return head[0] & opMask, payload, err
}

// read reads the next frame, which must be of that kind.
func (p *peer) read(t testing.TB, want byte) []byte {
	t.Helper()
	op, payload, err := p.next()
	if err != nil || op != want {
		t.Errorf("frame %#x, %v, want %#x", op, err, want)
	}
	return payload
}

// ask sends a command and reads its ack.
func (p *peer) ask(t testing.TB) {
	t.Helper()
	p.send(t, p.command)
	if ack := p.read(t, opText); !bytes.Contains(ack, []byte(`"ack"`)) {
		t.Errorf("answer %s", ack)
	}
}

// closed reads to the close frame and returns its code.
func (p *peer) closed(t testing.TB) closeCode {
	t.Helper()
	for {
		op, payload, err := p.next()
		switch {
		case err != nil:
			t.Errorf("no close frame: %v", err)
			return closeGone
		case op == opClose && len(payload) >= 2:
			return closeCode(binary.BigEndian.Uint16(payload))
		}
	}
}
