// Package frames audits what a client sends on a WebSocket, frame by frame, before
// the WebSocket library sees it.
//
// Threat: gorilla/websocket counts payload bytes of messages and nothing else. So
// a client can send 27 million empty continuation frames a second that never
// become a message (CVE-2026-48779 is the same in another library), 180,000 pings
// a second that are each answered, a message that stays unfinished for ever while
// pongs keep the connection alive, a length of 2^63, lengths in a longer form than
// needed. None of it reaches the application, all of it costs CPU, memory or a
// slot, and no limit per message can see it.
//
// Rule: every frame is judged when its header is complete and before one byte of
// it is passed on. The header alone decides, the declared payload is charged at
// once, and a message that is not complete in time ends the connection, whatever
// else arrives meanwhile. The first broken rule ends reading for good.
//
// [Auditor] is the decision: a state machine over bytes and a time, without I/O.
// [Conn] is a thin net.Conn around it, and [Hijack] puts that under an upgrader.
// Reading allocates nothing; a connection costs less than 1 KiB.
//
// Not covered: the payload is not looked at. UTF-8, the close code, the size of
// inflated data, JSON and the rate of messages are for the reader above. What has
// been read by the kernel but not by us is bounded by the socket buffer.
//
// Sources: RFC 6455 section 5, RFC 7692 section 6, CVE-2020-27813, CVE-2026-48779.
package frames

import (
	"errors"
	"fmt"
	"time"
)

// Limits are the numbers of one connection. The zero Limits are refused by [New]:
// there is no "unlimited". Every number is at least 1 and at most 10^9, every time
// at most an hour.
type Limits struct {
	BytesPerSecond  int           // sustained, headers and payload
	ByteBurst       int           // at once; a message of MessageBytes must fit
	FramesPerSecond int           // sustained, all kinds of frame
	FrameBurst      int           // at once; a message of FramesPerMessage must fit
	ControlFrames   int           // ping, pong and close: so many at once, and so many per ControlWindow
	ControlWindow   time.Duration // the time for ControlFrames

	FramesPerMessage int           // the first frame and its continuations
	EmptyFragments   int           // fragments without payload in one message
	MessageBytes     int64         // payload of one message on the wire, summed over its frames
	MessageDeadline  time.Duration // from the first byte of a message, or of a lone control frame, to its last

	AllowBinary     bool // otherwise a binary frame ends the connection with 1003
	AllowCompressed bool // RSV1 on the first frame of a message: only if permessage-deflate was negotiated
}

// Defaults returns the limits of the chat socket. An honest client never meets
// them: it is told "rate_limited" by the message limits above, which are lower.
func Defaults() Limits {
	return Limits{
		// The message limit of 100 a minute times 64 KiB is 107 KiB/s.
		BytesPerSecond: 128 << 10,
		// More than the burst of 20 messages of 64 KiB that the message limit allows.
		ByteBurst: 2 << 20,
		// Far above 100 messages a minute; below what costs noticeable CPU.
		FramesPerSecond: 200,
		// Clients that queue while offline send their backlog in one go.
		FrameBurst: 1000,
		// Browsers send one pong per ping of ours (every 25 s) and a close.
		ControlFrames: 10,
		ControlWindow: 10 * time.Second,
		// Browsers cut at 128 KiB, so a legal message of theirs is one frame.
		FramesPerMessage: 64,
		// Streaming libraries end a message with one empty frame.
		EmptyFragments: 4,
		// The size that the OWASP cheat sheet proposes.
		MessageBytes: 64 << 10,
		// 64 KiB in 10 s is 52 kbit/s: the slowest mobile link that counts.
		MessageDeadline: 10 * time.Second,
	}
}

const (
	// maxLimit keeps products of a limit and a second in nanoseconds within 63 bits,
	// and a token at one nanosecond or more.
	maxLimit = 1e9

	// maxControl does the same with an hour instead of a second.
	maxControl = 1e6

	// maxTime is more than any connection should wait for one message.
	maxTime = time.Hour
)

func (l Limits) check() error {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"BytesPerSecond", int64(l.BytesPerSecond)}, {"ByteBurst", int64(l.ByteBurst)},
		{"FramesPerSecond", int64(l.FramesPerSecond)}, {"FrameBurst", int64(l.FrameBurst)},
		{"ControlFrames", int64(l.ControlFrames)}, {"FramesPerMessage", int64(l.FramesPerMessage)},
		{"EmptyFragments", int64(l.EmptyFragments)}, {"MessageBytes", l.MessageBytes},
	} {
		if n.value < 1 || n.value > maxLimit {
			return fmt.Errorf("frames: limit %s is %d, must be 1 to 10^9", n.name, n.value)
		}
	}
	switch {
	case l.ControlFrames > maxControl:
		return fmt.Errorf("frames: limit ControlFrames is %d, must be at most 10^6", l.ControlFrames)
	case l.ControlWindow < time.Second || l.ControlWindow > maxTime:
		return fmt.Errorf("frames: limit ControlWindow is %v, must be 1s to 1h", l.ControlWindow)
	case l.MessageDeadline <= 0 || l.MessageDeadline > maxTime:
		return fmt.Errorf("frames: limit MessageDeadline is %v, must be more than 0 and at most 1h", l.MessageDeadline)
	case int64(l.ByteBurst) < l.MessageBytes+int64(l.FramesPerMessage)*maxHeader:
		return errors.New("frames: limit ByteBurst is too small for a message of MessageBytes in FramesPerMessage frames")
	case l.FrameBurst < l.FramesPerMessage:
		return errors.New("frames: limit FrameBurst is smaller than FramesPerMessage")
	}
	return nil
}
