package attack

import (
	"context"
	"net/http"
	"strings"
)

// adminRoutes is everything of the dashboard, as its page and its source tell.
var adminRoutes = []struct{ method, path, form string }{
	{http.MethodGet, "/admin/security", ""},
	{http.MethodGet, "/api/admin/events", ""},
	{http.MethodPost, "/admin/security/sockets/x/close", ""},
	{http.MethodPost, "/admin/security/sessions/x/end", "user=0198f0c2-0000-7000-8000-000000000000"},
	{http.MethodPost, "/admin/security/users/disable", "username=root"},
	{http.MethodPost, "/admin/security/blocks", "subject=198.51.100.7&minutes=15&reason=because"},
	{http.MethodPost, "/admin/security/responses/1/lift", ""},
	{http.MethodPost, "/admin/security/announcements", "body=All+your+base"},
}

func adminAttacks() []Attack {
	return []Attack{
		{
			Control: "admin-separation",
			Title:   "a user makes an administrator of themselves, with a field that no form has",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				c, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				for _, field := range []string{"role", "site_role", "is_admin"} {
					a, err := c.Call(ctx, http.MethodPost, "/api/sign-up", map[string]any{"username": "eve-" + newID()[3:11], "password": Password, field: "admin"})
					if err != nil {
						return Outcome{}, err
					}
					if a.Status < 300 {
						return won("signed up with %s: %s", field, a.Body)
					}
				}
				return lost("there is no such field")
			},
		},
		{
			Control: "admin-separation",
			Title:   "a user calls everything that the dashboard of administrators calls, with a token that is right",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				for _, rt := range adminRoutes {
					header := http.Header{}
					if rt.method == http.MethodPost {
						header.Set("Content-Type", "application/x-www-form-urlencoded")
						header.Set("Origin", t.Base.String())
						header.Set("X-CSRF-Token", victim.CSRF)
					}
					a, err := victim.Raw(ctx, rt.method, rt.path, header, strings.NewReader(rt.form))
					if err != nil {
						return Outcome{}, err
					}
					if a.Status != http.StatusNotFound {
						return won("%s %s answered %d: there is something, %s", rt.method, rt.path, a.Status, a.Body)
					}
				}
				return lost("none of %d addresses exists for a user", len(adminRoutes))
			}),
		},
		{
			Control: "admin-separation",
			Title:   "script in a chat page sends commands of administration over the socket",
			Run: withVictim(func(ctx context.Context, _ *Target, victim *Client) (Outcome, error) {
				s, err := victim.Open(ctx, Handshake{})
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				for _, kind := range []string{"admin.close", "session.end", "user.disable", "response.block", "user.role", "announce"} {
					f, err := s.Ask(kind, map[string]any{"user_id": victim.User.ID, "role": "admin"})
					if err != nil {
						return Outcome{}, err
					}
					if f.Type != "error" {
						return won("%s was answered with %s", kind, f.Raw)
					}
				}
				return lost("the socket has no such commands")
			}),
		},
	}
}
