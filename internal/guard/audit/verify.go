package audit

import (
	"bytes"
	"fmt"
	"iter"
)

// Fault is what is wrong at one place of the chain.
type Fault string

// What can be wrong.
const (
	Changed  Fault = "changed"  // the row is not what was written
	Inserted Fault = "inserted" // the row was never written by this server
	Removed  Fault = "removed"  // rows are missing
	Moved    Fault = "moved"    // the row was written at another place
	CutOff   Fault = "cut_off"  // the end is missing
)

// Finding is one fault, from the row First to the row Last.
type Finding struct {
	Fault       Fault
	First, Last int64
	Was         int64 // Moved: where it was written
}

func (f Finding) String() string {
	rows := fmt.Sprintf("row %d", f.First)
	if f.Last > f.First {
		rows = fmt.Sprintf("rows %d to %d", f.First, f.Last)
	}
	switch f.Fault {
	case Changed:
		return rows + ": changed after it was written"
	case Inserted:
		return rows + ": written by somebody without the key"
	case Removed:
		return rows + ": removed, not by retention"
	case Moved:
		return fmt.Sprintf("%s: moved here, it was row %d", rows, f.Was)
	}
	return rows + ": cut off the end"
}

// Report is what a look at the whole chain found.
type Report struct {
	Rows      int64 // looked at
	Unchained int64 // from before the chain was introduced: nothing is known of them
	Head      Head  // the newest row
	Findings  []Finding
}

const (
	// maxFindings ends a report: a table of which nothing fits needs no list.
	maxFindings = 100
	// farMoved is how far from its place a moved row is looked for.
	farMoved = 64
)

// verifier is one walk along the chain.
type verifier struct {
	*Chain
	report Report
	prev   Head
	known  bool // prev is sure: links to it are checked
	begun  bool // a chained row was seen
}

// Verify walks along rows, which come in the order of their ids. anchor is the newest
// one, or nil. from is where the walk begins, 0 for the beginning; the first row is
// then taken as it is. head is a checkpoint that was kept elsewhere, or nil. An error
// is one of rows.
//
//control:name audit-chain
func (c *Chain) Verify(rows iter.Seq2[Link, error], from int64, anchor *Anchor, head *Head) (Report, error) {
	v := verifier{Chain: c, known: from == 0}
	if anchor != nil && from <= anchor.ID+1 {
		if !c.genuine(*anchor) {
			v.found(Inserted, anchor.ID, anchor.ID, 0)
		}
		v.prev, v.known, v.begun = anchor.Head, true, len(anchor.Hash) > 0
	}
	var row *Link // waits for the one behind it, which tells a change from an insertion
	for next, err := range rows {
		if err != nil {
			return v.report, err
		}
		if row != nil {
			v.step(*row, &next)
		}
		row = &next
		v.compare(next, head)
		if len(v.report.Findings) >= maxFindings {
			return v.report, nil
		}
	}
	if row != nil {
		v.step(*row, nil)
		v.report.Head = Head{row.ID, row.Hash}
	} else if anchor != nil {
		v.report.Head = anchor.Head
	}
	if head != nil && head.ID > v.report.Head.ID {
		v.found(CutOff, v.report.Head.ID+1, head.ID, 0)
	}
	return v.report, nil
}

// compare holds a row against the checkpoint that was kept of it.
func (v *verifier) compare(l Link, head *Head) {
	if head != nil && l.ID == head.ID && !head.matches(l.Hash) {
		v.found(Changed, l.ID, l.ID, 0)
	}
}

// step looks at one row. next is the one behind it; nil: there is none.
func (v *verifier) step(l Link, next *Link) {
	v.report.Rows++
	if len(l.Hash) == 0 && !v.begun {
		v.report.Unchained++
		v.prev = Head{ID: l.ID}
		return
	}
	if !v.ours(l) {
		v.foreign(l, next)
		v.prev, v.known, v.begun = Head{ID: l.ID}, false, true
		return
	}
	switch {
	case v.begun && l.ID > v.prev.ID+1, !v.begun && v.known && len(l.Prev) > 0:
		v.found(Removed, v.prev.ID+1, l.ID-1, 0)
	case v.known && v.begun && !bytes.Equal(l.Prev, v.prev.Hash):
		v.found(Changed, v.prev.ID, v.prev.ID, 0)
	}
	v.prev, v.known, v.begun = Head{l.ID, l.Hash}, true, true
}

// foreign tells what happened to a row whose hash is not ours.
func (v *verifier) foreign(l Link, next *Link) {
	for was := max(1, l.ID-farMoved); was <= l.ID+farMoved; was++ {
		elsewhere := l
		elsewhere.ID = was
		if v.ours(elsewhere) {
			v.found(Moved, l.ID, l.ID, was)
			return
		}
	}
	// The chain goes around an inserted row: the one behind it names another as its predecessor.
	if next != nil && v.known && bytes.Equal(next.Prev, v.prev.Hash) && !bytes.Equal(next.Prev, l.Hash) || next == nil && !bytes.Equal(l.Prev, v.prev.Hash) {
		v.found(Inserted, l.ID, l.ID, 0)
		return
	}
	v.found(Changed, l.ID, l.ID, 0)
}

func (v *verifier) found(fault Fault, first, last, was int64) {
	v.report.Findings = append(v.report.Findings, Finding{fault, first, max(first, last), was})
}
