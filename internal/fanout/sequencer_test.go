package fanout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/portcullis/internal/chat"
)

func numbered(seqs ...int64) []chat.Change {
	all := make([]chat.Change, len(seqs))
	for i, seq := range seqs {
		all[i] = chat.Change{Seq: seq}
	}
	return all
}

func seqs(changes []chat.Change) (all []int64) {
	for _, c := range changes {
		all = append(all, c.Seq)
	}
	return all
}

func TestSequencer_decides(t *testing.T) {
	const patience = 50 * time.Millisecond
	now := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		name    string
		head    int64 // where it starts; -1: not started
		offered []int64
		saw     int64
		waited  time.Duration // since the gap was first seen; -1: not yet seen
		deliver []int64
		wait    time.Duration
		from    int64
		to      int64
	}{
		{name: "nothing", head: 0},
		{name: "next", head: 4, offered: []int64{5}, deliver: []int64{5}},
		{name: "a run, whatever the order", head: 4, offered: []int64{7, 5, 6}, deliver: []int64{5, 6, 7}},
		{name: "old ones and twins", head: 4, offered: []int64{3, 4, 5, 5}, deliver: []int64{5}},
		{name: "seq 0 and below", head: 0, offered: []int64{0, -1}},
		{name: "held until started", head: -1, offered: []int64{5, 6}},
		{name: "a gap is new", head: 4, offered: []int64{6}, waited: -1, wait: patience},
		{name: "a gap may close", head: 4, offered: []int64{6}, waited: 20 * time.Millisecond, wait: 30 * time.Millisecond},
		{name: "a gap stays", head: 4, offered: []int64{6}, waited: patience, from: 5, to: 5},
		{name: "a wide gap ends before what is held", head: 4, offered: []int64{9, 12}, waited: patience, from: 5, to: 8},
		{name: "a run before a gap goes first", head: 4, offered: []int64{5, 7}, waited: patience, deliver: []int64{5}},
		{name: "a head that did not come", head: 4, saw: 9, waited: patience, from: 5, to: 9},
		{name: "a head that is known", head: 4, saw: 4},
		{name: "a far head is read in pages", head: 4, saw: 100_000, waited: patience, from: 5, to: 4 + maxRun},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sequencer
			if tt.head >= 0 {
				s.start(tt.head)
			}
			for _, seq := range tt.offered {
				s.offer(chat.Change{Seq: seq})
			}
			s.saw(tt.saw)
			if tt.waited >= 0 {
				s.since = now.Add(-tt.waited)
			}
			got := s.next(now, patience)
			if !slices.Equal(seqs(got.deliver), tt.deliver) || got.wait != tt.wait || got.from != tt.from || got.to != tt.to {
				t.Errorf("got deliver %v wait %v read %d–%d, want %v %v %d–%d",
					seqs(got.deliver), got.wait, got.from, got.to, tt.deliver, tt.wait, tt.from, tt.to)
			}
		})
	}
}

func TestSequencer_startDropsWhatTheHeadCovers(t *testing.T) {
	var s sequencer
	for _, c := range numbered(3, 4, 5) {
		s.offer(c)
	}
	s.start(4)
	if got := s.next(time.Time{}, 0); !slices.Equal(seqs(got.deliver), []int64{5}) {
		t.Errorf("delivers %v, want [5]", seqs(got.deliver))
	}
	s.start(9) // a second start says nothing new
	if s.last != 4 {
		t.Errorf("last = %d, want 4", s.last)
	}
}

//control:proves fanout
func TestSequencer_inventedSeqIsForgotten(t *testing.T) {
	var s sequencer
	s.start(4)
	s.offer(chat.Change{Seq: 1 << 50})
	if got := s.next(time.Time{}, 0); got.from != 5 {
		t.Fatalf("reads from %d, want 5", got.from)
	}
	s.settle(4)
	if got := s.next(time.Time{}, 0); got.from != 0 || got.wait != 0 || len(s.held) != 0 || s.bytes != 0 {
		t.Errorf("still waits for what does not exist: %+v, holds %d", got, len(s.held))
	}
}

