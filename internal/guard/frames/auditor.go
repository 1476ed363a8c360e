package frames

import (
	"encoding/binary"
	"time"
)

// maxHeader is the longest header: 2 bytes, 8 of length, 4 of mask.
const maxHeader = 14

// The bits and opcodes of a header, RFC 6455 section 5.2.
const (
	finBit   = 0x80
	rsvBits  = 0x70
	rsv1Bit  = 0x40
	opBits   = 0x0f
	maskBit  = 0x80
	sizeBits = 0x7f

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// Auditor judges the bytes of one client. It does no I/O and knows no clock: the
// same bytes at the same times give the same answer, however they are cut up.
// Create it with NewAuditor; it is not safe for concurrent use.
type Auditor struct {
	limits Limits
	start  time.Time // the buckets count from here

	header   [maxHeader]byte // a header of which only a part has arrived
	withheld int             // how much of it
	payload  int64           // bytes of the current frame that are still to come
	since    time.Time       // first byte of what is unfinished; zero when nothing is
	frames   int64           // headers judged

	open      bool  // a message is unfinished
	fragments int   // its frames
	empty     int   // of them without payload
	size      int64 // its payload

	closed            bool // the client has sent a close
	byBytes, byFrames bucket
	byControl         bucket
	violation         *Violation
}

// NewAuditor returns an Auditor for a connection that begins at now. Limits that
// are missing or contradict each other are an error.
func NewAuditor(l Limits, now time.Time) (*Auditor, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	return &Auditor{
		limits:    l,
		start:     now,
		byBytes:   newBucket(l.BytesPerSecond, time.Second, l.ByteBurst),
		byFrames:  newBucket(l.FramesPerSecond, time.Second, l.FrameBurst),
		byControl: newBucket(l.ControlFrames, l.ControlWindow, l.ControlFrames),
	}, nil
}

// Feed takes the next bytes of the client, p, that arrived at now (an empty p
// only tells the time). It returns how many bytes may be passed on, counted from
// the first withheld byte: a header is withheld until it is complete, so the
// bytes meant are those of [Auditor.Withheld] before the call followed by p. A
// violation stays; its frame is passed on in no part. The exceptions are
// slow_message, of which the beginning has been passed on, and what was passed on
// of a message before a later fragment broke a rule.
//
//control:name frames
func (a *Auditor) Feed(p []byte, now time.Time) (pass int, v *Violation) {
	if a.violation != nil {
		return 0, a.violation
	}
	if due := a.Due(); !due.IsZero() && !now.Before(due) {
		return 0, a.fail(SlowMessage, 0)
	}
	before := a.withheld
	for i := 0; i < len(p); {
		if a.payload > 0 {
			n := min(a.payload, int64(len(p)-i))
			a.payload -= n
			i += int(n)
		} else {
			if a.since.IsZero() {
				a.since = now
			}
			a.header[a.withheld] = p[i]
			a.withheld++
			i++
			if a.withheld < headerSize(a.header[:a.withheld]) {
				continue
			}
			if v = a.judge(now.Sub(a.start)); v != nil {
				return pass, v
			}
			a.withheld = 0
		}
		pass = before + i
		if a.payload == 0 && !a.open {
			a.since = time.Time{}
		}
	}
	return pass, nil
}

// Withheld returns the bytes that were fed but may not be passed on yet: the
// beginning of a header, at most 13 bytes. They are valid until the next Feed.
func (a *Auditor) Withheld() []byte { return a.header[:a.withheld] }

// Due returns when the unfinished message must be complete, zero if none is open.
func (a *Auditor) Due() time.Time {
	if a.since.IsZero() || a.violation != nil {
		return time.Time{}
	}
	return a.since.Add(a.limits.MessageDeadline)
}

// Frames returns the number of frames judged so far.
func (a *Auditor) Frames() int64 { return a.frames }

// headerSize returns how long the header that begins with h will be, as far as
// can be told from h.
func headerSize(h []byte) int {
	if len(h) < 2 {
		return 2
	}
	size := 2
	switch h[1] & sizeBits {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if h[1]&maskBit != 0 {
		size += 4
	}
	return size
}

// judge decides on the complete header in a.header and begins its frame.
//
//control:name frames
func (a *Auditor) judge(now time.Duration) *Violation {
	a.frames++
	fin, op := a.header[0]&finBit != 0, a.header[0]&opBits
	size, minimal := payloadSize(a.header[1:])
	control := op >= opClose

	// Syntax: RFC 6455 section 5.2.
	rsv := a.header[0] & rsvBits
	if a.limits.AllowCompressed && (op == opText || op == opBinary) {
		rsv &^= rsv1Bit // RFC 7692 section 6: on the first frame of a message only
	}
	switch {
	case a.closed:
		return a.fail(AfterClose, size)
	case rsv != 0:
		return a.fail(RSV, size)
	case op > opBinary && op < opClose || op > opPong:
		return a.fail(Opcode, size)
	case a.header[1]&maskBit == 0:
		return a.fail(Unmasked, size)
	case size>>63 != 0:
		return a.fail(LengthMSB, size)
	case !minimal:
		return a.fail(LengthForm, size)
	}

	if control {
		if v := a.judgeControl(op, fin, size, now); v != nil {
			return v
		}
	} else if v := a.judgeData(op, fin, size); v != nil {
		return v
	}

	switch {
	case !a.byFrames.take(now, 1):
		return a.fail(FrameRate, size)
	case !a.byBytes.take(now, int64(a.withheld)+int64(size)): // size is at most MessageBytes here
		return a.fail(ByteRate, size)
	}
	a.payload = int64(size)
	return nil
}

// judgeControl: RFC 6455 section 5.5, and the budget of control frames.
//
//control:name frames
func (a *Auditor) judgeControl(op byte, fin bool, size uint64, now time.Duration) *Violation {
	switch {
	case !fin:
		return a.fail(ControlFragmented, size)
	case size > 125:
		return a.fail(ControlLength, size)
	case op == opClose && size == 1:
		return a.fail(ClosePayload, size)
	case !a.byControl.take(now, 1):
		return a.fail(ControlFlood, size)
	}
	a.closed = op == opClose
	return nil
}

// judgeData: RFC 6455 section 5.4, and the limits of one message.
//
//control:name frames
func (a *Auditor) judgeData(op byte, fin bool, size uint64) *Violation {
	switch {
	case op == opContinuation && !a.open:
		return a.fail(Continuation, size)
	case op != opContinuation && a.open:
		return a.fail(Interleaved, size)
	case op == opBinary && !a.limits.AllowBinary:
		return a.fail(Binary, size)
	}
	if op != opContinuation {
		a.fragments, a.empty, a.size = 0, 0, 0
	}
	a.fragments++
	if size == 0 && !(op != opContinuation && fin) { // an empty message is no fragment
		a.empty++
	}
	switch {
	case size > uint64(a.limits.MessageBytes-a.size):
		return a.fail(TooBig, size)
	case a.fragments > a.limits.FramesPerMessage:
		return a.fail(FragmentFlood, size)
	case a.empty > a.limits.EmptyFragments:
		return a.fail(EmptyFragments, size)
	}
	a.size += int64(size)
	a.open = !fin
	return nil
}

func (a *Auditor) fail(k Kind, size uint64) *Violation {
	a.violation = &Violation{Kind: k, Close: k.closeCode(), Frame: max(a.frames, 1), Size: size}
	return a.violation
}

// payloadSize reads the length that starts in h[0], and whether it is in the
// shortest form.
func payloadSize(h []byte) (size uint64, minimal bool) {
	switch n := h[0] & sizeBits; n {
	case 126:
		size = uint64(binary.BigEndian.Uint16(h[1:]))
		return size, size > 125
	case 127:
		size = binary.BigEndian.Uint64(h[1:])
		return size, size > 0xffff
	default:
		return uint64(n), true
	}
}
