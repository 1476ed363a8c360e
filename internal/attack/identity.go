package attack

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// stepUpWait is more than PORTCULLIS_STEP_UP_WITHIN of the server that is attacked.
const stepUpWait = 11 * time.Second

// ListedReader is the origin in PORTCULLIS_CORS_ORIGINS of the server that is attacked.
const ListedReader = "https://reader.example.org"

func identityAttacks() []Attack {
	return []Attack{
		{
			Control: "step-up",
			Title:   "a thief with the cookie of a session that was left open signs its owner out everywhere else",
			Strict:  true,
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				other, err := t.SignIn(ctx, victim.User.Username, Password)
				if err != nil {
					return Outcome{}, err
				}
				select { // the owner goes for a coffee
				case <-time.After(stepUpWait):
				case <-ctx.Done():
					return Outcome{}, ctx.Err()
				}
				for _, call := range []struct{ method, path string }{
					{http.MethodPost, "/api/sessions/revoke-others"}, {http.MethodDelete, "/api/sessions/" + other.SID}, {http.MethodPost, "/api/passkeys/begin"},
				} {
					a, err := victim.Call(ctx, call.method, call.path, nil)
					if err != nil {
						return Outcome{}, err
					}
					if a.Status < 300 {
						return won("%s %s: %d", call.method, call.path, a.Status)
					}
					if a.Code() != "step_up_required" {
						return Outcome{}, fmt.Errorf("%s %s: %d %s", call.method, call.path, a.Status, a.Body)
					}
				}
				return lost("a fresh proof is asked for")
			}),
		},
		{
			Control: "step-up",
			Title:   "a thief with a stolen cookie guesses the password where only its owner is asked for it",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				before := victim.Cookie
				for _, guess := range []string{"", "password", victim.User.Username, Password + " "} {
					a, err := victim.Call(ctx, http.MethodPost, "/api/step-up", map[string]string{"password": guess})
					if err != nil {
						return Outcome{}, err
					}
					if a.Status < 300 || victim.Cookie != before {
						return won("%q was taken", guess)
					}
				}
				return lost("each guess is a failed sign-in")
			}),
		},
		{
			Control: "passkey",
			Title:   "a stranger signs in with a passkey that nobody registered, for a user whose id they know",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				mallory, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				var begun struct {
					Options struct {
						Challenge string `json:"challenge"`
					} `json:"options"`
				}
				if err := mallory.do(ctx, http.MethodPost, "/api/passkeys/sign-in/begin", nil, 200, &begun); err != nil {
					return Outcome{}, err
				}
				answer, err := inventedAnswer(t, victim.User.ID, begun.Options.Challenge)
				if err != nil {
					return Outcome{}, err
				}
				a, err := mallory.Call(ctx, http.MethodPost, "/api/passkeys/sign-in", map[string]any{"credential": answer})
				if err != nil {
					return Outcome{}, err
				}
				if a.Status == http.StatusOK {
					return won("signed in: %s", a.Body)
				}
				return lost("refused with %d %s", a.Status, a.Code())
			}),
		},
		{
			Control: "passkey",
			Title:   "a visitor learns from the questions for a passkey who exists and who has one",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				mallory, err := t.Visit(ctx)
				if err != nil {
					return Outcome{}, err
				}
				a, err := mallory.Call(ctx, http.MethodPost, "/api/passkeys/sign-in/begin", nil)
				if err != nil {
					return Outcome{}, err
				}
				if strings.Contains(string(a.Body), "allowCredentials") || strings.Contains(string(a.Body), victim.User.ID) {
					return won("the question names keys: %s", a.Body)
				}
				named, err := mallory.Call(ctx, http.MethodPost, "/api/passkeys/sign-in", map[string]any{"username": victim.User.Username, "credential": map[string]string{}})
				if err != nil {
					return Outcome{}, err
				}
				if named.Status < 400 {
					return won("a name was taken: %d %s", named.Status, named.Body)
				}
				return lost("there is nothing to name anybody with: %d %s", named.Status, named.Code())
			}),
		},
		{
			Control: "session-limit",
			Title:   "a thief's old session survives however often its owner signs in anew",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				stolen := victim.Cookie
				var newest *Client
				for range 10 {
					var err error
					if newest, err = t.SignIn(ctx, victim.User.Username, Password); err != nil {
						return won("the owner is locked out: %v", err)
					}
				}
				if a, err := newest.Call(ctx, http.MethodGet, "/api/rooms", nil); err != nil || a.Status != http.StatusOK {
					return won("the owner's newest session is dead: %d %v", a.Status, err)
				}
				return useCookie(ctx, t, stolen)
			}),
		},
		{
			Control: "session-limit",
			Title:   "a thief signs in until the owner's oldest session is pushed out, and nobody is told",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				oldest, err := victim.Open(ctx, Handshake{})
				if err != nil {
					return Outcome{}, err
				}
				defer oldest.Close()
				phone, err := t.SignIn(ctx, victim.User.Username, Password)
				if err != nil {
					return Outcome{}, err
				}
				bystander, err := phone.Open(ctx, Handshake{})
				if err != nil {
					return Outcome{}, err
				}
				defer bystander.Close()
				for range 9 {
					if _, err := t.SignIn(ctx, victim.User.Username, Password); err != nil {
						return Outcome{}, err
					}
				}
				if out, err := closedWith(oldest, 4405); err != nil || out.Won {
					return out, err
				}
				if _, err := bystander.Until(2*time.Second, func(f Frame) bool {
					return f.Type == "notice" && strings.Contains(f.Raw, `"session_limit"`)
				}); err != nil {
					return won("the owner's other socket heard nothing: %v", err)
				}
				return lost("the ended session was told why, and the owner's other socket that it ended")
			}),
		},
		{
			Control: "sign-out-cleanup",
			Title:   "the next person at a shared computer finds what the last one left in the browser",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				page, err := victim.Call(ctx, http.MethodGet, "/sessions", nil)
				if err != nil {
					return Outcome{}, err
				}
				if !strings.Contains(page.Header.Get("Cache-Control"), "no-store") {
					return won("the page may be kept: %q", page.Header.Get("Cache-Control"))
				}
				a, err := victim.Call(ctx, http.MethodPost, "/api/sign-out", map[string]string{})
				if err != nil {
					return Outcome{}, err
				}
				cleared := a.Header.Get("Clear-Site-Data")
				for _, what := range []string{`"storage"`, `"cache"`} {
					if !strings.Contains(cleared, what) {
						return won("%s stays: Clear-Site-Data is %q", what, cleared)
					}
				}
				return lost("Clear-Site-Data: %s", cleared)
			}),
		},
		{
			Control: "lease-refresh",
			Title:   "an open socket is given a victim's ticket, so that it acts for the victim from then on",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				_, s, room, err := ownRoom(ctx, t, "closed")
				if err != nil {
					return Outcome{}, err
				}
				defer s.Close()
				ticket, err := victim.Ticket(ctx, "/ws/auth")
				if err != nil {
					return Outcome{}, err
				}
				f, err := s.Ask("auth", map[string]any{"ticket": ticket})
				if err == nil && f.Type != "error" {
					return won("auth was taken: %s", f.Raw)
				}
				f, err = s.Ask("message.send", map[string]any{"room_id": room, "body": "who am I"})
				if err == nil && strings.Contains(f.Raw, victim.User.ID) {
					return won("it speaks as the victim: %s", f.Raw)
				}
				return lost("auth is out of place on an open socket")
			}),
		},
	}
}

