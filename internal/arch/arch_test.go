// Package arch holds the structure of the program as tests: which package may
// import which, that each control has its places, and that documents name things
// that exist.
package arch_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
var root = filepath.Join("..", "..")

// module is read and not written here: a fork that renames it and forgets this line would
// have rules that no import breaks.
var module = modulePath()

func modulePath() string {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		panic(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	path, ok := strings.CutPrefix(line, "module ")
	if !ok {
		panic("go.mod does not begin with the module's path")
	}
	return path
}

// source is one Go file of the program, without tests.
type source struct {
	path    string // from the root, with slashes
	pkg     string // package path below the module: "internal/chat"
	imports []string
}

// sources reads every non-test Go file. It parses files itself instead of asking the
// go command, because test results are cached by the files that a test opened.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	walk(t, ".go", func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		s := source{path: path, pkg: filepath.ToSlash(filepath.Dir(path))}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			s.imports = append(s.imports, p)
		}
		all = append(all, s)
	})
	if len(all) < 50 {
		t.Fatalf("found %d source files, which cannot be all", len(all))
	}
	return all
}

// walk calls do with every file of the repository that ends in suffix.
func walk(t *testing.T, suffix string, do func(path string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "artifacts" || d.Name() == "secrets") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, suffix) {
			do(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// arrows lists, for each package or family of packages, what of this module it may
// import. A trailing slash means everything below. What is not listed is forbidden.
var arrows = []struct {
	from string
	to   []string
}{
	{"internal/guard/authz", nil},
	{"internal/guard/", []string{"internal/secret"}},
	{"internal/guard/detect", []string{"internal/guard/audit"}}, // it reads events
	{"internal/guard/response", []string{"internal/guard/audit", "internal/guard/detect", "internal/guard/ratelimit"}},
	{"internal/secret", nil},
	{"internal/supply", nil},
	{"internal/devcert", nil},
	{"internal/chat", []string{"internal/guard/authz", "internal/guard/text"}},
	{"internal/account", []string{"internal/chat", "internal/guard/", "internal/secret"}},
	{"internal/wire", []string{"internal/chat", "internal/guard/authz", "internal/secret"}},
	{"internal/config", []string{"internal/guard/tunnel", "internal/secret"}},
	{"internal/postgres", []string{"internal/chat", "internal/account", "internal/guard/", "internal/secret", "migrations"}},
	{"internal/fanout", []string{"internal/chat", "internal/guard/", "internal/secret"}},
	{"internal/embedded", nil},
	{"internal/socket", []string{"internal/chat", "internal/wire", "internal/guard/", "internal/secret"}},
	{"internal/tunnel", []string{"internal/chat", "internal/socket", "internal/guard/"}},
	{"internal/site", []string{"internal/chat", "internal/account", "internal/wire", "internal/guard/", "internal/secret"}},
	{"internal/app", []string{"internal/", "web", "."}},
	{".", nil}, // the source itself
	{"internal/attack", nil},
	{"internal/kill", []string{"internal/guard/catalogue"}},
	{"internal/evidence", []string{"internal/", "web", "."}},
	{"internal/testkit", []string{"internal/embedded", "migrations"}},
	{"internal/drill", []string{"internal/"}},
	{"cmd/portcullis", []string{"internal/"}},
	{"web", nil},
	{"migrations", nil},
}

// banned are imports that no package may have, or only the named ones.
var banned = []struct {
	path   string
	except []string
	why    string
}{
	{"math/rand", []string{"internal/fanout", "internal/socket"}, "secrets come from crypto/rand; only jitter may be predictable"},
	{"encoding/gob", nil, "a decoder of types that the input chooses"},
	{"unsafe", nil, "nothing here needs it"},
	{"html/template", []string{"internal/site"}, "pages are rendered in one place"},
	{"text/template", nil, "it does not escape"},
	{"os/exec", []string{"internal/kill", "internal/embedded", "internal/testkit"}, "no input may come near a command line"},
	{"database/sql", []string{"internal/postgres", "internal/testkit"}, "SQL has one home"},
	{"github.com/jackc/pgx/v5", []string{"internal/postgres", "internal/testkit", "internal/embedded"}, "SQL has one home"},
	{"github.com/redis/go-redis/v9", []string{"internal/fanout", "internal/guard/ratelimit", "internal/guard/admission", "internal/app", "internal/testkit", "internal/embedded"}, "Redis is reached where it must be"},
	{"github.com/gorilla/websocket", []string{"internal/socket", "internal/attack", "internal/drill"}, "sockets have one home"},
	{"net/http", []string{"internal/socket", "internal/drill", "internal/tunnel", "internal/site", "internal/app", "internal/attack", "internal/guard/", "cmd/portcullis"}, "the core knows no transport"},
	{"testing", []string{"internal/testkit", "internal/guard/session/sessiontest"}, "tests are not part of the program"},
	{module + "/internal/testkit", nil, "tests are not part of the program"},
	{module + "/internal/attack", nil, "exploits are not part of the program"},
}

func TestImports_pointDownOnly(t *testing.T) {
	for _, s := range sources(t) {
		allowed, listed := allowedFor(s.pkg)
		if !listed {
			if strings.HasPrefix(s.pkg, "e2e") {
				continue
			}
			t.Errorf("%s: package %s is new: give it a line in arrows, in internal/arch/arch_test.go, with what of this module it may import", s.path, s.pkg)
			continue
		}
		for _, imp := range s.imports {
			below, ours := strings.CutPrefix(imp, module+"/")
			if imp == module {
				below, ours = ".", true
			}
			if ours && !matches(allowed, below) && !within(s.pkg, below) {
				t.Errorf("%s imports %s: that arrow points up or sideways. Declare what %s needs as an interface of its own and connect the two in internal/app; or, if the arrow is right, add it to arrows in internal/arch/arch_test.go", s.path, below, s.pkg)
			}
		}
	}
}

//control:proves no-shell
func TestImports_dangerousPackagesHaveOneHome(t *testing.T) {
	for _, s := range sources(t) {
		for _, imp := range s.imports {
			for _, b := range banned {
				if (imp == b.path || strings.HasPrefix(imp, b.path+"/")) && !matches(b.except, s.pkg) {
					t.Errorf("%s imports %s: %s. Use it where it is allowed (banned, in internal/arch/arch_test.go, has the list), or name this package there", s.path, imp, b.why)
				}
			}
		}
	}
}

func TestFiles_areShortEnoughToRead(t *testing.T) {
	const most = 500
	for _, s := range sources(t) {
		b, err := os.ReadFile(filepath.Join(root, s.path))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), "\n"); n > most {
			t.Errorf("%s has %d lines, more than %d: split it by verb", s.path, n, most)
		}
	}
}

// allowedFor finds the most exact line of arrows for pkg.
func allowedFor(pkg string) (to []string, listed bool) {
	best := -1
	for _, a := range arrows {
		if matches([]string{a.from}, pkg) && len(a.from) > best {
			best, to, listed = len(a.from), a.to, true
		}
	}
	return to, listed
}

// within reports whether other is a part of pkg itself, or pkg a part of other, as
// guard/session/sessiontest is of guard/session.
func within(pkg, other string) bool {
	return strings.HasPrefix(other, pkg+"/") || strings.HasPrefix(pkg, other+"/")
}

func matches(list []string, pkg string) bool {
	return slices.ContainsFunc(list, func(a string) bool {
		return pkg == a || strings.HasSuffix(a, "/") && strings.HasPrefix(pkg, a)
	})
}
