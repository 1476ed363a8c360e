package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// The bounds of the queue of posts.
const (
	// batchPosts is what one transaction stores: enough to make the cost of a commit
	// small against that of a row, and few milliseconds under the room's lock.
	batchPosts = 256
	// roomPosts bounds one room's queue, so that one busy room cannot take all of it.
	roomPosts = 1024
	// queuePosts and queueBytes bound the queues of all rooms together.
	queuePosts = 16_384
	queueBytes = 64 << 20
)

// commits is the group commit: posts of one room that arrive while the last batch of
// that room is being written become the next batch. Under no load a post is written at
// once, alone; under load the cost of a transaction is shared.
//
// A room has a goroutine from its first post until its queue is empty. Only that one
// writes the room's posts, so they keep their order. close waits for all of them.
type commits struct {
	write func(context.Context, []*post) // stores a batch of one room and settles each post
	turns chan struct{}                  // one for each batch that may be written at once

	mu     sync.Mutex
	queues map[chat.RoomID][]*post // a room is in it while its goroutine runs
	posts  int
	bytes  int
	closed bool
	wg     sync.WaitGroup
}

// post is one message on its way, and what became of it once done is closed.
type post struct {
	roles []authz.Role
	chat.Post

	done   chan struct{}
	change chat.Change
	dup    bool
	err    error
}

// settle says what became of p.
func (p *post) settle(c chat.Change, dup bool, err error) {
	p.change, p.dup, p.err = c, dup, err
	close(p.done)
}

func newCommits(writers int, write func(context.Context, []*post)) *commits {
	return &commits{write: write, turns: make(chan struct{}, max(writers, 1)), queues: map[chat.RoomID][]*post{}}
}

// store queues one post and waits until it is settled. If ctx ends while it is still
// queued, it is dropped; once it has been taken, its true outcome is awaited, which is
// at most the deadline of one batch away.
func (s *commits) store(ctx context.Context, roles []authz.Role, p chat.Post) (chat.Change, bool, error) {
	if err := ctx.Err(); err != nil {
		return chat.Change{}, false, err
	}
	w := &post{roles: roles, Post: p, done: make(chan struct{})}
	if err := s.add(w); err != nil {
		return chat.Change{}, false, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if s.drop(w) {
			return chat.Change{}, false, ctx.Err()
		}
		<-w.done
	}
	return w.change, w.dup, w.err
}

// Why the queue takes no post. Nothing was stored.
var (
	errFull    = errors.New("queue of posts is full")
	errStopped = errors.New("database is closed")
)

func (s *commits) add(w *post) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue, running := s.queues[w.Room]
	switch {
	case s.closed:
		return busy(errStopped)
	case len(queue) >= roomPosts, s.posts >= queuePosts, s.bytes+len(w.Body) > queueBytes:
		return busy(errFull)
	}
	s.queues[w.Room] = append(queue, w)
	s.count(1, len(w.Body))
	if !running {
		s.wg.Go(func() { s.run(w.Room) })
	}
	return nil
}

// drop takes a post out of its queue; false if it is not there any more.
func (s *commits) drop(w *post) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queues[w.Room]
	at := slices.Index(queue, w)
	if at < 0 {
		return false
	}
	s.queues[w.Room] = slices.Delete(queue, at, at+1)
	s.count(-1, -len(w.Body))
	return true
}

func (s *commits) count(posts, bytes int) {
	s.posts += posts
	s.bytes += bytes
}

// run writes a room's posts until there are none. The turn comes before the batch is
// taken: what arrives while it waits for one is in the batch.
func (s *commits) run(room chat.RoomID) {
	for {
		s.turns <- struct{}{}
		batch := s.take(room)
		if len(batch) > 0 {
			s.write(context.Background(), batch)
		}
		<-s.turns
		if batch == nil {
			return
		}
	}
}

// take removes the next batch from a room's queue: posts that ask for the same roles,
// in order. nil: there are none, and the room's goroutine ends.
func (s *commits) take(room chat.RoomID) []*post {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queues[room]
	if len(queue) == 0 {
		delete(s.queues, room)
		return nil
	}
	n := 1
	for n < min(len(queue), batchPosts) && slices.Equal(queue[n].roles, queue[0].roles) {
		n++
	}
	batch := slices.Clone(queue[:n])
	s.queues[room] = slices.Delete(queue, 0, n)
	for _, w := range batch {
		s.count(-1, -len(w.Body))
	}
	return batch
}

// close refuses new posts and waits until those that are queued are settled.
func (s *commits) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wg.Wait()
}
