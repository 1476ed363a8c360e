package arch_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/catalogue"
)

// update makes the test below write instead of compare; `make docs` uses it.
var update = flag.Bool("update", false, "write the generated parts of docs/controls")

// What is generated of a document stands between these lines.
const (
	factsBegin, factsEnd = "<!-- facts -->", "<!-- /facts -->"
	indexBegin, indexEnd = "<!-- index -->", "<!-- /index -->"
)

// The documents of the controls hold a table that is read from the catalogue and the
// source, and their index another one.
func TestDocs_factsAreThoseOfTheSource(t *testing.T) {
	e := evidence(t)
	for _, c := range catalogue.All() {
		generated(t, filepath.Join("docs", "controls", c.Name+".md"), factsBegin, factsEnd, facts(c, e))
	}
	generated(t, filepath.Join("docs", "controls", "README.md"), indexBegin, indexEnd, index(e))
}

// generated compares, or with -update writes, the part of a document between two
// lines. A document that has no such part yet gets it below its first sentence.
func generated(t *testing.T, path, begin, end, want string) {
	t.Helper()
	file := filepath.Join(root, path)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	doc := string(b)
	before, rest, found := strings.Cut(doc, begin+"\n")
	_, after, closed := strings.Cut(rest, end+"\n")
	if found && !closed {
		t.Errorf("%s: %s is never closed", path, begin)
		return
	}
	if !found {
		lines := strings.SplitAfterN(doc, "\n", 5)
		if len(lines) < 5 {
			t.Errorf("%s is too short to be a document", path)
			return
		}
		before, after = strings.Join(lines[:4], ""), "\n"+lines[4]
	}
	current := before + begin + "\n" + want + end + "\n" + after
	if current == doc {
		return
	}
	if !*update {
		t.Errorf("%s is stale between %s and %s: run make docs", path, begin, end)
		return
	}
	if err := os.WriteFile(file, []byte(current), 0o644); err != nil {
		t.Error(err)
	}
}

// facts is the table of one control. There are no numbers of lines in it: they change
// with every edit, and the pages of the server have them.
func facts(c catalogue.Control, e *catalogue.Evidence) string {
	var b strings.Builder
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, strings.ReplaceAll(value, "|", `\|`))
		}
	}
	b.WriteString("| | |\n|---|---|\n")
	row("Layer", string(c.Layer))
	numbers := make([]string, len(c.Numbers))
	for i, n := range c.Numbers {
		numbers[i] = strconv.Itoa(n)
	}
	row("Demands", strings.Join(numbers, " · "))
	row("Code", places(e.Code[c.Name]))
	row("Tests", places(e.Tests[c.Name]))
	if c.NoAttack != "" {
		row("Attacks", "none from outside: "+c.NoAttack)
	} else {
		var titles []string
		for _, a := range e.Attacks[c.Name] {
			titles = append(titles, a.Title)
		}
		row("Attacks", strings.Join(titles, " · "))
	}
	row("Events", quoted(c.Events))
	row("Variables", quoted(c.Knobs))
	row("From", strings.Join(c.Refs, " · "))
	return b.String()
}

// places lists declarations by file.
func places(all []catalogue.Place) string {
	var files []string
	names := map[string][]string{}
	for _, p := range all {
		if !slices.Contains(files, p.File) {
			files = append(files, p.File)
		}
		names[p.File] = append(names[p.File], p.Func)
	}
	slices.Sort(files)
	for i, f := range files {
		files[i] = fmt.Sprintf("[`%s`](../../%s) %s", f, f, strings.ReplaceAll(quoted(names[f]), " · ", ", "))
	}
	return strings.Join(files, " · ")
}

func quoted(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "` · `") + "`"
}

// index is the list of all controls by layer.
func index(e *catalogue.Evidence) string {
	var b strings.Builder
	for _, layer := range catalogue.Layers() {
		fmt.Fprintf(&b, "\n## %s\n%s.\n\n| Control | Against | Tests | Attacks |\n|---|---|---|---|\n", strings.ToUpper(string(layer[:1]))+string(layer[1:]), layer.Meets())
		for _, c := range catalogue.All() {
			if c.Layer == layer {
				fmt.Fprintf(&b, "| [%s](%s.md): %s | %s | %d | %d |\n", c.Name, c.Name, c.Title, c.Threat, len(e.Tests[c.Name]), len(e.Attacks[c.Name]))
			}
		}
	}
	return b.String() + "\n"
}
