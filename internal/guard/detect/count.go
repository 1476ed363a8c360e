package detect

import (
	"container/list"
	"fmt"
	"math"
	"time"

	"example.com/portcullis/internal/guard/audit"
)

const (
	// maxKeys bounds the subjects that one rule remembers: some MiB in all. An attacker
	// with more networks than that makes it forget the ones that have been quiet longest.
	maxKeys = 10_000
	// maxValues bounds what is remembered of one subject: far above every threshold.
	maxValues = 64
	// manyInnocent: where so many people sign in, or as many as fail, a network is an
	// office or a phone company, whatever the number of typing errors.
	manyInnocent = maxValues / 2
)

// keys is a map that forgets what was not used for longest.
type keys[V any] struct {
	byKey map[string]*list.Element
	order *list.List // newest first
}

type entry[V any] struct {
	key   string
	value V
}

func newKeys[V any]() *keys[V] { return &keys[V]{map[string]*list.Element{}, list.New()} }

// get returns the value of a key, the zero value of a new one.
func (k *keys[V]) get(key string) (v *V, known bool) {
	if el, ok := k.byKey[key]; ok {
		k.order.MoveToFront(el)
		return &el.Value.(*entry[V]).value, true
	}
	if k.order.Len() >= maxKeys {
		oldest := k.order.Back()
		delete(k.byKey, k.order.Remove(oldest).(*entry[V]).key)
	}
	e := &entry[V]{key: key}
	k.byKey[key] = k.order.PushFront(e)
	return &e.value, false
}

// window is what one subject has done lately: values with the time of each, so that a
// window slides, and a threshold cannot be split over the edge of two.
type window struct{ values, innocent map[string]time.Time }

// counter is one rule with what it remembers.
type counter struct {
	rule Rule
	seen *keys[window]
}

// observe counts an event. It fires at the rule's threshold, unless as much that is
// innocent speaks for the subject.
//
//control:name detection
func (c *counter) observe(e audit.Event) (Firing, bool) {
	if c.rule.innocent != nil {
		if s, v, ok := c.rule.innocent(e); ok {
			w, _ := c.seen.get(s.Key)
			w.innocent = remember(w.innocent, v, e.At, c.rule.Window)
		}
	}
	s, v, ok := c.rule.of(e)
	if !ok {
		return Firing{}, false
	}
	w, _ := c.seen.get(s.Key)
	w.values = remember(w.values, v, e.At, c.rule.Window)
	if len(w.values) < c.rule.Threshold {
		return Firing{}, false
	}
	forget(w.values, e.At, c.rule.Window)
	forget(w.innocent, e.At, c.rule.Window)
	n := len(w.values)
	if n < c.rule.Threshold || len(w.innocent) >= min(n, manyInnocent) {
		return Firing{}, false
	}
	return Firing{Rule: c.rule.Name, Score: c.rule.Score, Subject: s, Why: fmt.Sprintf(c.rule.Explain, n, c.rule.Window), Cause: e}, true
}

func remember(values map[string]time.Time, v string, now time.Time, keep time.Duration) map[string]time.Time {
	if values == nil {
		values = map[string]time.Time{}
	}
	if len(values) >= maxValues {
		forget(values, now, keep)
	}
	if _, known := values[v]; known || len(values) < maxValues {
		values[v] = now
	}
	return values
}

func forget(values map[string]time.Time, now time.Time, keep time.Duration) {
	for v, at := range values {
		if now.Sub(at) > keep {
			delete(values, v)
		}
	}
}

const (
	// ewmaWeight: a baseline is about the last ten connections.
	ewmaWeight = 0.2
	// ewmaLearn is how many connections a baseline needs before it is one.
	ewmaLearn = 8
	// ewmaFar is how many deviations, and how many times the mean, are far.
	ewmaFar, ewmaTimes = 6, 8
)

// baseline is an exponentially weighted mean and variance.
type baseline struct {
	mean, variance float64
	n              int
}

func (b *baseline) learn(x float64) {
	if b.n++; b.n == 1 {
		b.mean = x
		return
	}
	diff := x - b.mean
	b.mean += ewmaWeight * diff
	b.variance = (1 - ewmaWeight) * (b.variance + ewmaWeight*diff*diff)
}

// usual is the mean, and where far begins; known is false while learning.
func (b *baseline) usual() (mean, far float64, known bool) {
	return b.mean, max(b.mean+ewmaFar*math.Sqrt(b.variance), ewmaTimes*b.mean), b.n >= ewmaLearn
}
