package frames_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/frames"
)

func auditor(t testing.TB, l frames.Limits, now time.Time) *frames.Auditor {
	t.Helper()
	a, err := frames.NewAuditor(l, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func stream(parts ...[]byte) []byte { return slices.Concat(parts...) }

//control:proves frames
func TestFeed_refuses(t *testing.T) {
	good := frame(fin|text, "before")
	tests := []struct {
		name   string
		limits func(*frames.Limits)
		before []byte // passed on, together with good
		bad    []byte
		kind   frames.Kind
		code   int
	}{
		{name: "unmasked text", bad: []byte{fin | text, 2, 'h', 'i'}, kind: frames.Unmasked, code: 1002},
		{name: "unmasked ping", bad: []byte{fin | ping, 0}, kind: frames.Unmasked, code: 1002},
		{name: "RSV1 without extension", bad: frame(fin|rsv1|text, "x"), kind: frames.RSV, code: 1002},
		{name: "RSV2", bad: frame(fin|rsv2|text, "x"), kind: frames.RSV, code: 1002},
		{name: "RSV3", bad: frame(fin|rsv3|text, "x"), kind: frames.RSV, code: 1002},
		{name: "RSV1 on a ping, compressed", limits: allowCompressed, bad: frame(fin|rsv1|ping, ""), kind: frames.RSV, code: 1002},
		{name: "RSV1 on a continuation, compressed", limits: allowCompressed, before: frame(rsv1|text, "x"), bad: frame(fin|rsv1|cont, "y"), kind: frames.RSV, code: 1002},
		{name: "RSV2 beside RSV1, compressed", limits: allowCompressed, bad: frame(fin|rsv1|rsv2|text, "x"), kind: frames.RSV, code: 1002},
		{name: "opcode 3", bad: frame(fin|0x3, "x"), kind: frames.Opcode, code: 1002},
		{name: "opcode 7", bad: frame(fin|0x7, "x"), kind: frames.Opcode, code: 1002},
		{name: "opcode 11", bad: frame(fin|0xb, "x"), kind: frames.Opcode, code: 1002},
		{name: "opcode 15", bad: frame(fin|0xf, "x"), kind: frames.Opcode, code: 1002},
		{name: "length 2^63", bad: []byte{fin | text, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, kind: frames.LengthMSB, code: 1002},
		{name: "length 2^64-1", bad: []byte{fin | text, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, kind: frames.LengthMSB, code: 1002},
		{name: "length 2^63 on a continuation", before: frame(text, "x"), bad: []byte{fin | cont, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, kind: frames.LengthMSB, code: 1002},
		{name: "length 2^63-1", bad: []byte{fin | text, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, kind: frames.TooBig, code: 1009},
		{name: "length 2^63-1 on a continuation", before: frame(text, "x"), bad: []byte{cont, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, kind: frames.TooBig, code: 1009},
		{name: "length 125 in 16 bits", bad: []byte{fin | text, 0x80 | 126, 0, 125, 1, 2, 3, 4}, kind: frames.LengthForm, code: 1002},
		{name: "length 0 in 64 bits", bad: []byte{fin | text, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, kind: frames.LengthForm, code: 1002},
		{name: "length 65,535 in 64 bits", bad: []byte{fin | text, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4}, kind: frames.LengthForm, code: 1002},
		{name: "ping of 126 bytes", bad: frame(fin|ping, strings.Repeat("x", 126)), kind: frames.ControlLength, code: 1002},
		{name: "close of 70,000 bytes", bad: frame(fin|clos, strings.Repeat("x", 70000)), kind: frames.ControlLength, code: 1002},
		{name: "ping without FIN", bad: frame(ping, ""), kind: frames.ControlFragmented, code: 1002},
		{name: "close without FIN", bad: frame(clos, ""), kind: frames.ControlFragmented, code: 1002},
		{name: "close of one byte", bad: frame(fin|clos, "\x03"), kind: frames.ClosePayload, code: 1002},
		{name: "text after close", before: frame(fin|clos, "\x03\xe8"), bad: frame(fin|text, "x"), kind: frames.AfterClose, code: 1002},
		{name: "second close", before: frame(fin|clos, ""), bad: frame(fin|clos, ""), kind: frames.AfterClose, code: 1002},
		{name: "continuation without a message", bad: frame(fin|cont, "x"), kind: frames.Continuation, code: 1002},
		{name: "continuation after FIN", before: stream(frame(text, "x"), frame(fin|cont, "y")), bad: frame(fin|cont, "z"), kind: frames.Continuation, code: 1002},
		{name: "text inside a message", before: frame(text, "x"), bad: frame(fin|text, "y"), kind: frames.Interleaved, code: 1002},
		{name: "binary inside a message", limits: allowBinary, before: frame(text, "x"), bad: frame(fin|bin, "y"), kind: frames.Interleaved, code: 1002},
		{name: "binary on a text socket", bad: frame(fin|bin, "x"), kind: frames.Binary, code: 1003},
		{name: "65,537 bytes", bad: frame(fin|text, strings.Repeat("x", 65537)), kind: frames.TooBig, code: 1009},
		{name: "65,537 bytes over two frames", before: frame(text, strings.Repeat("x", 40000)), bad: frame(fin|cont, strings.Repeat("x", 25537)), kind: frames.TooBig, code: 1009},
		{name: "two fragments of 40 KB", before: frame(text, strings.Repeat("x", 40<<10)), bad: frame(fin|cont, strings.Repeat("x", 40<<10)), kind: frames.TooBig, code: 1009},
		{name: "fragment too many", limits: func(l *frames.Limits) { l.FramesPerMessage = 3 }, before: stream(frame(text, "a"), frame(cont, "b"), frame(fin|ping, ""), frame(cont, "c")), bad: frame(fin|cont, "d"), kind: frames.FragmentFlood, code: 1002},
		{name: "empty fragment too many", limits: func(l *frames.Limits) { l.EmptyFragments = 2 }, before: stream(frame(text, ""), frame(cont, "b"), frame(cont, "")), bad: frame(fin|cont, ""), kind: frames.EmptyFragments, code: 1002},
		{name: "control frame too many", limits: func(l *frames.Limits) { l.ControlFrames = 3 }, before: stream(frame(fin|ping, ""), frame(fin|pong, "x"), frame(fin|pong, "")), bad: frame(fin|ping, ""), kind: frames.ControlFlood, code: 1008},
		{name: "frame too many", limits: func(l *frames.Limits) { l.FramesPerSecond, l.FrameBurst, l.FramesPerMessage = 1, 3, 3 }, before: stream(frame(fin|text, ""), frame(fin|text, "")), bad: frame(fin|text, ""), kind: frames.FrameRate, code: 1008},
		{name: "byte too many", limits: func(l *frames.Limits) {
			l.BytesPerSecond, l.MessageBytes, l.FramesPerMessage, l.ByteBurst = 1, 100, 1, 114
		}, before: frame(fin|text, strings.Repeat("x", 90)), bad: frame(fin|text, "yyyyyyy"), kind: frames.ByteRate, code: 1008},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := loose()
			if tt.limits != nil {
				tt.limits(&l)
			}
			now := time.Now()
			a := auditor(t, l, now)
			lead := stream(good, tt.before)
			pass, v := a.Feed(stream(lead, tt.bad, good), now)
			if v == nil {
				t.Fatal("no violation")
			}
			if v.Kind != tt.kind || v.Close != tt.code {
				t.Errorf("got %s %d, want %s %d", v.Kind, v.Close, tt.kind, tt.code)
			}
			if pass != len(lead) {
				t.Errorf("passed on %d bytes, want the %d before the bad frame", pass, len(lead))
			}
			if v.Frame != a.Frames() {
				t.Errorf("frame number %d of %d", v.Frame, a.Frames())
			}
			if pass, again := a.Feed(good, now.Add(time.Hour)); pass != 0 || again != v {
				t.Errorf("after the violation: %d bytes, %v", pass, again)
			}
		})
	}
}

func allowCompressed(l *frames.Limits) { l.AllowCompressed = true }
func allowBinary(l *frames.Limits)     { l.AllowBinary = true }

//control:proves frames
func TestFeed_accepts(t *testing.T) {
	tests := []struct {
		name   string
		limits func(*frames.Limits)
		stream []byte
	}{
		{name: "text", stream: frame(fin|text, "hi")},
		{name: "empty text", stream: frame(fin|text, "")},
		{name: "lengths around the forms", stream: stream(frame(fin|text, strings.Repeat("x", 125)), frame(fin|text, strings.Repeat("x", 126)), frame(fin|text, strings.Repeat("x", 65535)))},
		{name: "65,536 bytes", stream: frame(fin|text, strings.Repeat("x", 65536))},
		{name: "65,536 bytes over two frames", stream: stream(frame(text, strings.Repeat("x", 40000)), frame(fin|cont, strings.Repeat("x", 25536)))},
		{name: "the sum starts again with each message", stream: stream(frame(fin|text, strings.Repeat("x", 65536)), frame(fin|text, strings.Repeat("x", 65536)))},
		{name: "control frames inside a message", stream: stream(frame(text, "a"), frame(fin|ping, "p"), frame(cont, "b"), frame(fin|pong, ""), frame(fin|cont, "c"))},
		{name: "a message ended by an empty frame", stream: stream(frame(text, "a"), frame(fin|cont, ""))},
		{name: "ping of 125 bytes", stream: frame(fin|ping, strings.Repeat("x", 125))},
		{name: "close with code", stream: frame(fin|clos, "\x03\xe8bye")},
		{name: "close without code", stream: frame(fin|clos, "")},
		{name: "close inside a message", stream: stream(frame(text, "a"), frame(fin|clos, ""))},
		{name: "binary where allowed", limits: allowBinary, stream: frame(fin|bin, "x")},
		{name: "compressed message", limits: allowCompressed, stream: stream(frame(rsv1|text, "a"), frame(fin|cont, "b"))},
		{name: "plain message where compression is allowed", limits: allowCompressed, stream: frame(fin|text, "a")},
		{name: "empty messages are no fragments", limits: func(l *frames.Limits) { l.EmptyFragments = 1 }, stream: bytes.Repeat(frame(fin|text, ""), 10)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := loose()
			if tt.limits != nil {
				tt.limits(&l)
			}
			now := time.Now()
			pass, v := auditor(t, l, now).Feed(tt.stream, now)
			if v != nil || pass != len(tt.stream) {
				t.Errorf("passed on %d of %d bytes, %v", pass, len(tt.stream), v)
			}
		})
	}
}

//control:proves frames
func TestFeed_withholdsAHeaderUntilItIsComplete(t *testing.T) {
	now := time.Now()
	a := auditor(t, loose(), now)
	f := frame(fin|text, strings.Repeat("x", 65536)) // 14 bytes of header
	for i := range 13 {
		if pass, v := a.Feed(f[i:i+1], now); pass != 0 || v != nil {
			t.Fatalf("byte %d: passed on %d, %v", i, pass, v)
		}
		if got := a.Withheld(); !bytes.Equal(got, f[:i+1]) {
			t.Fatalf("withheld % x", got)
		}
	}
	if pass, v := a.Feed(f[13:15], now); pass != 15 || v != nil {
		t.Errorf("with the last header byte: passed on %d, %v", pass, v)
	}
	if got := a.Withheld(); len(got) != 0 {
		t.Errorf("still withheld: % x", got)
	}
}

//control:proves frames
func TestFeed_budgetsComeBackWithTime(t *testing.T) {
	tests := []struct {
		name   string
		limits func(*frames.Limits)
		frame  []byte
		burst  int           // frames at once
		wait   time.Duration // for one more
	}{
		{"control frames", func(l *frames.Limits) { l.ControlFrames, l.ControlWindow = 10, 10*time.Second }, frame(fin|ping, ""), 10, time.Second},
		{"frames", func(l *frames.Limits) { l.FramesPerSecond, l.FrameBurst, l.FramesPerMessage = 4, 20, 2 }, frame(fin|text, "x"), 20, 250 * time.Millisecond},
		{"bytes", func(l *frames.Limits) {
			l.BytesPerSecond, l.ByteBurst, l.MessageBytes, l.FramesPerMessage = 200, 1000, 100, 2
		}, frame(fin|text, strings.Repeat("x", 94)), 10, 500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := loose()
			tt.limits(&l)
			start := time.Now()
			now := start.Add(time.Hour) // a long silence must not save up more than the burst
			feed := func(a *frames.Auditor, after time.Duration, n int) *frames.Violation {
				_, v := a.Feed(bytes.Repeat(tt.frame, n), now.Add(after))
				return v
			}

			a := auditor(t, l, start)
			if v := feed(a, 0, tt.burst); v != nil {
				t.Fatalf("the burst: %v", v)
			}
			if v := feed(a, tt.wait, 1); v != nil {
				t.Errorf("one more after %v: %v", tt.wait, v)
			}
			if v := feed(a, tt.wait, 1); v == nil {
				t.Error("a second one at that moment was let through")
			}

			a = auditor(t, l, start)
			feed(a, 0, tt.burst)
			if v := feed(a, tt.wait-time.Millisecond, 1); v == nil {
				t.Errorf("one more a millisecond before %v was let through", tt.wait)
			}
		})
	}
}

//control:proves frames
func TestFeed_messageDeadline(t *testing.T) {
	start := time.Now()
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	type step struct {
		at   float64 // seconds
		data []byte
	}
	tests := []struct {
		name  string
		steps []step
		slow  bool // at the last step
	}{
		{"payload in time", []step{{0, frame(text, "a")}, {9.9, frame(fin|cont, "b")}}, false},
		{"payload late", []step{{0, frame(text, "a")}, {10, frame(fin|cont, "b")}}, true},
		{"pings do not help", []step{{0, frame(text, "a")}, {4, frame(fin|ping, "")}, {8, frame(fin|pong, "")}, {10, frame(fin|ping, "")}}, true},
		{"one byte at a time", []step{{0, frame(fin|text, "abcd")[:7]}, {3, []byte("b")}, {6, []byte("c")}, {10, []byte("d")}}, true},
		{"header byte by byte", []step{{0, []byte{fin | text}}, {5, []byte{0x84}}, {10, []byte{0}}}, true},
		{"a lone ping trickles", []step{{0, frame(fin|ping, "abc")[:7]}, {10, []byte("b")}}, true},
		{"the clock counts from the first byte of the message", []step{{0, frame(fin|text, "a")}, {30, frame(text, "b")}, {39, frame(fin|cont, "c")}}, false},
		{"a finished message stops the clock", []step{{0, frame(text, "a")}, {9, stream(frame(fin|cont, "b"), frame(text, "c"))}, {18, frame(fin|cont, "d")}}, false},
		{"silence between messages is free", []step{{0, frame(fin|text, "a")}, {3600, nil}, {7200, frame(fin|text, "b")}}, false},
		{"time passes without bytes", []step{{0, frame(text, "a")}, {10, nil}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := auditor(t, loose(), start)
			for i, s := range tt.steps {
				_, v := a.Feed(s.data, at(s.at))
				if last := i == len(tt.steps)-1; (v != nil) != (last && tt.slow) {
					t.Fatalf("at %v s: %v", s.at, v)
				} else if v != nil && (v.Kind != frames.SlowMessage || v.Close != 1008) {
					t.Fatalf("at %v s: %v %d", s.at, v, v.Close)
				}
			}
		})
	}
}

func TestDue(t *testing.T) {
	start := time.Now()
	a := auditor(t, loose(), start)
	if due := a.Due(); !due.IsZero() {
		t.Errorf("at rest: %v", due)
	}
	if _, v := a.Feed(frame(text, "a"), start.Add(time.Second)); v != nil {
		t.Fatal(v)
	}
	if due := a.Due(); !due.Equal(start.Add(11 * time.Second)) {
		t.Errorf("10 s after the first byte is %v, got %v", start.Add(11*time.Second), due)
	}
	if _, v := a.Feed(frame(fin|cont, "a"), start.Add(2*time.Second)); v != nil {
		t.Fatal(v)
	}
	if due := a.Due(); !due.IsZero() {
		t.Errorf("after the message: %v", due)
	}
}

//control:proves frames
func TestNewAuditor_refusesBadLimits(t *testing.T) {
	if _, err := frames.NewAuditor(frames.Limits{}, time.Now()); err == nil {
		t.Error("the zero Limits were accepted")
	}
	if _, err := frames.NewAuditor(frames.Defaults(), time.Now()); err != nil {
		t.Errorf("the defaults were refused: %v", err)
	}
	for name, spoil := range map[string]func(*frames.Limits){
		"no byte rate":          func(l *frames.Limits) { l.BytesPerSecond = 0 },
		"no byte burst":         func(l *frames.Limits) { l.ByteBurst = 0 },
		"no frame rate":         func(l *frames.Limits) { l.FramesPerSecond = 0 },
		"no frame burst":        func(l *frames.Limits) { l.FrameBurst = 0 },
		"no control frames":     func(l *frames.Limits) { l.ControlFrames = 0 },
		"no control window":     func(l *frames.Limits) { l.ControlWindow = 0 },
		"no fragments":          func(l *frames.Limits) { l.FramesPerMessage = 0 },
		"no empty fragments":    func(l *frames.Limits) { l.EmptyFragments = 0 },
		"no message size":       func(l *frames.Limits) { l.MessageBytes = 0 },
		"endless control":       func(l *frames.Limits) { l.ControlFrames = 1e6 + 1 },
		"short control window":  func(l *frames.Limits) { l.ControlWindow = time.Millisecond },
		"no deadline":           func(l *frames.Limits) { l.MessageDeadline = 0 },
		"negative":              func(l *frames.Limits) { l.FrameBurst = -1 },
		"endless message":       func(l *frames.Limits) { l.MessageBytes = 1 << 62 },
		"endless rate":          func(l *frames.Limits) { l.BytesPerSecond = 1e9 + 1 },
		"endless deadline":      func(l *frames.Limits) { l.MessageDeadline = 2 * time.Hour },
		"endless window":        func(l *frames.Limits) { l.ControlWindow = 2 * time.Hour },
		"burst below a message": func(l *frames.Limits) { l.ByteBurst = int(l.MessageBytes) },
		"burst below fragments": func(l *frames.Limits) { l.FrameBurst = l.FramesPerMessage - 1 },
	} {
		l := frames.Defaults()
		spoil(&l)
		if _, err := frames.NewAuditor(l, time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := frames.New(nil, l); err == nil {
			t.Errorf("%s: accepted by New", name)
		}
	}
}
