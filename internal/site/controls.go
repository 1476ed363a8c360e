package site

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"example.com/portcullis/internal/guard/catalogue"
)

// The pages about controls: /controls lists them, /controls/{name} shows one with the
// lines that enforce it, /source/… shows a file.
//
// Threat: a page that shows files can be talked into showing other files (CWE-22), and
// a page that shows the configuration shows where things are (CWE-200). So a file is
// looked up in the fixed list of what the binary carries, no path reaches a file
// system, and of a variable only numbers, durations and switches are shown; of the
// rest whether it is set.
//
// They are for everybody, also before signing in: this is an application to learn
// from, and its source is public. A fork that does not want that makes UserPage of
// VisitorPage in three lines of routes.go.

// Knob is a variable of the configuration as everybody may see it.
type Knob struct{ Name, Value, Default, Range, Doc string }

// Changed reports whether a value that is shown differs from the default.
func (k Knob) Changed() bool { return k.Value != "set" && k.Value != "not set" && k.Value != k.Default }

// maxQuery bounds the text that controls are searched for; no name is as long.
const maxQuery = 100

// The Data of the pages, by template.
type (
	controlsView struct { // controls
		Query, Layer           string
		Layers                 []catalogue.Layer
		Groups                 []controlGroup
		Shown, Total           int
		Tests, Attacks, Places int
	}
	controlGroup struct {
		Layer catalogue.Layer
		Shown bool // a row of it is
		Rows  []controlRow
	}
	controlRow struct {
		catalogue.Control
		Shown          bool
		Words          string // what the search looks at
		Tests, Attacks int
		Links          []link
	}
	controlView struct { // control
		catalogue.Control
		Sentence, Page string // the first sentence of its document, and where that is
		Code, Tests    []placeView
		Cuts           []cutView
		Attacks        []attackView
		Links          []link
		Knobs          []Knob
	}
	placeView struct {
		catalogue.Place
		From       int // the first line that is shown: below the comment
		Paragraphs []string
		Lines      []lineView
	}
	sourceView struct { // source
		Path     string
		Controls []catalogue.Mark
		Lines    []lineView
	}
	lineView struct {
		Number          int
		Text            string
		Control, Marked string   // of a directive: the name; of a line in a marked part: "code" or "test"
		Remark          bool     // nothing but a comment
		Key             bool     // tests fail without it
		Without         []string // what happens without the piece that ends here
	}
	link struct{ Text, URL string } // URL is empty for what has no address
)

// controlPages reads the source once, when the first page needs it.
type controlPages struct {
	knobs    map[string]Knob
	evidence func() (*catalogue.Evidence, error)
}

func newControlPages(o Options) controlPages {
	knobs := map[string]Knob{}
	for _, k := range o.Knobs {
		knobs[k.Name] = k
	}
	return controlPages{knobs, sync.OnceValues(func() (*catalogue.Evidence, error) { return catalogue.Read(o.Source) })}
}

func (s *Site) controlsPage(w http.ResponseWriter, c *call) error {
	e, err := s.controls.evidence()
	if err != nil {
		return err
	}
	q := c.URL.Query()
	v := controlsView{Query: limit(q.Get("q"), maxQuery), Layers: catalogue.Layers()}
	if l := catalogue.Layer(q.Get("layer")); l.Known() {
		v.Layer = string(l)
	}
	wanted := strings.Fields(strings.ToLower(v.Query))
	for _, layer := range v.Layers {
		g := controlGroup{Layer: layer}
		for _, control := range catalogue.All() {
			if control.Layer != layer {
				continue
			}
			r := controlRow{Control: control, Words: searchable(control), Tests: len(e.Tests[control.Name]), Attacks: len(e.Attacks[control.Name]), Links: links(control.Refs)}
			r.Shown = (v.Layer == "" || v.Layer == string(layer)) && !slices.ContainsFunc(wanted, func(word string) bool { return !strings.Contains(r.Words, word) })
			v.Total, v.Tests, v.Attacks, v.Places = v.Total+1, v.Tests+r.Tests, v.Attacks+r.Attacks, v.Places+len(e.Code[control.Name])
			if r.Shown {
				v.Shown, g.Shown = v.Shown+1, true
			}
			g.Rows = append(g.Rows, r)
		}
		v.Groups = append(v.Groups, g)
	}
	return s.render(w, c, http.StatusOK, "controls", "Controls", v)
}

