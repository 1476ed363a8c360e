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
	"example.com/portcullis/internal/secret"
)

// running is a Log that works until the test's bubble ends it.
func running(t *testing.T, store audit.Store) (*audit.Log, *bytes.Buffer, func()) {
	t.Helper()
	out := &bytes.Buffer{}
	l, err := audit.New(audit.Options{Log: slog.New(slog.NewJSONHandler(out, nil)), Store: store, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	return l, out, func() { synctest.Wait(); cancel(); wg.Wait() }
}

// One client causes one event as fast as it can, to fill the disk and to wash what
// others do out of the log.
//
//control:proves audit
func TestRecord_aFloodOfOneClientIsCountedAndHidesNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out, end := running(t, nil)
		for range 50_000 {
			l.Record(t.Context(), audit.Event{Name: audit.AuthzFail, Level: audit.Warn, Control: "authz", IP: "198.51.100.7/32"})
		}
		synctest.Wait()
		l.Record(t.Context(), audit.Event{Name: audit.AuthzFail, Level: audit.Critical, Control: "authz", IP: "198.51.100.7/32", Detail: "critical of the flooder"})
		l.Record(t.Context(), audit.Event{Name: audit.AuthzFail, Level: audit.Warn, Control: "authz", IP: "203.0.113.1/32", Detail: "of another"})
		synctest.Wait()
		time.Sleep(11 * time.Second)
		l.Record(t.Context(), audit.Event{Name: audit.Startup})
		end()
		lines := strings.Count(out.String(), `"authz_fail"`)
		if lines != 203 {
			t.Errorf("%d lines, want 201 of the flood and the two others", lines)
		}
		for _, want := range []string{"critical of the flooder", "of another", `"event":"sys_events_sampled"`, `"count":49799`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log lacks %s", want)
			}
		}
		if n := l.Counts()[audit.AuthzFail]; n != 50_002 || l.Dropped() != 0 {
			t.Errorf("counted %d, dropped %d", n, l.Dropped())
		}
	})
}

// One room is refused so often that the log only counts it, and behind that other rooms
// are tried. Detection adds up what is stored.
//
//control:proves detection
func TestRecord_aFloodDoesNotHideWhatComesBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out, end := running(t, nil)
		refused := audit.Event{Name: audit.AuthzFail, Level: audit.Critical, Control: "authz", User: "mallory", IP: "198.51.100.7/32", Room: "flooded"}
		for range 300 {
			l.Record(t.Context(), refused)
		}
		for i := range 5 {
			refused.Room = fmt.Sprintf("tried-%d", i)
			l.Record(t.Context(), refused)
		}
		refused.Room, refused.User = "flooded", "of the same network"
		l.Record(t.Context(), refused)
		for i := range 5000 {
			refused.Room = fmt.Sprintf("noise-%d", i)
			l.Record(t.Context(), refused)
		}
		end()
		for _, want := range []string{"tried-0", "tried-1", "tried-2", "tried-3", "tried-4", "of the same network"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log hides %s behind a flood", want)
			}
		}
		if lines := strings.Count(out.String(), `"authz_fail"`); lines != 264 {
			t.Errorf("%d lines of a flood with ever new rooms, want 264", lines)
		}
	})
}

//control:proves audit
func TestRecord_afterTheLastEventOfAFloodTheCountIsSaidAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out, end := running(t, nil)
		for range 300 {
			l.Record(t.Context(), audit.Event{Name: audit.AuthzFail, IP: "x"})
		}
		end()
		if !strings.Contains(out.String(), `"count":99`) {
			t.Error("99 events were left out without a word")
		}
	})
}

// monitor runs a Monitor for d on a database whose clock is off by skew.
func monitor(t *testing.T, store audit.Store, d, skew time.Duration, fail error) string {
	t.Helper()
	l, out, end := running(t, store)
	m := &audit.Monitor{Log: l, Now: time.Now, StoreNow: func(context.Context) (time.Time, error) { return time.Now().Add(skew), fail }}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	if store != nil {
		l.Record(ctx, audit.Event{Name: audit.Startup})
	}
	time.Sleep(d)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	end()
	return out.String()
}

//control:proves monitor
func TestMonitor_saysEveryMinuteThatItIsAliveWithTheChainsNewestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := monitor(t, &memory{}, 5*time.Minute+time.Second, 0, nil)
		if n := strings.Count(out, `"sys_monitor_heartbeat"`); n != 7 { // at 0 to 5 minutes and at the end
			t.Errorf("%d heartbeats in five minutes:\n%s", n, out)
		}
		if !strings.Contains(out, `"detail":"2:00000000000000000000000000000000"`) {
			t.Errorf("no heartbeat names the chain's end:\n%s", out)
		}
		if strings.Contains(out, `"sys_monitor_disabled"`) {
			t.Errorf("all is well:\n%s", out)
		}
	})
}

