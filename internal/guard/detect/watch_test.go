package detect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// stored is a Stream in memory, and the log that fills it.
type stored struct {
	mu      sync.Mutex
	events  []audit.Stored
	claimed map[string]time.Time
	down    bool // nothing is read
	unsure  bool // nothing is claimed
}

var errDown = errors.New("down")

func (s *stored) Record(_ context.Context, e audit.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.At.IsZero() {
		e.At = time.Now()
	}
	s.events = append(s.events, audit.Stored{ID: int64(len(s.events) + 1), Event: e})
}

func (s *stored) Position(_ context.Context, since time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return 0, errDown
	}
	i := slices.IndexFunc(s.events, func(e audit.Stored) bool { return !e.At.Before(since) })
	if i < 0 {
		i = len(s.events)
	}
	return int64(i), nil
}

func (s *stored) Since(_ context.Context, place int64, limit int) ([]audit.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	rest := s.events[place:]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (s *stored) Claim(_ context.Context, f Firing, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsure {
		return false, errDown
	}
	k := fmt.Sprint(f.Rule, f.Subject)
	if s.claimed == nil {
		s.claimed = map[string]time.Time{}
	}
	if s.claimed[k].After(f.Cause.At) {
		return false, nil
	}
	s.claimed[k] = until
	return true, nil
}

func (s *stored) set(down, unsure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.unsure = down, unsure
}

// of counts the events of one name and reason.
func (s *stored) of(name audit.Name, reason string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Name == name && e.Reason == reason {
			n++
		}
	}
	return n
}

// node runs one more node on the log until stop; told is what it responded to.
func (s *stored) node(t *testing.T) (told *[]Firing, stop func()) {
	t.Helper()
	w, err := NewWatch(detector(t), s, s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told = &[]Firing{}
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx, func(_ context.Context, f Firing) { *told = append(*told, f) }) })
	return told, func() { cancel(); wg.Wait() }
}

// settle lets every node read what there is.
func settle() {
	time.Sleep(2 * readEvery) // of the bubble's clock
	synctest.Wait()
}

func (s *stored) probe(rooms ...string) {
	for _, r := range rooms {
		s.Record(context.Background(), audit.Event{Name: audit.AuthzFail, Control: "authz", User: "mallory", IP: mallory, Room: r})
	}
}

//control:proves detection
func TestWatch_recordsWhatFiresAndTellsTheResponder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		told, stop := s.node(t)
		s.Record(t.Context(), audit.Event{Name: audit.LoginFail, IP: mallory, Username: "svc-backup-7"})
		settle()
		stop()
		if len(*told) != 1 || (*told)[0].Rule != "honey_account" {
			t.Errorf("told %+v", *told)
		}
		if n := s.of(audit.DetectRuleFired, "honey_account"); n != 1 {
			t.Errorf("%d events in the log, want 1", n)
		}
	})
}

// Two probes at one node and three at another are below the threshold on each.
//
//control:proves detection
func TestWatch_anAttackSplitOverNodesFiresOnceAndOneNodeResponds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a, stopA := s.node(t)
		b, stopB := s.node(t)
		s.probe("r1", "r2")
		settle()
		if n := s.of(audit.MaliciousReference, "id_probing"); n != 0 {
			t.Fatalf("fired %d times after two probes", n)
		}
		s.probe("r3", "r4", "r5", "r6")
		settle()
		stopA()
		stopB()
		if n := s.of(audit.MaliciousReference, "id_probing"); n != 1 || len(*a)+len(*b) != 1 {
			t.Errorf("%d events and responses %v and %v of two nodes, want one of each", n, *a, *b)
		}
	})
}

// The node that read the beginning is restarted in the middle of an attack.
//
//control:proves detection
func TestWatch_aNodeThatBeginsKnowsTheLastMinutesAndRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		s.Record(t.Context(), audit.Event{Name: audit.LoginFail, IP: mallory, Username: "svc-backup-7"})
		_, stop := s.node(t)
		s.probe("r1", "r2", "r3")
		settle()
		stop()
		told, stop := s.node(t)
		s.probe("r4", "r5")
		settle()
		stop()
		if len(*told) != 1 || (*told)[0].Rule != "id_probing" {
			t.Errorf("the new node told %+v, want id_probing alone", *told)
		}
		if n := s.of(audit.DetectRuleFired, "honey_account"); n != 1 {
			t.Errorf("what had been said was said %d times", n)
		}
		time.Sleep(time.Hour)
		late, stop := s.node(t)
		settle()
		stop()
		if len(*late) != 0 {
			t.Errorf("an hour later: %+v", *late)
		}
	})
}

//control:proves detection
//control:proves monitor
func TestWatch_saysThatItIsBlindAndThenMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		told, stop := s.node(t)
		settle()
		s.set(true, false)
		s.probe("r1", "r2", "r3", "r4", "r5")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := s.of(audit.MonitorDisabled, "log_unread"); n != 0 {
			t.Error("a failover is an alarm")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := s.of(audit.MonitorDisabled, "log_unread"); n != 1 {
			t.Errorf("%d alarms after a minute, want 1", n)
		}
		s.set(false, true) // and nobody can tell who speaks
		settle()
		stop()
		if len(*told) != 1 || s.of(audit.MaliciousReference, "id_probing") != 1 || s.of(audit.MonitorEnabled, "log_read") != 1 {
			t.Errorf("afterwards told %+v", *told)
		}
	})
}

func TestWatch_readsMoreThanAPageAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		for range 3*readRows + 1 {
			s.Record(t.Context(), audit.Event{Name: audit.Heartbeat})
		}
		s.probe("r1", "r2", "r3", "r4", "r5")
		told, stop := s.node(t)
		synctest.Wait()
		stop()
		if len(*told) != 1 {
			t.Errorf("told %+v before the next look", *told)
		}
	})
}

func TestNewWatch_refusesAMissingPart(t *testing.T) {
	if _, err := NewWatch(nil, &stored{}, &stored{}, time.Now); err == nil {
		t.Error("a watch without a detector")
	}
}
