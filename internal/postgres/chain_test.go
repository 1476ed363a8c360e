package postgres

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
)

// testChain has the same key in every test.
func testChain(t testing.TB) *audit.Chain {
	t.Helper()
	c, err := audit.NewChain(secret.NewBytes(bytes.Repeat([]byte("k3y!"), 8)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) events() *Events { return w.Events(testChain(w)) }

// record stores n events at a time, one each second.
func (w *world) record(n int, at time.Time) (head audit.Head) {
	w.Helper()
	var batch []audit.Event
	for i := range n {
		batch = append(batch, audit.Event{At: at.Add(time.Duration(i) * time.Second), Name: audit.AuthzFail, Level: audit.Critical, Control: "authz", Detail: fmt.Sprint("event ", i)})
	}
	head, err := w.events().Insert(w.ctx, batch)
	if err != nil {
		w.Fatal(err)
	}
	return head
}

// verify walks along the whole chain, as the command does.
func (w *world) verify(from int64, head *audit.Head) audit.Report {
	w.Helper()
	e := w.events()
	anchor, err := e.Anchor(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	report, err := testChain(w).Verify(e.Links(w.ctx, from), from, anchor, head)
	if err != nil {
		w.Fatal(err)
	}
	return report
}

// Whoever owns the database does the worst; the walk says what, and where.
//
//control:proves audit-chain
func TestVerify_findsWhateverTheOwnerOfTheDatabaseDoes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, sql string
		want      []audit.Finding
	}{
		{"nothing", `SELECT 1`, nil},
		{"an event becomes another", `UPDATE security_events SET name = 'authn_login_success' WHERE id = 5`, []audit.Finding{{Fault: audit.Changed, First: 5, Last: 5}}},
		{"a time is moved", `UPDATE security_events SET at = at - interval '1 microsecond' WHERE id = 5`, []audit.Finding{{Fault: audit.Changed, First: 5, Last: 5}}},
		{"text is moved from one field to the next", `UPDATE security_events SET control = 'aut', reason = 'hz' WHERE id = 5`, []audit.Finding{{Fault: audit.Changed, First: 5, Last: 5}}},
		{"an event is removed", `DELETE FROM security_events WHERE id = 5`, []audit.Finding{{Fault: audit.Removed, First: 5, Last: 5}}},
		{"events are removed", `DELETE FROM security_events WHERE id BETWEEN 3 AND 6`, []audit.Finding{{Fault: audit.Removed, First: 3, Last: 6}}},
		{"the beginning is removed", `DELETE FROM security_events WHERE id < 4`, []audit.Finding{{Fault: audit.Removed, First: 1, Last: 3}}},
		{"the end is removed", `DELETE FROM security_events WHERE id > 8`, []audit.Finding{{Fault: audit.CutOff, First: 9, Last: 10}}},
		{"everything is removed", `DELETE FROM security_events`, []audit.Finding{{Fault: audit.CutOff, First: 1, Last: 10}}},
		{"an event is removed and the others close up", `DELETE FROM security_events WHERE id = 5; UPDATE security_events SET id = id - 1 WHERE id = 6`,
			[]audit.Finding{{Fault: audit.Moved, First: 5, Last: 5, Was: 6}, {Fault: audit.Removed, First: 6, Last: 6}}},
		{"two events change places", `UPDATE security_events SET id = 100 WHERE id = 5; UPDATE security_events SET id = 5 WHERE id = 6; UPDATE security_events SET id = 6 WHERE id = 100`,
			[]audit.Finding{{Fault: audit.Moved, First: 5, Last: 5, Was: 6}, {Fault: audit.Moved, First: 6, Last: 6, Was: 5}}},
		{"an event is added at the end", copyRow("11", "hash") + ` WHERE id = 10`, []audit.Finding{{Fault: audit.Moved, First: 11, Last: 11, Was: 10}}},
		{"an event is made up at the end", copyRow("11", `'\x00'`) + ` WHERE id = 10`, []audit.Finding{{Fault: audit.Inserted, First: 11, Last: 11}}},
		{"hashes are taken off the beginning, as if it were from before the chain", `UPDATE security_events SET prev = '', hash = '', detail = 'x' WHERE id <= 3`,
			[]audit.Finding{{Fault: audit.Removed, First: 4, Last: 4}}},
		{"a beginning is removed, with an anchor as retention leaves one",
			`INSERT INTO security_anchors SELECT id, hash, now(), '\x00' FROM security_events WHERE id = 3; DELETE FROM security_events WHERE id <= 3`, []audit.Finding{{Fault: audit.Inserted, First: 3, Last: 3}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			head := w.record(6, time.Now().Add(-time.Hour))
			head = w.record(4, time.Now())
			w.owner(`ALTER TABLE security_events DISABLE TRIGGER security_events_continue; ` + tt.sql)
			got := w.verify(0, &head)
			if fmt.Sprint(got.Findings) != fmt.Sprint(tt.want) {
				t.Errorf("found %v, want %v", got.Findings, tt.want)
			}
		})
	}
}

// copyRow is a statement that adds a row with another id and hash.
func copyRow(id, hash string) string {
	return `INSERT INTO security_events SELECT ` + id + `, at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin, user_agent,
		close_code, took_us, count, detail, prev, ` + hash + ` FROM security_events`
}

//control:proves audit-chain
func TestVerify_aRewrittenLogDoesNotMeetTheCheckpointThatWasKeptElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	kept := w.record(3, time.Now())
	w.owner(`DELETE FROM security_events`)
	w.record(5, time.Now()) // the server goes on, from 1
	if got := w.verify(0, nil); len(got.Findings) > 0 {
		t.Fatalf("the new chain by itself: %v", got.Findings)
	}
	short, err := audit.ParseHead(kept.String()) // as an operator copies it out of the log
	if err != nil {
		t.Fatal(err)
	}
	if got := w.verify(0, &short); len(got.Findings) != 1 || got.Findings[0].Fault != audit.Changed || got.Findings[0].First != kept.ID {
		t.Errorf("found %v, want row %d to be another than was kept", got.Findings, kept.ID)
	}
}

