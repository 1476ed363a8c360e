package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// goTest runs the tests of m with the text in place of its file, by an overlay: the go
// command reads the file, an embedded one too, from elsewhere.
func (r runner) goTest(ctx context.Context, m mutant, dir string, text []byte) (map[string]outcome, error) {
	changed := filepath.Join(dir, filepath.Base(m.File))
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(r.root, filepath.FromSlash(m.File)): changed},
	})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return nil, err
	}
	names := make([]string, len(m.Kills))
	for i, k := range m.Kills {
		names[i] = regexp.QuoteMeta(k)
	}
	out, err := start(ctx, r.root, "go", "test", "-json", "-count=1", "-vet=off",
		"-ldflags=-s -w", // half of the time is linking, and nobody debugs a mutant
		"-overlay", list, "-timeout", r.timeout.String(),
		"-run", "^("+strings.Join(names, "|")+")$", m.Package)
	if err != nil {
		return nil, err
	}
	return readGo(out)
}

// readGo reads the event stream of `go test -json`. An error means that the tests did
// not come to a verdict of their own.
func readGo(out []byte) (map[string]outcome, error) {
	seen := map[string]outcome{}
	var build strings.Builder
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var e struct{ Action, Test, Output string }
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return seen, nil
		} else if err != nil {
			return nil, fmt.Errorf("go test printed something else than events: %w", err)
		}
		switch e.Action {
		case "build-output":
			build.WriteString(e.Output)
		case "build-fail":
			return nil, errors.New("does not compile: " + brief(build.String()))
		case "output":
			if strings.HasPrefix(e.Output, "panic: test timed out") {
				return nil, errors.New("hung: " + e.Test + " failed by the clock, not by an assertion")
			}
			if strings.HasPrefix(e.Output, "panic: ") || strings.HasPrefix(e.Output, "fatal error: ") {
				return nil, errors.New("panicked: " + brief(e.Test+" "+e.Output))
			}
		case "pass":
			seen[e.Test] = passed
		case "fail":
			seen[e.Test] = refuted
		case "skip":
			seen[e.Test] = skipped
		}
	}
}
