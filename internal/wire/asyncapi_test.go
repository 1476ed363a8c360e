package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
)

// update makes the test below write instead of compare; `make docs` uses it.
var update = flag.Bool("update", false, "write the lists of web/schemas/asyncapi.json")

// The AsyncAPI document names each type in each channel and operation. Who adds a type
// writes its schema; these lists are made of Types, Events and the schemas.
type (
	asyncAPI struct {
		AsyncAPI    string          `json:"asyncapi"`
		Info        json.RawMessage `json:"info"`
		ContentType string          `json:"defaultContentType"`
		Servers     json.RawMessage `json:"servers"`
		Channels    struct {
			WS       asyncChannel `json:"ws"`
			WSAuth   asyncChannel `json:"wsAuth"`
			WSCLI    asyncChannel `json:"wsCli"`
			WSPublic asyncChannel `json:"wsPublic"`
		} `json:"channels"`
		Operations map[string]asyncOperation `json:"operations"`
		Components struct {
			Messages map[string]asyncMessage `json:"messages"`
		} `json:"components"`
	}
	asyncChannel struct {
		Address     string         `json:"address"`
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Messages    map[string]ref `json:"messages"`
		Servers     []ref          `json:"servers"`
	}
	asyncOperation struct {
		Action   string `json:"action"`
		Channel  ref    `json:"channel"`
		Summary  string `json:"summary"`
		Messages []ref  `json:"messages"`
	}
	asyncMessage struct {
		Name        string `json:"name"`
		Title       string `json:"title"`
		Summary     string `json:"summary"`
		ContentType string `json:"contentType"`
		Payload     struct {
			Format string `json:"schemaFormat"`
			Schema ref    `json:"schema"`
		} `json:"payload"`
	}
	ref struct {
		To string `json:"$ref"`
	}
)

// spoken are the types of one channel, either way.
func spoken(channel string) (client, server []Type) {
	if channel == "wsPublic" {
		return nil, []Type{"hello", "announcement", "notice"}
	}
	for _, t := range Types() {
		if t != Auth || channel == "wsAuth" {
			client = append(client, t)
		}
	}
	for _, t := range Events() {
		if t != "announcement" {
			server = append(server, t)
		}
	}
	return client, server
}

func TestAsyncAPI_listsEveryTypeInItsChannels(t *testing.T) {
	const file = folder + "/asyncapi.json"
	current, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc asyncAPI
	d := json.NewDecoder(bytes.NewReader(current))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	doc.Operations, doc.Components.Messages = map[string]asyncOperation{}, map[string]asyncMessage{}
	for name, c := range map[string]*asyncChannel{"ws": &doc.Channels.WS, "wsAuth": &doc.Channels.WSAuth, "wsCli": &doc.Channels.WSCLI, "wsPublic": &doc.Channels.WSPublic} {
		c.Messages = map[string]ref{}
		list := func(prefix string, types []Type) (refs []ref) {
			for _, t := range types {
				c.Messages[prefix+string(t)] = ref{"#/components/messages/" + prefix + string(t)}
				refs = append(refs, ref{"#/channels/" + name + "/messages/" + prefix + string(t)})
			}
			return refs
		}
		client, server := spoken(name)
		if client != nil {
			doc.Operations[name+"Client"] = asyncOperation{"receive", ref{"#/channels/" + name}, "What the client sends.", list(clientPrefix, client)}
		}
		doc.Operations[name+"Server"] = asyncOperation{"send", ref{"#/channels/" + name}, "What the server sends.", list(serverPrefix, server)}
	}
	for prefix, types := range map[string][]Type{clientPrefix: Types(), serverPrefix: Events()} {
		for _, typ := range types {
			s := read(t, prefix+string(typ))
			m := asyncMessage{Name: string(typ), Title: s.Title, Summary: s.Description, ContentType: "application/json"}
			m.Payload.Format, m.Payload.Schema = "application/schema+json;version=draft-2020-12", ref{"./" + prefix + string(typ) + schemaSuffix}
			doc.Components.Messages[prefix+string(typ)] = m
		}
	}
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		t.Fatal(err)
	}
	switch {
	case slices.Equal(current, want.Bytes()):
	case *update:
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("web/schemas/asyncapi.json is not what the types and their schemas say: run make docs")
	}
}
