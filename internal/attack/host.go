package attack

import (
	"context"
	"errors"
	"net/http"
)

func hostAttacks() []Attack {
	return []Attack{{
		Control: "host",
		Title:   "a page of evil.test, whose name was rebound to this machine, opens a socket",
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			// After rebinding, Host and Origin agree with each other; only a list can tell.
			origin := "http://evil.test"
			s, err := victim.Open(ctx, Handshake{Host: "evil.test", Origin: &origin})
			return handshakeOutcome(s, err)
		}),
	}, {
		Control: "host",
		Title:   "a rebound page reads the session endpoint",
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			a, err := victim.Raw(ctx, http.MethodGet, "/api/session", http.Header{"Host": {"evil.test"}}, nil)
			if err != nil {
				return Outcome{}, err
			}
			if a.Status == http.StatusOK {
				return won("read %d bytes of the victim's session", len(a.Body))
			}
			return lost("answered %d", a.Status)
		}),
	}}
}

// handshakeOutcome is the verdict on a handshake that should have been refused.
func handshakeOutcome(s *Socket, err error) (Outcome, error) {
	if err == nil {
		defer s.Close()
		return won("hello: %s", s.Hello.Raw)
	}
	if r, ok := errors.AsType[*Refused](err); ok {
		return lost("refused with %d", r.Status)
	}
	return Outcome{}, err
}
