package main

import (
	"bytes"
	"fmt"

	"example.com/portcullis/internal/guard/catalogue"
)

// questions are what no test of ours can answer.
var questions = []string{
	"Which of these controls does the deployment weaken: the proxy, the configuration, the network, the roles of the database?",
	"What does somebody with a stolen, fresh session reach that they should not?",
	"What does a moderator, an auditor, a service reach beyond its role?",
	"Which two controls hold against the same attack by the same fact, so that one mistake opens both?",
	"What is logged of an attack that succeeds? Who sees it, and after how long?",
	"Can an attacker aim a limit, a lock or a response at somebody else?",
	"What can be told apart that should not be: by bytes, by time, by the order of refusals?",
	"What survives a restart of Redis, of PostgreSQL, of one node, that should not; and the other way round?",
	"Which plan of the incident response could not be carried out by whoever is on call tonight?",
	"Which line of the threat model is no longer true?",
}

// checklistPage is what an audit walks through: a line per control, so that a control
// which is added is looked at, and one that is removed is missed.
//
//control:name audit-calendar
func (b *binder) checklistPage() []byte {
	var w bytes.Buffer
	fmt.Fprint(&w, "# Checklist of an audit\n\nMade by `make evidence` from the catalogue. For each control: read the page, run its mutants (`go run ./internal/kill -only <name>`), try its attacks by hand, and ask whether your deployment weakens it.\n")
	layer := catalogue.Layer("")
	for _, c := range b.controls {
		if c.Layer != layer {
			layer = c.Layer
			fmt.Fprintf(&w, "\n## %s\n\n", layer)
		}
		fmt.Fprintf(&w, "- [ ] [%s](../controls/%s.md): %s (%d tests, %s attacks, %d mutants)\n", c.Name, c.Name, cell(c.Threat), len(b.source.Tests[c.Name]), b.attacksOf(c), len(b.kills[c.Name]))
	}
	fmt.Fprint(&w, "\n## What is left to ask\n\n")
	for _, q := range questions {
		fmt.Fprintf(&w, "1. %s\n", q)
	}
	return w.Bytes()
}
