package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/portcullis/internal/attack"
)

// directive marks the entry of a control in the source.
var directive = regexp.MustCompile(`(?m)^//control:name ([a-z-]+)$`)

// withoutAttack are controls that no client can attack from outside, with the reason.
var withoutAttack = map[string]string{
	"audit":   "an attacker sees no log; its tests plant hostile text and read the log",
	"devcert": "it is about certificates on the developer's machine; its tests verify foreign names",
	"startup": "it is about the operator's own configuration; its tests start weak ones",
	"fanout":  "it is about the line between nodes; its tests cut, pause and forge that line",

	"revalidation":    "its period is half an hour; its tests move the clock",
	"revocation-race": "the gap is a few microseconds wide; its test stops the handshake inside of it",
}

// controls maps each control's name to the files that carry its directive.
func controls(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, s := range sources(t) {
		b, err := os.ReadFile(filepath.Join(root, s.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range directive.FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = append(found[m[1]], s.path)
		}
	}
	if len(found) < 15 {
		t.Fatalf("found %d controls, which cannot be all", len(found))
	}
	return found
}

func TestControls_eachHasADocumentATestAndAnAttack(t *testing.T) {
	attacked := map[string]bool{}
	for _, a := range attack.All() {
		attacked[a.Control] = true
	}
	all := controls(t)
	for name, files := range all {
		doc := filepath.Join(root, "docs", "controls", name+".md")
		if b, err := os.ReadFile(doc); err != nil {
			t.Errorf("control %s (%s) has no document docs/controls/%s.md", name, files[0], name)
		} else {
			for _, f := range files {
				if !strings.Contains(string(b), f) {
					t.Errorf("docs/controls/%s.md does not name %s, where the control is", name, f)
				}
			}
			for _, heading := range []string{"## Threat", "## Rule", "## Attack", "## What it does not stop", "## Tests", "## Sources"} {
				if !strings.Contains(string(b), heading) {
					t.Errorf("docs/controls/%s.md lacks %q", name, heading)
				}
			}
		}
		if tests, err := filepath.Glob(filepath.Join(root, filepath.Dir(files[0]), "*_test.go")); err != nil || len(tests) == 0 {
			t.Errorf("control %s (%s) has no test beside it", name, files[0])
		}
		if reason := withoutAttack[name]; (reason == "") != attacked[name] {
			t.Errorf("control %s: attacked %v, reason for no attack %q: exactly one of them is needed", name, attacked[name], reason)
		}
	}
	for name := range attacked {
		if all[name] == nil {
			t.Errorf("internal/attack attacks %q, which no source file claims to be", name)
		}
	}
	docs, err := filepath.Glob(filepath.Join(root, "docs", "controls", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		name := strings.TrimSuffix(filepath.Base(d), ".md")
		if name != "README" && all[name] == nil {
			t.Errorf("docs/controls/%s.md describes a control that no source file claims to be", name)
		}
	}
}

var (
	docPath    = regexp.MustCompile("`((?:internal|cmd|docs|web|migrations|e2e)/[A-Za-z0-9_./-]+)`")
	docVar     = regexp.MustCompile(`\bPORTCULLIS_[A-Z_]+\b`)
	docTarget  = regexp.MustCompile("`make ([a-z]+)`")
	docCommand = regexp.MustCompile("`portcullis ([a-z]+)")
	docLink    = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

func TestDocs_nameOnlyWhatExists(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(root, "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := []string{"serve", "migrate", "user", "session", "room", "config", "devcert", "health", "version", "help"}
	walk(t, ".md", func(path string) {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, m := range docPath.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(m[1], "/"))); err != nil {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
		for _, m := range docLink.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
			}
		}
		for _, name := range docVar.FindAllString(text, -1) {
			base := strings.TrimSuffix(name, "_FILE")
			if name != "PORTCULLIS_" && !strings.Contains(string(config), "`"+base+"`") {
				t.Errorf("%s names the variable %s, which docs/config.md does not", path, name)
			}
		}
		for _, m := range docTarget.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s names `make %s`, which is no target", path, m[1])
			}
		}
		for _, m := range docCommand.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(commands, m[1]) {
				t.Errorf("%s names `portcullis %s`, which is no command", path, m[1])
			}
		}
	})
}
