//go:build unix

package socket

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// rawConn returns the file descriptor of a plain TCP or Unix connection, nil for
// everything else (TLS, pipes): those are written by the temporary writer.
func rawConn(nc net.Conn) syscall.RawConn {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// attempt is one non-blocking write(2). The closure is made once per attempt
// object and the objects are pooled: a pass over 1,000 members allocates nothing.
type attempt struct {
	b   []byte
	n   int
	err error
	do  func(fd uintptr) bool
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.do = func(fd uintptr) bool {
		a.n, a.err = writeOnce(fd, a.b)
		return true // never wait here
	}
	return a
}}

// tryWrite writes what the socket takes at once. n < len(b) without an error means
// that the socket is full.
func tryWrite(raw syscall.RawConn, b []byte) (n int, err error) {
	a := attempts.Get().(*attempt)
	a.b, a.n, a.err = b, 0, nil
	err = raw.Write(a.do)
	if err == nil {
		err = a.err
	}
	n = a.n
	a.b = nil
	attempts.Put(a)
	return n, err
}

// writeOnce is write(2) on a non-blocking socket; a full socket is n 0 and no error.
func writeOnce(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		case err != nil:
			return 0, err
		}
		return n, nil
	}
}

// waitReadable returns when a read would not wait: bytes, the end, an error, a deadline.
// It needs less than the 2 KB of stack that a goroutine begins with.
func waitReadable(raw syscall.RawConn) { _ = raw.Read(peek) }

// peek looks for bytes, or the end, without taking anything.
func peek(fd uintptr) bool {
	var b [1]byte
	for {
		if _, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK); err != syscall.EINTR { //nolint:errorlint // an errno
			return err != syscall.EAGAIN //nolint:errorlint // an errno
		}
	}
}
