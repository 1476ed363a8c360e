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
	place := func(doc *ast.CommentGroup, name string, end token.Pos) {
		if doc != nil {
			docs[doc] = Place{File: path, Func: name, Doc: strings.TrimSpace(doc.Text()), Start: set.Position(doc.Pos()).Line, End: set.Position(end).Line}
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil && len(d.Recv.List) == 1 {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			place(d.Doc, name, d.End())
		case *ast.GenDecl:
			if d.Tok == token.IMPORT || len(d.Specs) == 0 {
				continue
			}
			_, name := declared(d.Specs[0])
			place(d.Doc, name, d.End())
			if d.Lparen.IsValid() { // one line of a list has its own comment
				for _, s := range d.Specs {
					doc, name := declared(s)
					place(doc, name, s.End())
				}
			}
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

// declared is the comment of a type, constant or variable and its name.
func declared(s ast.Spec) (doc *ast.CommentGroup, name string) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return s.Doc, s.Name.Name
	case *ast.ValueSpec:
		return s.Doc, s.Names[0].Name
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
