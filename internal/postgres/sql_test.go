package postgres

import (
	"context"
	"errors"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// source parses every file of the package that is not a test.
func source(t *testing.T, fset *token.FileSet) map[string]*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = f
	}
	if len(files) < 10 {
		t.Fatalf("only %d files found", len(files))
	}
	return files
}

//control:proves sql
func TestQuery_isNeverBuilt(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	// The doors of pgx that take SQL. Only sql.go may open them.
	doors := []string{"Exec", "Query", "QueryRow", "Queue", "Prepare", "SendBatch", "CopyFrom", "ExecParams", "ExecPrepared"}
	opened := 0
	for file, f := range source(t, fset) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch fun := call.Fun.(type) {
			case *ast.Ident:
				if fun.Name == "query" {
					t.Errorf("%v: text is converted to query; write a constant", fset.Position(call.Pos()))
				}
			case *ast.SelectorExpr:
				if !slices.Contains(doors, fun.Sel.Name) {
					return true
				}
				if file == "sql.go" && fun.Sel.Name != "Exec" {
					opened++
				} else {
					t.Errorf("%v: %s is called outside sql.go, or is Exec", fset.Position(call.Pos()), fun.Sel.Name)
				}
			}
			return true
		})
	}
	if opened == 0 {
		t.Error("the test found no call in sql.go: it looks in the wrong place")
	}
}

//control:proves sql
func TestQuery_builtTextDoesNotCompile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		compiles   bool
	}{
		{"a constant", `exec(ctx, c, "SELECT 1")`, true},
		{"constants joined", `const table = "rooms"; exec(ctx, c, "SELECT id FROM "+table)`, true},
		{"a variable", `exec(ctx, c, input)`, false},
		{"a constant and a variable", `exec(ctx, c, "SELECT '" + input + "'")`, false},
		{"a formatted text", `exec(ctx, c, sprintf("SELECT '%s'", input))`, false},
		{"a statement", `_ = statement{input, nil}`, false},
		{"all", `all[int](ctx, c, nil, input)`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fset := token.NewFileSet()
			planted := "planted.go"
			f, err := parser.ParseFile(fset, planted, "package postgres\nimport \"context\"\nfunc sprintf(string, ...any) string\nfunc planted(ctx context.Context, c conn, input string) { "+c.body+" }", 0)
			if err != nil {
				t.Fatal(err)
			}
			files := []*ast.File{f}
			for _, s := range source(t, fset) {
				files = append(files, s)
			}
			var errs []string
			conf := types.Config{Importer: nothing{}, Error: func(err error) {
				// Imports are not followed, so only what is said of query counts.
				if e := err.(types.Error); fset.Position(e.Pos).Filename == planted && strings.Contains(e.Msg, "query") {
					errs = append(errs, e.Msg)
				}
			}}
			_, _ = conf.Check("postgres", fset, files, nil)
			if c.compiles != (len(errs) == 0) {
				t.Errorf("compiles %v, want %v: %v", len(errs) == 0, c.compiles, errs)
			}
		})
	}
}

// nothing imports nothing.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }

//control:proves sql
func TestExec_runsOneStatementOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	err := w.do(w.ctx, func(ctx context.Context, c conn) error {
		_, err := exec(ctx, c, "SELECT 1; CREATE TABLE stacked (a int)")
		return err
	})
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != "42601" {
		t.Errorf("error %v; want a syntax error: cannot insert multiple commands", err)
	}
	if ask[bool](w, "SELECT to_regclass('stacked') IS NOT NULL") {
		t.Error("the second statement ran")
	}
}

// statements evaluates every constant of the type query.
func statements(t *testing.T) map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	info := types.Info{Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: nothing{}, Error: func(error) {}}
	_, _ = conf.Check("postgres", fset, slices.Collect(maps.Values(source(t, fset))), &info)
	found := map[string]string{}
	for _, o := range info.Defs {
		if c, ok := o.(*types.Const); ok && types.TypeString(c.Type(), nil) == "postgres.query" {
			found[c.Name()] = constant.StringVal(c.Val())
		}
	}
	if len(found) < 50 {
		t.Fatalf("only %d statements found", len(found))
	}
	return found
}

// A statement without an index to go by takes longer every day. With seq scans
// discouraged, as on every connection of Open, one that is left has no index; and an
// index that is read without a condition is read from end to end.
//
//control:proves sql
func TestStatements_areValidAndReadNoWholeTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	number := regexp.MustCompile(`\$\d+`)
	endToEnd := regexp.MustCompile(`Seq Scan|Index (Only )?Scan (Backward )?using (\S+).*\n\s*(-|Filter|$)`)
	allowed := map[string]string{
		"readKeys":     "ticket_keys has at most 8 rows",
		"readAuditKey": "audit_keys has one row",
		"listUsers":    "it has a LIMIT, in the order of the index",
	}
	w.conn(func(c *pgx.Conn) {
		if _, err := c.Exec(w.ctx, "SET plan_cache_mode = force_generic_plan"); err != nil {
			t.Fatal(err)
		}
		for name, sql := range statements(t) {
			args := slices.Compact(slices.Sorted(slices.Values(number.FindAllString(sql, -1))))
			execute := "EXPLAIN EXECUTE s"
			if len(args) > 0 {
				execute += "(" + strings.TrimSuffix(strings.Repeat("NULL,", len(args)), ",") + ")"
			}
			if _, err := c.Exec(w.ctx, "PREPARE s AS "+sql); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			rows, err := c.Query(w.ctx, execute, pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if text := strings.Join(plan, "\n"); err != nil || len(plan) == 0 || endToEnd.MatchString(text) && allowed[name] == "" {
				t.Errorf("%s reads a whole table, or error %v:\n%s", name, err, text)
			}
			if _, err := c.Exec(w.ctx, "DEALLOCATE s"); err != nil {
				t.Error(err)
			}
		}
	})
}
