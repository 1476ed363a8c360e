package attack

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
)

func passwordAttacks() []Attack {
	return []Attack{
		{
			Control: "password",
			Title:   "the answer to a wrong password differs for a name that exists",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				victim, err := t.Person(ctx, "victim")
				if err != nil {
					return Outcome{}, err
				}
				known, err := trySignIn(ctx, t, victim.User.Username, "wrong-password-here")
				if err != nil {
					return Outcome{}, err
				}
				unknown, err := trySignIn(ctx, t, "nobody-"+strings.ToLower(rand.Text()[:8]), "wrong-password-here")
				if err != nil {
					return Outcome{}, err
				}
				if known.Status != unknown.Status || withoutRequestID(known.Body) != withoutRequestID(unknown.Body) {
					return won("%d %s, but %d %s", known.Status, known.Body, unknown.Status, unknown.Body)
				}
				return lost("both are %d %s", known.Status, known.Code())
			},
		},
		{
			Control: "password",
			Title:   "an account is made with a password that everybody tries first",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				for _, weak := range []string{"password123", "qwertyuiop", "1234567890", "iloveyou1", "short"} {
					c, err := t.Visit(ctx)
					if err != nil {
						return Outcome{}, err
					}
					a, err := c.Call(ctx, http.MethodPost, "/api/sign-up", map[string]string{"username": "weak-" + strings.ToLower(rand.Text()[:8]), "password": weak})
					if err != nil {
						return Outcome{}, err
					}
					if a.Status == http.StatusOK {
						return won("%q was accepted", weak)
					}
				}
				return lost("all refused")
			},
		},
		{
			Control: "throttle",
			Strict:  true,
			Title:   "200 passwords are tried for one account, one after the other",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				for i := range 200 {
					a, err := c.Call(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": "alice", "password": "guess-" + rand.Text()})
					if err != nil {
						return Outcome{}, err
					}
					if a.Status == http.StatusTooManyRequests {
						if a.Header.Get("Retry-After") == "" {
							return won("stopped after %d tries, but without Retry-After", i)
						}
						return lost("stopped after %d tries", i)
					}
				}
				return won("200 tries were answered")
			},
		},
	}
}

func trySignIn(ctx context.Context, t *Target, username, password string) (Answer, error) {
	c, err := t.Visit(ctx)
	if err != nil {
		return Answer{}, err
	}
	return c.Call(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": username, "password": password})
}

// withoutRequestID is a body without the one thing that differs between any two answers.
func withoutRequestID(body []byte) string {
	before, after, found := strings.Cut(string(body), `"request_id":"`)
	if !found {
		return string(body)
	}
	_, rest, _ := strings.Cut(after, `"`)
	return before + rest
}
