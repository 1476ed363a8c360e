package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
)

// Event is one security event, as the log has it.
type Event struct {
	Msg       string `json:"msg"`
	Name      string `json:"event"`
	Severity  string `json:"severity"`
	Control   string `json:"control"`
	Reason    string `json:"reason"`
	User      string `json:"user"`
	Username  string `json:"username"`
	Session   string `json:"session"`
	Conn      string `json:"conn"`
	Room      string `json:"room"`
	Origin    string `json:"origin"`
	Detail    string `json:"detail"`
	CloseCode int    `json:"close_code"`
	Took      int64  `json:"took"` // nanoseconds
	Count     int64  `json:"count"`
}

// logbook is what one server has logged, over all of its starts.
type logbook struct {
	mu       sync.Mutex
	lines    []string
	events   []Event
	more     chan struct{} // closed at the next line
	canaries []string
}

// newLogbook knows the secrets that every client of package attack uses.
func newLogbook(t *testing.T) *logbook {
	t.Helper()
	return &logbook{more: make(chan struct{}), canaries: []string{attack.Password, "the gate code is", "wrong-password-here"}}
}

// Canary adds a text that must never be logged.
func (l *logbook) Canary(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.canaries = append(l.canaries, secrets...)
}

// read takes lines until the process closes its end.
func (l *logbook) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.add(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}

func (l *logbook) add(line string) {
	var e Event
	_ = json.Unmarshal([]byte(line), &e) // a few lines are for people
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	if e.Name != "" {
		l.events = append(l.events, e)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// Mark is how many events there are now, for Since.
func (l *logbook) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// Since returns the events after a mark, and a channel that is closed when there are more.
func (l *logbook) Since(mark int) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events[mark:]), l.more
}

// Wait waits for an event after a mark and returns it; false: there was none in time.
func (l *logbook) Wait(mark int, d time.Duration, match func(Event) bool) (Event, bool) {
	late := time.After(d)
	for {
		events, more := l.Since(mark)
		if i := slices.IndexFunc(events, match); i >= 0 {
			return events[i], true
		}
		select {
		case <-more:
		case <-late:
			return Event{}, false
		}
	}
}

// wantEvent fails the test unless an event of that name that matches is recorded soon.
func (s *Server) wantEvent(t *testing.T, mark int, name string, match func(Event) bool) Event {
	t.Helper()
	e, ok := s.Logs.Wait(mark, soon, func(e Event) bool { return e.Name == name && match(e) })
	if !ok {
		t.Errorf("no %s that matches was recorded; there were %v", name, s.Logs.summary(mark))
	}
	return e
}

// summary counts the events after a mark, for messages to people.
func (l *logbook) summary(mark int) map[string]int {
	events, _ := l.Since(mark)
	n := map[string]int{}
	for _, e := range events {
		n[e.Name+"/"+e.Control+"/"+e.Reason]++
	}
	return n
}

// tail is the last lines.
func (l *logbook) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines[max(0, len(l.lines)-n):], "\n")
}

var (
	// broken is what no server may log, whatever is done to it.
	broken = regexp.MustCompile(`(?i)panic|DATA RACE|fatal error|goroutine \d+ \[`)
	// tokens finds what looks like a session cookie, a CSRF token, a ticket or a key: 40
	// characters and more of base64url without a break. Ids have 36 or fewer.
	tokens = regexp.MustCompile(`[A-Za-z0-9_-]{40,}|eyJ[A-Za-z0-9_-]{8,}\.`)
)

// check fails the test for what no log may hold.
func (l *logbook) check(t *testing.T) {
	t.Helper()
	const most = 10 // tell a story, not a log
	found := l.findings()
	for _, f := range found[:min(len(found), most)] {
		t.Error("log: " + f)
	}
}

// findings are the lines that no log may hold, each with what is wrong about it.
func (l *logbook) findings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.lines {
		what := ""
		switch {
		case broken.MatchString(line):
			what = "the server broke"
		case tokens.MatchString(line):
			what = "this looks like a token: " + tokens.FindString(line)
		}
		for _, c := range l.canaries {
			if strings.Contains(line, c) {
				what = "this is a secret: " + c
			}
		}
		if what != "" {
			found = append(found, what+"\n"+line)
		}
	}
	return found
}

//control:proves secrets
func TestLogbook_findsWhatNoLogMayHold(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		found      bool
	}{
		{"an honest line", `{"level":"INFO","msg":"security","event":"ws_connect","user":"8f14e45f-ceea-467f-a2f6-2c1d0c7c4f11","session":"4a5037731b49","conn":"2I4YUNZ55LJDIRAC3Z6DQFUBBB"}`, false},
		{"a panic", `{"level":"ERROR","msg":"panic in a connection"}`, true},
		{"a stack", "goroutine 17 [running]:", true},
		{"a data race", "WARNING: DATA RACE", true},
		{"a password", `{"msg":"sign-in","password":"` + attack.Password + `"}`, true},
		{"a session cookie", `{"msg":"request","cookie":"` + strings.Repeat("aB3_", 10) + `xyz"}`, true},
		{"a ticket", `{"msg":"handshake","protocol":"ticket.eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLogbook(t)
			l.add(tt.line)
			if got := l.findings(); (len(got) > 0) != tt.found {
				t.Errorf("findings: %q, want any: %v", got, tt.found)
			}
		})
	}
}
