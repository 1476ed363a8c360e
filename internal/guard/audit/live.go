package audit

import "sync"

// maxSubscribers bounds what live readers can make every Record cost. A dashboard is
// for a handful of people.
const maxSubscribers = 32

// Live is one item of a live reading: an event, and how many before it this reader
// was too slow for. A reader who must miss none reads the Store.
type Live struct {
	Event
	Missed int64
}

// subscribers are the live readers of a Log.
type subscribers struct {
	mu  sync.Mutex
	all map[*subscriber]struct{}
}

type subscriber struct {
	ch     chan Live
	missed int64
}

// Subscribe returns events of this node from now on. A reader that falls behind by
// more than buffer items misses some and is told how many: nobody who reads can slow
// down who writes. stop ends it and closes the channel; ok is false when there are too
// many readers already.
func (l *Log) Subscribe(buffer int) (events <-chan Live, stop func(), ok bool) {
	s := &subscriber{ch: make(chan Live, max(1, buffer))}
	l.live.mu.Lock()
	defer l.live.mu.Unlock()
	if len(l.live.all) >= maxSubscribers {
		return nil, func() {}, false
	}
	if l.live.all == nil {
		l.live.all = map[*subscriber]struct{}{}
	}
	l.live.all[s] = struct{}{}
	return s.ch, sync.OnceFunc(func() {
		l.live.mu.Lock()
		defer l.live.mu.Unlock()
		delete(l.live.all, s)
		close(s.ch)
	}), true
}

func (b *subscribers) publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.all {
		select {
		case s.ch <- Live{e, s.missed}:
			s.missed = 0
		default:
			s.missed++
		}
	}
}
