// Package csrf makes sure that a change was asked for by one of our own pages.
//
// Threat: cross-site request forgery. The browser adds the victim's cookies to
// what any page sends, so a foreign page can sign the victim out, change things
// in the victim's name, mint a socket ticket, or sign the victim in to the
// attacker's account and collect what is written there.
//
// Rule, for every method that changes state, two witnesses must agree:
//  1. The browser: [http.CrossOriginProtection] reads Sec-Fetch-Site, else Origin
//     against Host. A request with neither is no browser's and passes this part.
//  2. The page: a synchronizer token, a secret of the session that a foreign page
//     cannot read, sent in the header X-CSRF-Token or, by a plain HTML form, in
//     the field csrf_token. It is compared in constant time.
//
// The token is masked with fresh random bytes in every response: the page's
// compressed length then says nothing about the secret (BREACH, CVE-2013-3587),
// and no two responses carry the same text.
//
// Visitors need a session with a secret before they sign in, or signing in can be
// forged; the secret must change when they do.
//
// Not covered: GET, HEAD and OPTIONS are not checked, so they must never change
// state; in particular the WebSocket handshake is a GET and needs the origin
// room. A JSON route must insist on the type application/json itself: a form may
// send JSON as text/plain, though never with our header. Script injected into our
// own page can read the token: that is for the headers room.
//
// Source: ASVS 5.0 3.5.1 to 3.5.3, OWASP CSRF cheat sheet.
package csrf

import (
	"fmt"
	"mime"
	"net/http"
)

const (
	// Header is where scripts send the token. A foreign page cannot set a header
	// of that name without a CORS preflight, which nobody answers.
	Header = "X-CSRF-Token"

	// Field is where plain HTML forms send the token.
	Field = "csrf_token"

	// maxForm bounds the form body that is read to find the field: the longest
	// form is a message of 4,096 characters, up to 12 bytes each when escaped.
	maxForm = 64 << 10
)

// Why is the rule that a refused request broke, for events and metrics.
type Why string

// The reasons for a refusal.
const (
	CrossOrigin Why = "cross_origin" // the browser says that another site sent it
	BadForm     Why = "bad_form"     // the form cannot be read or is longer than 64 KiB
	Missing     Why = "missing"      // no token
	Invalid     Why = "invalid"      // a token, but not of this session
)

// Refused is the error of a request that may not change anything.
type Refused struct{ Why Why }

func (e *Refused) Error() string { return "csrf refused: " + string(e.Why) }

// Guard checks requests. Create it with New; it is safe for concurrent use.
type Guard struct {
	browser *http.CrossOriginProtection
}

// New returns a Guard. Pages of the server's own origin are always let in;
// trusted names further origins, like "https://app.example.com", that may send
// changes from elsewhere.
func New(trusted ...string) (*Guard, error) {
	g := &Guard{browser: http.NewCrossOriginProtection()}
	for _, origin := range trusted {
		if err := g.browser.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("csrf: %w", err)
		}
	}
	return g, nil
}

// Check refuses, with a *[Refused], a request that would change state and was
// not sent by a page that knows the secret of its session. A session without a
// secret refuses. If the body is a form of type
// application/x-www-form-urlencoded and the header is absent, the form is parsed;
// multipart forms are not, because that would store an upload before it was
// allowed: send the header with them.
//
//control:name csrf
func (g *Guard) Check(r *http.Request, secret []byte) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if g.browser.Check(r) != nil {
		return &Refused{CrossOrigin}
	}
	sent, err := token(r)
	switch {
	case err != nil:
		return &Refused{BadForm}
	case len(sent) == 0:
		return &Refused{Missing}
	case len(sent) > 1 || !Valid(secret, sent[0]):
		return &Refused{Invalid}
	}
	return nil
}

// token returns what was sent as token. The query string is never looked at: it
// ends up in logs, histories and Referer headers.
func token(r *http.Request) ([]string, error) {
	if sent := r.Header[http.CanonicalHeaderKey(Header)]; len(sent) > 0 {
		return sent, nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.Body == nil {
		return nil, nil
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	return r.PostForm[Field], nil
}
