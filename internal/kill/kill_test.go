package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is a module with one control, and tests of every quality.
var program = map[string]string{
	"go.mod": "module example.com/small\n\ngo 1.26.0\n",
	"gate/gate.go": `package gate

import _ "embed"

//go:embed list.txt
var list string

func Open(who string) bool { return who+"\n" == list }
`,
	"gate/list.txt": "owner\n",
	"gate/gate_test.go": `package gate

import "testing"

func TestOpen_refusesStrangers(t *testing.T) {
	if Open("stranger") {
		t.Error("a stranger came in")
	}
}

func TestOpen_acceptsTheOwner(t *testing.T) {
	if !Open("owner") {
		t.Error("the owner stands outside")
	}
}

func TestOpen_waits(t *testing.T) {
	for Open("stranger") {
		select {}
	}
}

func TestOpen_panics(t *testing.T) {
	if Open("stranger") {
		panic("no assertion")
	}
}

func TestOpen_skipped(t *testing.T) { t.Skip("no service") }
`,
	"web/package.json": `{"type": "module"}`,
	"web/safe.js":      "export const safe = (url) => url.startsWith('https:');\n",
	"web/test/safe.test.js": `import assert from 'node:assert/strict';
import test from 'node:test';
import { safe } from '../safe.js';
test('scripts are no addresses', () => assert.ok(!safe('javascript:x')));
test('addresses are', () => assert.ok(safe('https://example.com')));
`,
}

const gate = `return who+"\n" == list`

//control:proves kill-matrix
func TestRunner_tellsTheEndsOfAMutantApart(t *testing.T) {
	root := write(t, program)
	open := func(kills ...string) mutant {
		return mutant{Control: "gate", File: "gate/gate.go", Old: gate, New: "return true || list == who", Package: "./gate", Kills: kills}
	}
	changed := func(m mutant, f func(*mutant)) mutant { f(&m); return m }
	for _, test := range []struct {
		name   string
		mutant mutant
		want   verdict
		why    string
	}{
		{"its test notices", open("TestOpen_refusesStrangers"), killed, ""},
		{"one of two tests notices", open("TestOpen_refusesStrangers", "TestOpen_acceptsTheOwner"), survived, "TestOpen_acceptsTheOwner passed"},
		{"no test notices", open("TestOpen_acceptsTheOwner"), survived, "passed without the control"},
		{"a file that is embedded", mutant{Control: "gate", File: "gate/list.txt", Old: "owner", New: "stranger", Package: "./gate",
			Kills: []string{"TestOpen_refusesStrangers", "TestOpen_acceptsTheOwner"}}, killed, ""},
		{"the source moved", changed(open("TestOpen_refusesStrangers"), func(m *mutant) { m.Old = "return whoever" }), failed, "the source moved: mend the mutant"},
		{"the source is there twice", changed(open("TestOpen_refusesStrangers"), func(m *mutant) { m.Old = "list" }), failed, "times, not once"},
		{"the file is gone", changed(open("TestOpen_refusesStrangers"), func(m *mutant) { m.File = "gate/door.go" }), failed, "the source moved"},
		{"it does not compile", changed(open("TestOpen_refusesStrangers"), func(m *mutant) { m.New = "return nobody" }), failed, "does not compile"},
		{"there is no such test", open("TestOpen_refusesStrangers", "TestOpen_refusesStranger"), failed, "TestOpen_refusesStranger never ran"},
		{"its test is skipped", open("TestOpen_skipped"), failed, "was skipped"},
		{"its test hangs", open("TestOpen_waits"), failed, "hung"},
		{"its test panics", open("TestOpen_panics"), failed, "panicked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			check(t, runner{root: root, workers: 1, timeout: 5 * time.Second}, test.mutant, test.want, test.why)
		})
	}
	for path, text := range program { // an overlay, and not a change
		if b, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(b) != text {
			t.Errorf("%s is %q, %v", path, b, err)
		}
	}
}