//control:proves monitor
func TestMonitor_noticesAClockThatIsWrongOnceAndADatabaseThatRefuses(t *testing.T) {
	for _, skew := range []time.Duration{-3 * time.Second, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			out := monitor(t, nil, 10*time.Minute, skew, nil)
			if strings.Count(out, `"clock_skew"`) != 1 {
				t.Errorf("a clock that is %s off:\n%s", skew, out)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if out := monitor(t, nil, 10*time.Minute, time.Second, nil); strings.Contains(out, "clock_skew") {
			t.Error("a second is what networks do")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		out := monitor(t, &memory{err: errors.New("down")}, 10*time.Minute, time.Hour, errors.New("down"))
		if strings.Count(out, `"store_behind"`) < 1 || !strings.Contains(out, `"severity":"CRITICAL","control":"monitor","reason":"store_behind"`) {
			t.Errorf("a store that refuses for ten minutes:\n%s", out)
		}
		if strings.Contains(out, "clock_skew") {
			t.Error("a database that does not answer says nothing about a clock")
		}
	})
}

//control:proves monitor
func TestMonitor_saysWhenTheClockIsRightAndTheStoreIsBackAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out, end := running(t, &memory{fails: 12})
		l.Record(t.Context(), audit.Event{Name: audit.Startup})
		asked := 0
		m := &audit.Monitor{Log: l, Now: time.Now, StoreNow: func(context.Context) (time.Time, error) {
			if asked++; asked <= 2 {
				return time.Now().Add(time.Minute), nil
			}
			return time.Now(), nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(5 * time.Minute) // of the bubble's clock
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		end()
		for _, reason := range []string{"store_behind", "store_back", "clock_skew", "clock_right"} {
			if !strings.Contains(out.String(), `"reason":"`+reason+`"`) {
				t.Errorf("the log lacks %s", reason)
			}
		}
		if n := strings.Count(out.String(), string(audit.MonitorEnabled)); n != 2 {
			t.Errorf("%d times all was well again, want 2", n)
		}
	})
}

//control:proves audit
func TestEscape_noLineOfAnyHandlerMovesATerminalOrTurnsARow(t *testing.T) {
	evil := "a\x1b[2J\u009b31m\u202Eresu\u2066\u2028\u2029\u200b\x00\r\n{\"event\":\"forged\"}\xff"
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{ReplaceAttr: audit.Escape})
		},
		"text": func(b *bytes.Buffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: audit.Escape})
		},
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Error("failed: "+evil, "error", errors.New(evil), "text", evil, slog.Group("in", "group", evil), "key", secret.NewText("canary"))
		line := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsAny(line, "\x1b\u009b\u202E\u2066\u2028\u2029\u200b\x00\r\n") || strings.Contains(line, "canary") {
			t.Errorf("%s: %q", name, line)
		}
		if !strings.Contains(line, `u009b31m`) {
			t.Errorf("%s lost the evidence: %q", name, line)
		}
		if name == "json" && !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %q", line)
		}
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: audit.Escape})).Error("x", "text", strings.Repeat("A", 1<<20))
	if out.Len() > 10<<10 {
		t.Errorf("one line of %d bytes: an attacker can fill the disk", out.Len())
	}
}

//control:proves audit-chain
func TestChain_noTwoEventsHaveTheSameHashAndWithoutTheKeyNoneFits(t *testing.T) {
	chain := func(b byte) *audit.Chain {
		c, err := audit.NewChain(secret.NewBytes(bytes.Repeat([]byte{b}, 32)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	at := time.Now()
	head := audit.Head{ID: 7, Hash: []byte("before")}
	seen := map[string]string{}
	for name, e := range map[string]audit.Event{
		"plain": {At: at, Control: "ab", Reason: "c"}, "shifted": {At: at, Control: "a", Reason: "bc"}, "later": {At: at.Add(time.Microsecond), Control: "ab", Reason: "c"},
		"code": {At: at, Control: "ab", Reason: "c", CloseCode: 1}, "count": {At: at, Control: "ab", Reason: "c", Count: 1}, "took": {At: at, Control: "ab", Reason: "c", Took: time.Microsecond},
		"name": {At: at, Name: "ab", Reason: "c"}, "detail": {At: at, Control: "ab", Reason: "c", Detail: "x"},
	} {
		h := string(chain(1).Next(head, e).Hash)
		if other, twice := seen[h]; twice {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[h] = name
	}
	e := audit.Event{At: at, Control: "ab", Reason: "c"}
	for name, l := range map[string]audit.Link{
		"another key": chain(2).Next(head, e), "another place": chain(1).Next(audit.Head{ID: 8, Hash: head.Hash}, e), "another predecessor": chain(1).Next(audit.Head{ID: 7, Hash: []byte("other")}, e),
	} {
		if seen[string(l.Hash)] != "" {
			t.Errorf("%s gives the same hash", name)
		}
	}
	if _, err := audit.NewChain(secret.NewBytes(make([]byte, 31))); err == nil {
		t.Error("a short key was taken")
	}
}

func TestParseHead_takesWhatTheLogHasAndNothingShorter(t *testing.T) {
	h := audit.Head{ID: 12, Hash: bytes.Repeat([]byte{0xab}, 32)}
	if got, err := audit.ParseHead(" " + h.String() + "\n"); err != nil || got.ID != 12 || len(got.Hash) != 16 {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "12", "12:", "12:abab", "x:" + strings.Repeat("ab", 16), "0:" + strings.Repeat("ab", 16), "12:" + strings.Repeat("zz", 16)} {
		if _, err := audit.ParseHead(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
