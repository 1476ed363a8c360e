// Package catalogue is the list of all controls: what each stops, what it does not,
// where it comes from, what it leaves in the log and which variables set it.
//
// Threat: a control that nobody can find is the first one that a change breaks. A
// document says "we check the origin", the code that did so was moved, the test that
// would have noticed never ran, and everybody still believes the document (CWE-1059,
// ASVS 15.1.1).
//
// Rule: each control has one name. Under that name there is an entry here, code with
// the directive `control:name`, tests with `control:proves`, attacks or a reason why
// there are none, a page in docs/controls, and events. Read finds code, tests and
// attacks in the program's own source, which the binary carries, so the pages under
// /controls show the lines that run and not lines that somebody copied once. The
// tests of internal/arch fail when one of the places is missing.
//
// Not covered: that a control works. Its tests say so, and the kill matrix says that
// the tests can fail. An entry is a claim; everything else on its page is read from
// the source.
package catalogue

import (
	"fmt"
	"regexp"
	"slices"
)

// Layer is where on its way an attack meets a control.
type Layer string

// The layers, in the order in which a connection meets them.
const (
	Transport      Layer = "transport"
	Handshake      Layer = "handshake"
	Authentication Layer = "authentication"
	Session        Layer = "session"
	Message        Layer = "message"
	Resource       Layer = "resource"
	Browser        Layer = "browser"
	Observe        Layer = "observe"
	Operate        Layer = "operate"
)

// Layers lists them in order.
func Layers() []Layer {
	return []Layer{Transport, Handshake, Authentication, Session, Message, Resource, Browser, Observe, Operate}
}

// Known tells whether l is one of Layers.
func (l Layer) Known() bool { return slices.Contains(Layers(), l) }

// Meets says in words what is met in the layer.
func (l Layer) Meets() string {
	switch l {
	case Transport:
		return "The line: who can listen, and who answers"
	case Handshake:
		return "The request that asks for a socket"
	case Authentication:
		return "Who is asking"
	case Session:
		return "How long the answer holds"
	case Message:
		return "What is said on an open socket"
	case Resource:
		return "How much of the server one client gets"
	case Browser:
		return "What the browser is told to refuse"
	case Observe:
		return "What is noticed and kept"
	case Operate:
		return "How it is built, started and run"
	}
	return ""
}

// Control is one entry.
type Control struct {
	Name, Title string   // kebab-case; a few words
	Layer       Layer    //
	Numbers     []int    // of the list of 126 demands; each is claimed once over the whole catalogue
	Threat      string   // one sentence: who does what, and gains what
	NotStopped  []string // sentences
	Refs        []string // "ASVS 4.4.2" (version 5.0), "CWE-1385", "RFC 6455 §10.2", "CVE-2025-24010", or a title
	Events      []string // names of internal/guard/audit
	Knobs       []string // variables of internal/config
	NoAttack    string   // why no outside client can attack it; empty where internal/attack does
}

// MaxNumber is the last of the demands that Control.Numbers counts.
const MaxNumber = 126

// All lists every control, layer by layer.
func All() []Control {
	var all []Control
	for _, layer := range [][]Control{transport(), handshake(), authentication(), session(), message(), resource(), browser(), observe(), operate()} {
		all = append(all, layer...)
	}
	return all
}

// OutOfScope are the numbers that no control claims, with the reason.
func OutOfScope() map[int]string {
	return map[int]string{
		5: "it is about programs that connect to other servers; the server ships none",
	}
}

var (
	nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	refForm  = regexp.MustCompile(`^(ASVS \d+\.\d+(\.\d+)?|CWE-\d+|CVE-\d{4}-\d{4,}|RFC \d+( §[\d.]+)?|[A-Z][A-Za-z0-9].*)$`)
)

// Check returns everything that is wrong with a catalogue in itself; the tests ask it.
// That its names exist elsewhere is for internal/arch.
func Check(all []Control) (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	names, claimed := map[string]bool{}, map[int]string{}
	for _, c := range all {
		switch {
		case !nameForm.MatchString(c.Name):
			bad("%q is no name of a control", c.Name)
		case names[c.Name]:
			bad("%s is there twice", c.Name)
		}
		names[c.Name] = true
		if !c.Layer.Known() {
			bad("%s: layer %q is none", c.Name, c.Layer)
		}
		if c.Title == "" || c.Threat == "" || len(c.NotStopped) == 0 || len(c.Refs) == 0 {
			bad("%s: title, threat, what it does not stop and references are needed", c.Name)
		}
		for _, n := range c.Numbers {
			if n < 1 || n > MaxNumber {
				bad("%s claims %d, which is no number", c.Name, n)
			}
			if other := claimed[n]; other != "" {
				bad("%s claims %d, which is %s's", c.Name, n, other)
			}
			if OutOfScope()[n] != "" {
				bad("%s claims %d, which is out of scope", c.Name, n)
			}
			claimed[n] = c.Name
		}
		for _, r := range c.Refs {
			if !refForm.MatchString(r) {
				bad("%s: reference %q has no known form", c.Name, r)
			}
		}
	}
	return problems
}
