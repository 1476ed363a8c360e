package site

import "sync"

// turns counts what is under way, per user or network and in all: uploads that are
// being read, streams of events, exports.
type turns[K comparable] struct {
	mu  sync.Mutex
	all int
	of  map[K]int
}

// take gives one turn; give it back with done.
func (t *turns[K]) take(whom K, each, perNode int) (done func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all >= perNode || t.of[whom] >= each {
		return nil, false
	}
	if t.of == nil {
		t.of = map[K]int{}
	}
	t.all++
	t.of[whom]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all--
		if t.of[whom]--; t.of[whom] == 0 {
			delete(t.of, whom)
		}
	}, true
}
