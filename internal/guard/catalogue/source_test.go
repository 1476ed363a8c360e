package catalogue_test

import (
	"strings"
	"testing"
	"testing/fstest"

	portcullis "example.com/portcullis"
	"example.com/portcullis/internal/guard/catalogue"
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func read(t *testing.T, pairs ...string) *catalogue.Evidence {
	t.Helper()
	e, err := catalogue.Read(files(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRead_findsCodeWithItsCommentAndItsLines(t *testing.T) {
	e := read(t, "a/a.go", `package a

// Check refuses everything.
//
// Also this.
//
//control:name origin
//control:name host
func (p *Policy[T]) Check() error {
	return nil
}

// limits is one.
//
//control:name frames
var limits = map[string]int{}
`)
	want := catalogue.Place{File: "a/a.go", Func: "Policy.Check", Doc: "Check refuses everything.\n\nAlso this.", Start: 3, End: 11}
	for _, name := range []string{"origin", "host"} {
		if got := e.Code[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if got := e.Lines(want); got[0] != "// Check refuses everything." || got[len(got)-1] != "}" {
		t.Errorf("lines %q", got)
	}
	if got := e.Code["frames"]; len(got) != 1 || got[0].Func != "limits" {
		t.Errorf("frames: %+v", got)
	}
	if marks := e.File("a/a.go").Marks; len(marks) != 3 || marks[0] != (catalogue.Mark{Control: "origin", Start: 3, End: 11}) {
		t.Errorf("marks %+v", marks)
	}
}

// A list of statements is one declaration, and a control is often one line of it.
func TestRead_findsOneLineOfAList(t *testing.T) {
	e := read(t, "a/a.go", `package a

//control:name host
const (
	one = 1

	// two is the limit.
	//
	//control:name origin
	two = `+"`a\nb`"+`
	three = 3
)
`)
	want := catalogue.Place{File: "a/a.go", Func: "two", Doc: "two is the limit.", Start: 7, End: 11}
	if got := e.Code["origin"]; len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := e.Code["host"]; len(got) != 1 || got[0].Start != 3 || got[0].End != 13 {
		t.Errorf("the whole list: %+v", got)
	}
}

func TestRead_findsStatementsOfMigrations(t *testing.T) {
	e := read(t, "migrations/1.sql", `-- +goose Up
-- What is said
-- stays said.
--
-- Also here.
--control:name retention
-- +goose StatementBegin
CREATE FUNCTION purge(upto bigint) RETURNS bigint
LANGUAGE sql AS $$ SELECT 1 $$;
-- +goose StatementEnd

-- The log only grows.
--control:name audit
--control:name origin
REVOKE DELETE ON events FROM app;
`)
	want := catalogue.Place{File: "migrations/1.sql", Func: "CREATE FUNCTION purge", Doc: "What is said\nstays said.\n\nAlso here.", Start: 1, End: 10}
	if got := e.Code["retention"]; len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want = catalogue.Place{File: "migrations/1.sql", Func: "REVOKE DELETE ON events FROM app", Doc: "The log only grows.", Start: 12, End: 15}
	for _, name := range []string{"audit", "origin"} {
		if got := e.Code[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestRead_findsTestsAndScripts(t *testing.T) {
	e := read(t, "a/a_test.go", `package a

//control:proves origin
func TestCheck_refuses(t *testing.T) {}
`, "web/h.js", `// @ts-check
/** Makes. */
//control:name output
export async function make(tag) {
  if (tag) {
    return 1;
  }
}

class X {
  //control:name idle
  static go() {
  }
  other() {}
}
`, "web/test/h.test.js", `//control:proves output
test('nothing runs', () => {
  assert.ok(true);
});
`)
	for _, tt := range []struct {
		got        []catalogue.Place
		name       string
		start, end int
	}{
		{e.Tests["origin"], "TestCheck_refuses", 3, 4}, {e.Code["output"], "make", 3, 8}, {e.Code["idle"], "go", 11, 13}, {e.Tests["output"], "nothing runs", 1, 4},
	} {
		if len(tt.got) != 1 || tt.got[0].Func != tt.name || tt.got[0].Start != tt.start || tt.got[0].End != tt.end {
			t.Errorf("got %+v, want %s in lines %d to %d", tt.got, tt.name, tt.start, tt.end)
		}
	}
}

func TestRead_findsAttacksAlsoThroughTheFunctionsThatMakeThem(t *testing.T) {
	e := read(t, "internal/attack/a.go", `package attack

func all() []Attack {
	for _, name := range names() {
		more = append(more, Attack{Control: "origin", Title: "from " + name + ", which is far", Run: nil})
	}
	for _, f := range []struct{ file, title string }{{"x", "a page"}} {
		more = append(more, upload("upload", f.title, f.file))
	}
	for _, word := range words {
		more = append(more, Attack{Control: "sql", Title: word.text + "!", Run: nil})
	}
	return []Attack{{Control: "host", Title: "a name"}, raw("frames", "a bit", 1), json("a " + "key")}
}

type word struct{ n int; text string }

var words = []word{{1, "drop"}, {text: "drop"}}

func upload(control, title, file string) Attack { return Attack{Control: control, Title: title} }

func raw(control, title string, want int) Attack {
	return Attack{Control: control, Title: title}
}

func json(title string) Attack { return Attack{Control: "schema", Title: title} }
`, "other/a.go", `package other

var x = Attack{Control: "host", Title: "is not where attacks are"}
`)
	for control, want := range map[string]catalogue.Attack{
		"origin": {Control: "origin", Title: "from …, which is far", File: "internal/attack/a.go", Line: 5},
		"host":   {Control: "host", Title: "a name", File: "internal/attack/a.go", Line: 13},
		"frames": {Control: "frames", Title: "a bit", File: "internal/attack/a.go", Line: 13},
		"schema": {Control: "schema", Title: "a key", File: "internal/attack/a.go", Line: 13},
		"upload": {Control: "upload", Title: "a page", File: "internal/attack/a.go", Line: 8},
	} {
		if got := e.Attacks[control]; len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got := e.Attacks["sql"]; len(got) != 2 || got[0].Title != "drop!" || got[1].Title != "drop!" {
		t.Errorf("got %+v, want one for each word", got)
	}
}

// Somebody believes that something is marked, and it is not.
//
//control:proves living-documents
func TestRead_refusesADirectiveThatSitsOnNothing(t *testing.T) {
	for _, tt := range []struct{ name, path, text, want string }{
		{"an empty line below", "a.go", "package a\n\n//control:name origin\n\nfunc f() {}\n", "a.go:3"},
		{"inside of a function", "a.go", "package a\n\nfunc f() {\n\t//control:name origin\n}\n", "a.go:4"},
		{"at the end", "a.go", "package a\n\nfunc f() {}\n\n//control:name origin\n", "a.go:5"},
		{"a verb that does not exist", "a.go", "package a\n\n//control:nam origin\nfunc f() {}\n", "no directive"},
		{"no name", "a.go", "package a\n\n//control:name\nfunc f() {}\n", "no directive"},
		{"two names", "a.go", "package a\n\n//control:name origin host\nfunc f() {}\n", "no directive"},
		{"a proof that is no test", "a.go", "package a\n\n//control:proves origin\nfunc f() {}\n", "no test"},
		{"a proof on a helper", "a_test.go", "package a\n\n//control:proves origin\nfunc helper() {}\n", "no test"},
		{"Go that does not parse", "a.go", "package a\n\n//control:name origin\nfunc f( {}\n", "a.go:4"},
		{"a script, an empty line below", "a.js", "//control:name output\n\nexport function f() {\n}\n", "a.js:1"},
		{"a script, at the end", "a.js", "x();\n//control:name output\n", "a.js:2"},
		{"a script that proves itself", "a.js", "//control:proves output\nfunction f() {\n}\n", "no directive"},
		{"above imports", "a.go", "package a\n\n//control:name origin\nimport \"fmt\"\n\nvar _ = fmt.Sprint\n", "a.go:3"},
		{"a migration, an empty line below", "a.sql", "--control:name origin\n\nDROP TABLE x;\n", "a.sql:1"},
		{"a migration, at the end", "a.sql", "DROP TABLE x;\n--control:name origin\n", "a.sql:2"},
		{"a migration that proves", "a.sql", "--control:proves origin\nDROP TABLE x;\n", "no directive"},
		{"a migration, inside of a statement", "a.sql", "DROP\n--control:name origin\nTABLE x;\n", "a.sql:2"},
		{"a migration, not at the edge", "a.sql", "DROP TABLE x; --control:name origin\n\n  --control:name origin\nDROP TABLE y;\n", "a.sql:3"},
		{"an attack on nobody knows what", "internal/attack/a.go", "package attack\n\nvar x = func() Attack { return Attack{Control: which(), Title: \"x\"} }\n\nfunc f() Attack { return Attack{Control: which(), Title: \"x\"} }\n", "nobody can tell"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := catalogue.Read(files(tt.path, tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestFile_isALookUpAndNoPath(t *testing.T) {
	e, err := catalogue.Read(portcullis.Source())
	if err != nil {
		t.Fatal(err)
	}
	if e.File("source.go") == nil {
		t.Fatal("source.go is not there")
	}
	for _, path := range []string{"", ".", "./source.go", "/source.go", "internal/../source.go", "internal", "..", "../go.mod", "SOURCE.GO"} {
		if e.File(path) != nil {
			t.Errorf("%q is a file", path)
		}
	}
}

// The first page that is asked for waits for this.
func BenchmarkRead(b *testing.B) {
	source := portcullis.Source()
	for b.Loop() {
		if _, err := catalogue.Read(source); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRead_findsWhatIsTakenOutAndWhere(t *testing.T) {
	e := read(t, "a/a.go", "package a\n\nfunc f() {\n\tone()\n\ttwo()\n}\n", "internal/kill/mutants_a.go", `package main

func a() []mutant {
	return []mutant{
		{Control: "origin", Removes: "nobody " + "asks", File: "a/a.go", Old: "one()\n\ttwo()", New: "three()", Package: "./a", Kills: []string{"TestA", "TestB"}},
		{Control: "origin", Removes: "a line is gone", File: "a/a.go", Old: "\ttwo()\n", Kills: []string{"TestA"}},
		{Control: "host", Removes: "what is not there", File: "a/a.go", Old: "four()", Kills: []string{"TestA"}},
		{Control: "host", Removes: "no such file", File: "b/b.go", Old: "one()", Kills: []string{"TestA"}},
	}
}
`)
	if got := e.Cuts["origin"]; len(got) != 2 || got[0].Removes != "nobody asks" || got[0].Start != 4 || got[0].End != 5 || got[0].New != "three()" || strings.Join(got[0].Kills, " ") != "TestA TestB" {
		t.Errorf("origin: %+v", got)
	} else if got[1].Start != 5 || got[1].End != 5 || got[1].New != "" {
		t.Errorf("a whole line: %+v", got[1])
	}
	if got := e.Cuts["host"]; len(got) != 2 || got[0].Start != 0 || got[1].Start != 0 {
		t.Errorf("host: %+v", got)
	}
	if _, err := catalogue.Read(files("internal/kill/mutants_a.go", "package main\n\nvar m = mutant{Control: \"origin\", Removes: why(), File: \"a\", Old: \"b\"}\n")); err == nil {
		t.Error("a cut that nobody can read was accepted")
	}
}

func TestRead_readsEveryCutOfTheRealSource(t *testing.T) {
	e, err := catalogue.Read(portcullis.Source())
	if err != nil {
		t.Fatal(err)
	}
	all, placed := 0, 0
	for _, c := range catalogue.All() {
		for _, cut := range e.Cuts[c.Name] {
			all++
			if cut.Start > 0 {
				placed++
			}
			if cut.Removes == "" || len(cut.Kills) == 0 {
				t.Errorf("%s: %+v", c.Name, cut)
			}
		}
	}
	// Not all: while one is tried, the file does not hold what it takes out.
	if all < len(catalogue.All()) || placed < all*9/10 {
		t.Errorf("%d cuts of %d controls, the lines of %d are known", all, len(catalogue.All()), placed)
	}
}
