package deflate

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// inflate is what a browser does with the payload of an RSV1 frame.
func inflate(payload []byte) io.Reader {
	return flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader(tail+"\x01\x00\x00\xff\xff")))
}

type seen struct {
	ratios []string
	alarms []Reason
}

func newCompressor(t testing.TB, clock *time.Time, types ...string) (*Compressor, *seen) {
	t.Helper()
	s := &seen{}
	c, err := NewCompressor(Options{
		Types: types, Now: func() time.Time { return *clock },
		Observed: func(kind string, _, _ int) { s.ratios = append(s.ratios, kind) },
		Alarmed:  func(_ string, why Reason) { s.alarms = append(s.alarms, why) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// The CRIME meter. The secret is a token; the attacker has text of theirs sent beside
// it and sees the length on the wire, nothing else.
const (
	alphabet = "0123456789abcdef"
	label    = "csrf_token="
)

// mixed is the design that leaks: one compressed message with the secret and the guess.
func mixed() func(secret, guess string) int {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.DefaultCompression) // one for all: making it is most of the work
	return func(secret, guess string) int {
		out.Reset()
		w.Reset(&out)
		_, _ = io.WriteString(w, "<form><input "+label+secret+"></form>"+strings.Repeat("<li>chat</li>", 100)+"<p>you searched for "+label+guess+"</p>")
		_ = w.Flush()
		return out.Len()
	}
}

// recovered reads a secret character by character from lengths alone; each character
// costs len(alphabet) messages. Two tries per guess, with the guess twice, cancel the
// rounding to whole bytes.
func recovered(secret string, length func(secret, guess string) int) string {
	known := ""
	for range secret {
		best, shortest, unique := "", 1<<30, false
		for _, next := range alphabet {
			guess := known + string(next)
			size := 0
			for _, filler := range []string{"~", "~~", "~~~", "~~~~", "~!", "~!~", "!~!~"} {
				size += length(secret, guess+filler)
			}
			switch {
			case size < shortest:
				best, shortest, unique = guess, size, true
			case size == shortest:
				unique = false
			}
		}
		if !unique {
			return known
		}
		known = best
	}
	return known
}

//control:proves compression
func TestCompress_anAttackerWhoSeesLengthsLearnsNothing(t *testing.T) {
	const secret = "7c0ffee15bad"
	// The meter works: on a server that compresses secret and guess together it reads
	// the secret, or at least far more of it than chance.
	leaked := recovered(secret, mixed())
	if len(leaked) < 4 || !strings.HasPrefix(secret, leaked) {
		t.Fatalf("the meter reads %q of a leaking design: it could not tell a leak", leaked)
	}
	// The same attacker and the same texts here: the type that has the guess in it is not
	// in the table, so a right guess and a wrong one have one length.
	clock := time.Now()
	c, _ := newCompressor(t, &clock, "announcement")
	ours := func(secret, guess string) int {
		message := []byte(strings.Repeat("<li>chat</li>", 100) + label + secret + label + guess)
		if deflated, ok := c.Compress("message.new", message); ok {
			return len(deflated)
		}
		return len(message)
	}
	if got := recovered(secret, ours); got != "" {
		t.Fatalf("read %q of the secret", got)
	}
	for _, next := range alphabet {
		if right, wrong := ours(secret, secret[:1]), ours(secret, string(next)); right != wrong {
			t.Errorf("right guess %d bytes, %q %d bytes: a difference of %d", right, next, wrong, right-wrong)
		}
	}
}

//control:proves compression
func TestCompress_onlyTypesOfTheTable(t *testing.T) {
	clock := time.Now()
	c, s := newCompressor(t, &clock, "announcement")
	long := []byte(strings.Repeat("maintenance tonight ", 100))
	for _, tt := range []struct {
		name, kind string
		message    []byte
		want       bool
	}{
		{"public and long", "announcement", long, true},
		{"public and one byte short", "announcement", long[:MinBytes-1], false},
		{"a message of a room", "message.new", long, false},
		{"hello, which has ids", "hello", long, false},
		{"no type", "", long, false},
		{"noise, which would grow", "announcement", []byte(rand.Text() + rand.Text() + rand.Text()), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			deflated, ok := c.Compress(tt.kind, tt.message)
			if ok != tt.want {
				t.Fatalf("compressed %v, want %v", ok, tt.want)
			}
			if !ok {
				return
			}
			back, err := io.ReadAll(inflate(deflated))
			if err != nil || !bytes.Equal(back, tt.message) || len(deflated) >= len(tt.message) {
				t.Errorf("%d bytes became %d, back %d, %v", len(tt.message), len(deflated), len(back), err)
			}
		})
	}
	if len(s.ratios) != 1 || len(s.alarms) != 0 {
		t.Errorf("observed %v, alarms %v", s.ratios, s.alarms)
	}
}

//control:proves compression
func TestCompress_probesGoOutPlainAndAreTold(t *testing.T) {
	clock := time.Now()
	c, s := newCompressor(t, &clock, "announcement")
	plain := 0
	for i := range 30 {
		if _, ok := c.Compress("announcement", []byte(strings.Repeat("a", MinBytes+i%near))); !ok {
			plain++
		}
	}
	if plain != 30-probes || s.alarms[0] != NearEqual {
		t.Errorf("%d of 30 probes went out plain, want %d; alarms %v", plain, 30-probes, s.alarms)
	}
	clock = clock.Add(window)
	s.alarms = nil
	for i := range 2 * PerMinute {
		_, _ = c.Compress("announcement", []byte(strings.Repeat("a", MinBytes+i*100)))
	}
	if len(s.alarms) != PerMinute || s.alarms[0] != Budget {
		t.Errorf("alarms %v, want %d of budget", s.alarms, PerMinute)
	}
	clock = clock.Add(window)
	if _, ok := c.Compress("announcement", []byte(strings.Repeat("a", MinBytes))); !ok {
		t.Error("a minute later it is still not compressed")
	}
}

func TestOffered_onlyWhatWeCanKeep(t *testing.T) {
	for offer, want := range map[string]bool{
		"":                   false,
		"permessage-deflate": true,
		"permessage-deflate; client_max_window_bits":                                 true, // every browser
		"permessage-deflate; client_max_window_bits=10":                              true,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover": true,
		"permessage-deflate; server_max_window_bits=15":                              true,
		"permessage-deflate; server_max_window_bits=10":                              false,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":          true,
		"permessage-deflate; client_max_window_bits=7":                               false,
		"permessage-deflate; server_no_context_takeover=1":                           false,
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover": false,
		"permessage-deflate; mystery":                                                false,
		"permessage-deflate;":                                                        false,
		"x-webkit-deflate-frame":                                                     false,
		"x-permessage-deflate":                                                       false,
		"permessage-deflate; client_max_window_bits=15; client_max_window_bits=15":   false,
	} {
		if got := Offered([]string{offer}); got != want {
			t.Errorf("%q: %v, want %v", offer, got, want)
		}
	}
}

// 60 KB on the wire, 60 MB inflated.
//
//control:proves inflated-size
func TestRead_aBombIsNotInflated(t *testing.T) {
	bomb := bytes.Repeat(append(Deflate(make([]byte, 1<<20)), tail...), 60) // as one stream, only made faster
	if len(bomb) > 64<<10 {
		t.Fatalf("the bomb has %d bytes, too many for a frame", len(bomb))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var dst bytes.Buffer
	err := Read(&dst, inflate(bomb), 64<<10, func() int64 { return int64(len(bomb)) })
	runtime.ReadMemStats(&after)
	large, ok := errors.AsType[*TooLarge](err)
	if !ok || large.Limit != 64<<10 || dst.Len() > 64<<10+1 {
		t.Errorf("error %v with %d bytes made", err, dst.Len())
	}
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 1<<20 {
		t.Errorf("refusing it cost %d bytes, want less than 1 MiB", cost)
	}
}

//control:proves inflated-size
func TestRead_acceptsExactlyTheLimit(t *testing.T) {
	const limit = 64 << 10
	text := []byte(strings.Repeat(rand.Text(), limit/26+1))
	for _, tt := range []struct {
		name string
		size int
		want string // reason, "" if accepted
	}{
		{"empty", 0, ""},
		{"one byte below", limit - 1, ""},
		{"exactly", limit, ""},
		{"one byte above", limit + 1, "inflated_size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var dst bytes.Buffer
			err := Read(&dst, bytes.NewReader(text[:tt.size]), limit, func() int64 { return int64(tt.size) })
			got := ""
			if large, ok := errors.AsType[*TooLarge](err); ok {
				got = large.Reason()
			} else if err != nil {
				t.Fatal(err)
			}
			if got != tt.want || tt.want == "" && dst.Len() != tt.size {
				t.Errorf("%q with %d bytes, want %q with %d", got, dst.Len(), tt.want, tt.size)
			}
		})
	}
}

//control:proves inflated-size
func TestRead_aRatioThatNobodyNeedsEndsItEarly(t *testing.T) {
	zeros := Deflate(make([]byte, 60<<10)) // below the limit, 900 times its size
	var dst bytes.Buffer
	err := Read(&dst, inflate(zeros), 64<<10, func() int64 { return int64(len(zeros)) })
	large, ok := errors.AsType[*TooLarge](err)
	if !ok || large.Reason() != "inflate_ratio" || large.Ratio <= MaxRatio || dst.Len() > ratioFrom+step {
		t.Errorf("error %v with %d bytes made", err, dst.Len())
	}
	broken := errors.New("broken")
	if err := Read(&dst, io.MultiReader(strings.NewReader("x"), failing{broken}), 10, func() int64 { return 1 }); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's own", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
