// Command kill proves that the tests of the controls can fail.
//
// A test that passes says little: it may look away. So this program takes one control
// out of the program, in a copy of one source file, runs the tests that claim to prove
// that control, and wants every one of them to fail. It does so for each control of
// the catalogue, and docs/evidence/kill-matrix.md is the table of what it saw.
//
// The working tree is never touched: the changed copy reaches the compiler through
// `go test -overlay`, and through a copied directory for the scripts of the browser.
//
//	go run ./internal/kill                 the whole matrix; writes docs/evidence/kill-matrix.*
//	go run ./internal/kill -check          the same, but a table that changed is a failure
//	go run ./internal/kill -only origin    one control, writes nothing
//
// Each mutant gets one of three verdicts:
//
//   - killed: the mutant compiled, each named test ran, and each failed by its own
//     assertion;
//   - survived: at least one of the tests passed without the control. Either the test
//     is too weak, or the control does nothing;
//   - error: it says nothing about the test. The source moved, the mutant does not
//     compile, a test of that name never ran or was skipped, or it ended by a panic
//     or by hanging instead of an assertion.
//
// What it does not show: that a control is complete. A mutant is one hole that somebody
// thought of; the attacks in internal/attack and the fuzz targets look for the others.
// Nor does it look whether the tests pass with the control in place: `make race` does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"example.com/portcullis/internal/guard/catalogue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(1)
	}
}

// run is main without the process: it works from the module's root, prints the table
// on out and one line for each finished mutant on progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("kill", flag.ContinueOnError)
	only := flags.String("only", "", "run the mutants of this control alone, and write nothing")
	check := flags.Bool("check", false, "fail if docs/evidence/kill-matrix.* would change, instead of writing it")
	workers := flags.Int("workers", 3, "how many mutants are tested at the same time: many of them wait")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return errors.New("run it in the module's root, where go.mod is")
	}

	mutants := all()
	known := controls()
	if err := wellFormed(mutants, known); err != nil {
		return err
	}
	if *only != "" {
		known = nil
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return m.Control != *only })
		if len(mutants) == 0 {
			return fmt.Errorf("no mutant removes %q", *only)
		}
	}
	results, err := runner{root: root, workers: *workers, timeout: testTimeout}.all(ctx, mutants, progress)
	if err != nil {
		return err
	}
	if err := show(out, results); err != nil {
		return err
	}
	err = uncovered(mutants, known)
	if n := notKilled(results); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d mutants were not killed", n, len(results)))
	}
	if err != nil {
		return err
	}
	if *only != "" {
		return nil
	}
	return keep(filepath.Join(root, "docs", "evidence"), mutants, *check)
}

// controls lists the names that need a mutant.
func controls() []string {
	var names []string
	for _, c := range catalogue.All() {
		names = append(names, c.Name)
	}
	return names
}
