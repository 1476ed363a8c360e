// Package detect reads the security log of all nodes and says when single
// refusals add up to an attack.
//
// Threat: every control answers one request and forgets it. Somebody who asks for
// twenty rooms that are not theirs, tries one password on a hundred accounts, or looks
// for the exact place of a limit is refused each time, and is never seen (ASVS 16.3,
// CWE-778). And the one who was not refused at all, with somebody else's cookie, shows
// only in that the same session speaks from two places.
//
// Rule: rules.go has one line per pattern: a name, what is counted for whom, a
// threshold within a window, and a sentence that says why. A rule that fires is an
// event of its own (detect_rule_fired), once per subject and window, with a score, and
// package response decides what follows. Thresholds are such that a room of fifty busy
// people, five hundred people behind one address, and phones that change networks fire
// nothing; a test plays all three for hours.
//
// The subject of a rule is who acted, never who was aimed at: failed sign-ins for alice
// are about the networks that they came from.
//
// Every node reads the stored log of all nodes, so an attacker who is spread over them is
// one attacker; the first node that claims a firing says it (watch.go). What leaves no
// event by itself, the guesses of a compression oracle, is counted where it passes and
// makes an event when it is many (probes.go).
//
// Bounds: memory per rule is bounded in keys and in values per key; the oldest key makes
// room. The log is read from the side, and nobody waits for who reads it.
//
// Not stopped: patience (one try a day), many networks with one try each, and whatever
// leaves no event.
package detect

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

// SubjectKind is what a subject is.
type SubjectKind string

// Kinds of subjects. A network may be shared by many people; a user is an id that the
// client proved to be; a session is the short reference of the log.
const (
	Network SubjectKind = "network"
	User    SubjectKind = "user"
	Session SubjectKind = "session"
	Account SubjectKind = "account" // a name that somebody typed: proves nothing about its owner
)

// Subject is whom a rule speaks about.
type Subject struct {
	Kind SubjectKind
	Key  string
}

// Firing is one rule that fired.
type Firing struct {
	Rule    string
	Score   int // 0 to 100: how sure, times how bad
	Subject Subject
	Why     string // a sentence with numbers and ids, never a secret
	Cause   audit.Event
}

// Event is the firing as the log has it.
func (f Firing) Event() audit.Event {
	e := audit.Event{At: f.Cause.At, Name: audit.DetectRuleFired, Level: audit.Critical, Control: "detection", Reason: f.Rule, Count: int64(f.Score),
		Detail: f.Why, User: f.Cause.User, Session: f.Cause.Session, IP: f.Cause.IP, Room: f.Cause.Room, Conn: f.Cause.Conn}
	switch f.Rule {
	case "id_probing":
		e.Name = audit.MaliciousReference
	case "compression_oracle", "reflection_oracle":
		e.Name = audit.CompressionOracle
	case "session_moved", "session_in_two_places", "user_everywhere":
		e.Name = audit.ImpossibleTravel
	}
	return e
}

// Honey is what nobody is told of. Whoever uses it has read what was not for them: a
// copy of the database, a backup, a file.
type Honey struct {
	Rooms     []string // room ids
	Usernames []string
}

// Detector counts. It is pure: time comes with the events. It is for one goroutine.
type Detector struct {
	honey    Honey
	counters []*counter
	sessions *keys[place]
	rates    *keys[baseline]
	quiet    *keys[time.Time] // per rule and subject: fired already, until when
}

// New takes the honey, which may be empty.
func New(h Honey) (*Detector, error) {
	if slices.Contains(h.Rooms, "") || slices.Contains(h.Usernames, "") {
		return nil, errors.New("detect: empty honey would match every event without that field")
	}
	d := &Detector{honey: h, sessions: newKeys[place](), rates: newKeys[baseline](), quiet: newKeys[time.Time]()}
	for _, r := range rules() {
		d.counters = append(d.counters, &counter{rule: r, seen: newKeys[window]()})
	}
	return d, nil
}

// Observe takes one event and returns what it made fire.
//
//control:name detection
func (d *Detector) Observe(e audit.Event) (fired []Firing) {
	if e.Control == "detection" || e.Control == "response" {
		return nil // what we say ourselves is no evidence
	}
	add := func(f Firing, ok bool) {
		if ok && d.first(f, e.At) {
			fired = append(fired, f)
		}
	}
	for _, c := range d.counters {
		add(c.observe(e))
	}
	add(d.bait(e))
	add(d.moved(e))
	add(d.unusual(e))
	return fired
}

