package audit

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// sampleWindow and sampleMost keep one client who causes one event over and over
	// from filling the disk, and from washing everybody else's events out of the queues.
	// What a person does by hand stays far below 20 a second.
	sampleWindow = 10 * time.Second
	sampleMost   = 200
	// sampleNews is how many of those behind sampleMost are kept because they are about
	// somebody or something that none of them was about. Detection reads what is stored:
	// one room asked for 200 times must not hide the ids that are tried behind it.
	sampleNews = 64
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

// sampleAbout is what detection tells two of the same event apart by.
type sampleAbout struct {
	user, username, room, origin string
	count                        int64
}

// sample is what a window has seen of one key.
type sample struct {
	n, kept int64
	about   map[uint64]struct{} // of those behind sampleMost; hashes, because an origin may be long
}

// take lets the first sampleMost of a window through, and behind them only what detection
// has to tell apart and has not seen.
//
//control:name audit
//control:name detection
func (s *sample) take(about uint64) (keep bool) {
	s.n++
	if s.n > sampleMost {
		if _, known := s.about[about]; known || len(s.about) >= sampleNews {
			return false
		}
		if s.about == nil {
			s.about = map[uint64]struct{}{}
		}
		s.about[about] = struct{}{}
	}
	s.kept++
	return true
}

// sampler lets the first sampleMost of the same event in a window through, and behind
// them what is new, and counts the others. What it held back is said in an event per key
// when the window ends, so nothing is left out without a word.
type sampler struct {
	mu    sync.Mutex
	began time.Time
	seen  map[sampleKey]*sample
	seed  maphash.Seed
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
	of := s.seen[k]
	if of == nil {
		of = &sample{}
		s.seen[k] = of
	}
	return of.take(maphash.Comparable(s.seed, sampleAbout{e.User, e.Username, e.Room, e.Origin, e.Count})), summaries
}

// flush ends the window now.
func (s *sampler) flush() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roll(s.began)
}

func (s *sampler) roll(now time.Time) (summaries []Event) {
	for k, of := range s.seen {
		if held := of.n - of.kept; held > 0 {
			summaries = append(summaries, Event{At: now, Name: EventsSampled, Level: k.level, Control: "audit", Reason: "repeated", Count: held,
				Detail: clean(string(k.name) + " " + k.control + " " + k.reason + " of " + k.subject)})
		}
	}
	s.began, s.seen, s.seed = now, map[sampleKey]*sample{}, maphash.MakeSeed()
	return summaries
}
