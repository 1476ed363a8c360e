package postgres

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/guard/ticket"
)

//control:proves audit
func TestEvents_areReadBackInOrderFromAnyPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	at := time.Now().UTC().Truncate(time.Microsecond)
	events := []audit.Event{
		{At: at, Name: audit.AuthzFail, Level: audit.Warn, Control: "authz", Reason: "not_a_member", User: "u", Username: "n", Session: "s", Conn: "c",
			Request: "r", Room: "room", IP: "192.0.2.0/32", Origin: "https://evil.example", UserAgent: "' OR 1=1 --", CloseCode: 4403, Took: 1500 * time.Microsecond, Count: 7, Detail: "d"},
		{At: at, Name: audit.Startup, Level: audit.Info},
		{At: at, Name: audit.Shutdown, Level: audit.Info},
	}
	if _, err := w.events().Insert(w.ctx, events); err != nil {
		t.Fatal(err)
	}
	if _, err := w.events().Insert(w.ctx, nil); err != nil {
		t.Errorf("no events: %v", err)
	}
	list, err := w.events().Since(w.ctx, 0, 2)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d events, error %v; want 2", len(list), err)
	}
	rest, err := w.events().Since(w.ctx, list[1].ID, 10)
	if err != nil || len(rest) != 1 {
		t.Fatalf("%d events after, error %v; want 1", len(rest), err)
	}
	var got []audit.Event
	for _, s := range append(list, rest...) {
		got = append(got, s.Event)
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Error(diff)
	}
}

//control:proves audit
func TestEvents_aReaderMissesNoneWhileNodesWrite(t *testing.T) {
	t.Parallel()
	const nodes, batches, size = 4, 10, 5
	w := newWorld(t, Options{})
	other := node(t, w.url, Options{})
	var wg sync.WaitGroup
	for n := range nodes {
		wg.Go(func() {
			db := []*DB{w.DB, other}[n%2]
			for b := range batches {
				var events []audit.Event
				for i := range size {
					events = append(events, audit.Event{At: time.Now(), Name: audit.AuthzFail, Level: audit.Warn, Detail: fmt.Sprint(n, b, i)})
				}
				if _, err := db.Events(testChain(t)).Insert(w.ctx, events); err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { wg.Wait(); close(written) }()
	seen, last := map[string]bool{}, int64(0)
	for done := false; ; {
		list, err := w.events().Since(w.ctx, last, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			seen[s.Detail], last = true, s.ID
		}
		if len(list) > 0 {
			continue
		}
		if done {
			break
		}
		select {
		case <-written:
			done = true
		default:
		}
	}
	if len(seen) != nodes*batches*size {
		t.Errorf("saw %d events, want %d", len(seen), nodes*batches*size)
	}
}

func TestTicketKeys_areMadeOnceForAllNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	dbs := []*DB{w.DB, node(t, w.url, Options{}), node(t, w.url, Options{})}
	keys := make([][]ticket.Key, 9)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = dbs[i%3].Keys().TicketKeys(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, k := range keys {
		if len(k) != 1 || k[0].ID != keys[0][0].ID || !slices.Equal(k[0].Secret.Reveal(), keys[0][0].Secret.Reveal()) || k[0].Secret.Len() != 32 {
			t.Errorf("%v, want one and the same key of 32 bytes", k)
		}
	}
}

func TestPurge_keepsWhatIsStillNeeded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := newWorld(t, Options{Now: clock.now})
	ann := w.user("ann")
	room := w.room(ann, chat.Open)
	m := w.post(ann, room, "v1").Message
	if _, err := w.Rooms().Edit(w.ctx, editOwn, ann.ID, room, m.ID, "v2"); err != nil {
		t.Fatal(err)
	}
	begin := clock.now()
	if _, err := w.Responses().Add(w.ctx, response.Response{Kind: response.Throttle, Subject: detect.Subject{Kind: detect.User, Key: ann.ID.String()}, At: begin, Until: begin.Add(time.Minute), By: "rule", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	l := w.login(ann) // ends in 8 hours
	if err := w.Sessions().DeleteCtx(w.ctx, l.token); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after                                   time.Duration // since the beginning
		sessions, revocations, edits, responses int
	}{
		{0, 1, 1, 1, 1},
		{23 * time.Hour, 1, 1, 1, 1},
		{25 * time.Hour, 1, 0, 1, 1},
		{33 * time.Hour, 0, 0, 1, 1},
		{29 * 24 * time.Hour, 0, 0, 1, 1},
		{31 * 24 * time.Hour, 0, 0, 0, 1},
		{91 * 24 * time.Hour, 0, 0, 0, 0},
	} {
		clock.advance(c.after - clock.now().Sub(l.record.CreatedAt))
		if err := w.Purge(w.ctx); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int{"sessions": c.sessions, "session_tokens": c.sessions, "revocations": c.revocations, "message_edits": c.edits, "responses": c.responses, "messages": 1} {
			if got := ask[int](w, "SELECT count(*) FROM "+table); got != want {
				t.Errorf("after %v: %d %s, want %d", c.after, got, table, want)
			}
		}
		w.commit(l)
		if w.live(l) {
			t.Errorf("after %v: a late commit revived the session", c.after)
		}
	}
}
