package attack

import (
	"context"
	"net/http"
	"regexp"
	"strings"
)

// confessions are words that only an error text of the inside holds. The short ones count
// as whole words: a random token may have their letters.
var confessions = regexp.MustCompile(`(?i)\b(pgx(pool|conn)?|x509|panic|redis)\b|goroutine |\.go:|sqlstate|postgres|\bselect |insert into|runtime error|/home/|/src/|nil pointer`)

// errorAttacks break things on purpose and read what comes back.
func errorAttacks() []Attack {
	return []Attack{{
		Control: "errors",
		Title:   "the text of an error tells which library, statement or file is behind it",
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			const zeros = "00000000-0000-0000-0000-000000000000"
			long := strings.Repeat("9", 400)
			for _, call := range []struct{ method, path, body string }{
				{http.MethodGet, "/api/rooms/x/messages", ""},
				{http.MethodGet, "/api/rooms/" + zeros + "/messages?before=" + long, ""},
				{http.MethodGet, "/api/rooms/" + zeros + "/search?q=%00", ""},
				{http.MethodGet, "/api/rooms/" + zeros + "/search?q=%ff%fe", ""},
				{http.MethodGet, "/rooms/%2e%2e", ""},
				{http.MethodGet, "/source/..%2f..%2fetc%2fpasswd", ""},
				{http.MethodGet, "/controls/%27", ""},
				{http.MethodPost, "/api/rooms", `{"title":`},
				{http.MethodPost, "/api/rooms", `{"title":1e999}`},
				{http.MethodPost, "/api/rooms", `{"title":"a","visibility":"\u0000"}`},
				{http.MethodPost, "/api/direct", `{"username":"` + long + `"}`},
				{http.MethodDelete, "/api/sessions/x", ""},
				{"BREW", "/api/rooms", ""},
			} {
				header := http.Header{"Content-Type": {"application/json"}, "X-Csrf-Token": {victim.CSRF}, "Origin": {t.Base.String()}}
				a, err := victim.Raw(ctx, call.method, call.path, header, strings.NewReader(call.body))
				if err != nil {
					return Outcome{}, err
				}
				if word := confessions.Find(a.Body); word != nil {
					return won("%s %s answered %d and says %q", call.method, call.path, a.Status, word)
				}
				if a.Status == http.StatusInternalServerError {
					return won("%s %s breaks the server: %s", call.method, call.path, a.Body)
				}
			}
			return lost("codes and fixed sentences only")
		}),
	}}
}

// policyAttacks call what only signed-in users may, in ways that have talked other
// servers out of asking who it is.
func policyAttacks() []Attack {
	return []Attack{{
		Control: "route-policy",
		Title:   "a call that pretends to be an upgrade, another method or another path is let through without signing in",
		Run: func(ctx context.Context, t *Target) (Outcome, error) {
			c, err := t.Visit(ctx)
			if err != nil {
				return Outcome{}, err
			}
			upgrade := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
			for _, try := range []struct {
				path   string
				header http.Header
			}{
				{"/api/rooms", upgrade},
				{"/api/sessions", upgrade},
				{"/api/rooms", http.Header{"X-Original-Url": {"/api/session"}, "X-Rewrite-Url": {"/api/session"}}},
				{"/api/rooms", http.Header{"X-Http-Method-Override": {"OPTIONS"}}},
				{"/api/rooms", http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"}}},
				{"/api/rooms", http.Header{"Authorization": {"Bearer null"}}},
				{"//api/rooms", nil},
				{"/api/rooms/", nil},
				{"/API/rooms", nil},
				{"/api/session/../rooms", nil},
				{"/static/..;/api/rooms", nil},
			} {
				a, err := c.Raw(ctx, http.MethodGet, try.path, try.header, nil)
				if err != nil {
					return Outcome{}, err
				}
				if a.Status < 300 {
					return won("%s answered %d %s", try.path, a.Status, a.Body)
				}
			}
			return lost("nobody is let in who is not signed in")
		},
	}}
}