// first reports whether the rule has not spoken about this subject lately.
func (d *Detector) first(f Firing, now time.Time) bool {
	until, _ := d.quiet.get(f.Rule + " " + string(f.Subject.Kind) + " " + f.Subject.Key)
	if now.Before(*until) {
		return false
	}
	*until = now.Add(quietFor)
	return true
}

// bait fires at the first touch.
//
//control:name detection
func (d *Detector) bait(e audit.Event) (Firing, bool) {
	f := Firing{Score: 90, Cause: e}
	switch {
	case e.Room != "" && slices.Contains(d.honey.Rooms, e.Room):
		f.Rule, f.Why = "honey_room", "a room was asked for that no page, list or message names"
		f.Subject, _ = byActor(e)
		if e.Reason == audit.ReasonForeignPage { // whoever made the link has read it, not who followed
			f.Rule, f.Why = "honey_link", "a link of another site led to a room that no page, list or message names"
		}
	case e.Username != "" && slices.Contains(d.honey.Usernames, e.Username):
		f.Rule, f.Why = "honey_account", "a sign-in with a name that stands in no page, only in copies of the database"
		f.Subject, _ = byNetwork(e) // the event's user is the honey itself
	default:
		return Firing{}, false
	}
	return f, f.Subject.Key != ""
}

// place is where a session was last seen, and whom it was with before.
type place struct {
	ip, agent string
	at        time.Time
	left      string    // the browser that it moved away from
	movedAt   time.Time // when that was
}

// ofOthers are events of a session that may not be of who holds it. A refused handshake
// can be a program's that was handed a ticket, and stands elsewhere with good reason; the
// end of a session is told by whoever ended it.
//
//control:name detection
var ofOthers = []audit.Name{audit.HandshakeReject, audit.SessionsExceeded, audit.FailClosed, audit.LeaseUnavailable, audit.TokenReuse, audit.SessionLogout}

// moved fires when one session speaks from another network and with another browser
// shortly after it was somewhere else. A phone that changes networks keeps its browser;
// a browser that updates itself keeps its network; a cookie that was copied has neither.
// When the first browser then speaks again, both use the session at the same time, which
// no move explains.
//
//control:name detection
func (d *Detector) moved(e audit.Event) (Firing, bool) {
	if e.Session == "" || e.IP == "" || e.UserAgent == "" || slices.Contains(ofOthers, e.Name) {
		return Firing{}, false
	}
	last, known := d.sessions.get(e.Session)
	before := *last
	last.ip, last.agent, last.at = e.IP, e.UserAgent, e.At
	if !known || before.ip == e.IP || before.agent == e.UserAgent || e.At.Sub(before.at) > movedWithin {
		return Firing{}, false
	}
	last.left, last.movedAt = before.agent, e.At
	f := Firing{Rule: "session_moved", Score: 80, Subject: Subject{Session, e.Session}, Cause: e,
		Why: fmt.Sprintf("one session from %s and %s with two browsers, %s apart", before.ip, e.IP, e.At.Sub(before.at).Round(time.Second))}
	if before.left == e.UserAgent && e.At.Sub(before.movedAt) <= movedWithin {
		f.Rule, f.Score = "session_in_two_places", 95
		f.Why = fmt.Sprintf("one session from %s and %s by turns, with two browsers, within %s", before.ip, e.IP, e.At.Sub(before.movedAt).Round(time.Second))
	}
	return f, true
}

// unusual fires when a user's connection carried far more than this user's usually do.
// The usual is an exponentially weighted mean, so it follows slow changes.
func (d *Detector) unusual(e audit.Event) (Firing, bool) {
	if e.Name != audit.Disconnect && e.Name != audit.AbnormalClose || e.User == "" || e.Took < shortest {
		return Firing{}, false
	}
	rate := float64(e.Count) / e.Took.Minutes() // bytes per minute that the client sent
	b, _ := d.rates.get(e.User)
	usual, far, known := b.usual()
	b.learn(rate)
	if !known || rate < leastUnusual || rate <= far {
		return Firing{}, false
	}
	return Firing{Rule: "unusual_rate", Score: 30, Subject: Subject{User, e.User}, Cause: e,
		Why: fmt.Sprintf("%.0f bytes a minute over %s, where this user usually sends %.0f", rate, e.Took.Round(time.Second), usual)}, true
}
