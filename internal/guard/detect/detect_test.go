package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

var begin = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func detector(t testing.TB) *Detector {
	t.Helper()
	d, err := New(Honey{Rooms: []string{"honey-room"}, Usernames: []string{"svc-backup-7"}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// repeat makes n events of one, each changed and a step later.
func repeat(n int, step time.Duration, e audit.Event, change func(i int, e *audit.Event)) (events []audit.Event) {
	for i := range n {
		e := e
		e.At = begin.Add(time.Duration(i) * step)
		change(i, &e)
		events = append(events, e)
	}
	return events
}

const mallory = "198.51.100.7/32"

// usualConnections are what a baseline is made of.
func usualConnections(user string) []audit.Event {
	return repeat(10, time.Hour, audit.Event{Name: audit.Disconnect, User: user, Took: 10 * time.Minute}, func(i int, e *audit.Event) { e.Count = int64(50_000 + i*1000) })
}

//control:proves detection
func TestObserve_firesOncePerAttackAndNamesWhoDidIt(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		who    Subject
		event  audit.Name
		before int // how many of the events must not fire yet
		events []audit.Event
	}{
		{"ticket_replay", Subject{Network, mallory}, audit.DetectRuleFired, 0,
			repeat(3, time.Second, audit.Event{Name: audit.TokenReuse, IP: mallory, User: "alice"}, func(i int, e *audit.Event) { e.Request = fmt.Sprint(i) })},
		{"origin_scan", Subject{Network, mallory}, audit.DetectRuleFired, 2,
			repeat(9, time.Minute, audit.Event{Name: audit.MaliciousCORS, IP: mallory}, func(i int, e *audit.Event) { e.Origin = fmt.Sprintf("https://%d.example", i) })},
		{"origin_hammer", Subject{Network, mallory}, audit.DetectRuleFired, 19,
			repeat(40, time.Second, audit.Event{Name: audit.MaliciousCORS, IP: mallory, Origin: "https://evil.example"}, func(i int, e *audit.Event) { e.Request = fmt.Sprint(i) })},
		{"id_probing", Subject{User, "mallory"}, audit.MaliciousReference, 4,
			repeat(20, 5*time.Second, audit.Event{Name: audit.AuthzFail, User: "mallory", IP: mallory}, func(i int, e *audit.Event) { e.Room = fmt.Sprint("room", i) })},
		{"link_probing", Subject{User, "alice"}, audit.DetectRuleFired, 4,
			repeat(20, 5*time.Second, audit.Event{Name: audit.AuthzFail, User: "alice", Reason: audit.ReasonForeignPage}, func(i int, e *audit.Event) { e.Room = fmt.Sprint("room", i) })},
		{"sign_in_spraying", Subject{Network, mallory}, audit.DetectRuleFired, 9,
			repeat(20, 10*time.Second, audit.Event{Name: audit.LoginFail, IP: mallory}, func(i int, e *audit.Event) { e.Username = fmt.Sprint("user", i) })},
		{"account_under_fire", Subject{Account, "alice"}, audit.DetectRuleFired, 5,
			repeat(12, 10*time.Second, audit.Event{Name: audit.LoginFail, Username: "alice"}, func(i int, e *audit.Event) { e.IP = fmt.Sprintf("203.0.113.%d/32", i) })},
		{"size_search", Subject{User, "mallory"}, audit.DetectRuleFired, 3,
			repeat(8, 10*time.Second, audit.Event{Name: audit.MessageTooBig, User: "mallory"}, func(i int, e *audit.Event) { e.Count = int64(70_000 - i*1000) })},
		{"rate_saw_tooth", Subject{User, "mallory"}, audit.DetectRuleFired, 7,
			repeat(12, time.Minute, audit.Event{Name: audit.RateLimitExceeded, User: "mallory", Reason: "connection"}, func(int, *audit.Event) {})},
		{"protocol_fingerprinting", Subject{Network, mallory}, audit.DetectRuleFired, 2,
			repeat(6, time.Second, audit.Event{Name: audit.ProtocolError, Control: "frames", IP: mallory}, func(i int, e *audit.Event) { e.Reason = fmt.Sprint("kind", i) })},
		{"compression_oracle", Subject{User, "mallory"}, audit.CompressionOracle, 3,
			repeat(8, time.Minute, audit.Event{Name: audit.CompressionOracle, Control: "compression", Reason: "near_equal_messages", User: "mallory", IP: mallory}, func(int, *audit.Event) {})},
		{"reflection_oracle", Subject{Network, mallory}, audit.CompressionOracle, 3,
			repeat(8, time.Minute, audit.Event{Name: audit.CompressionOracle, Control: "compression", Reason: "near_equal_reflections", IP: mallory}, func(int, *audit.Event) {})},
		{"user_everywhere", Subject{User, "alice"}, audit.ImpossibleTravel, 5,
			repeat(8, 5*time.Second, audit.Event{Name: audit.Connect, User: "alice"}, func(i int, e *audit.Event) { e.IP = fmt.Sprintf("203.0.113.%d/32", i) })},
		{"honey_room", Subject{User, "mallory"}, audit.DetectRuleFired, 0, []audit.Event{{At: begin, Name: audit.AuthzFail, User: "mallory", IP: mallory, Room: "honey-room"}}},
		{"honey_link", Subject{User, "alice"}, audit.DetectRuleFired, 0, []audit.Event{{At: begin, Name: audit.AuthzFail, User: "alice", Reason: audit.ReasonForeignPage, Room: "honey-room"}}},
		{"honey_account", Subject{Network, mallory}, audit.DetectRuleFired, 0, []audit.Event{{At: begin, Name: audit.LoginFail, IP: mallory, Username: "svc-backup-7", User: "the account of that name"}}},
		{"session_moved", Subject{Session, "s1"}, audit.ImpossibleTravel, 1, []audit.Event{
			{At: begin, Name: audit.Connect, Session: "s1", IP: "203.0.113.1/32", UserAgent: "Firefox"}, {At: begin.Add(time.Minute), Name: audit.Connect, Session: "s1", IP: mallory, UserAgent: "curl"}}},
		{"unusual_rate", Subject{User, "alice"}, audit.DetectRuleFired, 10, append(usualConnections("alice"),
			audit.Event{At: begin.Add(11 * time.Hour), Name: audit.Disconnect, User: "alice", Took: time.Minute, Count: 20 << 20})},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := detector(t)
			var fired []Firing
			for i, e := range tt.events {
				got := d.Observe(e)
				if len(got) > 0 && i < tt.before {
					t.Errorf("%v fired at event %d", got, i+1)
				}
				fired = append(fired, got...)
			}
			if len(fired) != 1 || fired[0].Rule != tt.rule || fired[0].Subject != tt.who {
				t.Fatalf("fired %+v; want %s about %v, once", fired, tt.rule, tt.who)
			}
			e := fired[0].Event()
			if e.Name != tt.event || e.Control != "detection" || e.Reason != tt.rule || e.Count < 1 || e.Count > 100 || e.Detail == "" || strings.Contains(e.Detail, "%!") {
				t.Errorf("the event does not explain itself: %+v", e)
			}
		})
	}
}

