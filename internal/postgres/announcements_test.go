package postgres

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/portcullis/internal/chat"
)

func TestAnnouncements_areReadInOrderAndOnlyTheNewest(t *testing.T) {
	w := newWorld(t, Options{})
	board := w.Announcements()
	if list, err := board.Announced(w.ctx, 0); err != nil || len(list) != 0 {
		t.Fatalf("an empty board has %v, %v", list, err)
	}
	const many = chat.MaxAnnouncements + 5
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if _, err := board.Announce(w.ctx, fmt.Sprintf("word %d", i), time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := board.Announced(w.ctx, 0)
	if err != nil || len(list) != chat.MaxAnnouncements || list[len(list)-1].Seq != many {
		t.Fatalf("got %d announcements, %v", len(list), err)
	}
	for i, a := range list[1:] {
		if a.Seq != list[i].Seq+1 {
			t.Fatalf("seq %d after %d", a.Seq, list[i].Seq)
		}
	}
	if list, err = board.Announced(w.ctx, many-1); err != nil || len(list) != 1 || list[0].Body == "" || list[0].At.IsZero() {
		t.Errorf("after %d: %+v, %v", many-1, list, err)
	}
}
