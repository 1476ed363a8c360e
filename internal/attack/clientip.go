package attack

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
)

func clientIPAttacks() []Attack {
	return []Attack{{
		Control: "clientip",
		Strict:  true,
		Title:   "every guess claims another address, so that no budget per address is ever spent",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			c, err := t.Visit(ctx)
			if err != nil {
				return Outcome{}, err
			}
			for i := range 100 {
				fake := fmt.Sprintf("203.0.113.%d", i)
				c.Header = http.Header{"X-Forwarded-For": {fake}, "X-Real-Ip": {fake}, "True-Client-Ip": {fake}, "Forwarded": {"for=" + fake}, "Cf-Connecting-Ip": {fake}}
				a, err := c.Call(ctx, http.MethodPost, "/api/sign-in", map[string]string{"username": "nobody-" + rand.Text()[:6], "password": "guess-" + rand.Text()})
				if err != nil {
					return Outcome{}, err
				}
				if a.Status == http.StatusTooManyRequests {
					return lost("stopped after %d tries whatever the headers said", i)
				}
			}
			return won("100 tries were answered")
		},
	}}
}
