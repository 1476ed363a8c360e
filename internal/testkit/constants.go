package testkit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"testing"
)

// Constants reads the text constants of type T out of the file that declares them, in
// order, so that a test notices the one that somebody adds.
func Constants[T ~string](t testing.TB, file string) (all []T) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	name := reflect.TypeFor[T]().Name()
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != name {
			return true
		}
		for _, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, T(text))
			}
		}
		return true
	})
	if len(all) < 3 {
		t.Fatalf("found %d constants of type %s in %s, which cannot be all", len(all), name, file)
	}
	return all
}
