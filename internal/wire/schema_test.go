package wire

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const folder = "../../web/schemas"

// document is the part of a schema file that tests read.
type document struct {
	Schema      string            `json:"$schema"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Examples    []json.RawMessage `json:"examples"`
	Properties  struct {
		Data struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		} `json:"data"`
		RoomID *struct{} `json:"room_id"`
		Seq    *struct{} `json:"seq"`
		Code   struct {
			Enum []Code `json:"enum"`
		} `json:"code"`
	} `json:"properties"`
}

func read(t testing.TB, name string) document {
	t.Helper()
	b, err := os.ReadFile(folder + "/" + name + schemaSuffix)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

func examples(t testing.TB, name string) (all [][]byte) {
	t.Helper()
	for _, e := range read(t, name).Examples {
		all = append(all, e)
	}
	return all
}

// checkEvent validates a frame of the server against its schema.
func checkEvent(t interface{ Fatalf(string, ...any) }, c *Codec, typ Type, frame []byte) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(frame))
	if err != nil {
		t.Fatalf("%s is not JSON: %v: %s", typ, err, frame)
	}
	if err := c.events[typ].Validate(doc); err != nil {
		t.Fatalf("%s breaks its schema: %v: %s", typ, err, frame)
	}
}

//control:proves schema
func TestSchemas_haveExamplesThatHold(t *testing.T) {
	codec := newCodec(t)
	for _, typ := range Types() {
		d := read(t, "client."+string(typ))
		if d.Title != string(typ) || d.Description == "" || len(d.Examples) == 0 || !strings.Contains(d.Schema, "2020-12") {
			t.Errorf("client.%s: title, description, examples or draft is missing", typ)
		}
		for _, e := range d.Examples {
			c, err := codec.Decode(e)
			if err != nil {
				t.Errorf("client.%s: %v: %s", typ, err, e)
			}
			if c.Type != typ {
				t.Errorf("client.%s has an example of %s", typ, c.Type)
			}
		}
	}
	for _, typ := range Events() {
		d := read(t, "server."+string(typ))
		if d.Title != string(typ) || d.Description == "" || len(d.Examples) == 0 || !strings.Contains(d.Schema, "2020-12") {
			t.Errorf("server.%s: title, description, examples or draft is missing", typ)
		}
		for _, e := range d.Examples {
			checkEvent(t, codec, typ, e)
		}
	}
}

func TestSchemas_listEveryErrorCode(t *testing.T) {
	if got := read(t, "server.error").Properties.Code.Enum; !slices.Equal(got, Codes()) {
		t.Errorf("schema has %v, want %v", got, Codes())
	}
}

// Every object of every schema is closed: a key that nobody described is refused.
//
//control:proves schema
func TestSchemas_closeEveryObject(t *testing.T) {
	names, err := fs.Glob(os.DirFS(folder), "*"+schemaSuffix)
	if err != nil || len(names) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(folder + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		delete(doc, "examples")
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				if v["type"] == "object" && v["additionalProperties"] != false {
					t.Errorf("%s%s is open", name, path)
				}
				for k, child := range v {
					walk(path+"/"+k, child)
				}
			case []any:
				for _, child := range v {
					walk(path+"/*", child)
				}
			}
		}
		walk("", doc)
	}
}

//control:proves schema
func TestNewCodec_refusesIncompleteOrLeakyFolders(t *testing.T) {
	load := func() fstest.MapFS {
		m := fstest.MapFS{}
		names, _ := fs.Glob(os.DirFS(folder), "*")
		for _, name := range names {
			b, err := os.ReadFile(folder + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			m[name] = &fstest.MapFile{Data: b}
		}
		return m
	}
	if _, err := NewCodec(load()); err != nil {
		t.Fatalf("the folder as it is: %v", err)
	}
	replace := func(name, from, to string) func(fstest.MapFS) {
		return func(m fstest.MapFS) {
			m[name].Data = bytes.ReplaceAll(m[name].Data, []byte(from), []byte(to))
		}
	}
	for name, spoil := range map[string]func(fstest.MapFS){
		"empty":              func(m fstest.MapFS) { clear(m) },
		"a command missing":  func(m fstest.MapFS) { delete(m, "client.room.join.v1.json") },
		"an event missing":   func(m fstest.MapFS) { delete(m, "server.hello.v1.json") },
		"a file too many":    func(m fstest.MapFS) { m["client.extra.v1.json"] = m["client.room.join.v1.json"] },
		"not JSON":           func(m fstest.MapFS) { m["client.auth.v1.json"].Data = []byte("{") },
		"reference to a URL": replace("client.room.join.v1.json", "defs.v1.json#/$defs/id", "http://127.0.0.1:1/x.json"),
		"reference to a file": replace("client.room.join.v1.json", "defs.v1.json#/$defs/id",
			"file:///etc/passwd"),
		"reference to nothing": replace("client.room.join.v1.json", "#/$defs/id", "#/$defs/nothing"),
		"not a schema":         replace("client.room.join.v1.json", `"additionalProperties": false`, `"additionalProperties": 1`),
	} {
		m := load()
		spoil(m)
		if _, err := NewCodec(m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