// A thief with a copied cookie, and its owner, who goes on. Only taking turns is what no
// move explains.
//
//control:proves detection
func TestObserve_aSessionOfTwoBrowsersByTurnsIsInTwoPlaces(t *testing.T) {
	const home, cafe = "203.0.113.1/32", "203.0.113.99/32"
	type step struct {
		after     time.Duration
		name      audit.Name
		ip, agent string
	}
	ticket := audit.TokenCreated
	for name, tt := range map[string]struct {
		steps []step
		want  string
	}{
		"a thief and the owner":                 {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, mallory, "curl"}, {time.Minute, ticket, home, "Firefox"}, {time.Minute, ticket, mallory, "curl"}}, "session_moved session_in_two_places"},
		"an owner who also changes networks":    {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, mallory, "curl"}, {time.Minute, ticket, cafe, "Firefox"}}, "session_moved session_in_two_places"},
		"a move":                                {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, cafe, "Firefox 2"}, {time.Minute, ticket, cafe, "Firefox 2"}}, "session_moved"},
		"a move and an update":                  {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, cafe, "Firefox 2"}, {time.Minute, ticket, home, "Firefox 3"}}, "session_moved"},
		"back an hour later":                    {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, cafe, "Phone"}, {time.Hour, ticket, home, "Firefox"}}, "session_moved"},
		"back later, and busy in between":       {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, cafe, "Phone"}, {4 * time.Minute, ticket, cafe, "Phone"}, {4 * time.Minute, ticket, home, "Firefox"}}, "session_moved"},
		"one browser on two networks":           {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, cafe, "Firefox"}, {time.Minute, ticket, home, "Firefox"}, {time.Minute, ticket, cafe, "Firefox"}}, ""},
		"two browsers on one network":           {[]step{{0, ticket, home, "Firefox"}, {time.Minute, ticket, home, "Phone"}, {time.Minute, ticket, home, "Firefox"}}, ""},
		"a program with tickets of the session": {[]step{{0, ticket, home, "Firefox"}, {time.Minute, audit.HandshakeReject, cafe, "bot"}, {0, audit.SessionsExceeded, cafe, "bot"}, {time.Minute, ticket, home, "Firefox"}}, ""},
	} {
		d, at := detector(t), begin
		var fired []string
		for _, s := range tt.steps {
			at = at.Add(s.after)
			for _, f := range d.Observe(audit.Event{At: at, Name: s.name, Session: "s1", User: "alice", IP: s.ip, UserAgent: s.agent}) {
				fired = append(fired, f.Rule)
				if f.Subject != (Subject{Session, "s1"}) || f.Event().Name != audit.ImpossibleTravel {
					t.Errorf("%s: %+v", name, f)
				}
			}
		}
		if got := strings.Join(fired, " "); got != tt.want {
			t.Errorf("%s: fired %q, want %q", name, got, tt.want)
		}
	}
}

