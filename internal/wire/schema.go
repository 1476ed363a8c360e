package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Names of the schema files. defs and asyncapi are no messages.
const (
	clientPrefix = "client."
	serverPrefix = "server."
	schemaSuffix = ".v1.json"
	defsFile     = "defs.v1.json"
)

// base is what file names are relative to while they compile. Nothing is behind it.
const base = "portcullis:///"

// Codec decodes frames. It is made once, is read-only and safe for concurrent use.
type Codec struct {
	commands map[Type]*jsonschema.Schema
	events   map[Type]*jsonschema.Schema
}

// noLoader refuses every reference that leaves the folder: a schema must not make
// the server open files or connections (CWE-918).
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema refers to %s, which is not in the folder", url)
}

// NewCodec compiles every schema in the folder: one file per command and event,
// none missing and none over.
func NewCodec(schemas fs.FS) (*Codec, error) {
	names, err := fs.Glob(schemas, "*"+schemaSuffix)
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseRegexpEngine(compilePattern)
	compiler.UseLoader(noLoader{})
	for _, name := range names {
		doc, err := readSchema(schemas, name)
		if err != nil {
			return nil, err
		}
		if err := compiler.AddResource(base+name, doc); err != nil {
			return nil, fmt.Errorf("add schema %s: %w", name, err)
		}
	}
	c := &Codec{}
	if c.commands, err = compile(compiler, clientPrefix, Types(), names); err != nil {
		return nil, err
	}
	if c.events, err = compile(compiler, serverPrefix, Events(), names); err != nil {
		return nil, err
	}
	if n := len(c.commands) + len(c.events) + 1; n != len(names) {
		return nil, fmt.Errorf("%d schema files, want %d: one per type and %s", len(names), n, defsFile)
	}
	return c, nil
}

func readSchema(schemas fs.FS, name string) (any, error) {
	f, err := schemas.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open schema: %w", err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, fmt.Errorf("read schema %s: %w", name, err)
	}
	return doc, nil
}

func compile(compiler *jsonschema.Compiler, prefix string, types []Type, names []string) (map[Type]*jsonschema.Schema, error) {
	compiled := make(map[Type]*jsonschema.Schema, len(types))
	for _, t := range types {
		name := prefix + string(t) + schemaSuffix
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("schema %s is missing", name)
		}
		s, err := compiler.Compile(base + name)
		if err != nil {
			return nil, fmt.Errorf("compile schema %s: %w", name, err)
		}
		compiled[t] = s
	}
	return compiled, nil
}

// violation turns what a schema objected to into one Code and Detail: the same for
// the same frame, although the validator goes through objects in random order.
func violation(err error) (Code, string) {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return Internal, "schema"
	}
	const longBody = "maxLength /data/body"
	found := rules(nil, invalid)
	switch {
	case slices.Contains(found, Extraneous):
		return BadSchema, Extraneous
	case slices.Contains(found, longBody):
		return TooLarge, longBody
	default:
		return BadSchema, slices.Min(found)
	}
}

// rules appends the rule and place of every error at the ends of the validator's
// tree of errors. Places hold only keys that the schema has, never a client's.
func rules(found []string, e *jsonschema.ValidationError) []string {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			found = rules(found, cause)
		}
		return found
	}
	if _, extra := e.ErrorKind.(*kind.AdditionalProperties); extra {
		return append(found, Extraneous)
	}
	return append(found, strings.Join(e.ErrorKind.KeywordPath(), "/")+" /"+strings.Join(e.InstanceLocation, "/"))
}
