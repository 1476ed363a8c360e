package frames_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/portcullis/internal/guard/frames"
)

// FuzzAuditor feeds a stream, cut at a place of the fuzzer's choice. The guard must
// agree with the reference, pass on nothing of a bad frame, and leave nothing for
// gorilla to complain about except what is in the payload of a close.
//
//control:proves frames
func FuzzAuditor(f *testing.F) {
	for _, s := range [][]byte{
		nil,
		frame(fin|text, "hello"),
		stream(frame(text, "a"), frame(fin|ping, "p"), frame(cont, ""), frame(fin|cont, "b")),
		stream(frame(text, ""), bytes.Repeat(frame(cont, ""), 9)),
		bytes.Repeat(frame(fin|ping, ""), 9),
		bytes.Repeat(frame(fin|text, ""), 20),
		frame(fin|text, strings.Repeat("x", 126)),
		frame(fin|text, strings.Repeat("x", 301)),
		stream(frame(text, strings.Repeat("x", 200)), frame(fin|cont, strings.Repeat("x", 101))),
		frame(fin|clos, "\x03\xe8bye"), frame(fin|clos, "\x03"), frame(fin|clos, ""),
		frame(fin|rsv1|text, "x"), frame(fin|bin, "x"), frame(fin|0x3, ""), frame(ping, ""), frame(fin|cont, "x"),
		{fin | text, 1, 'x'},
		{fin | text, 0x80 | 126, 0, 1, 0, 0, 0, 0, 'x'},
		append(binary.BigEndian.AppendUint64([]byte{fin | text, 0xff}, 1<<63), 0, 0, 0, 0),
		append(binary.BigEndian.AppendUint64([]byte{fin | text, 0xff}, 1<<63-1), 0, 0, 0, 0),
		frame(fin|text, strings.Repeat("x", 65536))[:20],
	} {
		f.Add(s, uint16(1), uint8(0))
		f.Add(s, uint16(len(s)/2), uint8(1))
	}
	f.Fuzz(func(t *testing.T, s []byte, cut uint16, flags uint8) {
		l := tight()
		l.AllowBinary, l.AllowCompressed = flags&1 != 0, flags&2 != 0
		want, broken := reference(s, l)

		at := min(int(cut), len(s))
		now := time.Now()
		a := auditor(t, l, now)
		passed, v := a.Feed(s[:at], now)
		if v == nil {
			var more int
			more, v = a.Feed(s[at:], now)
			passed += more
		}
		var got frames.Kind
		if v != nil {
			got = v.Kind
		}
		if passed != want || got != broken {
			t.Fatalf("passed on %d and found %q, want %d and %q", passed, got, want, broken)
		}

		agreesWithGorilla(t, s, at, want, broken, l)
	})
}

// agreesWithGorilla reads s through the guard, and the first want bytes without
// it: gorilla must see the same messages both times.
func agreesWithGorilla(t *testing.T, s []byte, at, want int, broken frames.Kind, l frames.Limits) {
	t.Helper()
	if l.AllowCompressed {
		return // whether a payload inflates is not the guard's business
	}
	hijacked, _ := frames.Hijack(onConn(fed(s[:at], s[at:])), l, 0)
	guarded, errGuarded := messages(t, hijacked)
	plain, errPlain := messages(t, onConn(fed(s[:want])))
	if strings.Join(guarded, "|") != strings.Join(plain, "|") {
		t.Fatalf("gorilla read %q through the guard and %q without", guarded, plain)
	}
	v, violated := errors.AsType[*frames.Violation](errGuarded)
	if violated && v.Kind != broken {
		t.Fatalf("gorilla got %v, want %q", errGuarded, broken)
	}
	// What gorilla may still find is the end, and what is in the payload of a close.
	_, ended := errors.AsType[*websocket.CloseError](errPlain)
	inClose := strings.Contains(errPlain.Error(), "bad close code") || strings.Contains(errPlain.Error(), "utf8 payload in close")
	if !ended && !inClose {
		t.Fatalf("gorilla refused what the guard passed on: %v", errPlain)
	}
}

// messages upgrades on w and reads until an error.
func messages(t *testing.T, w http.ResponseWriter) (got []string, err error) {
	t.Helper()
	ws, err := (&websocket.Upgrader{}).Upgrade(w, upgradeRequest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		kind, m, err := ws.ReadMessage()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%d %x", kind, m))
	}
}

// fed returns a connection on which the given pieces arrive, and then the end.
func fed(parts ...[]byte) net.Conn {
	p := &pieces{}
	for _, part := range parts {
		if len(part) > 0 {
			p.left = append(p.left, part)
		}
	}
	return p
}
