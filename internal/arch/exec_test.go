package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// Programs are started in one package, by path and with a list of arguments. A shell
// would read its text as a program.
//
//control:proves no-shell
func TestExec_isNeverAShell(t *testing.T) {
	calls := 0
	for _, s := range sources(t) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, s.path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			of, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !isName(of.X, "exec") && !isName(of.X, "syscall") && !isName(of.X, "os") {
				return true
			}
			switch of.Sel.Name {
			case "Exec", "ForkExec", "StartProcess":
				t.Errorf("%s calls %s: programs are started through os/exec", s.path, of.Sel.Name)
			case "Command", "CommandContext":
				calls++
				for _, arg := range call.Args {
					if word, ok := arg.(*ast.BasicLit); ok && word.Kind == token.STRING {
						switch text, _ := strconv.Unquote(word.Value); text {
						case "sh", "bash", "/bin/sh", "/bin/bash", "cmd", "cmd.exe", "powershell", "-c", "/c":
							t.Errorf("%s starts a shell: %q", s.path, text)
						}
					}
				}
			}
			return true
		})
	}
	if calls == 0 {
		t.Error("no call of os/exec found, but the embedded servers are started somewhere")
	}
}

func isName(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}
