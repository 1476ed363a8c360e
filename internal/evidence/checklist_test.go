package main

import (
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/catalogue"
)

// A control that is on no list is looked at by nobody.
//
//control:proves audit-calendar
func TestChecklist_hasALineForEveryControl(t *testing.T) {
	b := &binder{controls: catalogue.All(), source: &catalogue.Evidence{}}
	page := string(b.checklistPage())
	for _, c := range catalogue.All() {
		if strings.Count(page, "- [ ] ["+c.Name+"](") != 1 {
			t.Errorf("%s is not there exactly once", c.Name)
		}
	}
	if strings.Count(page, "- [ ] ") != len(catalogue.All()) {
		t.Error("there are lines for what is no control")
	}
}

// What no test answers stays a question, and there are ten of them.
//
//control:proves audit-calendar
func TestChecklist_endsWithWhatNoTestAnswers(t *testing.T) {
	b := &binder{controls: catalogue.All(), source: &catalogue.Evidence{}}
	_, rest, found := strings.Cut(string(b.checklistPage()), "## What is left to ask")
	if got := strings.Count(rest, "?\n"); !found || got != 10 {
		t.Errorf("%d questions, want 10", got)
	}
}
