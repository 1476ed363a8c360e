package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// maxMessage is the limit that the protocol promises, in bytes on the wire.
const maxMessage = 65_536

func frameAttacks() []Attack {
	ping := frame(true, opPing, []byte("x"))
	empty := frame(false, opContinuation, nil)
	half := bytes.Repeat([]byte("a"), 40_000)
	return []Attack{
		raw("frames", "a million empty fragments keep one message open for ever", 1002, func(r *Raw) {
			_, _ = r.Write(frame(false, opText, []byte("{")))
			r.Flood(empty, 1_000_000)
		}),
		raw("frames", "a million fragments of one byte", 1002, func(r *Raw) {
			_, _ = r.Write(frame(false, opText, []byte("{")))
			r.Flood(frame(false, opContinuation, []byte("x")), 1_000_000)
		}),
		raw("frames", "200,000 pings that all want an answer", 1008, func(r *Raw) { r.Flood(ping, 200_000) }),
		raw("frames", "200,000 pongs that nobody asked for", 1008, func(r *Raw) { r.Flood(frame(true, opPong, nil), 200_000) }),
		raw("frames", "a header that announces 2^63 bytes", 1002, func(r *Raw) {
			_, _ = r.Write(append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<63), 0, 0, 0, 0))
		}),
		raw("frames", "a header that announces 2^62 bytes", 1009, func(r *Raw) {
			_, _ = r.Write(append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<62), 0, 0, 0, 0))
		}),
		raw("frames", "65,537 bytes in one frame", 1009, func(r *Raw) { _, _ = r.Write(frame(true, opText, bytes.Repeat([]byte("a"), maxMessage+1))) }),
		raw("frames", "80,000 bytes in two fragments, each below the limit", 1009, func(r *Raw) {
			_, _ = r.Write(append(frame(false, opText, half), frame(true, opContinuation, half)...))
		}),
		raw("frames", "a frame without a mask", 1002, func(r *Raw) { _, _ = r.Write([]byte{0x81, 0x02, '{', '}'}) }),
		raw("frames", "a reserved bit, as if compression had been agreed", 1002, func(r *Raw) {
			f := frame(true, opText, []byte("{}"))
			f[0] |= 0x40
			_, _ = r.Write(f)
		}),
		raw("frames", "a length in a longer form than it needs", 1002, func(r *Raw) { _, _ = r.Write([]byte{0x81, 0x80 | 126, 0, 2, 0, 0, 0, 0, '{', '}'}) }),
		raw("frames", "an opcode that does not exist", 1002, func(r *Raw) { _, _ = r.Write(frame(true, 0x3, nil)) }),
		raw("frames", "a continuation of nothing", 1002, func(r *Raw) { _, _ = r.Write(frame(true, opContinuation, []byte("{}"))) }),
		raw("frames", "a ping in fragments", 1002, func(r *Raw) { _, _ = r.Write(frame(false, opPing, nil)) }),
		raw("frames", "a close frame with a payload of one byte", 1002, func(r *Raw) { _, _ = r.Write(frame(true, opClose, []byte{3})) }),
		raw("frames", "binary on a text socket", 1003, func(r *Raw) { _, _ = r.Write(frame(true, opBinary, []byte{1, 2, 3})) }),
		raw("frames", "text that is not UTF-8", 1007, func(r *Raw) { _, _ = r.Write(frame(true, opText, []byte{'"', 0xff, 0xfe, '"'})) }),
		{
			Control: "frames",
			Title:   "a message is trickled, one byte a second, while every ping is answered",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				r, err := openRawAs(ctx, t)
				if err != nil {
					return Outcome{}, err
				}
				defer r.Close()
				if _, err := r.Write([]byte{0x81, 0x80 | 100, 0, 0, 0, 0}); err != nil {
					return Outcome{}, err
				}
				begin := time.Now()
				tick := time.NewTicker(time.Second)
				defer tick.Stop()
				for time.Since(begin) < 20*time.Second {
					<-tick.C
					_, err := r.Write([]byte("a"))
					code, open := r.CloseCode(10 * time.Millisecond)
					if err != nil || open == nil {
						return lost("closed with %d after %s", code, time.Since(begin).Round(time.Second))
					}
				}
				return won("still open after 20 s")
			},
		},
	}
}

// raw is an attack that breaks the framing and wins if the socket is not closed
// with the one code that says so.
func raw(control, title string, want int, do func(*Raw)) Attack {
	return Attack{Control: control, Title: title, Run: func(ctx context.Context, t *Target) (Outcome, error) {
		r, err := openRawAs(ctx, t)
		if err != nil {
			return Outcome{}, err
		}
		defer r.Close()
		do(r)
		code, open := r.CloseCode(5 * time.Second)
		switch {
		case open != nil:
			return won("the socket is still open")
		case want != 0 && code != 0 && code != want:
			return won("closed with %d, not with %d", code, want)
		}
		return lost("closed with %d", code)
	}}
}

// openRawAs opens a raw socket as somebody new.
func openRawAs(ctx context.Context, t *Target) (*Raw, error) {
	mallory, err := t.Person(ctx, "mallory")
	if err != nil {
		return nil, err
	}
	r, err := mallory.OpenRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return r, r.SetDeadline(time.Now().Add(30 * time.Second))
}
