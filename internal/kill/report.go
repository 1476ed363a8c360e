package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// show writes the table of a run, and below it what is wrong.
func show(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERDICT\tCONTROL\tREMOVED\tTESTS")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.verdict, r.Control, r.Removes, strings.Join(r.Kills, " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.verdict != killed {
			fmt.Fprintf(out, "\n%s: %s, %s (%s)\n  %s\n", r.verdict, r.Control, r.Removes, r.File, r.why)
		}
	}
	_, err := fmt.Fprintf(out, "\n%d of %d mutants killed\n", len(results)-notKilled(results), len(results))
	return err
}

func notKilled(results []result) int {
	n := 0
	for _, r := range results {
		if r.verdict != killed {
			n++
		}
	}
	return n
}

// row is one line of the table that is kept. It has neither times nor dates, so that it
// changes only when a mutant or the tests do.
type row struct {
	Control string   `json:"control"`
	Removes string   `json:"removes"`
	File    string   `json:"file"`
	Package string   `json:"package"`
	Tests   []string `json:"tests"`
}

// keep writes the table below dir, or with check reports that it is not what is there.
// It is called only when every mutant was killed.
func keep(dir string, mutants []mutant, check bool) error {
	var rows []row
	for _, m := range mutants {
		rows = append(rows, row{m.Control, m.Removes, m.File, m.Package, m.Kills})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.Control, b.Control) })

	var asJSON bytes.Buffer
	enc := json.NewEncoder(&asJSON)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(rows); err != nil {
		return err
	}
	files := map[string][]byte{"kill-matrix.json": asJSON.Bytes(), "kill-matrix.md": markdown(rows)}
	var problems []error
	for name, text := range files {
		path := filepath.Join(dir, name)
		if !check {
			problems = append(problems, os.WriteFile(path, text, 0o644))
			continue
		}
		if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, text) {
			problems = append(problems, fmt.Errorf("docs/evidence/%s is not what this run saw: run `make kill` and commit it", name))
		}
	}
	return errors.Join(problems...)
}

func markdown(rows []row) []byte {
	var b bytes.Buffer
	controls := map[string]bool{}
	for _, r := range rows {
		controls[r.Control] = true
	}
	fmt.Fprintf(&b, `# Kill matrix

Each line is one run: a control is taken out of a copy of the program, as the second
column says, and every test in the last column then fails by its own assertion. The
same tests pass with the control in place; `+"`make race` and `make js`"+` see to that.
%d mutants, all killed, over all %d controls. Made by `+"`make kill`"+`.

| control | what is removed | where | tests that fail | in |
|---|---|---|---|---|
`, len(rows), len(controls))
	for _, r := range rows {
		tests := make([]string, len(r.Tests))
		for i, t := range r.Tests {
			tests[i] = "`" + t + "`"
		}
		fmt.Fprintf(&b, "| [%s](../controls/%s.md) | %s | `%s` | %s | `%s` |\n",
			r.Control, r.Control, r.Removes, r.File, strings.Join(tests, "<br>"), strings.TrimPrefix(r.Package, "./"))
	}
	return b.Bytes()
}
