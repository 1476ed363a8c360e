//go:build linux

package socket

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
	"example.com/portcullis/internal/guard/session"
)

// BenchmarkIdle tells what a connection costs that is open, has sent a message and
// answered a ping, and is silent: resident memory of the process after a collection,
// and of it the heap and the stacks. All controls are on. The clients are bare file
// descriptors, so that what is measured is the server.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{1000, 3000} {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			for b.Loop() {
				benchIdle(b, n)
			}
		})
	}
}

func benchIdle(b *testing.B, n int) {
	w, room := benchWorld(b)
	_ = w.knock(b, room, bareSocket).Close() // what is made once
	before := residence()
	peers := make([]*peer, n)
	for i := range peers {
		peers[i] = w.knock(b, room, bareSocket)
		peers[i].ask(b)
	}
	for _, c := range w.server.hub.everyone() {
		c.sendPing()
	}
	for _, p := range peers {
		p.send(b, peerFrame(opPong, p.read(b, opPing)), peerFrame(opPing, nil)) // the second is answered after the first
		p.read(b, opPong)
	}
	w.sessions.live, w.tickets.used = map[uuid.UUID]session.Session{}, map[string]bool{} // not the socket's
	after := residence()
	for name, grown := range map[string]int{
		"RSS-B/conn": after.resident - before.resident, "heap-B/conn": after.heap - before.heap,
		"stack-B/conn": after.stack - before.stack, "goroutines/conn": after.goroutines - before.goroutines,
	} {
		b.ReportMetric(float64(grown)/float64(n), name)
	}
	for _, p := range peers {
		_ = p.Close()
	}
	w.atRest()
	w.stop()
}

// BenchmarkEcho is a command and its ack, on 100 connections at once.
func BenchmarkEcho(b *testing.B) {
	const conns = 100
	w, room := benchWorld(b)
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = w.knock(b, room, func(addr string) (io.ReadWriteCloser, error) { return net.Dial("tcp", addr) })
		peers[i].ask(b)
	}
	var begun, ended syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &begun)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() {
			for n := i; n < b.N; n += conns {
				p.ask(b)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ended)
	cpu := ended.Utime.Nano() + ended.Stime.Nano() - begun.Utime.Nano() - begun.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
	for _, p := range peers {
		_ = p.Close()
	}
	w.atRest()
}

func benchWorld(b *testing.B) (*world, chat.RoomID) {
	b.Helper()
	w := newWorld(b, overTCP, withNumbers(func(n *Numbers) {
		n.HandshakesPerMinute, n.MessagesPerMinute, n.MessageBurst = 1_000_000, 3_000_000, 50_000
		n.PingEvery = time.Hour // the benchmark pings when it wants to
	}))
	w.events.deaf = true
	return w, w.chat.room()
}

// peer is a client that costs next to nothing.
type peer struct {
	io.ReadWriteCloser
	command []byte // a frame
}

// bareSocket is a connected socket without anything of Go's around it.
func bareSocket(addr string) (io.ReadWriteCloser, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	to := &syscall.SockaddrInet4{Addr: [4]byte(net.ParseIP(host).To4())}
	if to.Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	patience := syscall.NsecToTimeval(testWait.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
		return nil, err
	}
	return bareFD(fd), syscall.Connect(fd, to)
}

type bareFD int

func (fd bareFD) Read(b []byte) (int, error) {
	n, err := syscall.Read(int(fd), b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (fd bareFD) Write(b []byte) (int, error) { return syscall.Write(int(fd), b) }

func (fd bareFD) Close() error { return syscall.Close(int(fd)) }

// knock opens a connection of somebody new, and reads hello.
func (w *world) knock(t testing.TB, room chat.RoomID, dial func(addr string) (io.ReadWriteCloser, error)) *peer {
	t.Helper()
	l := w.login()
	w.chat.setRole(room, l.user, authz.Member)
	c, err := dial(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	id := func() string { return uuid.Must(uuid.NewV7()).String() }
	text := `{"v":1,"id":"` + id() + `","type":"reaction.add","data":{"room_id":"` + room.String() + `","message_id":"` + id() + `","emoji":"👍"}}`
	p := &peer{ReadWriteCloser: c, command: peerFrame(opText, []byte(text))}
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

// read reads the next frame, which must be of that kind.
func (p *peer) read(t testing.TB, op byte) []byte {
	t.Helper()
	var head [maxHeader]byte
	_, err := io.ReadFull(p, head[:2])
	if err == nil {
		_, err = io.ReadFull(p, head[2:headerSize(head[:])])
	}
	payload := make([]byte, max(0, frameSize(head[:])-headerSize(head[:])))
	if err == nil {
		_, err = io.ReadFull(p, payload)
	}
	if err != nil || head[0]&opMask != op {
		t.Errorf("frame %#x, %v, want %#x", head[0], err, op)
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

// memory is what the process holds, in bytes, after a collection.
type memory struct{ resident, heap, stack, goroutines int }

func residence() memory {
	runtime.GC()
	debug.FreeOSMemory() // collects again, and gives back what is free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	pages := 0
	if len(fields) > 1 {
		pages, _ = strconv.Atoi(fields[1])
	}
	return memory{pages * os.Getpagesize(), int(m.HeapAlloc), int(m.StackInuse), runtime.NumGoroutine()}
}
