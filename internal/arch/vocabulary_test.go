package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A name that nothing records is a promise that nobody keeps, and one that no test
// waits for may be gone tomorrow.
//
//control:proves audit
func TestEvents_eachIsRecordedByTheProgramAndAskedForByATest(t *testing.T) {
	names := map[string]string{} // identifier → text
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal/guard/audit/event.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Name" {
			return true
		}
		for i, id := range v.Names {
			text, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names[id.Name] = text
		}
		return true
	})
	if len(names) < 50 {
		t.Fatalf("found %d names, which cannot be all", len(names))
	}
	recorded, asked := map[string]bool{}, map[string]bool{}
	walk(t, ".go", func(path string) {
		if path == "internal/guard/audit/event.go" || strings.HasPrefix(path, "internal/guard/catalogue/") || strings.HasPrefix(path, "internal/arch/") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		text, test := string(b), strings.HasSuffix(path, "_test.go")
		inside := filepath.ToSlash(filepath.Dir(path)) == "internal/guard/audit"
		for id, name := range names {
			used := containsWord(text, "audit."+id) || inside && containsWord(text, "Name: "+id)
			if test {
				asked[id] = asked[id] || used || strings.Contains(text, `"`+name+`"`) || strings.Contains(text, name+`"`)
			} else {
				recorded[id] = recorded[id] || used
			}
		}
	})
	for id, name := range names {
		if !recorded[id] {
			t.Errorf("%s (%s) is in the vocabulary and nothing records it", id, name)
		}
		if !asked[id] {
			t.Errorf("%s (%s): no test asks for it", id, name)
		}
	}
}

// containsWord reports whether text has word, and not as the beginning of a longer one.
func containsWord(text, word string) bool {
	for {
		i := strings.Index(text, word)
		if i < 0 {
			return false
		}
		text = text[i+len(word):]
		if text == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", rune(text[0])) {
			return true
		}
	}
}
