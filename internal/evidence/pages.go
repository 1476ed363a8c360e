package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/portcullis/internal/guard/catalogue"
)

type page struct {
	name string
	text []byte
}

func (b *binder) pages() ([]page, error) {
	var asJSON bytes.Buffer
	enc := json.NewEncoder(&asJSON)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(b.asvs); err != nil {
		return nil, err
	}
	return []page{
		{"README.md", []byte(readme)},
		{"controls.md", b.controlsPage()},
		{"asvs.md", b.asvsPage()},
		{"asvs.json", asJSON.Bytes()},
		{"cheat-sheet.md", b.cheatSheetPage()},
		{"numbers.md", b.numbersPage()},
		{"../audit/checklist.md", b.checklistPage()},
	}, nil
}

const readme = "# Evidence\n" + `
What this folder shows: for each control, where it is, which tests and attacks prove
it, that these tests fail without it, and which published requirements it meets, or
which are not met.

| file | question |
|---|---|
| [controls.md](controls.md) | What belongs to a control? |
| [kill-matrix.md](kill-matrix.md) | Can its tests fail? Each line is a run without the control. |
| [asvs.md](asvs.md) | How do we stand to each requirement of OWASP ASVS 5.0.0? |
| [cheat-sheet.md](cheat-sheet.md) | And to the OWASP WebSocket Security Cheat Sheet? |
| [numbers.md](numbers.md) | What are the 126 demands that the catalogue counts? |

` + "`asvs.json` and `kill-matrix.json`" + ` are the same for programs.

## How to read it

Start with a requirement in asvs.md, follow it to a control, and from there to the
lines, the tests and the page of the control. "Met" means that a control does it and
tests hold it; whether you agree is yours to judge, and the place to judge it is named.
"Not met" stays in the table with what is missing. The texts of the standards are
theirs; ours are short forms in our own words, so read the originals beside it.

## How to make it

` + "`make kill`" + ` runs the kill matrix and writes its two files; ` + "`make evidence`" + `
writes the others from the source, the catalogue and the tables in ` + "`internal/evidence`" + `.
Nothing here is edited by hand. ` + "`make test`" + ` does both and fails if a file would change.
`

func (b *binder) controlsPage() []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Controls and what proves them\n\n%d controls. Made by `make evidence`.\n\n", len(b.controls))
	fmt.Fprintln(&w, "| control | layer | numbers | ASVS 5.0.0 | tests | attacks | mutants killed |\n|---|---|---|---|---|---|---|")
	for _, c := range b.controls {
		fmt.Fprintf(&w, "| [%s](#%s) | %s | %s | %s | %d | %s | %d |\n", c.Name, c.Name, c.Layer, numbers(c.Numbers),
			strings.Join(b.requirementsOf(c.Name), " "), len(b.source.Tests[c.Name]), b.attacksOf(c), len(b.kills[c.Name]))
	}
	for _, c := range b.controls {
		fmt.Fprintf(&w, "\n## %s\n\n%s: %s The page: [%s](../controls/%s.md).\n\n", c.Name, cell(c.Title), c.Threat, c.Name, c.Name)
		if n := numbers(c.Numbers); n != "" {
			fmt.Fprintf(&w, "- Numbers: %s\n", n)
		}
		fmt.Fprintf(&w, "- References: %s\n", strings.Join(c.Refs, ", "))
		if ids := b.requirementsOf(c.Name); ids != nil {
			fmt.Fprintf(&w, "- Meets of ASVS 5.0.0, alone or with others: %s\n", strings.Join(ids, ", "))
		}
		for _, a := range b.advice {
			if slices.Contains(a.controls, c.Name) {
				fmt.Fprintf(&w, "- Cheat sheet, %s: %s\n", a.section, a.asks)
			}
		}
		for _, p := range b.source.Code[c.Name] {
			fmt.Fprintf(&w, "- Code: `%s`, %s\n", p.File, p.Func)
		}
		for _, p := range b.source.Tests[c.Name] {
			fmt.Fprintf(&w, "- Test: `%s`, %s\n", p.File, p.Func)
		}
		for _, a := range b.source.Attacks[c.Name] {
			fmt.Fprintf(&w, "- Attack: %s\n", a.Title)
		}
		if c.NoAttack != "" {
			fmt.Fprintf(&w, "- No attack from outside: %s\n", c.NoAttack)
		}
		for _, k := range b.kills[c.Name] {
			fmt.Fprintf(&w, "- Killed when %s: %s\n", k.Removes, strings.Join(k.Tests, ", "))
		}
	}
	return w.Bytes()
}

func (b *binder) attacksOf(c catalogue.Control) string {
	if c.NoAttack != "" {
		return "none possible"
	}
	return strconv.Itoa(len(b.source.Attacks[c.Name]))
}

