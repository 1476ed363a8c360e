package catalogue

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// exploits reads the attacks out of their source. They are literals with a Control
// and a Title; many stand in a function that is called with one or both, or in a loop
// over a list that is written out.
type exploits struct {
	set    *token.FileSet
	files  []*ast.File
	types  map[string]*ast.StructType   // structs by name
	lists  map[string]*ast.CompositeLit // variables that hold a list
	loops  []*ast.RangeStmt
	makers map[string]maker
	found  []Attack
	lost   []error
}

// maker is a function that makes an attack of its parameters.
type maker struct {
	params         []string
	control, title ast.Expr
}

// readAttacks finds the exploits in the files of paths.
func (e *Evidence) readAttacks(paths []string) []error {
	x := exploits{set: token.NewFileSet(), types: map[string]*ast.StructType{}, lists: map[string]*ast.CompositeLit{}, makers: map[string]maker{}}
	for _, path := range paths {
		f, err := parser.ParseFile(x.set, path, strings.Join(e.files[path].Lines, "\n"), parser.SkipObjectResolution)
		if err != nil {
			return []error{err}
		}
		x.files = append(x.files, f)
	}
	x.each(x.learn)
	for _, f := range x.files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				x.literals(fn)
			}
		}
	}
	x.each(x.calls)
	slices.SortStableFunc(x.found, func(a, b Attack) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	for _, a := range x.found {
		e.Attacks[a.Control] = append(e.Attacks[a.Control], a)
	}
	return x.lost
}

func (x *exploits) each(visit func(ast.Node)) {
	for _, f := range x.files {
		ast.Inspect(f, func(n ast.Node) bool { visit(n); return true })
	}
}

// learn remembers what titles may be taken from.
func (x *exploits) learn(n ast.Node) {
	switch n := n.(type) {
	case *ast.TypeSpec:
		if s, ok := n.Type.(*ast.StructType); ok {
			x.types[n.Name.Name] = s
		}
	case *ast.ValueSpec:
		if len(n.Names) == 1 && len(n.Values) == 1 {
			x.list(n.Names[0], n.Values[0])
		}
	case *ast.AssignStmt:
		if len(n.Lhs) == 1 && len(n.Rhs) == 1 && n.Tok == token.DEFINE {
			if name, ok := n.Lhs[0].(*ast.Ident); ok {
				x.list(name, n.Rhs[0])
			}
		}
	case *ast.RangeStmt:
		x.loops = append(x.loops, n)
	}
}

func (x *exploits) list(name *ast.Ident, value ast.Expr) {
	if lit, ok := value.(*ast.CompositeLit); ok {
		x.lists[name.Name] = lit
	}
}

// literals finds the attacks that a function writes, and whether it is a maker.
func (x *exploits) literals(fn *ast.FuncDecl) {
	var params []string
	for _, f := range fn.Type.Params.List {
		for _, n := range f.Names {
			params = append(params, n.Name)
		}
	}
	given := func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return ok && slices.Contains(params, id.Name)
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		control, title := member(lit, "Control"), member(lit, "Title")
		switch {
		case control == nil || title == nil:
		case given(control) || given(title):
			x.makers[fn.Name.Name] = maker{params, control, title}
		default:
			x.add(lit, x.texts(control, maker{}, nil), x.texts(title, maker{}, nil))
		}
		return true
	})
}

// calls finds the attacks that makers make.
func (x *exploits) calls(n ast.Node) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return
	}
	if name, ok := call.Fun.(*ast.Ident); ok {
		if m, ok := x.makers[name.Name]; ok {
			x.add(call, x.texts(m.control, m, call.Args), x.texts(m.title, m, call.Args))
		}
	}
}

func (x *exploits) add(n ast.Node, control, titles []string) {
	at := x.set.Position(n.Pos())
	for _, title := range titles {
		if len(control) != 1 || !nameForm.MatchString(control[0]) || title == "…" {
			x.lost = append(x.lost, fmt.Errorf("%s: nobody can tell what this attacks", at))
			continue
		}
		x.found = append(x.found, Attack{control[0], title, at.Filename, at.Line})
	}
}

// texts are what an expression can be: parameters of a maker are what args give for
// them, variables of a loop are each of what they run over, and what is known only
// when the program runs is "…".
func (x *exploits) texts(e ast.Expr, m maker, args []ast.Expr) (all []string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return []string{s}
		}
	case *ast.BinaryExpr:
		for _, left := range x.texts(e.X, m, args) {
			for _, right := range x.texts(e.Y, m, args) {
				all = append(all, left+right)
			}
		}
		return all
	case *ast.Ident:
		if i := slices.Index(m.params, e.Name); i >= 0 && i < len(args) {
			return x.texts(args[i], maker{}, nil)
		}
		for _, elt := range x.over(e) {
			all = append(all, x.texts(elt, maker{}, nil)...)
		}
	case *ast.SelectorExpr:
		if v, ok := e.X.(*ast.Ident); ok {
			for _, elt := range x.over(v) {
				all = append(all, x.field(elt, v, e.Sel.Name)...)
			}
		}
	}
	if all == nil {
		return []string{"…"}
	}
	return all
}

// over is what the innermost loop around a variable runs over.
func (x *exploits) over(v *ast.Ident) []ast.Expr {
	if lit := x.listOf(v); lit != nil {
		return lit.Elts
	}
	return nil
}

func (x *exploits) listOf(v *ast.Ident) (lit *ast.CompositeLit) {
	for _, loop := range x.loops { // outer loops come first
		if name, ok := loop.Value.(*ast.Ident); !ok || name.Name != v.Name || v.Pos() < loop.Pos() || v.Pos() > loop.End() {
			continue
		}
		switch over := loop.X.(type) {
		case *ast.CompositeLit:
			lit = over
		case *ast.Ident:
			lit = x.lists[over.Name]
		}
	}
	return lit
}

// field is a field of one element of the list that v runs over.
func (x *exploits) field(elt ast.Expr, v *ast.Ident, name string) []string {
	one, ok := elt.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	if value := member(one, name); value != nil {
		return x.texts(value, maker{}, nil)
	}
	array, ok := x.listOf(v).Type.(*ast.ArrayType)
	if !ok {
		return nil
	}
	fields, ok := array.Elt.(*ast.StructType)
	if id, named := array.Elt.(*ast.Ident); named {
		fields, ok = x.types[id.Name], x.types[id.Name] != nil
	}
	if !ok {
		return nil
	}
	at := 0
	for _, f := range fields.Fields.List {
		for _, n := range f.Names {
			if n.Name == name && at < len(one.Elts) {
				return x.texts(one.Elts[at], maker{}, nil)
			}
			at++
		}
	}
	return nil
}

// member is the value of a key of a literal.
func member(lit *ast.CompositeLit, key string) ast.Expr {
	for _, x := range lit.Elts {
		if kv, ok := x.(*ast.KeyValueExpr); ok {
			if k, ok := kv.Key.(*ast.Ident); ok && k.Name == key {
				return kv.Value
			}
		}
	}
	return nil
}
