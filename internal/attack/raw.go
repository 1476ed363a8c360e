package attack

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Raw is an open socket without a library in between: it sends what no library would.
type Raw struct {
	net.Conn
	in *bufio.Reader
}

// OpenRaw makes an honest handshake by hand and leaves the rest to the attacker.
func (c *Client) OpenRaw(ctx context.Context) (*Raw, error) {
	h := Handshake{}
	header, offered, err := c.handshake(ctx, &h)
	if err != nil {
		return nil, err
	}
	header.Set("Sec-WebSocket-Protocol", strings.Join(offered, ", "))
	return c.t.upgrade(ctx, h.Route, header)
}

// upgrade writes the request of RFC 6455 §4.1 and reads the answer.
func (t *Target) upgrade(ctx context.Context, route string, header http.Header) (*Raw, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
		route, t.Base.Host, base64.StdEncoding.EncodeToString([]byte("sixteen bytes ok")))
	if err := header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		conn.Close()
		return nil, &Refused{res.StatusCode, res.Header, string(body)}
	}
	return &Raw{conn, in}, nil
}

// Opcodes of RFC 6455 §11.8.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// frame is one client frame; the zero mask key is a legal one and keeps bytes readable.
func frame(fin bool, op byte, payload []byte) []byte {
	b := []byte{op}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// Flood writes b again and again until count times or the server stops it, and
// returns how often it was written.
func (r *Raw) Flood(b []byte, count int) int {
	const batch = 512
	block := make([]byte, 0, batch*len(b))
	for range batch {
		block = append(block, b...)
	}
	sent := 0
	for sent < count {
		_ = r.SetWriteDeadline(time.Now().Add(callTime))
		if _, err := r.Write(block); err != nil {
			break
		}
		sent += batch
	}
	return sent
}

// CloseCode reads frames until the server's close frame, at most d. 0 without an
// error means that the connection ended without one; an error, that it is still open.
func (r *Raw) CloseCode(d time.Duration) (int, error) {
	if err := r.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	for {
		op, payload, err := r.readFrame()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				return 0, errors.New("the socket is still open")
			}
			return 0, nil
		}
		if op == opClose {
			if len(payload) < 2 {
				return 1005, nil
			}
			return int(binary.BigEndian.Uint16(payload)), nil
		}
	}
}

// readFrame reads one unmasked server frame.
func (r *Raw) readFrame() (op byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(r.in, b[:]); err != nil {
			return 0, nil, err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(r.in, b[:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	if n > 1<<20 {
		return 0, nil, fmt.Errorf("server frame of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r.in, payload)
	return head[0] & 0x0f, payload, err
}