// requirementsOf lists the requirements that a control has a part in.
func (b *binder) requirementsOf(control string) (ids []string) {
	for _, r := range b.asvs {
		if slices.Contains(r.Controls, control) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// chapters are the titles of ASVS chapters, in our words; a text in untouched is why
// none of its requirements applies.
var chapters = []struct{ id, title, untouched string }{
	{"1", "Encoding and cleaning", ""},
	{"2", "Validation and the logic of use", ""},
	{"3", "Browsers", ""},
	{"4", "HTTP and sockets", ""},
	{"5", "Files", ""},
	{"6", "Authentication", ""},
	{"7", "Sessions", ""},
	{"8", "Authorization", ""},
	{"9", "Tokens that carry their content", ""},
	{"10", "OAuth and OpenID Connect", "There is no identity provider, neither as client nor as server: users have accounts here, and nothing issues or takes OAuth tokens (36 requirements)."},
	{"11", "Cryptography", ""},
	{"12", "Transport", ""},
	{"13", "Configuration", ""},
	{"14", "Data", ""},
	{"15", "Code and architecture", ""},
	{"16", "Logs and errors", ""},
	{"17", "WebRTC", "There is no media, no TURN server and no signalling for one (12 requirements)."},
}

func (b *binder) asvsPage() []byte {
	var w bytes.Buffer
	count := map[string]int{}
	for _, r := range b.asvs {
		count[r.Level+r.Status]++
		count[r.Status]++
	}
	fmt.Fprint(&w, "# OWASP ASVS 5.0.0\n\nEvery requirement that could touch this program, in our words; the wording that counts is\nthe standard's. Made by `make evidence` from `internal/evidence/asvs.tsv`.\n\n")
	fmt.Fprintln(&w, "| level | met | not met | not applicable |\n|---|---|---|---|")
	for _, level := range []string{"1", "2", "3"} {
		fmt.Fprintf(&w, "| %s | %d | %d | %d |\n", level, count[level+met], count[level+notMet], count[level+notApplicable])
	}
	fmt.Fprintf(&w, "| all | %d | %d | %d |\n", count[met], count[notMet], count[notApplicable])
	fmt.Fprint(&w, "\n## What is not met\n\n")
	for _, r := range b.asvs {
		if r.Status == notMet {
			fmt.Fprintf(&w, "- %s (level %s) %s: %s.\n", r.ID, r.Level, r.Asks, r.Note)
		}
	}
	for _, ch := range chapters {
		fmt.Fprintf(&w, "\n## V%s %s\n\n", ch.id, ch.title)
		if ch.untouched != "" {
			fmt.Fprintln(&w, ch.untouched)
			continue
		}
		fmt.Fprintln(&w, "| id | level | asks for | status | how, why not, or what is missing | controls |\n|---|---|---|---|---|---|")
		for _, r := range b.asvs {
			if strings.HasPrefix(r.ID, ch.id+".") {
				fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | %s |\n", r.ID, r.Level, cell(r.Asks), r.Status, cell(r.Note), links(r.Controls))
			}
		}
	}
	return w.Bytes()
}

func (b *binder) cheatSheetPage() []byte {
	var w bytes.Buffer
	fmt.Fprint(&w, "# OWASP WebSocket Security Cheat Sheet\n\nEach of its recommendations, in our words, and what does it here. Made by `make evidence`.\n\n")
	fmt.Fprintln(&w, "| section | recommendation | controls | note |\n|---|---|---|---|")
	for _, a := range b.advice {
		fmt.Fprintf(&w, "| %s | %s | %s | %s |\n", a.section, cell(a.asks), links(a.controls), cell(a.note))
	}
	return w.Bytes()
}

func (b *binder) numbersPage() []byte {
	claimed := map[int]string{}
	for _, c := range b.controls {
		for _, n := range c.Numbers {
			claimed[n] = c.Name
		}
	}
	out := catalogue.OutOfScope()
	var w bytes.Buffer
	fmt.Fprint(&w, "# The 126 demands\n\nWhat a WebSocket application should do, counted; the catalogue says which control does it.\nMade by `make evidence`.\n\n| number | demand | control |\n|---|---|---|\n")
	for i, title := range b.numbers {
		n := i + 1
		by := "open: no control claims it"
		switch {
		case claimed[n] != "":
			by = links([]string{claimed[n]})
		case out[n] != "":
			by = "out of scope: " + cell(out[n])
		}
		fmt.Fprintf(&w, "| %d | %s | %s |\n", n, cell(title), by)
	}
	return w.Bytes()
}

// links points to the sections of controls.md.
func links(names []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = "[" + name + "](controls.md#" + name + ")"
	}
	return strings.Join(parts, " ")
}

func numbers(ns []int) string {
	parts := make([]string, len(ns))
	for i, n := range ns {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, " ")
}

// cell is text that does not end a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
