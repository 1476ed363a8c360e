package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table reads the rows of a marked table: cells as written.
func table(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	_, rest, found := strings.Cut(page(t), "<!-- table: "+name+" -->\n")
	body, _, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		t.Fatalf("table %s is not marked", name)
	}
	for i, line := range strings.Split(strings.TrimSpace(body), "\n") {
		if i < 2 { // head and rule
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

var word = regexp.MustCompile("`([^`]+)`")

// words are the quoted words of a cell, sorted.
func words(cell string) (all []string) {
	for _, m := range word.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// object lists the properties of a schema's object, optional ones with a question mark.
func object(properties map[string]any, required []string) (all []string) {
	for name := range maps.Keys(properties) {
		if !slices.Contains(required, name) {
			name += "?"
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestDocs_commandTableAgreesWithTheSchemas(t *testing.T) {
	var types []Type
	for _, row := range table(t, "commands") {
		typ := words(row[0])[0]
		types = append(types, Type(typ))
		data := read(t, "client."+typ).Properties.Data
		if got, want := words(row[1]), object(data.Properties, data.Required); !slices.Equal(got, want) {
			t.Errorf("%s: page has %v, schema %v", typ, got, want)
		}
	}
	if !slices.Equal(types, Types()) {
		t.Errorf("table commands of docs/protocol.md has %v, want %v", types, Types())
	}
}

func TestDocs_eventTableAgreesWithTheSchemas(t *testing.T) {
	var types []Type
	for _, row := range table(t, "events") {
		typ := words(row[0])[0]
		types = append(types, Type(typ))
		b, err := os.ReadFile(folder + "/server." + typ + schemaSuffix)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		}
		if err := json.Unmarshal(b, &envelope); err != nil {
			t.Fatal(err)
		}
		for _, everywhere := range []string{"v", "type", "data"} {
			delete(envelope.Properties, everywhere)
		}
		if got, want := words(row[1]), object(envelope.Properties, envelope.Required); !slices.Equal(got, want) {
			t.Errorf("%s: page has %v beside data, schema %v", typ, got, want)
		}
		data := read(t, "server."+typ).Properties.Data
		if got, want := words(row[2]), object(data.Properties, data.Required); !slices.Equal(got, want) {
			t.Errorf("%s: page has data %v, schema %v", typ, got, want)
		}
	}
	if !slices.Equal(types, Events()) {
		t.Errorf("table events of docs/protocol.md has %v, want %v", types, Events())
	}
}

func TestDocs_errorTableHasEveryCode(t *testing.T) {
	var codes []Code
	for _, row := range table(t, "errors") {
		codes = append(codes, Code(words(row[0])[0]))
	}
	if !slices.Equal(codes, Codes()) {
		t.Errorf("table errors of docs/protocol.md has %v, want %v", codes, Codes())
	}
}

// Every frame on the page is one that the server takes or sends.
func TestDocs_framesHold(t *testing.T) {
	codec := newCodec(t)
	seen := map[string]bool{}
	for line := range strings.SplitSeq(page(t), "\n") {
		if frame, ok := strings.CutPrefix(line, "→ "); ok {
			c, err := codec.Decode([]byte(frame))
			if err != nil {
				t.Errorf("%v: %s", err, frame)
			}
			seen["client."+string(c.Type)] = true
		}
		if frame, ok := strings.CutPrefix(line, "← {"); ok {
			var e struct {
				Type Type `json:"type"`
			}
			if err := json.Unmarshal([]byte("{"+frame), &e); err != nil {
				t.Fatalf("%v: %s", err, frame)
			}
			if codec.events[e.Type] == nil {
				t.Fatalf("there is no event %q", e.Type)
			}
			checkEvent(t, codec, e.Type, []byte("{"+frame))
			seen["server."+string(e.Type)] = true
		}
	}
	for _, typ := range Types() {
		if !seen["client."+string(typ)] {
			t.Errorf("docs/protocol.md has no example of the command %s: a line that begins with →", typ)
		}
	}
	for _, typ := range Events() {
		if !seen["server."+string(typ)] {
			t.Errorf("docs/protocol.md has no example of the event %s: a line that begins with ←", typ)
		}
	}
}

// JSON blocks are JSON, but for the … of what is left out of a text.
func TestDocs_blocksAreJSON(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page(t), -1)
	if len(blocks) == 0 {
		t.Fatal("no blocks")
	}
	for _, b := range blocks {
		if !json.Valid(bytes.TrimSpace([]byte(b[1]))) {
			t.Errorf("not JSON: %s", b[1])
		}
	}
}

func TestDocs_numbersAreTheCodes(t *testing.T) {
	text := page(t)
	for _, want := range []string{"65,536 bytes", "4,096 Unicode code points", "nesting up to 8", "subprotocol `" + Subprotocol + "`"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if MaxFrame != 65_536 || MaxDepth != 8 {
		t.Error("the page has other numbers than the code")
	}
}
