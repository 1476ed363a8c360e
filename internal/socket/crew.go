package socket

import "sync"

// idleHands is how many goroutines are kept that have nothing to do. More than wait for
// a database at once on a busy node; with the stacks that they have grown, 2 MB.
const idleHands = 256

// crew is the goroutines that read messages and do what they say. A stack grows to 8 KB
// with the first message and stays that large for as long as its goroutine lives. So the
// goroutine that a connection has for life does nothing but wait (conn.await), and
// borrows one of these for as long as there is something to read.
//
// A connection borrows one at a time and never waits for one: when all are at work there
// is one more. So whoever is slow holds up nobody else, and there are never more than
// sockets, which the gate of the node counts.
type crew struct {
	mu   sync.Mutex
	idle []*hand // the last one was at work last
	all  sync.WaitGroup
}

// hand is one goroutine of the crew.
type hand struct {
	tasks chan task
	done  chan struct{}
}

type task struct {
	conn *conn
	do   func(*conn)
}

// do has somebody of the crew do it, and waits.
func (w *crew) do(c *conn, do func(*conn)) {
	h := w.take()
	h.tasks <- task{c, do}
	<-h.done
	w.put(h)
}

func (w *crew) take() *hand {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := len(w.idle) - 1; last >= 0 {
		h := w.idle[last]
		w.idle[last] = nil
		w.idle = w.idle[:last]
		return h
	}
	h := &hand{tasks: make(chan task), done: make(chan struct{})}
	w.all.Go(h.work)
	return h
}

func (w *crew) put(h *hand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) == idleHands {
		close(h.tasks)
		return
	}
	w.idle = append(w.idle, h)
}

func (h *hand) work() {
	for t := range h.tasks {
		t.run()
		h.done <- struct{}{}
	}
}

// run does the task. A panic ends the connection and not the hand.
func (t task) run() {
	defer t.conn.recovered("reader")
	t.do(t.conn)
}

// stop ends the crew and waits for it. All connections have ended.
func (w *crew) stop() {
	w.mu.Lock()
	for _, h := range w.idle {
		close(h.tasks)
	}
	w.idle = nil
	w.mu.Unlock()
	w.all.Wait()
}
