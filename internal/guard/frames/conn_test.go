package frames_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/frames"
)

func TestRead_keepsTheOwnersDeadline(t *testing.T) {
	tests := []struct {
		name   string
		before []byte        // arrives at once
		own    time.Duration // 0: none
		want   time.Duration
		slow   bool
	}{
		{"between messages only the owner's counts", frame(fin|text, "x"), 35 * time.Second, 35 * time.Second, false},
		{"in a message the owner's counts if earlier", frame(text, "x"), 3 * time.Second, 3 * time.Second, false},
		{"in a message the message's counts if earlier", frame(text, "x"), 35 * time.Second, 10 * time.Second, true},
		{"in a message without an owner's deadline", frame(text, "x"), 0, 10 * time.Second, true},
		{"in a header", frame(text, "x")[:3], 35 * time.Second, 10 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				defer server.Close()
				c, err := frames.New(server, frames.Defaults())
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _ = client.Write(tt.before)
					_, _ = io.Copy(io.Discard, client)
				}()
				start := time.Now()
				if tt.own > 0 {
					if err := c.SetDeadline(start.Add(tt.own)); err != nil {
						t.Fatal(err)
					}
				}
				for err == nil {
					_, err = c.Read(make([]byte, 100))
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("ended after %v, want %v", took, tt.want)
				}
				_, slow := errors.AsType[*frames.Violation](err)
				if slow != tt.slow || !slow && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ended with %v", err)
				}
				if !slow {
					return
				}
				if _, err := c.NetConn().Write(frame(fin|clos, "")); err != nil {
					t.Errorf("the owner cannot send its close: %v", err)
				}
			})
		})
	}
}

//control:proves frames
func TestSetReadDeadline_buysNoTimeForAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		c, err := frames.New(server, frames.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = client.Write(frame(text, "x")) }()
		start := time.Now()
		for err == nil {
			_, err = c.Read(make([]byte, 300))
			if e := c.SetReadDeadline(start.Add(35 * time.Second)); e != nil {
				t.Fatal(e)
			}
		}
		if v, ok := errors.AsType[*frames.Violation](err); !ok || v.Kind != frames.SlowMessage || time.Since(start) != 10*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
	})
}

// hasty is a net.Conn whose timer fires at once, as real ones may by a hair.
type hasty struct {
	net.Conn
	data []byte
}

func (h *hasty) Read(b []byte) (int, error) {
	if len(h.data) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b, h.data)
	h.data = h.data[n:]
	return n, nil
}

func (*hasty) SetReadDeadline(time.Time) error { return nil }

func TestRead_aTimerThatFiresTooEarlyIsStillTheMessageDeadline(t *testing.T) {
	c, err := frames.New(&hasty{data: frame(text, "x")}, frames.Defaults())
	for err == nil {
		_, err = c.Read(make([]byte, 300))
	}
	if v, ok := errors.AsType[*frames.Violation](err); !ok || v.Kind != frames.SlowMessage {
		t.Errorf("ended with %v", err)
	}
}

// A deadline in the past is how an owner interrupts a read from outside.
func TestSetReadDeadline_interruptsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		c, err := frames.New(server, frames.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			b := make([]byte, 100)
			var err error
			for err == nil {
				_, err = c.Read(b)
			}
			done <- err
		}()
		if _, err := client.Write(frame(text, "x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || c.Violation() != nil {
			t.Errorf("ended with %v, violation %v", err, c.Violation())
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = client.Write(frame(fin|cont, "y")) }()
		if n, err := c.Read(make([]byte, 100)); n != 7 || err != nil {
			t.Errorf("reading on: %d, %v", n, err)
		}
	})
}

// The same on a real socket, with an owner that parks on the connection below
// until it is readable: the message deadline must wake it, and reading must say why.
func TestNetConn_theMessageDeadlineWakesAWaitingOwner(t *testing.T) {
	l := frames.Defaults()
	l.MessageDeadline = 50 * time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := frames.New(server, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(append(frame(fin|text, "whole"), frame(fin|text, "part")[:3]...)); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < 11; {
		n, err := c.Read(make([]byte, 300))
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if c.Buffered() != 0 {
		t.Fatalf("%d bytes buffered: half a header is not for reading", c.Buffered())
	}
	raw, err := c.NetConn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(uintptr) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("waiting ended with %v", err)
	}
	_, err = c.Read(make([]byte, 300))
	if v, ok := errors.AsType[*frames.Violation](err); !ok || v.Kind != frames.SlowMessage {
		t.Errorf("reading ended with %v", err)
	}
}

// endless is a net.Conn on which the same bytes arrive again and again.
type endless struct {
	net.Conn
	data []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

func (*endless) SetReadDeadline(time.Time) error { return nil }

//control:proves frames
func TestRead_allocatesNothing(t *testing.T) {
	data := stream(frame(fin|text, "hello"), frame(text, "a"), frame(fin|ping, ""), frame(fin|cont, "b"), frame(fin|text, string(make([]byte, 700))))
	for _, room := range []int{1, 16, 300, 4096} {
		c, err := frames.New(&endless{data: data}, loose())
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, room)
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := c.Read(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("with room for %d bytes: %v allocations per Read", room, n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	c, err := frames.New(&endless{data: frame(fin|text, string(make([]byte, 128)))}, loose())
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFeed(b *testing.B) {
	for _, bb := range []struct {
		name  string
		frame []byte
	}{
		{"empty messages", frame(fin|text, "")},
		{"messages of 128 B", frame(fin|text, string(make([]byte, 128)))},
		{"messages of 64 KiB", frame(fin|text, string(make([]byte, 64<<10)))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			now := time.Now()
			a := auditor(b, loose(), now)
			data := bytes.Repeat(bb.frame, 1000)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second) // so that no budget is met
				if _, v := a.Feed(data, now); v != nil {
					b.Fatal(v)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(a.Frames()), "ns/frame")
		})
	}
}
