package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// memory is a Store that remembers, or fails.
type memory struct {
	mu     sync.Mutex
	events []audit.Event
	err    error
	fails  int // this many times first
}

func (m *memory) Insert(_ context.Context, events []audit.Event) (audit.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails > 0 {
		m.fails--
		return audit.Head{}, errors.New("restarting")
	}
	if m.err != nil {
		return audit.Head{}, m.err
	}
	m.events = append(m.events, events...)
	return audit.Head{ID: int64(len(m.events)), Hash: make([]byte, 32)}, nil
}

// run records events through a running Log and returns its output.
func run(t *testing.T, store *memory, events ...audit.Event) (string, *audit.Log) {
	t.Helper()
	var out bytes.Buffer
	opts := audit.Options{Log: slog.New(slog.NewJSONHandler(&out, nil)), Now: time.Now}
	if store != nil {
		opts.Store = store
	}
	l, err := audit.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		l.Record(t.Context(), e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	cancel()
	wg.Wait()
	return out.String(), l
}

//control:proves audit
func TestRecord_attackersCannotForgeALineOrMoveTheTerminal(t *testing.T) {
	evil := "x\r\n{\"event\":\"authn_login_success\"}\x1b[2J\u202Eadmin\u2028\x00" + strings.Repeat("A", 10_000)
	store := &memory{}
	out, _ := run(t, store, audit.Event{Name: audit.MaliciousCORS, Level: audit.Critical, Control: "origin", Origin: evil, UserAgent: evil, Username: evil, Detail: evil})
	if n := strings.Count(out, "\n"); n != 1 {
		t.Fatalf("%d lines for one event:\n%s", n, out)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(out), &line); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"origin", "user_agent", "username", "detail"} {
		got := line[k].(string)
		if strings.ContainsAny(got, "\r\n\x1b\u202E\u2028\x00") {
			t.Errorf("%s = %q holds a character that acts", k, got)
		}
		if !strings.Contains(got, `\u202e`) || !strings.Contains(got, `\u000d\u000a`) {
			t.Errorf("%s = %q lost the evidence", k, got)
		}
		if len(got) > 300 {
			t.Errorf("%s has %d bytes: an attacker can fill the disk", k, len(got))
		}
	}
	if len(store.events) != 1 || store.events[0].Origin != line["origin"] {
		t.Errorf("the stored event must be cleaned too: %+v", store.events)
	}
}

//control:proves audit
func TestRecord_neverBlocksAndSaysWhatItDropped(t *testing.T) {
	const many = 9_000
	events := make([]audit.Event, many) // nobody reads the queues yet
	for i := range events {
		events[i] = audit.Event{Name: audit.RateLimitExceeded, Level: audit.Warn, IP: fmt.Sprint(i)} // not one flood of one client
	}
	out, l := run(t, nil, events...)
	written := strings.Count(out, string(audit.RateLimitExceeded))
	if l.Dropped() == 0 || int64(written)+l.Dropped() != many {
		t.Errorf("%d written + %d dropped, want %d in all and some dropped", written, l.Dropped(), many)
	}
	if got := l.Counts()[audit.RateLimitExceeded]; got != many {
		t.Errorf("counted %d events, want all %d", got, many)
	}
	if many == written {
		t.Error("an unbounded queue is a way to exhaust memory")
	}
}

//control:proves audit
func TestRun_saysThatEventsWereDroppedOnceThereIsRoom(t *testing.T) {
	events := make([]audit.Event, 10_000)
	for i := range events {
		events[i] = audit.Event{Name: audit.AuthzFail, User: fmt.Sprint(i)}
	}
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l, err := audit.New(audit.Options{Log: slog.New(slog.NewJSONHandler(&out, nil)), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			l.Record(t.Context(), e)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { l.Run(ctx) })
		synctest.Wait()
		cancel()
		wg.Wait()
		if !strings.Contains(out.String(), `"events_dropped"`) {
			t.Error("a reader of the log must learn that it is not whole")
		}
	})
}

//control:proves audit
func TestRun_aFailingDatabaseLosesNoLogLine(t *testing.T) {
	out, l := run(t, &memory{err: errors.New("down")}, audit.Event{Name: audit.TokenReuse, Level: audit.Critical, Control: "ticket"})
	if !strings.Contains(out, string(audit.TokenReuse)) {
		t.Error("the event must still be in the log")
	}
	if l.Dropped() != 1 {
		t.Errorf("dropped = %d, want the one that was not stored", l.Dropped())
	}
}

//control:proves audit
func TestRef_joinsEventsWithoutTellingTheID(t *testing.T) {
	const id = "0198c0de-0000-7000-8000-000000000001"
	ref, again, other := audit.Ref(id), audit.Ref(id), audit.Ref(id+"x")
	if ref != again || ref == other {
		t.Error("a reference must be stable and distinct")
	}
	if strings.Contains(ref, id[:8]) {
		t.Error("a reference must not hold the id")
	}
}

func TestRun_aDatabaseThatRestartsCostsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{fails: 5}
		l, err := audit.New(audit.Options{Log: slog.New(slog.DiscardHandler), Store: store, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { l.Run(ctx) })
		l.Record(ctx, audit.Event{Name: audit.TokenReuse})
		time.Sleep(time.Minute) // of the bubble's clock
		cancel()
		wg.Wait()
		if len(store.events) != 1 || l.Dropped() != 0 {
			t.Errorf("stored %d, dropped %d: want the one event, late", len(store.events), l.Dropped())
		}
	})
}
