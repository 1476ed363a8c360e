package catalogue

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// readGo finds marked declarations of a Go file: the directive is a line of their
// comment. Tests carry control:proves, everything else control:name.
//
//control:name living-documents
func (e *Evidence) readGo(path, text string) (problems []error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return []error{err}
	}
	docs := map[*ast.CommentGroup]Place{}
	for _, d := range f.Decls {
		if doc, name := declared(d); doc != nil {
			docs[doc] = Place{File: path, Func: name, Doc: strings.TrimSpace(doc.Text()), Start: set.Position(doc.Pos()).Line, End: set.Position(d.End()).Line}
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if !strings.HasPrefix(c.Text, "//control:") {
				continue
			}
			bad := func(why string) {
				problems = append(problems, fmt.Errorf("%s: %q %s", set.Position(c.Pos()), c.Text, why))
			}
			control, proves, ok := directive(c.Text)
			p, sits := docs[group]
			isTest := strings.HasSuffix(path, "_test.go") && (strings.HasPrefix(p.Func, "Test") || strings.HasPrefix(p.Func, "Fuzz"))
			switch {
			case !ok:
				bad("is no directive")
			case !sits:
				bad("sits on nothing: it belongs into the comment of a declaration")
			case proves && !isTest:
				bad("sits on no test")
			default:
				e.add(control, proves, p)
			}
		}
	}
	return problems
}

// declared is the comment of a declaration and its name.
func declared(d ast.Decl) (doc *ast.CommentGroup, name string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name = d.Name.Name
		if d.Recv != nil && len(d.Recv.List) == 1 {
			name = receiver(d.Recv.List[0].Type) + "." + name
		}
		return d.Doc, name
	case *ast.GenDecl:
		switch s := d.Specs[0].(type) {
		case *ast.TypeSpec:
			return d.Doc, s.Name.Name
		case *ast.ValueSpec:
			return d.Doc, s.Names[0].Name
		}
	}
	return nil, ""
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return "?"
}
