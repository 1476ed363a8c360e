// Command evidence writes docs/evidence: which control meets which requirement, where
// its code, tests and attacks are, and what is not met.
//
// Whoever has to believe that a control is there (an auditor, a customer, the next
// maintainer) reads a table, and a table that people keep by hand is wrong after a
// year. So nothing here is kept by hand but the judgements: asvs.tsv, cheat-sheet.tsv
// and numbers.tsv, in our own words. Names of controls in them must be in the
// catalogue, a requirement that is met must name one, and code, tests and attacks are
// read from the source. `make test` fails when the files would change.
//
//	go run ./internal/evidence           write
//	go run ./internal/evidence -check    report what would change
//
// What it does not show: that a judgement is right. It shows where to look.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"example.com/portcullis"
	"example.com/portcullis/internal/guard/catalogue"
)

// folder is where the files are, from the module's root.
const folder = "docs/evidence"

func main() {
	check := flag.Bool("check", false, "fail if docs/evidence would change, instead of writing it")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "evidence:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	source, err := catalogue.Read(portcullis.Source())
	if err != nil {
		return err
	}
	kills, err := readKills(filepath.Join(folder, "kill-matrix.json"))
	if err != nil {
		return fmt.Errorf("%w (run it in the module's root, after make kill)", err)
	}
	b, err := load(catalogue.All(), source, kills)
	if err != nil {
		return err
	}
	pages, err := b.pages()
	if err != nil {
		return err
	}
	var problems []error
	for _, p := range pages {
		path := filepath.Join(folder, p.name)
		if !check {
			problems = append(problems, os.WriteFile(path, p.text, 0o644))
			continue
		}
		if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, p.text) {
			problems = append(problems, fmt.Errorf("%s is not what the source says: run `make evidence` and commit it", path))
		}
	}
	return errors.Join(problems...)
}
