package postgres

import (
	"sync/atomic"
	"testing"

	"example.com/portcullis/internal/chat"
)

// BenchmarkAppend compares one caller after the other, each post a transaction of its
// own, with 100 at once, whose posts share transactions.
func BenchmarkAppend(b *testing.B) {
	w := newWorld(b, Options{MaxConns: 8})
	ann := w.user("ann")
	for _, c := range []struct {
		name    string
		callers int
	}{{"single", 1}, {"batched", 100}} {
		b.Run(c.name, func(b *testing.B) {
			room := w.room(ann, chat.Open)
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error, c.callers)
			b.ResetTimer()
			for range c.callers {
				go func() {
					for left.Add(-1) >= 0 {
						if _, _, err := w.Rooms().Append(w.ctx, send, draft(ann, room, "Forty characters of everyday small talk.")); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range c.callers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
	}
}