func TestObserve_everyRuleOfTheTableIsTestedAbove(t *testing.T) {
	tested := "ticket_replay origin_scan origin_hammer id_probing link_probing sign_in_spraying account_under_fire size_search rate_saw_tooth protocol_fingerprinting compression_oracle reflection_oracle user_everywhere"
	for _, r := range rules() {
		if !strings.Contains(tested, r.Name) {
			t.Errorf("%s has no attack in TestObserve_firesOncePerAttackAndNamesWhoDidIt", r.Name)
		}
	}
}

// Any page that a victim visits can have their browser send these, with their cookies and
// from their network.
//
//control:proves detection
func TestObserve_aForeignPageCannotAccuseItsVisitors(t *testing.T) {
	d := detector(t)
	visitor := audit.Event{User: "alice", IP: "192.0.2.1/32"}
	var sent []audit.Event
	for _, reason := range []string{"method", "no_upgrade", "http_version", "header_size"} { // a form, an image, the same over HTTP/2, a long list of subprotocols
		e := visitor
		e.Name, e.Control, e.Reason = audit.HandshakeReject, "handshake-protocol", reason
		sent = append(sent, repeat(3, time.Second, e, func(int, *audit.Event) {})...)
	}
	link := visitor
	link.Name, link.Reason = audit.AuthzFail, audit.ReasonForeignPage
	sent = append(sent, repeat(20, time.Second, link, func(i int, e *audit.Event) { e.Room = fmt.Sprint("room", i) })...)
	for _, e := range sent {
		for _, f := range d.Observe(e) {
			if f.Rule != "link_probing" { // which is told, and followed by nothing
				t.Errorf("%s fired about %v", f.Rule, f.Subject)
			}
		}
	}
}

