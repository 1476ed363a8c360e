package attack

import (
	"context"
	"errors"
	"net/http"
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
	}
}

func refusedAfter(open, allowed int, r *Refused) (Outcome, error) {
	if open > allowed {
		return won("refused only after %d", open)
	}
	return lost("refused with %d after %d", r.Status, open)
}
