package detect

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// probeTail is how much of a text a guess is: a few characters, and as many that
	// cancel the rounding to whole bytes.
	probeTail = 8
	// leastStem is what stands before a guess: an attribute and its name. Shorter texts
	// that are alike are what people say to each other.
	leastStem = 12
	// probeRun is how many probes are a run. One hex digit of a secret takes sixteen.
	probeRun = 16
	// probeWithin is how soon the next probe of a run comes.
	probeWithin = time.Minute
	// probeStems are what one sender is followed in at once: words in between hide no run.
	probeStems = 4
	// probeKeeps is what is kept of a text: its end, where the guesses are.
	probeKeeps = 512
)

// Probes looks for the other end of a compression oracle: many texts of nearly one
// length that begin alike and end differently, from somebody whose texts come back next
// to what they may not read (CRIME, BREACH). The answers' lengths are read on the wire,
// where no server sees it; the guesses have to come through here.
//
// A gauge that counts is no guesser, so texts that differ in a number make no run; nor
// does what is said twice, nor a text that only grows, as one that is being typed.
//
// It costs a comparison of one text with four, and no event before a run is full. It is
// safe for concurrent use.
type Probes struct {
	seed maphash.Seed
	mu   sync.Mutex
	of   *keys[[]stem]
}

// stem is one run that may be going on.
type stem struct {
	end   string // of the newest text
	size  int    // of the newest text
	at    time.Time
	seen  []uint64 // the run's texts
	words int      // how many of them differ in something that is no number
}

// NewProbes returns Probes that have seen nothing.
func NewProbes() *Probes { return &Probes{seed: maphash.MakeSeed(), of: newKeys[[]stem]()} }

// Run takes one text of a sender, and reports whether it made a run of probes full.
func (p *Probes) Run(sender, text string, now time.Time) bool {
	if sender == "" || len(text) < leastStem {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	stems, _ := p.of.get(sender)
	for i := range *stems {
		if s := &(*stems)[i]; s.alike(text, now) {
			return s.add(text, maphash.String(p.seed, text), now)
		}
	}
	fresh := stem{end: ending(text), size: len(text), at: now}
	if len(*stems) < probeStems {
		*stems = append(*stems, fresh)
		return false
	}
	oldest := 0
	for i, s := range *stems {
		if s.at.Before((*stems)[oldest].at) {
			oldest = i
		}
	}
	(*stems)[oldest] = fresh
	return false
}

func ending(text string) string {
	return strings.Clone(text[max(0, len(text)-probeKeeps):]) // the rest of the frame can go
}

// begin is where in its text end begins.
func (s *stem) begin() int { return s.size - len(s.end) }

// common is where text, of nearly the same length, begins to differ from the newest text of s, as far as it is kept.
func (s *stem) common(text string) int {
	from := max(s.begin(), len(text)-probeKeeps)
	a, b := s.end[from-s.begin():], text[from:]
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return from + n
}

// alike reports whether a text differs from the last one in a few characters at its end.
//
//control:name detection
func (s *stem) alike(text string, now time.Time) bool {
	if now.Sub(s.at) > probeWithin || max(s.size, len(text))-min(s.size, len(text)) > probeTail {
		return false
	}
	n := s.common(text)
	return n >= leastStem && max(s.size, len(text))-n <= probeTail
}

// add counts a text that is alike, and reports when a run is one of guesses: words change,
// and not only a number that counts.
//
//control:name detection
func (s *stem) add(text string, hash uint64, now time.Time) bool {
	n := s.common(text)
	if n == len(text) || slices.Contains(s.seen, hash) {
		return false // nothing new; the longer one stays, so that a short one in between hides nothing
	}
	if n == s.size { // it grew
		s.end, s.size, s.at = ending(text), len(text), now
		return false
	}
	if !digit(s.end[n-s.begin()]) || !digit(text[n]) {
		s.words++
	}
	s.seen = append(s.seen, hash)
	s.end, s.size, s.at = ending(text), len(text), now
	if len(s.seen) < probeRun {
		return false
	}
	full := s.words >= probeRun/4 // of hex digits, more than a third are letters
	s.seen, s.words = nil, 0
	return full
}

func digit(b byte) bool { return '0' <= b && b <= '9' }
