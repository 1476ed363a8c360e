package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	portcullis "example.com/portcullis"
	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/guard/catalogue"
)

// evidence is what the source holds of each control. It fails on a directive that
// sits on nothing.
func evidence(t *testing.T) *catalogue.Evidence {
	t.Helper()
	e, err := catalogue.Read(portcullis.Source())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// leastTests is how many tests have to name a control: one can be removed without
// anybody noticing.
const leastTests = 2

func TestControls_eachHasCodeTestsAnAttackAndADocument(t *testing.T) {
	e := evidence(t)
	attacked := map[string]bool{}
	for _, a := range attack.All() {
		attacked[a.Control] = true
	}
	events, variables := eventNames(t), map[string]bool{}
	for _, v := range config.Vars() {
		variables[v.Name] = true
	}
	for _, c := range catalogue.All() {
		if len(e.Code[c.Name]) == 0 {
			t.Errorf("control %s has no code: write //control:name %s above the declaration that decides; or, if it is gone, remove it from internal/guard/catalogue", c.Name, c.Name)
		}
		if n := len(e.Tests[c.Name]); n < leastTests {
			t.Errorf("control %s has %d tests, want %d: write //control:proves %s above those that fail without it", c.Name, n, leastTests, c.Name)
		}
		if (c.NoAttack == "") != attacked[c.Name] {
			t.Errorf("control %s: attacked %v, reason for no attack %q: exactly one of them is needed. Add an attack to internal/attack, or NoAttack to the catalogue", c.Name, attacked[c.Name], c.NoAttack)
		}
		b, err := os.ReadFile(filepath.Join(root, "docs", "controls", c.Name+".md"))
		if err != nil {
			t.Errorf("control %s has no document docs/controls/%s.md", c.Name, c.Name)
		}
		for _, heading := range []string{"## Threat", "## Rule", "## Attack", "## What it does not stop", "## Tests", "## Sources"} {
			if err == nil && !strings.Contains(string(b), heading+"\n") {
				t.Errorf("docs/controls/%s.md lacks %q", c.Name, heading)
			}
		}
		for _, name := range c.Events {
			if !slices.Contains(events, name) {
				t.Errorf("control %s: there is no event %s in internal/guard/audit/event.go: remove it from Events in internal/guard/catalogue, or write it there", c.Name, name)
			}
		}
		for _, name := range c.Knobs {
			if !variables[name] {
				t.Errorf("control %s: there is no variable %s in internal/config: remove it from Knobs in internal/guard/catalogue", c.Name, name)
			}
		}
	}
}

// A name that the catalogue does not know is a control that its pages do not show.
func TestControls_everyNameIsOneOfTheCatalogue(t *testing.T) {
	e := evidence(t)
	known := map[string]bool{}
	for _, c := range catalogue.All() {
		known[c.Name] = true
	}
	for name, places := range e.Code {
		if !known[name] {
			t.Errorf("%s:%d: the catalogue has no control %s", places[0].File, places[0].Start, name)
		}
	}
	for name, places := range e.Tests {
		if !known[name] {
			t.Errorf("%s:%d: the catalogue has no control %s", places[0].File, places[0].Start, name)
		}
	}
	for _, a := range attack.All() {
		if !known[a.Control] {
			t.Errorf("internal/attack: the catalogue has no control %s, which %q attacks", a.Control, a.Title)
		}
	}
	docs, err := filepath.Glob(filepath.Join(root, "docs", "controls", "*.md"))
	if err != nil || len(docs) < 30 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	for _, d := range docs {
		if name := strings.TrimSuffix(filepath.Base(d), ".md"); name != "README" && !known[name] {
			t.Errorf("docs/controls/%s.md describes a control that the catalogue does not have: remove it, or add the control", name)
		}
	}
}

// The pages read the attacks out of the source. What they find must be what runs.
func TestControls_thePagesShowEveryAttackThatRuns(t *testing.T) {
	e := evidence(t)
	used := map[catalogue.Attack]bool{}
	for _, a := range attack.All() {
		found := false
		for _, written := range e.Attacks[a.Control] {
			parts := strings.Split(written.Title, "…")
			for i, p := range parts {
				parts[i] = regexp.QuoteMeta(p)
			}
			if regexp.MustCompile("^" + strings.Join(parts, ".+") + "$").MatchString(a.Title) {
				found, used[written] = true, true
			}
		}
		if !found {
			t.Errorf("the pages do not show the attack on %s %q", a.Control, a.Title)
		}
	}
	for _, list := range e.Attacks {
		for _, written := range list {
			if !used[written] {
				t.Errorf("%s:%d: %q is in no list of attack.All", written.File, written.Line, written.Title)
			}
		}
	}
}

// Every Go file has to be in the embedded source, or what it holds is on no page.
func TestSource_holdsEveryGoFile(t *testing.T) {
	e := evidence(t)
	walk(t, ".go", func(path string) {
		if e.File(path) == nil {
			t.Errorf("%s is not embedded: add its folder to the patterns of source.go", path)
		}
	})
}

// eventConstants are the names of internal/guard/audit by their constants.
func eventConstants(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal", "guard", "audit", "event.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := s.Type.(*ast.Ident); ok && typ.Name == "Name" && len(s.Values) == 1 {
			found[s.Names[0].Name], _ = strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	if len(found) < 50 {
		t.Fatalf("found %d events, which cannot be all", len(found))
	}
	return found
}

func eventNames(t *testing.T) (names []string) {
	for _, name := range eventConstants(t) {
		names = append(names, name)
	}
	return names
}

// An event names the control that decided by its one name, and the catalogue says
// that the control leaves this event: who reads the log has to find the page.
func TestEvents_nameAControlThatLeavesThem(t *testing.T) {
	constants, leaves := eventConstants(t), map[string][]string{}
	for _, c := range catalogue.All() {
		leaves[c.Name] = c.Events
	}
	seen := 0
	for _, s := range sources(t) {
		if s.pkg == "internal/attack" || strings.HasPrefix(s.pkg, "e2e") || s.pkg == "internal/kill" {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(root, s.path), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		check := func(n ast.Node, event, control string) {
			seen++
			at := s.path + ":" + strconv.Itoa(set.Position(n.Pos()).Line)
			if events, known := leaves[control]; !known {
				t.Errorf("%s: an event of control %q, which the catalogue does not have: name one that it has, or add it to internal/guard/catalogue", at, control)
			} else if event != "" && !slices.Contains(events, event) {
				t.Errorf("%s: the catalogue does not say that %s leaves %s: add it to the control's Events in internal/guard/catalogue, then make docs", at, control, event)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit: // audit.Event{Name: audit.X, Control: "y"}, refusal{event: audit.X, control: "y"}
				var event, control string
				for _, x := range n.Elts {
					kv, ok := x.(*ast.KeyValueExpr)
					if !ok {
						continue
					}
					switch key, _ := kv.Key.(*ast.Ident); {
					case key == nil:
					case strings.EqualFold(key.Name, "control"):
						control = text(kv.Value)
					case key.Name == "Name" || key.Name == "event":
						event = constants[constant(kv.Value)]
					}
				}
				if control != "" {
					check(n, event, control)
				}
			case *ast.CallExpr: // record(…, audit.X, level, "y", …)
				for i, arg := range n.Args {
					if event := constants[constant(arg)]; event != "" && i+2 < len(n.Args) && text(n.Args[i+2]) != "" {
						check(n, event, text(n.Args[i+2]))
					}
				}
			}
			return true
		})
	}
	if seen < 40 {
		t.Errorf("found %d events with a control, which cannot be all", seen)
	}
}

// constant is the name of a constant of internal/guard/audit.
func constant(x ast.Expr) string {
	if sel, ok := x.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "audit" {
			return sel.Sel.Name
		}
	}
	return ""
}

// text is the value of a string literal.
func text(x ast.Expr) string {
	if lit, ok := x.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		s, _ := strconv.Unquote(lit.Value)
		return s
	}
	return ""
}

var (
	docPath    = regexp.MustCompile("`((?:internal|cmd|docs|web|migrations|e2e)/[A-Za-z0-9_./-]+)`")
	docVar     = regexp.MustCompile(`\bPORTCULLIS_[A-Z_]+\b`)
	docTarget  = regexp.MustCompile("`make ([a-z]+)`")
	docCommand = regexp.MustCompile("`portcullis ([a-z]+)")
	docLink    = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

//control:proves living-documents
func TestDocs_nameOnlyWhatExists(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(root, "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := commandNames(t)
	walk(t, ".md", func(path string) {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, m := range docPath.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(m[1], "/"))); err != nil {
				t.Errorf("%s names %s, which does not exist: name what is there now, or drop the sentence", path, m[1])
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
				t.Errorf("%s names the variable %s, which docs/config.md does not: run make docs if it is new", path, name)
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

// commandNames reads the verbs of the program from its source.
func commandNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "cmd", "portcullis", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"help"}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\t\tname:\s+"([a-z]+)",$`).FindAllStringSubmatch(string(b), -1) {
			names = append(names, m[1])
		}
	}
	if len(names) < 10 {
		t.Fatalf("found %v, which cannot be all commands", names)
	}
	return names
}
