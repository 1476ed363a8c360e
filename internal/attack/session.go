package attack

import (
	"context"
	"net/http"
)

func sessionAttacks() []Attack {
	return []Attack{
		{
			Control: "session",
			Title:   "an attacker plants a cookie before the victim signs in and uses it afterwards (fixation)",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				known, err := t.Person(ctx, "victim")
				if err != nil {
					return Outcome{}, err
				}
				victim, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				planted := victim.Cookie
				if err := victim.do(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": known.User.Username, "password": Password}, 200, nil); err != nil {
					return Outcome{}, err
				}
				return useCookie(ctx, t, planted)
			},
		},
		{
			Control: "session",
			Title:   "a thief goes on with the cookie after its owner signed out",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				stolen := victim.Cookie
				if err := victim.do(ctx, http.MethodPost, "/api/sign-out", map[string]string{}, 204, nil); err != nil {
					return Outcome{}, err
				}
				return useCookie(ctx, t, stolen)
			}),
		},
		{
			Control: "session",
			Title:   "a thief opens a socket with the cookie after its owner signed out, with a ticket from before",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				stolen := victim.Cookie
				ticket, err := victim.Ticket(ctx, "/ws")
				if err != nil {
					return Outcome{}, err
				}
				if err := victim.do(ctx, http.MethodPost, "/api/sign-out", map[string]string{}, 204, nil); err != nil {
					return Outcome{}, err
				}
				thief := &Client{t: t, Header: http.Header{}, Cookie: stolen}
				s, err := thief.Open(ctx, Handshake{Ticket: ticket})
				return handshakeOutcome(s, err)
			}),
		},
		{
			Control: "session",
			Title:   "a thief's cookie survives the owner's change of password",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				stolen := victim.Cookie
				if err := victim.do(ctx, http.MethodPost, "/api/password", map[string]string{"current_password": Password, "new_password": Password + "-next"}, 204, nil); err != nil {
					return Outcome{}, err
				}
				return useCookie(ctx, t, stolen)
			}),
		},
		{
			Control: "session",
			Title:   "a second cookie of the same name is tossed in front of the victim's",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				mallory, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				victim, err := t.Person(ctx, "victim")
				if err != nil {
					return Outcome{}, err
				}
				ticket, err := mallory.Ticket(ctx, "/ws")
				if err != nil {
					return Outcome{}, err
				}
				s, err := victim.Open(ctx, Handshake{Ticket: ticket, Cookie: mallory.Cookie + "; " + cookieName + "=" + victim.Cookie})
				return handshakeOutcome(s, err)
			},
		},
	}
}

// useCookie reports whether cookie still signs anybody in.
func useCookie(ctx context.Context, t *Target, cookie string) (Outcome, error) {
	thief := &Client{t: t, Header: http.Header{}, Cookie: cookie}
	a, err := thief.Call(ctx, http.MethodGet, "/api/rooms", nil)
	if err != nil {
		return Outcome{}, err
	}
	if a.Status == http.StatusOK {
		return won("read the rooms: %s", a.Body)
	}
	return lost("answered %d", a.Status)
}
