package catalogue

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Place is a declaration in the source.
type Place struct {
	File       string // path from the module's root
	Func       string // "member.deliver", "TestCheck_refusesSiblingOrigin"; of a test in JavaScript its sentence; of SQL how the statement begins
	Doc        string // its comment, without directives
	Start, End int    // lines, counted from 1, comment included
}

// Attack is an exploit as the source writes it. "…" in the title stands for what a
// loop fills in.
type Attack struct {
	Control, Title, File string
	Line                 int
}

// Evidence is what the source holds of each control, by its name.
type Evidence struct {
	Code, Tests map[string][]Place // code in the order of files, tests in the order of directives
	Attacks     map[string][]Attack
	Cuts        map[string][]Cut
	files       map[string]*File
}

// File is one file of the source.
type File struct {
	Path  string
	Lines []string
	Marks []Mark // in the order of lines
}

// Mark is a part of a file that belongs to a control.
type Mark struct {
	Control    string
	Proves     bool // a test
	Start, End int  // lines
}

// attacks is the folder whose literals are exploits.
const attacks = "internal/attack/"

const (
	nameDirective   = "//control:name "
	provesDirective = "//control:proves "
	sqlDirective    = "--control:" // what they begin with in SQL
)

// Read finds every directive, every exploit and every cut in the source. A directive that sits
// on nothing is an error: somebody believes that something is marked, and it is not.
func Read(source fs.FS) (*Evidence, error) {
	e := &Evidence{Code: map[string][]Place{}, Tests: map[string][]Place{}, Attacks: map[string][]Attack{}, Cuts: map[string][]Cut{}, files: map[string]*File{}}
	var problems []error
	var exploits, mutants []string
	err := fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(source, path)
		if err != nil {
			return err
		}
		text := string(b)
		e.files[path] = &File{Path: path, Lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
		if strings.HasPrefix(path, attacks) && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			exploits = append(exploits, path)
		}
		if strings.HasPrefix(path, cuts) && strings.HasSuffix(path, ".go") {
			mutants = append(mutants, path)
		}
		if !strings.Contains(text, "//control:") && !strings.Contains(text, sqlDirective) { // most files: nothing to parse
			return nil
		}
		switch {
		case strings.HasSuffix(path, ".go"):
			problems = append(problems, e.readGo(path, text)...)
		case strings.HasSuffix(path, ".js"):
			problems = append(problems, e.readJS(path)...)
		case strings.HasSuffix(path, ".sql"):
			problems = append(problems, e.readSQL(path)...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("catalogue: read source: %w", err)
	}
	problems = append(problems, e.readAttacks(exploits)...)
	problems = append(problems, e.readCuts(mutants)...)
	if len(problems) > 0 {
		return nil, fmt.Errorf("catalogue: %w", errors.Join(problems...))
	}
	return e, nil
}

// File finds a file by its exact path; nil when there is none. It is a look-up in a
// list: no part of path is ever given to a file system.
func (e *Evidence) File(path string) *File { return e.files[path] }

// Lines are the lines of a place.
func (e *Evidence) Lines(p Place) []string { return e.files[p.File].Lines[p.Start-1 : p.End] }

// add notes a marked place.
func (e *Evidence) add(control string, proves bool, p Place) {
	into := e.Code
	if proves {
		into = e.Tests
	}
	into[control] = append(into[control], p)
	f := e.files[p.File]
	f.Marks = append(f.Marks, Mark{control, proves, p.Start, p.End})
}

// IsDirective reports whether a line is one of ours, in any of the languages.
func IsDirective(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, "//control:") || strings.HasPrefix(line, sqlDirective)
}

// directive reads a line; ok is false if it is no directive of ours.
func directive(line string) (control string, proves, ok bool) {
	line = strings.TrimSpace(line)
	if control, ok = strings.CutPrefix(line, nameDirective); ok {
		return control, false, nameForm.MatchString(control)
	}
	control, ok = strings.CutPrefix(line, provesDirective)
	return control, true, ok && nameForm.MatchString(control)
}

// readJS finds marked functions and tests of a script. The directive is the line
// above them; they end where a line closes them at their own indentation.
func (e *Evidence) readJS(path string) (problems []error) {
	lines := e.files[path].Lines
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(strings.TrimSpace(lines[i]), "//control:") {
			continue
		}
		first := i
		var marks []Mark
		for ; i < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i]), "//control:"); i++ {
			control, proves, ok := directive(lines[i])
			if !ok || proves != strings.HasSuffix(path, ".test.js") {
				problems = append(problems, fmt.Errorf("%s:%d: %q is no directive here", path, i+1, lines[i]))
			}
			marks = append(marks, Mark{Control: control, Proves: proves})
		}
		if i == len(lines) || strings.TrimSpace(lines[i]) == "" {
			problems = append(problems, fmt.Errorf("%s:%d: the directive sits on nothing", path, first+1))
			continue
		}
		head := lines[i]
		p := Place{File: path, Func: scriptName(head), Start: first + 1, End: i + 1}
		if strings.HasSuffix(strings.TrimSpace(head), "{") {
			closing := head[:len(head)-len(strings.TrimLeft(head, " \t"))] + "}"
			for p.End < len(lines) && !strings.HasPrefix(lines[p.End], closing) {
				p.End++
			}
			p.End = min(p.End+1, len(lines))
		}
		for _, m := range marks {
			e.add(m.Control, m.Proves, p)
		}
	}
	return problems
}

// scriptName is what a line of JavaScript declares: the sentence of a test, or the
// name of a function, class or constant.
func scriptName(head string) string {
	if _, after, ok := strings.Cut(head, "'"); ok && strings.HasPrefix(strings.TrimSpace(head), "test(") {
		name, _, _ := strings.Cut(after, "'")
		return name
	}
	for _, word := range strings.FieldsFunc(head, func(r rune) bool {
		return !(r == '_' || r == '$' || r == '#' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}) {
		switch word {
		case "export", "default", "async", "function", "class", "const", "let", "static", "get":
		default:
			return word
		}
	}
	return "?"
}
