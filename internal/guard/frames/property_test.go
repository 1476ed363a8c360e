package frames_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/portcullis/internal/guard/frames"
)

// tight are limits that a short random stream meets often.
func tight() frames.Limits {
	return frames.Limits{
		BytesPerSecond: 1, ByteBurst: 400, FramesPerSecond: 1, FrameBurst: 12,
		ControlFrames: 4, ControlWindow: time.Hour, FramesPerMessage: 5, EmptyFragments: 2,
		MessageBytes: 300, MessageDeadline: time.Hour,
	}
}

// streams are sequences of frames, right and wrong, the last perhaps cut short.
var streams = rapid.Custom(func(t *rapid.T) []byte {
	var s []byte
	for range rapid.IntRange(0, 20).Draw(t, "frames") {
		first := rapid.OneOf(
			rapid.SampledFrom([]byte{fin | text, text, cont, fin | cont, fin | ping, fin | pong, fin | clos}),
			rapid.Byte(),
		).Draw(t, "first byte")
		size := rapid.SampledFrom([]int{0, 0, 1, 1, 2, 7, 125, 126, 127, 200, 300, 301, 70000}).Draw(t, "payload")
		f := frame(first, string(bytes.Repeat([]byte{'x'}, size)))
		if rapid.IntRange(0, 9).Draw(t, "spoil") == 0 {
			i := rapid.IntRange(0, min(len(f)-1, 9)).Draw(t, "at")
			f[i] = rapid.Byte().Draw(t, "to")
		}
		s = append(s, f...)
	}
	return s[:rapid.IntRange(0, len(s)).Draw(t, "cut")]
})

// cuts split s into pieces of random length.
func cuts(t *rapid.T, s []byte) (pieces [][]byte) {
	for len(s) > 0 {
		n := min(len(s), rapid.OneOf(rapid.IntRange(1, 4), rapid.IntRange(1, 1000)).Draw(t, "piece"))
		pieces, s = append(pieces, s[:n]), s[n:]
	}
	return pieces
}

//control:proves frames
func TestFeed_agreesWithTheReferenceHoweverTheStreamIsCut(t *testing.T) {
	now := time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		l := tight()
		l.AllowBinary = rapid.Bool().Draw(rt, "binary")
		l.AllowCompressed = rapid.Bool().Draw(rt, "compressed")
		s := streams.Draw(rt, "stream")
		want, broken := reference(s, l)

		a := auditor(t, l, now)
		var passed int
		var got frames.Kind
		for _, piece := range cuts(rt, s) {
			pass, v := a.Feed(piece, now)
			passed += pass
			if v != nil {
				got = v.Kind
				break
			}
		}
		if passed != want || got != broken {
			rt.Fatalf("passed on %d and found %q, want %d and %q", passed, got, want, broken)
		}
	})
}

// pieces is a net.Conn that delivers one piece per read, then EOF, and swallows
// what is written.
type pieces struct {
	net.Conn
	left [][]byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func (*pieces) Write(b []byte) (int, error)      { return len(b), nil }
func (*pieces) Close() error                     { return nil }
func (*pieces) SetDeadline(time.Time) error      { return nil }
func (*pieces) SetReadDeadline(time.Time) error  { return nil }
func (*pieces) SetWriteDeadline(time.Time) error { return nil }

//control:proves frames
func TestRead_passesOnExactlyTheAuditedBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := tight()
		s := streams.Draw(rt, "stream")
		want, broken := reference(s, l)
		c, err := frames.New(&pieces{left: cuts(rt, s)}, l)
		if err != nil {
			rt.Fatal(err)
		}
		var got []byte
		for {
			b := make([]byte, rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 64), rapid.Just(4096)).Draw(rt, "room"))
			n, err := c.Read(b)
			got = append(got, b[:n]...)
			if n == 0 && err == nil {
				rt.Fatal("nothing read and no error")
			}
			if err == nil {
				continue
			}
			v, violated := err.(*frames.Violation)
			switch {
			case broken == "" && err != io.EOF:
				rt.Fatalf("got error %v, want the end", err)
			case broken != "" && (!violated || v.Kind != broken || c.Violation() != v):
				rt.Fatalf("got error %v, want %s", err, broken)
			}
			break
		}
		if !bytes.Equal(got, s[:want]) {
			rt.Fatalf("passed on %d bytes, want the first %d unchanged", len(got), want)
		}
		if broken == "" && c.BytesIn() != int64(len(s)) {
			rt.Fatalf("counted %d of %d bytes", c.BytesIn(), len(s))
		}
		if c.Buffered() != 0 {
			rt.Fatalf("%d bytes left", c.Buffered())
		}
	})
}