//control:proves audit-chain
func TestInsert_nodesThatWriteTogetherMakeOneChain(t *testing.T) {
	t.Parallel()
	const nodes, batches = 4, 8
	w := newWorld(t, Options{})
	other := node(t, w.url, Options{})
	var wg sync.WaitGroup
	for n := range nodes {
		wg.Go(func() {
			e := []*DB{w.DB, other}[n%2].Events(testChain(t))
			for range batches {
				if _, err := e.Insert(w.ctx, []audit.Event{{At: time.Now(), Name: audit.AuthzFail}, {At: time.Now(), Name: audit.AuthzFail}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := w.verify(0, nil); len(got.Findings) > 0 || got.Rows != nodes*batches*2 || got.Head.ID != got.Rows {
		t.Errorf("%d rows to %v, findings %v", got.Rows, got.Head, got.Findings)
	}
	if got := w.verify(20, nil); len(got.Findings) > 0 || got.Rows != nodes*batches*2-19 {
		t.Errorf("from the middle: %d rows, findings %v", got.Rows, got.Findings)
	}
}

//control:proves audit-chain
//control:proves least-privilege
func TestPurge_leavesAChainThatVerifiesAndTakesNothingYoungerThan90Days(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.record(3, time.Now().Add(-92*24*time.Hour))
	w.record(1, time.Now().Add(-time.Hour))
	w.record(1, time.Now().Add(-91*24*time.Hour)) // a node whose clock was wrong: it waits for the one before
	head := w.record(2, time.Now())
	for range 2 {
		if err := w.events().Purge(w.ctx); err != nil {
			t.Fatal(err)
		}
		if got := w.verify(0, &head); len(got.Findings) > 0 || got.Rows != 4 {
			t.Fatalf("after retention: %d rows, findings %v; want 4 rows and none", got.Rows, got.Findings)
		}
	}
	w.record(1, time.Now())
	if got := w.verify(0, nil); len(got.Findings) > 0 || got.Head.ID != head.ID+1 {
		t.Errorf("the chain must go on after retention: %v to %v", got.Findings, got.Head)
	}
	eager := node(t, w.url, Options{Now: func() time.Time { return time.Now().Add(91 * 24 * time.Hour) }})
	if err := eager.Events(testChain(t)).Purge(w.ctx); err == nil {
		t.Error("a node whose clock was set forward emptied the log")
	}
	w.owner(`DELETE FROM security_events WHERE id < 7`)
	if got := w.verify(0, nil); len(got.Findings) != 1 || got.Findings[0].Fault != audit.Removed {
		t.Errorf("found %v, want that more is missing than retention removed", got.Findings)
	}
}

func TestEvents_withoutAKeyOnlyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	if _, err := w.Events(nil).Insert(w.ctx, []audit.Event{{Name: audit.Startup}}); err == nil {
		t.Error("an event was stored outside of the chain")
	}
	if err := w.Events(nil).Purge(w.ctx); err == nil {
		t.Error("events were removed without an anchor")
	}
}

func TestActivity_countsByControlAndMinuteOnAllNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	minute := time.Now().UTC().Truncate(time.Minute)
	if _, err := w.events().Insert(w.ctx, []audit.Event{
		{At: minute.Add(-20 * time.Minute), Control: "origin", Level: audit.Warn}, {At: minute.Add(-time.Minute), Control: "origin", Level: audit.Warn},
		{At: minute.Add(-time.Minute), Control: "origin", Level: audit.Critical}, {At: minute.Add(-time.Minute), Control: "origin", Level: audit.Info}, {At: minute, Control: "ticket", Level: audit.Info},
	}); err != nil {
		t.Fatal(err)
	}
	got, err := w.events().Activity(w.ctx, minute.Add(-15*time.Minute))
	want := []audit.Activity{{Control: "origin", Minute: minute.Add(-time.Minute), Events: 3, Refused: 2}, {Control: "ticket", Minute: minute, Events: 1}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, error %v; want %v", got, err, want)
	}
}
