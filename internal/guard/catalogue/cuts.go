package catalogue

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Cut is a piece of a control that `make kill` takes out, and the tests that then fail:
// what a line is there for, said by what happens without it.
type Cut struct {
	Control, Removes string // Removes is what is gone then, "the list of origins says yes to everybody"
	File, Old, New   string
	Start, End       int // the lines that Old touches; 0 where the file does not hold it
	Kills            []string
}

// cuts are the files whose literals are cuts.
const cuts = "internal/kill/mutants_"

// readCuts finds the cuts in the files of paths.
func (e *Evidence) readCuts(paths []string) (problems []error) {
	set := token.NewFileSet()
	for _, path := range paths {
		f, err := parser.ParseFile(set, path, strings.Join(e.files[path].Lines, "\n"), parser.SkipObjectResolution)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || member(lit, "Removes") == nil {
				return true
			}
			if c, ok := e.cut(lit); ok {
				e.Cuts[c.Control] = append(e.Cuts[c.Control], c)
			} else {
				problems = append(problems, fmt.Errorf("%s: nobody can tell what this takes out", set.Position(lit.Pos())))
			}
			return false
		})
	}
	return problems
}

// cut reads one literal.
func (e *Evidence) cut(lit *ast.CompositeLit) (c Cut, ok bool) {
	for key, into := range map[string]*string{"Control": &c.Control, "Removes": &c.Removes, "File": &c.File, "Old": &c.Old} {
		if *into, ok = constant(member(lit, key)); !ok {
			return c, false
		}
	}
	if with := member(lit, "New"); with != nil { // without it the piece is gone, and nothing takes its place
		if c.New, ok = constant(with); !ok {
			return c, false
		}
	}
	if kills, isList := member(lit, "Kills").(*ast.CompositeLit); isList {
		for _, k := range kills.Elts {
			name, ok := constant(k)
			if !ok {
				return c, false
			}
			c.Kills = append(c.Kills, name)
		}
	}
	// While `make kill` tries a cut the file does not hold it, and that is no error of this page.
	if f := e.files[c.File]; f != nil {
		if before, _, found := strings.Cut(strings.Join(f.Lines, "\n")+"\n", c.Old); found {
			c.Start = 1 + strings.Count(before, "\n") + leading(c.Old)
			c.End = 1 + strings.Count(before, "\n") + strings.Count(strings.TrimRight(c.Old, "\n"), "\n")
		}
	}
	return c, nameForm.MatchString(c.Control)
}

// leading counts the line ends that a text begins with.
func leading(s string) int { return len(s) - len(strings.TrimLeft(s, "\n")) }

// constant is the value of an expression that is written out.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		left, one := constant(e.X)
		right, two := constant(e.Y)
		return left + right, one && two
	}
	return "", false
}
