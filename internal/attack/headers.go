package attack

import (
	"context"
	"net/http"
	"strings"
)

// wanted are the headers that every answer must carry, and a part of their value.
var wanted = map[string]string{
	"Content-Security-Policy":      "default-src 'none'",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "",
}

func headerAttacks() []Attack {
	return []Attack{{
		Control: "headers",
		Title:   "an error page or a refused handshake is framed, sniffed or scripted, because only good answers carry the headers",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			c, err := t.Visit(ctx)
			if err != nil {
				return Outcome{}, err
			}
			for _, path := range []string{"/sign-in", "/", "/api/session", "/no/such/page", "/api/rooms", "/ws", "/ws/auth", "/ws/cli", "/csp-report", "/schemas/none.json", "/static/x/none.js"} {
				a, err := c.Raw(ctx, http.MethodGet, path, http.Header{}, nil)
				if err != nil {
					return Outcome{}, err
				}
				for name, part := range wanted {
					if v := a.Header.Get(name); v == "" || !strings.Contains(v, part) {
						return won("%s answered %d with %s: %q", path, a.Status, name, v)
					}
				}
				if v := a.Header.Get("Server") + a.Header.Get("X-Powered-By"); v != "" {
					return won("%s says what it is: %q", path, v)
				}
				csp := a.Header.Get("Content-Security-Policy")
				for _, bad := range []string{"unsafe-inline", "unsafe-eval", "wss:;", "ws:;", "https:;", "*"} {
					if strings.Contains(csp, bad) {
						return won("%s allows %q in its policy", path, bad)
					}
				}
			}
			return lost("every answer carries every header")
		},
	}}
}