//control:proves fanout
func TestSequencer_holdsNoMoreThanItMay(t *testing.T) {
	for name, body := range map[string]string{"many": "", "large": strings.Repeat("a", 16_000)} {
		t.Run(name, func(t *testing.T) {
			var s sequencer
			s.start(0)
			turned := 0
			for seq := int64(2); seq < 3*maxHeld; seq++ { // 1 is missing
				if s.offer(chat.Change{Seq: seq, Message: chat.Message{Body: body}}) == dropped {
					turned++
				}
			}
			if len(s.held) > maxHeld || s.bytes > maxHeldBytes || turned == 0 {
				t.Fatalf("holds %d changes, %d bytes, dropped %d", len(s.held), s.bytes, turned)
			}
			// All of it still comes, from the store where it was dropped.
			var got []int64
			for s.last < 3*maxHeld-1 {
				next := s.next(time.Time{}, 0)
				if len(next.deliver) > 0 {
					got = append(got, seqs(next.deliver)...)
					s.delivered(next.deliver)
					continue
				}
				if next.from == 0 {
					t.Fatalf("stuck at %d", s.last)
				}
				var page []chat.Change
				for seq := next.from; seq <= next.to; seq++ {
					page = append(page, chat.Change{Seq: seq, Message: chat.Message{Body: body}})
				}
				s.fill(page)
			}
			for i, seq := range got {
				if seq != int64(i+1) {
					t.Fatalf("at %d came %d", i+1, seq)
				}
			}
			if s.bytes != 0 || len(s.held) != 0 {
				t.Errorf("%d bytes, %d changes left over", s.bytes, len(s.held))
			}
		})
	}
}

// Whatever is lost, doubled, late or invented: everything comes, once, in order.
//
//control:proves fanout
func TestSequencer_deliversAllInOrderOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.Int64Range(0, 5).Draw(t, "head")
		end := head + rapid.Int64Range(0, 40).Draw(t, "changes")
		var all []int64
		for seq := head + 1; seq <= end; seq++ {
			all = append(all, seq)
		}
		arriving := rapid.Permutation(append(slices.Clone(all), all...)).Draw(t, "order")
		arriving = arriving[:rapid.IntRange(0, len(arriving)).Draw(t, "lost from")]

		var s sequencer
		startAt := rapid.IntRange(0, len(arriving)).Draw(t, "started at")
		now := time.Unix(0, 0)
		var got []int64
		settle := func(reads bool) {
			for {
				switch next := s.next(now, time.Second); {
				case len(next.deliver) > 0:
					got = append(got, seqs(next.deliver)...)
					s.delivered(next.deliver)
				case next.wait > 0 && reads:
					now = now.Add(next.wait)
				case next.from > 0:
					var page []chat.Change
					for seq := next.from; seq <= min(next.to, end); seq++ {
						page = append(page, chat.Change{Seq: seq})
					}
					s.fill(page)
					if len(page) == 0 {
						s.settle(end)
					}
				default:
					return
				}
			}
		}
		for i, seq := range arriving {
			if i == startAt {
				s.start(head)
			}
			s.offer(chat.Change{Seq: seq})
			if rapid.IntRange(0, 9).Draw(t, "lie") == 0 {
				s.offer(chat.Change{Seq: end + rapid.Int64Range(1, 1000).Draw(t, "invented")})
			}
			settle(false)
		}
		s.start(head)
		s.saw(end) // a sweep
		settle(true)
		lies := slices.DeleteFunc(slices.Clone(got), func(seq int64) bool { return seq <= end })
		if !slices.Equal(got[:len(got)-len(lies)], all) {
			t.Fatalf("delivered %v, want %v", got, all)
		}
	})
}