// inventedAnswer is what a device of the attacker's says: well formed, for the right
// origin and challenge, with a signature of zeros.
func inventedAnswer(t *Target, userID, challenge string) (map[string]any, error) {
	enc := base64.RawURLEncoding.EncodeToString
	client, err := json.Marshal(map[string]any{"type": "webauthn.get", "challenge": challenge, "origin": t.Base.String(), "crossOrigin": false})
	if err != nil {
		return nil, err
	}
	id := make([]byte, 32)
	rand.Read(id)
	data := make([]byte, 37) // hash of a name, flags, counter
	data[32] = 0x05
	handle := make([]byte, 16)
	if _, err := fmt.Sscanf(strings.ReplaceAll(userID, "-", ""), "%32x", &handle); err != nil {
		return nil, err
	}
	return map[string]any{"id": enc(id), "rawId": enc(id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": map[string]string{
		"clientDataJSON": enc(client), "authenticatorData": enc(data), "signature": enc(make([]byte, 70)), "userHandle": enc(handle),
	}}, nil
}

func corsAttacks() []Attack {
	return []Attack{
		{
			Control: "cors",
			Title:   "a foreign page reads the victim's rooms with fetch",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				for _, origin := range []string{"https://evil.example", "null", t.Base.Scheme + "://attacker." + parent(t.Base.Hostname()) + port(t)} {
					a, err := victim.Raw(ctx, http.MethodGet, "/api/rooms", http.Header{"Origin": {origin}}, nil)
					if err != nil {
						return Outcome{}, err
					}
					if got := a.Header.Get("Access-Control-Allow-Origin"); got != "" {
						return won("%s may read: Access-Control-Allow-Origin: %s", origin, got)
					}
					a, err = victim.Raw(ctx, http.MethodOptions, "/api/rooms", http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"x-csrf-token"}}, nil)
					if err != nil {
						return Outcome{}, err
					}
					if a.Status < 300 || a.Header.Get("Access-Control-Allow-Methods") != "" {
						return won("the preflight of %s was answered with %d", origin, a.Status)
					}
				}
				return lost("no permission, and no preflight is answered")
			}),
		},
		{
			Control: "cors",
			Title:   "a page that CORS lets read opens a socket, which CORS says nothing about",
			Strict:  true,
			Run: withTicket(func(ctx context.Context, t *Target, victim *Client, ticket string) (Outcome, error) {
				a, err := victim.Raw(ctx, http.MethodGet, "/api/rooms", http.Header{"Origin": {ListedReader}}, nil)
				if err != nil {
					return Outcome{}, err
				}
				if a.Header.Get("Access-Control-Allow-Origin") != ListedReader {
					return Outcome{}, fmt.Errorf("the server does not list %s", ListedReader)
				}
				if a.Header.Get("Access-Control-Allow-Credentials") != "" {
					return won("it may read with the victim's cookie")
				}
				listed := ListedReader
				s, err := victim.Open(ctx, Handshake{Origin: &listed, Ticket: ticket})
				return handshakeOutcome(s, err)
			}),
		},
	}
}

