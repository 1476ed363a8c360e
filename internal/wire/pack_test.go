package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"
	"pgregory.net/rapid"

	"example.com/portcullis/internal/chat"
)

// vector is one row of the table that the browser's codec is tested against too.
type vector struct {
	name    string
	bytes   []byte
	value   string // JSON, "" if refused
	refused string
	written bool // the form that encoders write
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	b, err := os.ReadFile("../../web/testdata/msgpack.tsv")
	if err != nil {
		t.Fatal(err)
	}
	written := true
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			written = written && len(all) == 0
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 3 {
			t.Fatalf("not three cells: %q", line)
		}
		v := vector{name: cells[0], value: cells[2], written: written}
		if v.bytes, err = hex.DecodeString(cells[1]); err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		if rule, no := strings.CutPrefix(v.value, "!"); no {
			v.value, v.refused = "", rule
		}
		all = append(all, v)
	}
	return all
}

// unpacked reads bytes as DecodePack does, up to the tree.
func unpacked(b []byte) (any, *Error) {
	if refused := checkPack(b); refused != nil {
		return nil, refused
	}
	var r reader
	v, _, refused := r.unpack(b)
	return v, refused
}

// One array header can claim four thousand million elements in five bytes.
//
//control:proves msgpack
func TestDecodePack_agreesWithTheTableOfBytes(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			got, refused := unpacked(v.bytes)
			if v.refused != "" {
				if refused == nil || refused.Detail != v.refused {
					t.Fatalf("got %v, refusal %v; want the refusal %s", got, refused, v.refused)
				}
				return
			}
			if refused != nil {
				t.Fatalf("refused: %v", refused)
			}
			want, _, err := parse([]byte(v.value))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, want %#v", got, want)
			}
			if packed := Repack(nil, []byte(v.value)); v.written && !bytes.Equal(packed, v.bytes) {
				t.Errorf("written as %x, want %x", packed, v.bytes)
			}
		})
	}
}

//control:proves msgpack
func TestDecodePack_allocatesNothingForWhatAFrameOnlyClaims(t *testing.T) {
	codec := newCodec(t)
	for _, bomb := range []string{"ddffffffff00000000", "dfffffffff00000000", "dbffffffff61616161", "9191919191919191dd7fffffff"} {
		frame, err := hex.DecodeString(bomb)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const rounds = 1000
		for range rounds {
			if _, err := codec.DecodePack(frame); err == nil {
				t.Fatalf("%s was accepted", bomb)
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 1024 {
			t.Errorf("%s costs %d bytes, want at most the refusal", bomb, each)
		}
	}
	deep := bytes.Repeat([]byte{0x91}, MaxFrame)
	if n := testing.AllocsPerRun(10, func() { _ = checkPack(deep) }); n > 1 {
		t.Errorf("65,536 levels cost %v allocations, want the refusal only", n)
	}
}

// A command means the same in both encodings, or is refused in both for the same rule.
//
//control:proves msgpack
func TestDecodePack_saysWhatJSONSays(t *testing.T) {
	codec := newCodec(t)
	for _, h := range hostile() {
		root, fault, failed := parse([]byte(h.frame))
		if failed != nil || fault == "number" || strings.HasPrefix(h.frame, "\uFEFF") || len(h.frame) > MaxFrame {
			continue // no value at all, or one that these bytes cannot say
		}
		frame, ok := packTree(root)
		if !ok {
			continue
		}
		_, err := codec.DecodePack(frame)
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Code != h.code || refused.Detail != h.detail {
			t.Errorf("%s: refused with %v, JSON with %s (%s)", h.name, err, h.code, h.detail)
		}
	}
	for _, typ := range Types() {
		for _, e := range examples(t, "client."+string(typ)) {
			want, err := codec.Decode(e)
			if err != nil {
				t.Fatal(err)
			}
			got, err := codec.DecodePack(Repack(nil, compact(t, e)))
			if err != nil || got != want && got.Ticket.Reveal() != want.Ticket.Reveal() {
				t.Errorf("%s: got %+v, %v; JSON gives %+v", typ, got, err, want)
			}
		}
	}
}

// packTree encodes a tree of the JSON reader, with the library alone.
func packTree(v any) ([]byte, bool) {
	b, err := msgp.AppendIntf(nil, v)
	return b, err == nil && len(b) <= MaxFrame && checkPack(b) == nil
}

func compact(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Every event is the same tree in both encodings.
//
//control:proves msgpack
func TestRepack_keepsEveryEvent(t *testing.T) {
	same := func(t interface{ Fatalf(string, ...any) }, frame []byte) {
		var back bytes.Buffer
		if rest, err := msgp.UnmarshalAsJSON(&back, Repack(nil, frame)); err != nil || len(rest) > 0 {
			t.Fatalf("not MessagePack: %v, %d bytes left: %s", err, len(rest), frame)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(back.Bytes(), &got), json.Unmarshal(frame, &want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v: %s became %s", err, frame, back.Bytes())
		}
	}
	for _, typ := range Events() {
		for _, e := range examples(t, "server."+string(typ)) {
			same(t, compact(t, e))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		same(t, Change(nil, chat.Change{Kind: chat.ReactionChanged, Seq: rapid.Int64Range(0, 1<<53-1).Draw(t, "seq"), Message: messages().Draw(t, "message")}))
	})
	many := chat.Message{Reactions: []chat.Reaction{{Emoji: "👍", Users: make([]chat.UserID, 70_000)}}}
	same(t, Change(nil, chat.Change{Kind: chat.ReactionChanged, Message: many}))
}

func FuzzDecodePack(f *testing.F) {
	codec := newCodec(f)
	for _, v := range vectors(f) {
		f.Add(v.bytes)
	}
	for _, typ := range Types() {
		for _, e := range examples(f, "client."+string(typ)) {
			f.Add(Repack(nil, compact(f, e)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := codec.DecodePack(data)
		if err != nil {
			if refused, ok := errors.AsType[*Error](err); !ok || !refused.Code.Known() || refused.Code == Internal || refused.Detail == "" {
				t.Fatalf("bad refusal: %#v", err)
			}
			return
		}
		// What is accepted is what the JSON path accepts, and survives being written again.
		asJSON := encode(t, got)
		want, err := codec.Decode(asJSON)
		if err != nil || got != want {
			t.Fatalf("MessagePack gives %+v, JSON %+v, %v", got, want, err)
		}
		again, err := codec.DecodePack(Repack(nil, asJSON))
		if err != nil || again != got {
			t.Fatalf("changed on the way: %+v, then %+v, %v", got, again, err)
		}
	})
}

func BenchmarkDecodePack(b *testing.B) {
	codec := newCodec(b)
	frame := Repack(nil, []byte(send(`"Good morning, how are you?"`)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = codec.DecodePack(frame)
	}
}
