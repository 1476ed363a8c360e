package fanout

import (
	"time"

	"example.com/portcullis/internal/chat"
)

const (
	// maxHeld bounds the changes of one room that wait for a missing one, for a refresh
	// or for their turn. What comes beyond it is read from the Source later.
	maxHeld = 1024
	// maxHeldBytes bounds the same in bytes: 1,024 of the longest messages are 16 MiB,
	// of usual ones a tenth of this.
	maxHeldBytes = 1 << 20
	// maxRun is the most that is delivered or read at once, so that rooms take turns.
	maxRun = 256
)

// sequencer decides what may be delivered of one room. It does no I/O and holds no
// clock. The zero sequencer delivers nothing until start.
type sequencer struct {
	started bool
	last    int64 // newest delivered
	exists  int64 // newest that is said to exist
	held    map[int64]chat.Change
	bytes   int
	since   time.Time // when last+1 was first seen to be missing; zero: it is not
}

// step is what to do next: one of its fields is set, or nothing.
type step struct {
	deliver  []chat.Change // give these to the Sink, then call delivered
	wait     time.Duration // ask again then
	from, to int64         // read these from the Source, then offer them
}

// start sets the point after which changes are delivered, once.
func (s *sequencer) start(head int64) {
	if s.started {
		return
	}
	s.started, s.last, s.exists = true, head, max(head, s.exists)
	for seq := range s.held {
		if seq <= head {
			s.forget(seq)
		}
	}
}

// verdict is what became of an offered change.
type verdict int

const (
	known   verdict = iota // delivered or held already
	taken                  // held until its turn
	dropped                // there is no room; that it exists is remembered
)

// offer takes a change that came by itself.
func (s *sequencer) offer(c chat.Change) verdict {
	if _, held := s.held[c.Seq]; held || c.Seq < 1 || s.started && c.Seq <= s.last {
		return known
	}
	s.exists = max(s.exists, c.Seq)
	if len(s.held) >= maxHeld || s.bytes+weight(c) > maxHeldBytes {
		return dropped
	}
	s.hold(c)
	return taken
}

// fill takes changes that were asked for. They come in pages and are next in turn,
// so they find room whatever else is held; otherwise nothing would ever move.
func (s *sequencer) fill(page []chat.Change) {
	for _, c := range page {
		if _, held := s.held[c.Seq]; !held && c.Seq > s.last {
			s.exists = max(s.exists, c.Seq)
			s.hold(c)
		}
	}
}

func (s *sequencer) hold(c chat.Change) {
	if s.held == nil {
		s.held = map[int64]chat.Change{}
	}
	s.held[c.Seq] = c
	s.bytes += weight(c)
}

// saw takes a head seq: so much exists, whether it came or not.
func (s *sequencer) saw(head int64) { s.exists = max(s.exists, head) }

// settle takes the head that the Source tells, after it could not give what was
// missing: what was said to be beyond it does not exist.
func (s *sequencer) settle(head int64) {
	s.exists = max(head, s.last)
	for seq := range s.held {
		if seq > s.exists {
			s.forget(seq)
		}
	}
}

// drop forgets a run of next that cannot be true; head is how far the Source has come, so
// that what is true of it is read there.
func (s *sequencer) drop(run []chat.Change, head int64) {
	s.forgetAll(run)
	s.settle(head)
}

func (s *sequencer) forgetAll(run []chat.Change) {
	for _, c := range run {
		if _, held := s.held[c.Seq]; held {
			s.forget(c.Seq)
		}
	}
}

func (s *sequencer) forget(seq int64) {
	s.bytes -= weight(s.held[seq])
	delete(s.held, seq)
}

// next decides. patience is how long a missing change may still come by itself.
func (s *sequencer) next(now time.Time, patience time.Duration) step {
	if !s.started {
		return step{}
	}
	var run []chat.Change
	for c, ok := s.held[s.last+1]; ok && len(run) < maxRun; c, ok = s.held[c.Seq+1] {
		run = append(run, c)
	}
	if len(run) > 0 {
		return step{deliver: run}
	}
	if s.exists <= s.last {
		s.since = time.Time{}
		return step{}
	}
	if s.since.IsZero() {
		s.since = now
	}
	if left := patience - now.Sub(s.since); left > 0 {
		return step{wait: left}
	}
	from, to := s.last+1, min(s.exists, s.last+maxRun)
	for seq := range s.held {
		to = min(to, seq-1)
	}
	return step{from: from, to: to}
}

// delivered moves past a run of next.
func (s *sequencer) delivered(run []chat.Change) {
	s.forgetAll(run)
	s.last = run[len(run)-1].Seq
	s.since = time.Time{}
}

// weight is about what a held change costs in memory.
func weight(c chat.Change) int {
	w := 512 + len(c.Message.Body)
	for _, r := range c.Message.Reactions {
		w += 64 + 16*len(r.Users)
	}
	return w
}