//control:proves kill-matrix
func TestRunner_runsTheTestsOfScripts(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("node is needed: make setup")
	}
	root := write(t, program)
	script := func(becomes string, kills ...string) mutant {
		return mutant{Control: "output", File: "web/safe.js", Old: "url.startsWith('https:')", New: becomes, Package: "web", Kills: kills}
	}
	for _, test := range []struct {
		name   string
		mutant mutant
		want   verdict
		why    string
	}{
		{"its test notices", script("true", "scripts are no addresses"), killed, ""},
		{"no test notices", script("true", "addresses are"), survived, "passed without the control"},
		{"it is no script", script("(", "scripts are no addresses"), failed, "never ran"},
		{"it throws", script("nothing.at.all", "scripts are no addresses"), failed, "no assertion"},
		{"there is no such test", script("true", "scripts"), failed, "never ran"},
	} {
		t.Run(test.name, func(t *testing.T) {
			check(t, runner{root: root, workers: 1, timeout: 20 * time.Second}, test.mutant, test.want, test.why)
		})
	}
}

func check(t *testing.T, r runner, m mutant, want verdict, why string) {
	t.Helper()
	var progress bytes.Buffer
	results, err := r.all(t.Context(), []mutant{m}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	if got := results[0]; got.verdict != want || !strings.Contains(got.why, why) || (want == killed) != (got.why == "") {
		t.Errorf("%s, %q; want %s, %q", got.verdict, got.why, want, why)
	}
	if !strings.Contains(progress.String(), string(want)) {
		t.Errorf("progress says %q", progress.String())
	}
}

//control:proves kill-matrix
func TestMutants_areWellFormedAndCoverEveryControl(t *testing.T) {
	if err := wellFormed(all(), controls()); err != nil {
		t.Error(err)
	}
	if err := uncovered(all(), controls()); err != nil {
		t.Error(err)
	}
}

// The mutants must fit the source at every commit, and not only when somebody has
// the minutes for the whole matrix.
//
//control:proves kill-matrix
func TestMutants_fitTheSource(t *testing.T) {
	for _, m := range all() {
		if _, err := m.source(filepath.Join("..", "..")); err != nil {
			t.Errorf("%s, %s: %v", m.Control, m.Removes, err)
		}
	}
}

func TestWellFormed_refuses(t *testing.T) {
	good := mutant{Control: "gate", Removes: "it", File: "f.go", Old: "a", New: "b", Package: "./f", Kills: []string{"TestF"}}
	if err := wellFormed([]mutant{good}, []string{"gate"}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*mutant){
		"a field is empty":    func(m *mutant) { m.Kills = nil },
		"changes nothing":     func(m *mutant) { m.New = m.Old },
		"has no such control": func(m *mutant) { m.Control = "door" },
	} {
		bad := good
		change(&bad)
		if err := wellFormed([]mutant{bad}, []string{"gate"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := wellFormed([]mutant{good, good}, []string{"gate"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twins: %v", err)
	}
	if err := uncovered([]mutant{good}, []string{"gate", "door"}); err == nil || !strings.Contains(err.Error(), "door has no mutant") {
		t.Errorf("uncovered: %v", err)
	}
}

func TestKeep_writesTheSameTableAndSaysWhenItChanged(t *testing.T) {
	dir := t.TempDir()
	mutants := []mutant{
		{Control: "b", Removes: "second", File: "f.go", Package: "./f", Kills: []string{"TestB"}},
		{Control: "a", Removes: "first", File: "f.go", Package: "./f", Kills: []string{"TestA"}},
	}
	if err := keep(dir, mutants, true); err == nil {
		t.Error("files that are not there passed the check")
	}
	if err := keep(dir, mutants, false); err != nil {
		t.Fatal(err)
	}
	if err := keep(dir, mutants, true); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "kill-matrix.md"))
	if err != nil || strings.Index(string(b), "| first |") > strings.Index(string(b), "| second |") {
		t.Errorf("%v: not in the order of controls:\n%s", err, b)
	}
	if err := keep(dir, mutants[:1], true); err == nil {
		t.Error("a table with a line too many passed the check")
	}
}

func TestBounded_endsWhatPrintsWithoutEnd(t *testing.T) {
	var b bounded
	if _, err := io.CopyN(&b, endless{}, 2*mostOutput); err == nil || b.buf.Len() > mostOutput {
		t.Errorf("took %d bytes, %v", b.buf.Len(), err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
