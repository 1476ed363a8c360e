// Package response does something about what package detect found: little, for a while,
// and such that it can be taken back.
//
// Threat: an attack that is seen and goes on. And the other way around: a response that
// an attacker aims at somebody else. Who locks accounts after failed sign-ins lets
// everybody lock everybody out; who blocks addresses by themselves blocks a company, or
// the proxy in front of the server (OWASP: account lockout as denial of service).
//
// Rule: a response is about who acted and never about who was aimed at. A rule can
// throttle (half the budgets, for minutes), ask a session to prove itself again before
// sensitive actions, and end a session that two browsers use by turns; it can never block, which the type Policy cannot say and the
// table refuses. Blocks are made by people, with `portcullis response block`, for at most
// a day. Every response ends by itself, can be lifted, is an event (response_action), and
// holds on every node within two seconds.
//
// Where it holds: every budget there is (handshake, sign-in, pages and calls, messages)
// is asked through Book.Limit, so there is no door beside it.
//
// Not stopped: whoever changes networks. Those who share a throttled network share the
// smaller budgets, which is why they are halves and minutes. When the database is away,
// responses that are known go on until they end.
package response

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/ratelimit"
)

// Kind is what is done.
type Kind string

// The kinds, mildest first.
const (
	Throttle   Kind = "throttle"
	StepUp     Kind = "step_up"
	EndSession Kind = "end_session" // done at once, and no row: whoever has the password signs in again
	Block      Kind = "block"
)

const (
	// Longest is the end of every response: what lasts longer is a decision about an
	// account, which the user commands make.
	Longest = 24 * time.Hour
	// pollEvery is how soon a response of one node holds on the others.
	pollEvery = 2 * time.Second
	// share is what a throttled subject has of each budget.
	share = 0.5
	// maxByRule is when rules stop to add: an attacker with a network for every three
	// requests (an IPv6 /48 has 65,536) would fill the table and every node's memory with
	// answers to networks that are not used again. What fires is told all the same.
	maxByRule = 1000
	// byRule is the author of what no person decided.
	byRule = "rule"
)

// Response is one thing that is done about one subject.
type Response struct {
	ID       int64
	Kind     Kind
	Subject  detect.Subject
	At       time.Time
	Until    time.Time
	By       string
	Reason   string
	LiftedAt time.Time // zero: it was not
}

// Validate reports what is wrong with a new response.
//
//control:name response
func (r Response) Validate() error {
	switch {
	case r.Kind != Throttle && r.Kind != StepUp && r.Kind != Block:
		return fmt.Errorf("response: there is no kind %q", r.Kind)
	case r.Kind == StepUp && r.Subject.Kind != detect.Session, r.Kind != StepUp && r.Subject.Kind != detect.Network && r.Subject.Kind != detect.User:
		return fmt.Errorf("response: %s is not for a %s", r.Kind, r.Subject.Kind)
	case r.Subject.Key == "" || r.By == "" || r.Reason == "":
		return errors.New("response: subject, author and reason are required")
	case !r.Until.After(r.At) || r.Until.Sub(r.At) > Longest:
		return fmt.Errorf("response: it ends within %s", Longest)
	case r.Kind == Block && r.By == byRule:
		return errors.New("response: only people block")
	}
	return nil
}

// Store keeps responses for all nodes.
type Store interface {
	Add(ctx context.Context, r Response) (Response, error)
	// Active reads those that have neither ended nor been lifted.
	Active(ctx context.Context) ([]Response, error)
}

// Ender ends one session of a user, by the log's reference of it, and its sockets on
// every node. false: there is none any more.
type Ender interface {
	EndSession(ctx context.Context, user, ref, reason string) (bool, error)
}

// mild is what a rule may do. Block is not among it.
type mild struct {
	kind Kind
	d    time.Duration // none for what is done at once
}

// policy says what follows from which rule. What is missing here is only told: an
// account under fire is the victim's, handshakes from foreign pages (origin_hammer) and
// their links to rooms (link_probing, honey_link) and guesses in addresses
// (reflection_oracle) come out of the browsers of people who only opened the page, and no
// response may be about a victim.
//
//control:name response
var policy = map[string]mild{
	"ticket_replay":           {Throttle, 5 * time.Minute},
	"id_probing":              {Throttle, 10 * time.Minute},
	"sign_in_spraying":        {Throttle, 10 * time.Minute},
	"size_search":             {Throttle, 5 * time.Minute},
	"rate_saw_tooth":          {Throttle, 10 * time.Minute},
	"protocol_fingerprinting": {Throttle, 5 * time.Minute},
	"compression_oracle":      {Throttle, 10 * time.Minute},
	"unusual_rate":            {Throttle, 5 * time.Minute},
	"honey_room":              {Throttle, 10 * time.Minute},
	"honey_account":           {Throttle, 10 * time.Minute},
	"session_moved":           {StepUp, time.Hour},
	"session_in_two_places":   {kind: EndSession},
}

// Book is what is in force, as this node knows it.
type Book struct {
	store  Store
	ender  Ender
	audit  audit.Recorder
	now    func() time.Time
	active atomic.Pointer[map[key]Response]
}

type key struct {
	kind    Kind
	subject detect.Subject
}

// New returns an empty book; Run fills it.
func New(s Store, e Ender, a audit.Recorder, now func() time.Time) (*Book, error) {
	if s == nil || e == nil || a == nil || now == nil {
		return nil, errors.New("response: a store, an ender of sessions, a log and a clock are required")
	}
	b := &Book{store: s, ender: e, audit: a, now: now}
	b.active.Store(&map[key]Response{})
	return b, nil
}

