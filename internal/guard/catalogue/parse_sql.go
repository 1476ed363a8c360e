package catalogue

import (
	"fmt"
	"strings"
)

// readSQL finds marked statements of a migration. The directive is --control:name, in the
// comment above the statement; what is marked ends at the next empty line.
//
//control:name living-documents
func (e *Evidence) readSQL(path string) (problems []error) {
	lines := e.files[path].Lines
	remark := func(i int) bool { return i >= 0 && i < len(lines) && strings.HasPrefix(lines[i], "--") }
	empty := func(i int) bool { return i < 0 || i == len(lines) || strings.TrimSpace(lines[i]) == "" }
	for i, line := range lines {
		if !strings.HasPrefix(strings.TrimSpace(line), sqlDirective) {
			continue
		}
		from, head := i, i // the comment begins at from, the statement at head
		for remark(from - 1) {
			from--
		}
		for remark(head) {
			head++
		}
		control, proves, ok := directive("//" + strings.TrimPrefix(line, "--"))
		switch {
		case !ok || proves:
			problems = append(problems, fmt.Errorf("%s:%d: %q is no directive here", path, i+1, line))
			continue
		case !empty(from-1) || empty(head):
			problems = append(problems, fmt.Errorf("%s:%d: the directive sits on nothing: it belongs into the comment above a statement", path, i+1))
			continue
		}
		p := Place{File: path, Func: statementName(lines[head]), Start: from + 1, End: head}
		for !empty(p.End) {
			p.End++
		}
		var doc []string
		for _, l := range lines[from:head] {
			if l = strings.TrimSpace(strings.TrimPrefix(l, "--")); !strings.HasPrefix(l, "+goose") && !strings.HasPrefix(l, "control:") {
				doc = append(doc, l)
			}
		}
		p.Doc = strings.TrimSpace(strings.Join(doc, "\n"))
		e.add(control, false, p)
	}
	return problems
}

// statementName is the beginning of a statement: "CREATE FUNCTION purge".
func statementName(line string) string {
	if i := strings.IndexAny(line, "(;"); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}