// The event of a session's end is about that session, and comes from whoever ended it:
// another device of its user, or an administrator.
//
//control:proves detection
func TestObserve_whoEndsAnotherSessionIsNoTraveller(t *testing.T) {
	d := detector(t)
	laptop := audit.Event{At: begin, Name: audit.TokenCreated, User: "alice", Session: "laptop", IP: "203.0.113.1/32", UserAgent: "Firefox"}
	ended := audit.Event{At: begin.Add(time.Minute), Name: audit.SessionLogout, User: "alice", Session: "laptop", IP: "198.51.100.7/32", UserAgent: "Safari"}
	excess := ended
	excess.Name = audit.SessionsExceeded
	for _, e := range []audit.Event{laptop, ended, excess} {
		if fired := d.Observe(e); len(fired) > 0 {
			t.Errorf("%s: %+v", e.Name, fired)
		}
	}
	thief := ended
	thief.Name = audit.TokenCreated
	if fired := d.Observe(thief); len(fired) != 1 || fired[0].Rule != "session_moved" {
		t.Errorf("a copied cookie: %+v", fired)
	}
}

// honest is a day of people who mean no harm: the events that they cause, in order.
func honest(hours int) (events []audit.Event) {
	r := rand.New(rand.NewPCG(1, 2)) // the same day every time
	now := begin
	add := func(e audit.Event) { e.At = now; events = append(events, e) }
	const office = "192.0.2.1/32" // 500 people behind one address
	agents := []string{"Firefox", "Chrome", "Safari"}
	updated := map[int]string{}
	for range hours * 60 { // minutes
		now = now.Add(time.Minute)
		for range 25 { // somebody of the 500 does something
			n := r.IntN(500)
			user, agent := fmt.Sprint("office", n), agents[n%3]
			base := audit.Event{IP: office, User: user, Session: "s-" + user, UserAgent: agent}
			do := func(name audit.Name, change func(*audit.Event)) {
				e := base
				e.Name = name
				change(&e)
				now = now.Add(time.Millisecond)
				add(e)
			}
			do(audit.LoginSuccess, func(e *audit.Event) { e.Session = "" })
			do(audit.TokenCreated, func(*audit.Event) {})
			do(audit.Connect, func(*audit.Event) {})
			if r.IntN(3) == 0 { // a typing error in the password
				do(audit.LoginFail, func(e *audit.Event) { e.User, e.Session, e.Username = "", "", user })
			}
			if r.IntN(40) == 0 { // a room that they were removed from, in an open tab
				do(audit.AuthzFail, func(e *audit.Event) { e.Room = fmt.Sprint("room", r.IntN(5)) })
			}
			if r.IntN(60) == 0 { // a paste that is too long, and once more
				size := int64(66_000 + r.IntN(100_000))
				do(audit.MessageTooBig, func(e *audit.Event) { e.Count = size })
				do(audit.MessageTooBig, func(e *audit.Event) { e.Count = size })
			}
			if r.IntN(30) == 0 {
				do(audit.RateLimitExceeded, func(*audit.Event) {})
			}
			if r.IntN(200) == 0 { // an old proxy
				do(audit.ProtocolError, func(e *audit.Event) { e.Control, e.Reason = "frames", "utf8" })
			}
			if r.IntN(50) == 0 { // the server is full
				do(audit.HandshakeReject, func(e *audit.Event) { e.Control, e.Reason = "admission", fmt.Sprint("kind", r.IntN(6)) })
			}
			do(audit.Disconnect, func(e *audit.Event) {
				e.Took, e.Count = time.Duration(1+r.IntN(60))*time.Minute, int64(r.IntN(200_000))
			})
		}
		for n := range 50 { // the busy room, on phones that change between Wi-Fi and radio
			if r.IntN(4) > 0 {
				continue
			}
			user := fmt.Sprint("phone", n)
			e := audit.Event{User: user, Session: "s-" + user, UserAgent: "Mobile " + agents[n%3] + updated[n], IP: fmt.Sprintf("100.64.%d.%d/32", n, r.IntN(3))}
			for _, name := range []audit.Name{audit.TokenCreated, audit.Connect} {
				e.Name = name
				add(e)
			}
			if r.IntN(300) == 0 { // the browser was updated, on the same network
				updated[n] += " next"
				e.Name, e.UserAgent = audit.Connect, e.UserAgent+" next"
				add(e)
			}
		}
	}
	return events
}

