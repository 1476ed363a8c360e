package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A mutant is the program with one control taken out, and the tests that must notice.
type mutant struct {
	Control string
	Removes string // a sentence: what is gone, e.g. "the list of origins says yes to everybody"
	File    string // from the module's root, with slashes: .go, .sql, .html, .js …
	// Old must occur exactly once in File; New takes its place, and the result must compile.
	Old, New string
	Package  string   // "./internal/guard/origin", or "web" for the tests that node runs
	Kills    []string // names of tests at the top level of Package; every one must fail
}

// all lists the mutants, layer by layer.
func all() []mutant {
	return slices.Concat(
		transport(),
		handshake(),
		authentication(),
		guessing(),
		secrets(),
		session(),
		message(),
		business(),
		administration(),
		resource(),
		browser(),
		observe(),
		operate(),
	)
}

// wellFormed reports mutants that lack a part, name a control that nobody knows, or are
// there twice.
func wellFormed(mutants []mutant, controls []string) error {
	var problems []error
	seen := map[string]bool{}
	for _, m := range mutants {
		switch key := m.File + "\x00" + m.Old + "\x00" + m.New; {
		case m.Control == "" || m.Removes == "" || m.File == "" || m.Old == "" || m.Package == "" || len(m.Kills) == 0:
			problems = append(problems, fmt.Errorf("mutant of %q (%s): a field is empty", m.Control, m.File))
		case m.Old == m.New:
			problems = append(problems, fmt.Errorf("mutant of %q (%s) changes nothing", m.Control, m.File))
		case !slices.Contains(controls, m.Control):
			problems = append(problems, fmt.Errorf("mutant of %q (%s): the catalogue has no such control", m.Control, m.File))
		case seen[key]:
			problems = append(problems, fmt.Errorf("mutant of %q (%s) is there twice", m.Control, m.File))
		default:
			seen[key] = true
		}
	}
	return errors.Join(problems...)
}

// uncovered reports the controls that no mutant removes.
func uncovered(mutants []mutant, controls []string) error {
	var problems []error
	for _, name := range controls {
		if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.Control == name }) {
			problems = append(problems, fmt.Errorf("control %s has no mutant: nothing shows that its tests can fail", name))
		}
	}
	return errors.Join(problems...)
}

// source is the text of the changed file.
func (m mutant) source(root string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File)))
	if err != nil {
		return nil, fmt.Errorf("the source moved: mend the mutant: %w", err)
	}
	if n := bytes.Count(b, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("the source moved: mend the mutant: %s has its text %d times, not once", m.File, n)
	}
	return bytes.Replace(b, []byte(m.Old), []byte(m.New), 1), nil
}
