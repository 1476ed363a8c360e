package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/authz"
)

// pen writes batches when told to.
type pen struct {
	mu      sync.Mutex
	batches [][]string
	go_on   chan struct{}
}

func (p *pen) write(_ context.Context, batch []*post) {
	var bodies []string
	for _, w := range batch {
		bodies = append(bodies, w.Body)
	}
	p.mu.Lock()
	p.batches = append(p.batches, bodies)
	p.mu.Unlock()
	<-p.go_on
	for _, w := range batch {
		w.settle(chat.Change{}, false, nil)
	}
}

// queue starts one post; its error arrives on the channel.
func queue(ctx context.Context, s *commits, room chat.RoomID, roles []authz.Role, body string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, _, err := s.store(ctx, roles, chat.Post{Room: room, Body: body})
		done <- err
	}()
	synctest.Wait()
	return done
}

func TestCommits_postsThatArriveDuringABatchAreTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pen{go_on: make(chan struct{})}
		s := newCommits(4, p.write)
		room := chat.RoomID{UUID: uuid.New()}
		for i := range 300 {
			queue(t.Context(), s, room, send, fmt.Sprint(i))
		}
		close(p.go_on)
		s.close()
		var sizes []int
		n := 0
		for _, b := range p.batches {
			sizes = append(sizes, len(b))
			for _, body := range b {
				if body != fmt.Sprint(n) {
					t.Fatalf("post %d is %s: out of order", n, body)
				}
				n++
			}
		}
		if fmt.Sprint(sizes) != "[1 256 43]" {
			t.Errorf("batches of %v, want 1, 256 and 43", sizes)
		}
		if len(s.queues) != 0 || s.posts != 0 || s.bytes != 0 {
			t.Errorf("left behind: %d queues, %d posts, %d bytes", len(s.queues), s.posts, s.bytes)
		}
	})
}

func TestCommits_postsThatAskForOtherRolesAreAnotherBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pen{go_on: make(chan struct{})}
		s := newCommits(4, p.write)
		room := chat.RoomID{UUID: uuid.New()}
		for i, roles := range [][]authz.Role{send, send, read, send} {
			queue(t.Context(), s, room, roles, fmt.Sprint(i))
		}
		close(p.go_on)
		s.close()
		if got := fmt.Sprint(p.batches); got != "[[0] [1] [2] [3]]" {
			t.Errorf("batches %s", got)
		}
	})
}

func TestCommits_roomsDoNotWaitForEachOtherButForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pen{go_on: make(chan struct{})}
		s := newCommits(2, p.write)
		for i := range 3 {
			queue(t.Context(), s, chat.RoomID{UUID: uuid.New()}, send, fmt.Sprint(i))
		}
		if len(p.batches) != 2 {
			t.Errorf("%d batches at once, want 2", len(p.batches))
		}
		close(p.go_on)
		s.close()
		if len(p.batches) != 3 {
			t.Errorf("%d batches, want 3", len(p.batches))
		}
	})
}

func TestCommits_areBoundedInPostsAndBytes(t *testing.T) {
	for _, c := range []struct {
		name  string
		rooms int
		size  int
		want  int // queued before the first refusal, beside one in each room's pen
	}{
		{"one room", 1, 1, roomPosts},
		{"all rooms", 40, 1, queuePosts},
		{"bytes", 40, queueBytes / 4096, 4096},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pen{go_on: make(chan struct{})}
				s := newCommits(100, p.write)
				body := strings.Repeat("x", c.size)
				rooms := make([]chat.RoomID, c.rooms)
				for i := range rooms {
					rooms[i].UUID = uuid.New()
					queue(t.Context(), s, rooms[i], send, body)
				}
				n := 0
				for ; n <= c.want; n++ {
					w := &post{roles: send, Post: chat.Post{Room: rooms[n%c.rooms], Body: body}, done: make(chan struct{})}
					if err := s.add(w); err != nil {
						if kind(t, "full", err, chat.Busy); !errors.Is(err, errFull) {
							t.Error(err)
						}
						break
					}
				}
				if n != c.want {
					t.Errorf("%d posts were queued, want %d", n, c.want)
				}
				close(p.go_on)
				s.close()
				if s.posts != 0 || s.bytes != 0 {
					t.Errorf("counted %d posts and %d bytes at the end", s.posts, s.bytes)
				}
			})
		})
	}
}

func TestCommits_aCallerWhoLeavesFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pen{go_on: make(chan struct{})}
		s := newCommits(1, p.write)
		room := chat.RoomID{UUID: uuid.New()}
		taken := queue(t.Context(), s, room, send, "taken")
		ctx, leave := context.WithCancel(t.Context())
		left := queue(ctx, s, room, send, "left")
		stays := queue(t.Context(), s, room, send, "stays")
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if s.posts != 1 || s.bytes != len("stays") {
			t.Errorf("%d posts, %d bytes", s.posts, s.bytes)
		}
		if err := <-queue(ctx, s, room, send, "never"); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who had left before: %v", err)
		}
		close(p.go_on)
		if err := errors.Join(<-taken, <-stays); err != nil {
			t.Error(err)
		}
		s.close()
		if got := fmt.Sprint(p.batches); got != "[[taken] [stays]]" {
			t.Errorf("batches %s", got)
		}
	})
}
