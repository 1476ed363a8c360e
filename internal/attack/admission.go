package attack

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

func admissionAttacks() []Attack {
	return []Attack{
		{
			Control: "admission",
			Strict:  true,
			Title:   "one client knocks 60 times a second with bad tickets",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				for i := range 60 {
					_, err := c.Open(ctx, Handshake{Ticket: "not.a.ticket"})
					r, ok := errors.AsType[*Refused](err)
					if !ok {
						return Outcome{}, err
					}
					if r.Status == http.StatusTooManyRequests {
						return lost("stopped after %d handshakes", i)
					}
				}
				return won("60 handshakes were looked at")
			},
		},
		{
			Control: "admission",
			Title:   "one user takes more sockets than a user may have",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				mallory, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				var open []*Socket
				defer func() {
					for _, s := range open {
						s.Close()
					}
				}()
				const allowed = 5 // the default of PORTCULLIS_SOCKETS_PER_USER
				for range allowed + 3 {
					s, err := mallory.Open(ctx, Handshake{})
					if r, ok := errors.AsType[*Refused](err); ok {
						return refusedAfter(len(open), allowed, r)
					}
					if err != nil {
						return Outcome{}, err
					}
					open = append(open, s)
				}
				return won("%d sockets are open", len(open))
			},
		},
		{
			Control: "admission",
			Title:   "a slow-loris handshake holds a connection open, one header byte at a time",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				conn, err := t.dial(ctx, "", "")
				if err != nil {
					return Outcome{}, err
				}
				defer conn.Close()
				if _, err := conn.Write([]byte("GET /ws HTTP/1.1\r\nHost: " + t.Base.Host + "\r\nX-Slow: ")); err != nil {
					return Outcome{}, err
				}
				begin := time.Now()
				tick := time.NewTicker(500 * time.Millisecond)
				defer tick.Stop()
				buf := make([]byte, 512)
				for time.Since(begin) < 10*time.Second {
					<-tick.C
					if _, err := conn.Write([]byte("a")); err != nil {
						return lost("dropped after %s", time.Since(begin).Round(time.Second))
					}
					_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
					if _, err := conn.Read(buf); err != nil {
						if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
							continue
						}
						return lost("dropped after %s", time.Since(begin).Round(time.Second))
					}
					return lost("answered %.12q after %s", buf, time.Since(begin).Round(time.Second))
				}
				return won("held for 10 s")
			},
		},
	}
}

func refusedAfter(open, allowed int, r *Refused) (Outcome, error) {
	if open > allowed {
		return won("refused only after %d", open)
	}
	return lost("refused with %d after %d", r.Status, open)
}
