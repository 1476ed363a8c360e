package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"example.com/portcullis/internal/guard/catalogue"
)

//go:embed asvs.tsv
var asvsText string

//go:embed cheat-sheet.tsv
var cheatSheetText string

//go:embed numbers.tsv
var numbersText string

// Statuses of a requirement.
const (
	met           = "met"
	notApplicable = "not applicable"
	notMet        = "not met"
)

// requirement is one of ASVS 5.0.0, in our words.
type requirement struct {
	ID       string   `json:"id"`
	Level    string   `json:"level"`
	Asks     string   `json:"asks"`
	Status   string   `json:"status"`
	Note     string   `json:"note,omitempty"` // how; why it does not apply; what is missing
	Controls []string `json:"controls,omitempty"`
}

// advice is one recommendation of the OWASP WebSocket Security Cheat Sheet.
type advice struct {
	section, asks string
	controls      []string
	note          string
}

// kill is one line of the kill matrix.
type kill struct {
	Control string
	Removes string
	Tests   []string
}

// binder is everything that the pages are made of.
type binder struct {
	controls []catalogue.Control
	source   *catalogue.Evidence
	kills    map[string][]kill // by control
	asvs     []requirement
	advice   []advice
	numbers  []string // titles; numbers[0] is of 1
}

func readKills(path string) (map[string][]kill, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []kill
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	kills := map[string][]kill{}
	for _, k := range all {
		kills[k.Control] = append(kills[k.Control], k)
	}
	return kills, nil
}

// load reads the judgements and holds them to the catalogue.
func load(controls []catalogue.Control, source *catalogue.Evidence, kills map[string][]kill) (*binder, error) {
	asvs, asvsErr := readASVS(asvsText, controls)
	sheet, sheetErr := readAdvice(cheatSheetText, controls)
	numbers, numbersErr := readNumbers(numbersText)
	if err := errors.Join(asvsErr, sheetErr, numbersErr); err != nil {
		return nil, err
	}
	return &binder{controls, source, kills, asvs, sheet, numbers}, nil
}

// rows splits tab-separated text; lines that begin with # are for people.
func rows(text string, columns int) ([][]string, error) {
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != columns {
			return nil, fmt.Errorf("%q has %d columns, not %d", line, len(cells), columns)
		}
		all = append(all, cells)
	}
	return all, nil
}

func readASVS(text string, controls []catalogue.Control) ([]requirement, error) {
	lines, err := rows(text, 6)
	if err != nil {
		return nil, fmt.Errorf("asvs.tsv: %w", err)
	}
	var all []requirement
	var problems []error
	seen := map[string]bool{}
	for _, c := range lines {
		r := requirement{ID: c[0], Level: c[1], Asks: c[2], Status: c[3], Note: c[4], Controls: strings.Fields(c[5])}
		bad := func(what string) { problems = append(problems, fmt.Errorf("asvs.tsv: %s: %s", r.ID, what)) }
		switch {
		case seen[r.ID]:
			bad("is there twice")
		case !slices.Contains([]string{"1", "2", "3"}, r.Level):
			bad("has no level")
		case r.Asks == "":
			bad("asks for nothing")
		case r.Status == met && len(r.Controls) == 0:
			bad("is met by no control")
		case r.Status == met:
		case r.Status != notMet && r.Status != notApplicable:
			bad(fmt.Sprintf("has the status %q", r.Status))
		case r.Note == "":
			bad("does not say why")
		case len(r.Controls) > 0:
			bad("names a control and is not met")
		}
		if name := unknown(r.Controls, controls); name != "" {
			bad("names " + name + ", which is no control")
		}
		seen[r.ID] = true
		all = append(all, r)
	}
	return all, errors.Join(problems...)
}

func readAdvice(text string, controls []catalogue.Control) ([]advice, error) {
	lines, err := rows(text, 4)
	if err != nil {
		return nil, fmt.Errorf("cheat-sheet.tsv: %w", err)
	}
	var all []advice
	var problems []error
	for _, c := range lines {
		a := advice{section: c[0], asks: c[1], controls: strings.Fields(c[2]), note: c[3]}
		if name := unknown(a.controls, controls); name != "" {
			problems = append(problems, fmt.Errorf("cheat-sheet.tsv: %q names %s, which is no control", a.asks, name))
		}
		if len(a.controls) == 0 && a.note == "" {
			problems = append(problems, fmt.Errorf("cheat-sheet.tsv: %q has neither a control nor a reason", a.asks))
		}
		all = append(all, a)
	}
	return all, errors.Join(problems...)
}

func readNumbers(text string) ([]string, error) {
	lines, err := rows(text, 2)
	if err != nil {
		return nil, fmt.Errorf("numbers.tsv: %w", err)
	}
	var titles []string
	for _, c := range lines {
		if want := fmt.Sprint(len(titles) + 1); c[0] != want {
			return nil, fmt.Errorf("numbers.tsv: %s stands where %s should", c[0], want)
		}
		titles = append(titles, c[1])
	}
	if len(titles) != catalogue.MaxNumber {
		return nil, fmt.Errorf("numbers.tsv has %d lines, not %d", len(titles), catalogue.MaxNumber)
	}
	return titles, nil
}

// unknown returns the first name that is no control's, "" if there is none.
func unknown(names []string, controls []catalogue.Control) string {
	for _, name := range names {
		if !slices.ContainsFunc(controls, func(c catalogue.Control) bool { return c.Name == name }) {
			return name
		}
	}
	return ""
}
