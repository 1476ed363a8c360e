package socket

import (
	"context"
	"math/rand/v2"
	"time"

	"example.com/portcullis/internal/wire"
)

const (
	// closesPerSecond is how fast a stopping node sends its clients away, so that they
	// do not all knock at its neighbours in the same moment.
	closesPerSecond = 2000
	// noticeSlug tells clients that the 1012 that follows is planned.
	noticeSlug = "restarting"
)

// Shutdown refuses handshakes, tells every client, closes every socket with 1012,
// spread at random over a short time, and waits until nothing of the server runs.
// When ctx ends first, what is left is cut off and the error is that of ctx.
//
//control:name drain
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	s.hub.close()

	notice := &batch{buf: appendFrame(nil, opText, wire.Notice(nil, noticeSlug))}
	conns := s.hub.everyone()
	for _, c := range conns {
		if c.is(ready) && c.route.door == nil {
			c.put(entry{b: notice.in(c.encoding).buf})
		}
	}
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	pause := time.NewTicker(time.Second / 100)
	defer pause.Stop()
	for i, c := range conns {
		c.close(closeRestart)
		if i%(closesPerSecond/100) == closesPerSecond/100-1 {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}

	done := make(chan struct{})
	go func() {
		s.work.Wait()
		s.crew.stop()
		s.hub.passes.Wait()
		s.tidings.stop()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.end()
	for _, c := range s.hub.everyone() {
		c.close(closeRestart)
		_ = c.out.net.Close()
	}
	<-done // every read, write and call has a deadline, so this ends
	return err
}
