package audit

import (
	"sync"
	"time"
)

const (
	// sampleWindow and sampleMost keep one client who causes one event over and over
	// from filling the disk, and from washing everybody else's events out of the queues.
	// What a person does by hand stays far below 20 a second.
	sampleWindow = 10 * time.Second
	sampleMost   = 200
	// sampleKeys bounds the memory of a flood with many names or addresses. Beyond it,
	// events of a kind are counted together, whoever causes them.
	sampleKeys = 10_000
)

// sampleKey is what makes two events the same to the sampler. Critical events have
// keys of their own: warnings cannot use up their room.
type sampleKey struct {
	name            Name
	level           Level
	control, reason string
	subject         string
}

// sampler lets the first sampleMost of the same event in a window through and counts
// the others. What it held back is said in an event per key when the window ends, so
// nothing is left out without a word.
type sampler struct {
	mu    sync.Mutex
	began time.Time
	seen  map[sampleKey]int64
}

// take reports whether to keep e, and returns what the window before it held back.
func (s *sampler) take(e Event) (keep bool, summaries []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := e.At.Sub(s.began); s.seen == nil || age >= sampleWindow || age < -sampleWindow {
		summaries = s.roll(e.At)
	}
	subject := e.User
	if e.IP != "" {
		subject = e.IP // more telling than the user: it is the network that floods
	}
	k := sampleKey{e.Name, e.Level, e.Control, e.Reason, subject}
	if _, ok := s.seen[k]; !ok && len(s.seen) >= sampleKeys {
		k.subject = ""
	}
	s.seen[k]++
	return s.seen[k] <= sampleMost, summaries
}

// flush ends the window now.
func (s *sampler) flush() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roll(s.began)
}

func (s *sampler) roll(now time.Time) (summaries []Event) {
	for k, n := range s.seen {
		if n > sampleMost {
			summaries = append(summaries, Event{At: now, Name: EventsSampled, Level: k.level, Control: "audit", Reason: "repeated", Count: n - sampleMost,
				Detail: clean(string(k.name) + " " + k.control + " " + k.reason + " of " + k.subject)})
		}
	}
	s.began, s.seen = now, map[sampleKey]int64{}
	return summaries
}