// Fired does what the policy says about a rule that fired.
func (b *Book) Fired(ctx context.Context, f detect.Firing) error {
	m, ok := policy[f.Rule]
	if !ok {
		return nil
	}
	if m.kind == EndSession {
		return b.end(ctx, f)
	}
	now := b.now()
	return b.Do(ctx, Response{Kind: m.kind, Subject: f.Subject, At: now, Until: now.Add(m.d), By: byRule, Reason: f.Rule})
}

// endedByRule is the reason that sockets, tombstones and events carry.
const endedByRule = "suspected"

// end ends the session that a rule is about. Its subject comes from a request that
// showed the cookie, and whoever has that can end the session anyway, so this hands
// nobody a weapon; other sessions of the same user go on.
func (b *Book) end(ctx context.Context, f detect.Firing) error {
	if f.Subject.Kind != detect.Session || f.Cause.User == "" {
		return fmt.Errorf("response: %s names no session of a user", f.Rule)
	}
	ended, err := b.ender.EndSession(ctx, f.Cause.User, f.Subject.Key, endedByRule)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	if ended {
		b.audit.Record(ctx, audit.Event{Name: audit.ResponseAction, Level: audit.Warn, Control: "response", Reason: string(EndSession) + "_done",
			User: f.Cause.User, Session: f.Subject.Key, Detail: "by rule: " + f.Rule + "; its user can sign in again"})
	}
	return nil
}

// Do puts a response into force, here at once and on the other nodes soon, unless the
// same is in force already, or rules have made as many as they may.
func (b *Book) Do(ctx context.Context, r Response) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if _, already := b.find(r.Kind, r.Subject); r.By == byRule && (already || len(*b.active.Load()) >= maxByRule) {
		return nil
	}
	r, err := b.store.Add(ctx, r)
	if err != nil {
		return fmt.Errorf("add response: %w", err)
	}
	b.audit.Record(ctx, Event(r, "begun"))
	return b.Refresh(ctx)
}

// Event is a response as the log has it. what is begun or lifted.
func Event(r Response, what string) audit.Event {
	e := audit.Event{Name: audit.ResponseAction, Level: audit.Warn, Control: "response", Reason: string(r.Kind) + "_" + what,
		Detail: fmt.Sprintf("%s %s until %s by %s: %s", r.Subject.Kind, r.Subject.Key, r.Until.UTC().Format(time.RFC3339), r.By, r.Reason)}
	switch r.Subject.Kind {
	case detect.Network:
		e.IP = r.Subject.Key
	case detect.User:
		e.User = r.Subject.Key
	case detect.Session:
		e.Session = r.Subject.Key
	}
	return e
}

// Refresh reads what is in force.
func (b *Book) Refresh(ctx context.Context) error {
	list, err := b.store.Active(ctx)
	if err != nil {
		return fmt.Errorf("read responses: %w", err)
	}
	active := make(map[key]Response, len(list))
	for _, r := range list {
		k := key{r.Kind, r.Subject}
		if old, ok := active[k]; !ok || r.Until.After(old.Until) {
			active[k] = r
		}
	}
	b.active.Store(&active)
	return nil
}

// Run keeps the book fresh until ctx ends. What it knows stays in force while the store
// does not answer; unwell is told.
func (b *Book) Run(ctx context.Context, unwell func(error)) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := b.Refresh(ctx); err != nil && ctx.Err() == nil {
			unwell(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *Book) find(k Kind, s detect.Subject) (Response, bool) {
	r, ok := (*b.active.Load())[key{k, s}]
	return r, ok && b.now().Before(r.Until)
}

// ProofAfter is the moment from which on a session's proofs of identity count; the zero
// time when all of them do. session is the log's reference of it.
func (b *Book) ProofAfter(session string) time.Time {
	r, _ := b.find(StepUp, detect.Subject{Kind: detect.Session, Key: session})
	return r.At
}

// limited asks the book before the budgets.
type limited struct {
	book *Book
	next ratelimit.Source
}

// Limit is next, with less for those who are throttled and nothing for those who are
// blocked. Buckets are about a network or a user by their keys, whatever their names: a
// key that a client typed must not have that form.
//
//control:name response
func (b *Book) Limit(next ratelimit.Source) ratelimit.Source { return limited{b, next} }

// Take refuses who is blocked, and gives who is throttled a share.
//
//control:name response
func (l limited) Take(ctx context.Context, buckets []ratelimit.Bucket, cost int) (ratelimit.Result, error) {
	if len(*l.book.active.Load()) == 0 {
		return l.next.Take(ctx, buckets, cost)
	}
	given := buckets
	buckets = append([]ratelimit.Bucket(nil), given...) // the caller's stay as they are
	for i := range buckets {
		for _, kind := range []detect.SubjectKind{detect.Network, detect.User} {
			s := detect.Subject{Kind: kind, Key: buckets[i].Key}
			if r, ok := l.book.find(Block, s); ok {
				return ratelimit.Result{By: "blocked", RetryAfter: r.Until.Sub(l.book.now())}, nil
			}
			if _, ok := l.book.find(Throttle, s); ok {
				buckets[i].Limit.Rate *= share
				buckets[i].Limit.Burst = min(buckets[i].Limit.Burst, max(cost, int(float64(buckets[i].Limit.Burst)*share)))
			}
		}
	}
	return l.next.Take(ctx, buckets, cost)
}
