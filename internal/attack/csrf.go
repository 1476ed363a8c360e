package attack

import (
	"context"
	"net/http"
	"strings"
)

func csrfAttacks() []Attack {
	return []Attack{
		forgery("mint a ticket", http.MethodPost, "/api/ws-ticket", `{"route":"/ws"}`, http.StatusCreated),
		forgery("sign the victim out", http.MethodPost, "/api/sign-out", `{}`, http.StatusNoContent),
		forgery("make a room", http.MethodPost, "/api/rooms", `{"title":"x","visibility":"open"}`, http.StatusCreated),
		{
			Control: "csrf",
			Title:   "a cross-site form smuggles JSON as text/plain, which needs no preflight",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				return forge(ctx, victim, http.MethodPost, "/api/rooms", `{"title":"x","visibility":"open"}`, http.Header{
					"Content-Type": {"text/plain"}, "X-Csrf-Token": {victim.CSRF}, "Origin": {t.Base.String()},
				}, http.StatusCreated)
			}),
		},
		{
			Control: "csrf",
			Title:   "an attacker uses a token of their own session against the victim's",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				mallory, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				return forge(ctx, victim, http.MethodPost, "/api/ws-ticket", `{"route":"/ws"}`, http.Header{
					"Content-Type": {"application/json"}, "X-Csrf-Token": {mallory.CSRF}, "Origin": {t.Base.String()},
				}, http.StatusCreated)
			}),
		},
		{
			Control: "csrf",
			Title:   "a page signs the victim in to the attacker's account and reads later what they wrote there",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				mallory, err := t.Person(ctx, "mallory")
				if err != nil {
					return Outcome{}, err
				}
				body := `{"username":"` + mallory.User.Username + `","password":"` + Password + `"}`
				for _, h := range []http.Header{
					{"Content-Type": {"application/json"}, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}},
					{"Content-Type": {"application/json"}, "X-Csrf-Token": {mallory.CSRF}, "Origin": {t.Base.String()}},
				} {
					out, err := forge(ctx, victim, http.MethodPost, "/api/sign-in", body, h, http.StatusOK)
					if err != nil || out.Won {
						return out, err
					}
				}
				return lost("the victim is still the victim")
			}),
		},
		{
			Control: "csrf",
			Title:   "a sibling host says our own Origin, with a browser that says same-site, and the right token",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				return forge(ctx, victim, http.MethodPost, "/api/sign-out", `{}`, http.Header{
					"Content-Type": {"application/json"}, "X-Csrf-Token": {victim.CSRF}, "Origin": {t.Base.String()}, "Sec-Fetch-Site": {"same-site"},
				}, http.StatusNoContent)
			}),
		},
		{
			Control: "csrf",
			Title:   "a same-site sibling, which SameSite cookies do not stop, posts with a stolen-looking token",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				return forge(ctx, victim, http.MethodPost, "/api/ws-ticket", `{"route":"/ws"}`, http.Header{
					"Content-Type": {"application/json"}, "X-Csrf-Token": {victim.CSRF},
					"Origin": {t.Base.Scheme + "://attacker." + parent(t.Base.Hostname()) + port(t)}, "Sec-Fetch-Site": {"same-site"},
				}, http.StatusCreated)
			}),
		},
	}
}

// forgery is a request that a foreign page can make the victim's browser send.
func forgery(what, method, path, body string, success int) Attack {
	return Attack{
		Control: "csrf",
		Title:   "a foreign page makes the victim's browser " + what,
		Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
			return forge(ctx, victim, method, path, body, http.Header{"Content-Type": {"application/json"}, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, success)
		}),
	}
}

func forge(ctx context.Context, victim *Client, method, path, body string, header http.Header, success int) (Outcome, error) {
	a, err := victim.Raw(ctx, method, path, header, strings.NewReader(body))
	if err != nil {
		return Outcome{}, err
	}
	if a.Status == success {
		return won("the server did it: %d %s", a.Status, a.Body)
	}
	return lost("refused with %d %s", a.Status, a.Code())
}