func serviceAttacks() []Attack {
	ask := func(ctx context.Context, c *Client, header http.Header) (Outcome, error) {
		a, err := c.Raw(ctx, http.MethodPost, "/api/service/ticket", header, nil)
		if err != nil {
			return Outcome{}, err
		}
		if a.Status < 300 {
			return won("a ticket: %s", a.Body)
		}
		return lost("refused with %d %s", a.Status, a.Code())
	}
	return []Attack{
		{
			Control: "service-identity",
			Title:   "a stranger guesses the key of a service",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				var last Outcome
				for _, key := range []string{"", "pcs_", "pcs_aaaaaaaaaaaa_" + strings.Repeat("A", 52), "null", "pcs_aaaaaaaaaaaa_' OR '1'='1"} {
					out, err := ask(ctx, &Client{t: t}, http.Header{"Authorization": {"Bearer " + key}})
					if err != nil || out.Won {
						return out, err
					}
					last = out
				}
				return last, nil
			},
		},
		{
			Control: "service-identity",
			Title:   "a page rides on the victim's cookie to the tickets of services",
			Run: withVictim(func(ctx context.Context, t *Target, victim *Client) (Outcome, error) {
				return ask(ctx, victim, http.Header{"Origin": {t.Base.String()}, "X-Csrf-Token": {victim.CSRF}})
			}),
		},
	}
}
