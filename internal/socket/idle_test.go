//go:build linux

package socket

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/session"
)

// BenchmarkIdle tells what a connection costs that is open, has sent a message and
// answered a ping, and is silent: resident memory of the process after a collection,
// and of it the heap and the stacks. All controls are on. The clients are bare file
// descriptors, so that what is measured is the server.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			for b.Loop() {
				benchIdle(b, n)
			}
		})
	}
}

func benchIdle(b *testing.B, n int) {
	w := newCrowd(b)
	w.events.deaf = true
	hangUp(w.gather(b, 100, bareSocket)) // what is made once is there now
	w.atRest()
	before := residence()
	peers := w.gather(b, n, bareSocket)
	// What the fakes keep is not the socket's.
	w.sessions.live, w.tickets.used, w.leases.held = map[uuid.UUID]session.Session{}, map[string]bool{}, map[string]uuid.UUID{}
	w.chat.rooms = nil
	after := residence()
	for name, grown := range map[string]int{
		"RSS-B/conn": after.resident - before.resident, "heap-B/conn": after.heap - before.heap,
		"stack-B/conn": after.stack - before.stack, "goroutines/conn": after.goroutines - before.goroutines,
	} {
		b.ReportMetric(float64(grown)/float64(n), name)
	}
	hangUp(peers)
	w.atRest()
	w.stop()
}

// BenchmarkEcho is a command and its ack, on 100 connections at once.
func BenchmarkEcho(b *testing.B) {
	const conns = 100
	w := newCrowd(b)
	w.events.deaf = true
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = w.knock(b, loopback)
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
	hangUp(peers)
	w.atRest()
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
