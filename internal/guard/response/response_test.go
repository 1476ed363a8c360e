package response_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/response"
)

// table is a Store in memory.
type table struct {
	mu   sync.Mutex
	rows []response.Response
	err  error
}

func (s *table) set(rows []response.Response, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.err = rows, err
}

func (s *table) Add(_ context.Context, r response.Response) (response.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ID = int64(len(s.rows) + 1)
	s.rows = append(s.rows, r)
	return r, s.err
}
func (s *table) Active(context.Context) ([]response.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows, s.err
}

type events struct{ list []audit.Event }

func (e *events) Record(_ context.Context, v audit.Event) { e.list = append(e.list, v) }

func book(t *testing.T, s *table) (*response.Book, *events) {
	t.Helper()
	log := &events{}
	b, err := response.New(s, &live{}, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return b, log
}

// live is an Ender of sessions in memory, as user and reference.
type live struct{ sessions map[[2]string]bool }

func (l *live) EndSession(_ context.Context, user, ref, _ string) (bool, error) {
	was := l.sessions[[2]string{user, ref}]
	delete(l.sessions, [2]string{user, ref})
	return was, nil
}

//control:proves response
func TestFired_endsTheSessionThatIsInTwoPlacesAndNoOther(t *testing.T) {
	sessions, log := &live{map[[2]string]bool{{"alice", "s1"}: true, {"alice", "s2"}: true, {"bob", "s3"}: true}}, &events{}
	b, err := response.New(&table{}, sessions, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	f := firing("session_in_two_places", detect.Session, "s1")
	f.Cause.User = "alice"
	for range 2 { // a second node, or a second firing, finds nothing to end
		if err := b.Fired(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	if sessions.sessions[[2]string{"alice", "s1"}] || len(sessions.sessions) != 2 {
		t.Errorf("%v are left, want alice's other one and bob's", sessions.sessions)
	}
	if len(log.list) != 1 || log.list[0].Name != audit.ResponseAction || log.list[0].Reason != "end_session_done" || log.list[0].Session != "s1" || log.list[0].User != "alice" {
		t.Errorf("events %+v", log.list)
	}
	// A move alone ends nothing, and neither does what somebody else did to alice.
	for _, mild := range []string{"session_moved", "ticket_replay", "user_everywhere", "account_under_fire"} {
		f := firing(mild, detect.Session, "s2")
		f.Cause.User = "alice"
		_ = b.Fired(t.Context(), f) // some are not for a session at all
	}
	if len(sessions.sessions) != 2 {
		t.Errorf("%v are left after a move", sessions.sessions)
	}
}

func firing(rule string, kind detect.SubjectKind, who string) detect.Firing {
	return detect.Firing{Rule: rule, Score: 60, Subject: detect.Subject{Kind: kind, Key: who}}
}

func handshakes(network string) []ratelimit.Bucket {
	return []ratelimit.Bucket{{Name: "handshake", Key: network, Limit: ratelimit.Limit{Rate: 10.0 / 60, Burst: 10}}}
}

// allowed counts how many handshakes a network gets at once.
func allowed(t *testing.T, limits ratelimit.Source, network string) (n int) {
	t.Helper()
	for range 20 {
		got, err := limits.Take(t.Context(), handshakes(network), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Allowed {
			n++
		}
	}
	return n
}

const mallory, alice = "198.51.100.7/32", "203.0.113.1/32"

//control:proves response
func TestFired_throttlesWhoActedAndNobodyElseAndEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := book(t, &table{})
		limits := b.Limit(ratelimit.NewMemory(time.Now))
		if err := b.Fired(t.Context(), firing("ticket_replay", detect.Network, mallory)); err != nil {
			t.Fatal(err)
		}
		if n := allowed(t, limits, mallory); n != 5 {
			t.Errorf("the replayer's network has %d handshakes, want half of 10", n)
		}
		if n := allowed(t, limits, alice); n != 10 {
			t.Errorf("the network of the ticket's owner has %d handshakes, want all 10: an attacker could aim this at anybody", n)
		}
		if len(log.list) != 1 || log.list[0].Name != audit.ResponseAction || log.list[0].Reason != "throttle_begun" || log.list[0].IP != mallory {
			t.Errorf("events %+v", log.list)
		}
		time.Sleep(6 * time.Minute) // of the bubble's clock
		if n := allowed(t, limits, mallory); n != 10 {
			t.Errorf("%d handshakes after the end, want 10", n)
		}
	})
}

//control:proves response
func TestFired_whatIsAimedAtAVictimDoesNothingToThem(t *testing.T) {
	b, log := book(t, &table{})
	for _, f := range []detect.Firing{firing("account_under_fire", detect.Account, "alice"), firing("user_everywhere", detect.User, "alice"),
		firing("origin_hammer", detect.Network, alice), firing("origin_scan", detect.Network, alice), firing("link_probing", detect.User, "alice"), firing("honey_link", detect.User, "alice"), firing("no_such_rule", detect.User, "alice")} {
		if err := b.Fired(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
	if len(log.list) != 0 {
		t.Errorf("responses %+v to what others did to alice", log.list)
	}
}

// An attacker changes networks: each makes a rule fire, and is never seen again.
//
//control:proves response
func TestFired_anAttackerOfManyNetworksDoesNotFillTheBook(t *testing.T) {
	s := &table{}
	b, _ := book(t, s)
	for i := range 1200 {
		if err := b.Fired(t.Context(), firing("protocol_fingerprinting", detect.Network, fmt.Sprintf("2001:db8:0:%x::/64", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.rows); n != 1000 {
		t.Errorf("%d responses in force; want 1000 at most", n)
	}
	now := time.Now()
	if err := b.Do(t.Context(), response.Response{Kind: response.Block, Subject: detect.Subject{Kind: detect.Network, Key: "2001:db8::/48"}, At: now, Until: now.Add(time.Hour), By: "command", Reason: "flood"}); err != nil || len(s.rows) != 1001 {
		t.Errorf("a person cannot block any more: %d rows, %v", len(s.rows), err)
	}
}

//control:proves response
func TestDo_aRuleCannotBlockAndNothingLastsLongerThanADay(t *testing.T) {
	b, _ := book(t, &table{})
	now := time.Now()
	network := detect.Subject{Kind: detect.Network, Key: mallory}
	for name, r := range map[string]response.Response{
		"a rule blocks":            {Kind: response.Block, Subject: network, At: now, Until: now.Add(time.Minute), By: "rule", Reason: "x"},
		"a block for a week":       {Kind: response.Block, Subject: network, At: now, Until: now.Add(7 * 24 * time.Hour), By: "command", Reason: "x"},
		"a block without end":      {Kind: response.Block, Subject: network, At: now, By: "command", Reason: "x"},
		"a block of everybody":     {Kind: response.Block, Subject: detect.Subject{Kind: detect.Network}, At: now, Until: now.Add(time.Minute), By: "command", Reason: "x"},
		"a typed name":             {Kind: response.Block, Subject: detect.Subject{Kind: detect.Account, Key: "alice"}, At: now, Until: now.Add(time.Minute), By: "command", Reason: "x"},
		"nobody says why":          {Kind: response.Block, Subject: network, At: now, Until: now.Add(time.Minute), By: "command"},
		"a kind that there is not": {Kind: "delete", Subject: network, At: now, Until: now.Add(time.Minute), By: "command", Reason: "x"},
	} {
		if err := b.Do(t.Context(), r); err == nil {
			t.Errorf("%s: done", name)
		}
	}
}

//control:proves response
func TestLimit_aBlockRefusesEveryBudgetUntilItIsLifted(t *testing.T) {
	s := &table{}
	b, _ := book(t, s)
	limits := b.Limit(ratelimit.NewMemory(time.Now))
	now := time.Now()
	for _, subject := range []detect.Subject{{Kind: detect.Network, Key: mallory}, {Kind: detect.User, Key: "u1"}} {
		if err := b.Do(t.Context(), response.Response{Kind: response.Block, Subject: subject, At: now, Until: now.Add(time.Hour), By: "command", Reason: "flood"}); err != nil {
			t.Fatal(err)
		}
		bucket := []ratelimit.Bucket{{Name: "any", Key: subject.Key, Limit: ratelimit.Limit{Rate: 1000, Burst: 1000}}}
		got, err := limits.Take(t.Context(), bucket, 1)
		if err != nil || got.Allowed || got.By != "blocked" || got.RetryAfter < 59*time.Minute || got.RetryAfter > time.Hour {
			t.Errorf("%v: %+v, %v; want a refusal until the end", subject, got, err)
		}
		if bucket[0].Limit.Burst != 1000 {
			t.Error("the caller's bucket was changed")
		}
	}
	if n := allowed(t, limits, alice); n != 10 {
		t.Errorf("alice has %d of 10", n)
	}
	s.set(nil, nil) // lifted, on another node
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := allowed(t, limits, mallory); n != 10 {
		t.Errorf("%d handshakes after the block was lifted, want 10", n)
	}
}

//control:proves response
func TestRun_aBlockOfAnotherNodeHoldsHereWithinSecondsAndOutlivesTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &table{}
		b, _ := book(t, s)
		limits := b.Limit(ratelimit.NewMemory(time.Now))
		ctx, cancel := context.WithCancel(t.Context())
		unwell, done := 0, make(chan struct{})
		go func() { b.Run(ctx, func(error) { unwell++ }); close(done) }()
		synctest.Wait()
		blocked := []response.Response{{Kind: response.Block, Subject: detect.Subject{Kind: detect.Network, Key: mallory}, At: time.Now(), Until: time.Now().Add(time.Hour), By: "command", Reason: "x"}}
		s.set(blocked, nil)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.set(blocked, errors.New("down"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := allowed(t, limits, mallory); n != 0 {
			t.Errorf("the blocked network has %d handshakes", n)
		}
		cancel()
		<-done
		if unwell == 0 {
			t.Error("nobody was told that the database is away")
		}
	})
}

//control:proves response
func TestProofAfter_asksASessionInTwoPlacesToProveItselfAgain(t *testing.T) {
	b, _ := book(t, &table{})
	before := time.Now()
	if err := b.Fired(t.Context(), firing("session_moved", detect.Session, "s1")); err != nil {
		t.Fatal(err)
	}
	if after := b.ProofAfter("s1"); after.Before(before) {
		t.Errorf("proofs of s1 count from %v on, want from the firing on", after)
	}
	if !b.ProofAfter("s2").IsZero() {
		t.Error("another session has to prove itself")
	}
}

func TestEvent_saysWhoWhatAndUntilWhen(t *testing.T) {
	now := time.Now()
	e := response.Event(response.Response{Kind: response.Block, Subject: detect.Subject{Kind: detect.User, Key: "u1"}, At: now, Until: now.Add(time.Hour), By: "command", Reason: "flood"}, "lifted")
	if e.User != "u1" || e.Reason != "block_lifted" || !strings.Contains(e.Detail, "by command: flood") {
		t.Errorf("%+v", e)
	}
}
