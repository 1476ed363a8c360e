package site

import (
	"path"
	"slices"
	"strings"

	"example.com/portcullis/internal/guard/catalogue"
)

// What the page of a control says of single lines: each piece that `make kill` takes out,
// what happens without it, and the tests that then fail.

type (
	cutView struct {
		catalogue.Cut
		Changes []changeView
		Failing []testView
	}
	changeView struct {
		Gone bool // else it is what stands there instead
		Text string
	}
	testView struct { // a test by its name; File is empty for one that carries no mark
		Name, File string
		Line       int
	}
	attackView struct {
		catalogue.Attack
		Base string // of the file
	}
)

// cutViews are the cuts of a control.
func cutViews(e *catalogue.Evidence, name string) (all []cutView) {
	for _, c := range e.Cuts[name] {
		v := cutView{Cut: c, Changes: changes(e.File(c.File), c)}
		for _, kill := range c.Kills {
			t := testView{Name: kill}
			if i := slices.IndexFunc(e.Tests[name], func(p catalogue.Place) bool { return p.Func == kill }); i >= 0 {
				t.File, t.Line = e.Tests[name][i].File, e.Tests[name][i].Start
			}
			v.Failing = append(v.Failing, t)
		}
		all = append(all, v)
	}
	return all
}

// changes are the whole lines that a cut takes away and those that it leaves instead.
func changes(f *catalogue.File, c catalogue.Cut) (all []changeView) {
	was, is := c.Old, c.New
	if f != nil {
		text := strings.Join(f.Lines, "\n") + "\n"
		if at := strings.Index(text, c.Old); at >= 0 {
			from, to := strings.LastIndexByte(text[:at], '\n')+1, at+len(c.Old)
			if !strings.HasSuffix(c.Old, "\n") {
				to += strings.IndexByte(text[to:], '\n')
			}
			was, is = text[from:to], text[from:at]+c.New+text[at+len(c.Old):to]
		}
	}
	gone, instead := nonEmpty(was), nonEmpty(is)
	for len(gone) > 0 && len(instead) > 0 && gone[0] == instead[0] {
		gone, instead = gone[1:], instead[1:]
	}
	for len(gone) > 0 && len(instead) > 0 && gone[len(gone)-1] == instead[len(instead)-1] {
		gone, instead = gone[:len(gone)-1], instead[:len(instead)-1]
	}
	indent := indentOf(slices.Concat(gone, instead))
	for _, l := range gone {
		all = append(all, changeView{true, l[min(indent, len(l)):]})
	}
	for _, l := range instead {
		all = append(all, changeView{false, l[min(indent, len(l)):]})
	}
	return all
}

// nonEmpty are the lines of a text without those that are blank at its ends.
func nonEmpty(text string) []string {
	if text = strings.Trim(text, "\n"); strings.TrimSpace(text) == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// indentOf counts the tabs that all lines begin with.
func indentOf(lines []string) int {
	least := -1
	for _, l := range lines {
		bare := strings.TrimLeft(l, "\t")
		if n := len(l) - len(bare); bare != "" && (least < 0 || n < least) {
			least = n
		}
	}
	return max(least, 0)
}

// point marks the lines that a cut of the control touches, and says below each piece what
// happens without it.
func point(lines []lineView, file string, cuts []cutView) {
	for _, c := range cuts {
		last := -1
		for i, l := range lines {
			if c.File == file && l.Number >= c.Start && l.Number <= c.End && strings.TrimSpace(l.Text) != "" {
				lines[i].Key, last = true, i
			}
		}
		if last >= 0 {
			lines[last].Without = append(lines[last].Without, c.Removes)
		}
	}
}

func attackViews(attacks []catalogue.Attack) []attackView {
	all := make([]attackView, len(attacks))
	for i, a := range attacks {
		all[i] = attackView{a, path.Base(a.File)}
	}
	return all
}
