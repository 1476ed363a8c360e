//go:build !unix

package socket

import (
	"errors"
	"net"
	"syscall"
)

// rawConn: where sockets are not file descriptors, the temporary writer does all.
func rawConn(net.Conn) syscall.RawConn { return nil }

func tryWrite(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

func writeOnce(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func waitReadable(syscall.RawConn) {}
