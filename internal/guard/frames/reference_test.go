package frames_test

import (
	"encoding/binary"
	"time"

	"example.com/portcullis/internal/guard/frames"
)

// The opcodes of RFC 6455 section 5.2.
const (
	cont = 0x0
	text = 0x1
	bin  = 0x2
	clos = 0x8
	ping = 0x9
	pong = 0xa
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// frame returns a masked client frame with the shortest length form. The mask is
// zero, so that the payload reads as written.
func frame(first byte, payload string) []byte {
	f := []byte{first}
	switch n := len(payload); {
	case n < 126:
		f = append(f, 0x80|byte(n))
	case n < 1<<16:
		f = append(f, 0x80|126, byte(n>>8), byte(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), uint64(n))
	}
	return append(append(f, 0, 0, 0, 0), payload...)
}

// loose are limits that nothing in the tests meets by accident.
func loose() frames.Limits {
	return frames.Limits{
		BytesPerSecond: 1e9, ByteBurst: 1e9, FramesPerSecond: 1e9, FrameBurst: 1e9,
		ControlFrames: 1e6, ControlWindow: time.Second, FramesPerMessage: 1 << 20, EmptyFragments: 1 << 20,
		MessageBytes: 64 << 10, MessageDeadline: 10 * time.Second,
	}
}

// reference says what the guard must do with a whole stream that arrives at one
// moment: how many bytes to pass on, and the rule broken ("" if none). It is
// written for reading, from RFC 6455, with the stream at hand in one piece, and
// shares nothing with the Auditor.
func reference(stream []byte, l frames.Limits) (pass int, broken frames.Kind) {
	var open, closed bool
	var fragments, empty, controls, count int
	var message, total uint64
	for at := 0; at < len(stream); {
		rest := stream[at:]
		if len(rest) < 2 {
			return at, ""
		}
		head, size, minimal := 2, uint64(rest[1]&0x7f), true
		switch size {
		case 126:
			if head += 2; len(rest) >= head {
				size = uint64(rest[2])<<8 | uint64(rest[3])
				minimal = size >= 126
			}
		case 127:
			if head += 8; len(rest) >= head {
				size = 0
				for _, b := range rest[2:10] {
					size = size<<8 | uint64(b)
				}
				minimal = size >= 1<<16
			}
		}
		masked := rest[1]&0x80 != 0
		if masked {
			head += 4
		}
		if len(rest) < head {
			return at, ""
		}

		op, final := rest[0]&0x0f, rest[0]&fin != 0
		reserved := rest[0] & (rsv1 | rsv2 | rsv3)
		control, data := op >= 8, op == text || op == bin
		fragment := op == cont || data && !final
		switch {
		case closed:
			return at, frames.AfterClose
		case reserved != 0 && !(reserved == rsv1 && data && l.AllowCompressed):
			return at, frames.RSV
		case !data && op != cont && op != clos && op != ping && op != pong:
			return at, frames.Opcode
		case !masked:
			return at, frames.Unmasked
		case size >= 1<<63:
			return at, frames.LengthMSB
		case !minimal:
			return at, frames.LengthForm
		case control && !final:
			return at, frames.ControlFragmented
		case control && size > 125:
			return at, frames.ControlLength
		case op == clos && size == 1:
			return at, frames.ClosePayload
		case control && controls == l.ControlFrames:
			return at, frames.ControlFlood
		case op == cont && !open:
			return at, frames.Continuation
		case data && open:
			return at, frames.Interleaved
		case op == bin && !l.AllowBinary:
			return at, frames.Binary
		}
		if data {
			fragments, empty, message = 0, 0, 0
		}
		if control {
			controls++
			closed = op == clos
		} else {
			fragments++
			if fragment && size == 0 {
				empty++
			}
			switch {
			case message+size > uint64(l.MessageBytes):
				return at, frames.TooBig
			case fragments > l.FramesPerMessage:
				return at, frames.FragmentFlood
			case empty > l.EmptyFragments:
				return at, frames.EmptyFragments
			}
			message += size
			open = !final
		}
		count++
		total += uint64(head) + size
		switch {
		case count > l.FrameBurst:
			return at, frames.FrameRate
		case total > uint64(l.ByteBurst):
			return at, frames.ByteRate
		}
		at = min(len(stream), at+head+int(size))
	}
	return len(stream), ""
}