func (s *Site) controlPage(w http.ResponseWriter, c *call) error {
	all := catalogue.All()
	i := slices.IndexFunc(all, func(control catalogue.Control) bool { return control.Name == chi.URLParam(c.Request, "name") })
	if i < 0 {
		return errNotFound
	}
	e, err := s.controls.evidence()
	if err != nil {
		return err
	}
	v := controlView{Control: all[i], Page: "docs/controls/" + all[i].Name + ".md", Attacks: attackViews(e.Attacks[all[i].Name]), Cuts: cutViews(e, all[i].Name), Links: links(all[i].Refs)}
	v.Sentence = sentence(e.File(v.Page))
	for _, p := range e.Code[v.Name] {
		f := e.File(p.File)
		shown := lines(f, directives(f, p), p.End)
		point(shown, p.File, v.Cuts)
		v.Code = append(v.Code, placeView{Place: p, From: shown[0].Number, Paragraphs: paragraphs(p.Doc), Lines: shown})
	}
	for _, p := range e.Tests[v.Name] {
		v.Tests = append(v.Tests, placeView{Place: p})
	}
	for _, name := range v.Control.Knobs {
		v.Knobs = append(v.Knobs, cmp.Or(s.controls.knobs[name], Knob{Name: name}))
	}
	return s.render(w, c, http.StatusOK, "control", v.Title, v)
}

func (s *Site) sourcePage(w http.ResponseWriter, c *call) error {
	e, err := s.controls.evidence()
	if err != nil {
		return err
	}
	f := e.File(chi.URLParam(c.Request, "*"))
	if f == nil {
		return errNotFound
	}
	return s.render(w, c, http.StatusOK, "source", f.Path, sourceView{Path: f.Path, Controls: f.Marks, Lines: lines(f, 1, len(f.Lines))})
}

// lines are lines from to to of a file, with what its marks say of them.
func lines(f *catalogue.File, from, to int) []lineView {
	all := make([]lineView, 0, to-from+1)
	for n := from; n <= to; n++ {
		l := lineView{Number: n, Text: f.Lines[n-1]}
		bare := strings.TrimSpace(l.Text)
		l.Remark = strings.HasPrefix(bare, "//") || strings.HasPrefix(bare, "--")
		for _, m := range f.Marks {
			if n < m.Start || n > m.End {
				continue
			}
			l.Marked = "code"
			if m.Proves {
				l.Marked = "test"
			}
			if before, ok := strings.CutSuffix(l.Text, m.Control); ok && catalogue.IsDirective(bare) {
				l.Text, l.Control = before, m.Control
			}
		}
		all = append(all, l)
	}
	return all
}

// directives is the first line of a place below its comment, which the page shows as
// text already.
func directives(f *catalogue.File, p catalogue.Place) int {
	n := p.Start
	for n < p.End && p.Doc != "" && !catalogue.IsDirective(f.Lines[n-1]) {
		n++
	}
	return n
}

// searchable is the text that the search looks at; the page carries it for the script.
func searchable(c catalogue.Control) string {
	parts := slices.Concat([]string{c.Name, c.Title, string(c.Layer), c.Threat}, c.Refs, c.Events, c.Knobs)
	return strings.ToLower(strings.Join(parts, " "))
}

// sentence is the first paragraph under the heading of a document, as plain text.
func sentence(f *catalogue.File) string {
	if f == nil || len(f.Lines) < 3 {
		return ""
	}
	var b strings.Builder
	for rest := f.Lines[2]; ; {
		before, after, found := strings.Cut(rest, "[")
		b.WriteString(before)
		if !found {
			return strings.ReplaceAll(b.String(), "`", "")
		}
		text, after, _ := strings.Cut(after, "](")
		b.WriteString(text)
		_, rest, _ = strings.Cut(after, ")")
	}
}

// docLink is how a comment of Go links to a name, "[Policy.Check]" or "*[Refused]".
var docLink = regexp.MustCompile(`(^|[\s(])\*?\[([A-Za-z][A-Za-z0-9_.]*)\]`)

// paragraphs are those of a comment, as plain text.
func paragraphs(doc string) (all []string) {
	for p := range strings.SplitSeq(doc, "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, docLink.ReplaceAllString(p, "$1$2"))
		}
	}
	return all
}

// links finds the addresses of references. What is not of a known form is only text,
// so that an entry of the catalogue cannot lead anywhere else.
func links(refs []string) []link {
	all := make([]link, 0, len(refs))
	for _, ref := range refs {
		kind, id, _ := strings.Cut(ref, " ")
		l := link{Text: ref}
		switch {
		case kind == "RFC":
			number, section, _ := strings.Cut(id, " §")
			l.URL = "https://www.rfc-editor.org/rfc/rfc" + url.PathEscape(number)
			if section != "" {
				l.URL += "#section-" + url.PathEscape(section)
			}
		case strings.HasPrefix(kind, "CWE-"):
			l.URL = fmt.Sprintf("https://cwe.mitre.org/data/definitions/%s.html", url.PathEscape(kind[len("CWE-"):]))
		case strings.HasPrefix(kind, "CVE-"):
			l.URL = "https://www.cve.org/CVERecord?id=" + url.QueryEscape(kind)
		case kind == "ASVS":
			l.Text = "ASVS 5.0 " + id
		}
		all = append(all, l)
	}
	return all
}

// limit cuts s to max runes.
func limit(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