//control:proves detection
func TestObserve_aDayOfHonestPeopleFiresNothing(t *testing.T) {
	d := detector(t)
	n := 0
	for _, e := range honest(6) {
		n++
		for _, f := range d.Observe(e) {
			t.Errorf("false alarm after %d events: %s about %v: %s", n, f.Rule, f.Subject, f.Why)
		}
	}
	if n < 30_000 {
		t.Errorf("only %d events: that was no busy day", n)
	}
}

//control:proves detection
func TestObserve_othersCannotEmptyASharedLimitToAccuseAlice(t *testing.T) {
	d := detector(t)
	for _, shared := range []string{"room", "network", "all", "shared", "http"} { // as app, socket and site name them
		for _, e := range repeat(15, time.Minute, audit.Event{Name: audit.RateLimitExceeded, User: "alice", IP: "192.0.2.1/32", Reason: shared}, func(int, *audit.Event) {}) {
			if fired := d.Observe(e); len(fired) > 0 {
				t.Fatalf("%s fired about %v, who was refused because of the %s limit", fired[0].Rule, fired[0].Subject, shared)
			}
		}
	}
}

//control:proves detection
func TestObserve_findsAnAttackerAmongHonestPeopleOfTheSameNetwork(t *testing.T) {
	d := detector(t)
	fired := map[string]bool{}
	for i, e := range honest(2) {
		d.Observe(e)
		if i%1000 == 0 && i < 30_000 {
			for j := range 6 {
				for _, f := range d.Observe(audit.Event{At: e.At, Name: audit.AuthzFail, User: "mallory", IP: "192.0.2.1/32", Room: fmt.Sprint(i, j)}) {
					fired[f.Rule+" "+f.Subject.Key] = true
				}
			}
		}
	}
	if len(fired) != 1 || !fired["id_probing mallory"] {
		t.Errorf("fired %v; want id_probing about mallory alone", fired)
	}
}

func TestObserve_memoryIsBoundedWhateverComes(t *testing.T) {
	d := detector(t)
	for i := range 3 * maxKeys {
		d.Observe(audit.Event{At: begin, Name: audit.LoginFail, IP: fmt.Sprint("net", i), Username: "alice", Session: fmt.Sprint(i), UserAgent: "x"})
		d.Observe(audit.Event{At: begin, Name: audit.LoginFail, IP: mallory, Username: fmt.Sprint("user", i)})
	}
	for _, c := range d.counters {
		if n := c.seen.order.Len(); n > maxKeys {
			t.Errorf("%s remembers %d subjects", c.rule.Name, n)
		}
		for el := c.seen.order.Front(); el != nil; el = el.Next() {
			if n := len(el.Value.(*entry[window]).value.values); n > maxValues {
				t.Fatalf("%s remembers %d values of one subject", c.rule.Name, n)
			}
		}
	}
	if n := d.sessions.order.Len(); n > maxKeys {
		t.Errorf("%d sessions are remembered", n)
	}
}

func TestNew_refusesHoneyThatEverybodyTouches(t *testing.T) {
	if _, err := New(Honey{Rooms: []string{""}}); err == nil {
		t.Error("an empty room id is in most events")
	}
}

func BenchmarkObserve(b *testing.B) {
	events := honest(1)
	d := detector(b)
	for i := 0; b.Loop(); i++ {
		d.Observe(events[i%len(events)])
	}
}
