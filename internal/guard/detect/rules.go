package detect

import (
	"strconv"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

const (
	// quietFor is how long a rule says nothing more about the same subject.
	quietFor = 10 * time.Minute
	// movedWithin is longer than a connection lasts whose end nobody noticed, and shorter
	// than the way home from work.
	movedWithin = 5 * time.Minute
	// shortest is below what a connection must last for its rate to mean something.
	shortest = 10 * time.Second
	// leastUnusual is what somebody who types all the time sends, many times over.
	leastUnusual = 256 << 10
)

// Rule counts different values of something for a subject within a window.
type Rule struct {
	Name      string
	Threshold int // different values
	Window    time.Duration
	Score     int
	Explain   string // with one %d, the count, and one %s, the window

	// of reads an event: whose it is, and the value. ok: the event is no business of the rule.
	of func(audit.Event) (s Subject, value string, ok bool)
	// innocent, if set, reads values that take the sting out: as many of them as of the
	// others, or manyInnocent, and the rule is silent.
	innocent func(audit.Event) (s Subject, value string, ok bool)
}

// rules is the table. Each has a test that fires it and takes part in the days of
// honest traffic that must fire none.
//
//control:name detection
func rules() []Rule {
	return []Rule{
		{Name: "ticket_replay", Threshold: 1, Window: 10 * time.Minute, Score: 60, Explain: "%d used tickets came back within %s: somebody reads a log, a proxy or the wire",
			of: named(byNetwork, func(e audit.Event) string { return e.Request }, audit.TokenReuse)},
		{Name: "origin_scan", Threshold: 3, Window: 10 * time.Minute, Score: 50, Explain: "%d foreign origins were tried within %s: somebody looks for one that is let in",
			of: named(byNetwork, func(e audit.Event) string { return e.Origin }, audit.MaliciousCORS)},
		{Name: "origin_hammer", Threshold: 20, Window: 10 * time.Minute, Score: 40, Explain: "%d handshakes from foreign pages within %s",
			of: named(byNetwork, func(e audit.Event) string { return e.Request }, audit.MaliciousCORS)},
		{Name: "id_probing", Threshold: 5, Window: time.Minute, Score: 70, Explain: "%d different rooms were asked for and refused within %s: ids are being tried",
			of: named(byUser, asked, audit.AuthzFail)},
		{Name: "link_probing", Threshold: 5, Window: time.Minute, Score: 30, Explain: "links of other sites led to %d different rooms that were refused within %s: ids are being tried, or somebody is to look as if they did",
			of: named(byUser, led, audit.AuthzFail)},
		{Name: "sign_in_spraying", Threshold: 10, Window: 10 * time.Minute, Score: 60, Explain: "passwords of %d accounts were wrong within %s from one network, and hardly any was right",
			of:       named(byNetwork, func(e audit.Event) string { return e.Username }, audit.LoginFail),
			innocent: named(byNetwork, func(e audit.Event) string { return e.User }, audit.LoginSuccess)},
		{Name: "account_under_fire", Threshold: 6, Window: 10 * time.Minute, Score: 40, Explain: "one account was tried from %d networks within %s",
			of: named(byAccount, func(e audit.Event) string { return e.IP }, audit.LoginFail, audit.LoginFailMax)},
		{Name: "size_search", Threshold: 4, Window: 5 * time.Minute, Score: 40, Explain: "messages of %d different sizes over the limit within %s: its edge is being looked for",
			of: named(byActor, func(e audit.Event) string { return strconv.FormatInt(e.Count, 10) }, audit.MessageTooBig)},
		{Name: "rate_saw_tooth", Threshold: 8, Window: 15 * time.Minute, Score: 40, Explain: "a rate limit was reached in %d different minutes of %s: somebody rides along it",
			of: named(byUser, ownMinute, audit.RateLimitExceeded)},
		{Name: "protocol_fingerprinting", Threshold: 3, Window: 10 * time.Minute, Score: 50, Explain: "%d different kinds of broken protocol within %s: somebody finds out what this server is",
			of: named(byNetwork, func(e audit.Event) string { return e.Control + " " + e.Reason }, audit.ProtocolError, audit.FrameAbuse, audit.HandshakeReject)},
		{Name: "compression_oracle", Threshold: 4, Window: 10 * time.Minute, Score: 50, Explain: "%d runs of messages within %s that differ in a few last characters: a secret is being guessed from lengths",
			of: named(byUser, runOf("near_equal_messages"), audit.CompressionOracle)},
		{Name: "reflection_oracle", Threshold: 4, Window: 10 * time.Minute, Score: 40, Explain: "%d runs of addresses within %s that a page gave back beside its token and that differ in a few last characters",
			of: named(byNetwork, runOf("near_equal_reflections"), audit.CompressionOracle)},
		{Name: "user_everywhere", Threshold: 6, Window: time.Minute, Score: 70, Explain: "one user from %d networks within %s",
			of: named(byUser, func(e audit.Event) string { return e.IP }, audit.Connect, audit.LoginSuccess, audit.TokenCreated)},
	}
}

// protocolControl picks the refusals that tell a fingerprinter something. A wrong ticket
// or a full server happens to honest clients; and what any page can have its visitor's
// browser send is no evidence against them: an image, a form, a long list of subprotocols.
//
//control:name detection
func protocolControl(e audit.Event) bool {
	if e.Name != audit.HandshakeReject {
		return true
	}
	switch e.Reason {
	case "version", "key", "body": // as socket names them; browsers write these themselves
		return e.Control == "handshake-protocol"
	}
	return false
}

// asked is the room that somebody asked for and was refused, led the one that a page of
// another site had their browser ask for.
//
//control:name detection
func asked(e audit.Event) string {
	if e.Reason == audit.ReasonForeignPage {
		return ""
	}
	return e.Room
}

func led(e audit.Event) string {
	if e.Reason != audit.ReasonForeignPage {
		return ""
	}
	return e.Room
}

// ownMinute is the minute in which somebody reached a limit that nobody else draws from.
// Limits of a room, a network or everybody say nothing about whom they refuse: others
// may have emptied them, to have this rule speak about their victim.
func ownMinute(e audit.Event) string {
	switch e.Reason {
	case "connection", "user", "tunnel": // as socket, app and site name them
		return e.At.Format("15:04")
	}
	return ""
}

// runOf tells one run of probes from the next.
func runOf(reason string) func(audit.Event) string {
	return func(e audit.Event) string {
		if e.Reason != reason {
			return ""
		}
		return e.At.Format(time.RFC3339Nano) + e.Conn
	}
}

func byNetwork(e audit.Event) (Subject, bool) { return Subject{Network, e.IP}, e.IP != "" }
func byUser(e audit.Event) (Subject, bool)    { return Subject{User, e.User}, e.User != "" }
func byAccount(e audit.Event) (Subject, bool) { return Subject{Account, e.Username}, e.Username != "" }

// byActor is the user where one is known.
func byActor(e audit.Event) (Subject, bool) {
	if e.User != "" {
		return byUser(e)
	}
	return byNetwork(e)
}

// named reads a value of the named events.
func named(by func(audit.Event) (Subject, bool), value func(audit.Event) string, names ...audit.Name) func(audit.Event) (Subject, string, bool) {
	return func(e audit.Event) (Subject, string, bool) {
		for _, n := range names {
			if e.Name == n && protocolControl(e) {
				s, ok := by(e)
				v := value(e)
				return s, v, ok && v != ""
			}
		}
		return Subject{}, "", false
	}
}
