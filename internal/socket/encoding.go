package socket

import (
	"slices"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/wire"
)

// encoding is how a connection's frames are written, agreed on in the handshake and
// the same for both directions until the end.
type encoding int8

const (
	inJSON  encoding = iota // text frames; where no subprotocol was asked for, too
	inPack                  // binary frames of MessagePack
	inBytes                 // binary frames of a Door, whose meaning is not ours
)

// protocols are the subprotocols that can be agreed on.
var protocols = map[string]encoding{wire.Subprotocol: inJSON, wire.SubprotocolPack: inPack, BytesSubprotocol: inBytes}

// speaks reports whether connections of the route may agree on e.
func (rt route) speaks(e encoding) bool {
	return (rt.door != nil) == (e == inBytes) && !(rt.public && e != inJSON)
}

// name is the subprotocol, from a constant of ours and never from the client's bytes.
func (e encoding) name() string {
	switch e {
	case inPack:
		return wire.SubprotocolPack
	case inBytes:
		return BytesSubprotocol
	}
	return wire.Subprotocol
}

// kind is the only kind of message that a connection of this encoding may send.
func (e encoding) kind() int {
	if e == inJSON {
		return websocket.TextMessage
	}
	return websocket.BinaryMessage
}

// decode reads a command of this connection.
func (c *conn) decode(frame []byte) (wire.Command, error) {
	if c.encoding == inPack {
		return c.server.Codec.DecodePack(frame)
	}
	return c.server.Codec.Decode(frame)
}

// append appends the frame of a payload, which is JSON as all encoders make it.
func (e encoding) append(dst, payload []byte) []byte {
	switch e {
	case inPack:
		return appendFrame(dst, opBinary, wire.Repack(nil, payload))
	case inBytes:
		return appendFrame(dst, opBinary, payload)
	}
	return appendFrame(dst, opText, payload)
}

// in returns b in the encoding of a member. MessagePack is made when the first member
// asks for it, once for all of them, and never where nobody does.
func (b *batch) in(e encoding) *batch {
	if e == inJSON {
		return b
	}
	b.once.Do(func() { b.packed = b.repack() })
	return b.packed
}

func (b *batch) repack() *batch {
	p := &batch{ephemeral: b.ephemeral, marks: slices.Clone(b.marks), buf: make([]byte, 0, len(b.buf))}
	var payload []byte
	marks := p.marks
	for at := 0; at < len(b.buf); {
		end := at + frameSize(b.buf[at:])
		payload = wire.Repack(payload[:0], b.buf[at+headerSize(b.buf[at:]):end])
		p.buf = appendFrame(p.buf, opBinary, payload)
		for len(marks) > 0 && marks[0].end == end {
			marks[0].end = len(p.buf)
			marks = marks[1:]
		}
		at = end
	}
	return p
}
