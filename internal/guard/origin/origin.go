// Package origin decides which web pages may open a socket.
//
// Threat: cross-site WebSocket hijacking (CWE-1385). A WebSocket handshake is a
// GET that any page in the world may send, and the browser adds the victim's
// cookies to it. CORS does not apply and http.CrossOriginProtection passes it,
// because GET is a "safe" method. SameSite does not stop it either: a sibling
// subdomain or another port of the same host is the same *site*, and even
// Strict "__Host-" cookies are sent from there. Whoever gets such a socket reads
// and writes as the victim.
//
// Rule: the browser names the page in the Origin header and the page cannot
// change it. There must be exactly one, and it must be, byte for byte, an origin
// on the list. Nothing is parsed, lower-cased, trimmed or matched by pattern at
// request time: browsers send the canonical form (RFC 6454 section 6.2), so a
// value that needs help to match is not from a browser.
//
// Second opinion: Sec-Fetch-Site and Sec-Fetch-Mode are written by the browser
// too. Present and wrong, they refuse; absent, they say nothing (Chromium does
// not send them on handshakes, Firefox and Safari do).
//
// Not covered: a client that is no browser sends whatever Origin it likes. It
// has no victim's cookies, so it still needs a session and a ticket of its own.
// Script injected into a listed page passes too: that is for the headers room.
//
// Sources: RFC 6455 sections 4.2.2 and 10.2, ASVS 5.0 4.4.2 and 3.5.3,
// CVE-2025-24010, CVE-2026-34403.
package origin

import (
	"errors"
	"fmt"
	"net/http"
)

// maxShown caps what is kept of a refused Origin for the security event: the
// value is the attacker's, and a log line is no place to store it.
const maxShown = 256

// Why is the rule that a refused request broke, for events and metrics.
type Why string

// The reasons for a refusal.
const (
	Missing   Why = "missing"        // no Origin header: no browser, or one that was stripped
	Several   Why = "several"        // more than one header: a proxy and we could read different ones
	Empty     Why = "empty"          // present without a value
	Null      Why = "null"           // sandboxed frame, data: or file: page: anybody can be null
	Unlisted  Why = "unlisted"       // not, byte for byte, on the list
	Present   Why = "present"        // an Origin where only programs may connect
	FetchSite Why = "sec_fetch_site" // the browser says that another site started the request
	FetchMode Why = "sec_fetch_mode" // the browser says that this is not a WebSocket
)

// Refused is the error of a request that may not open a socket.
// It is for the event stream; the client learns nothing but the status.
type Refused struct {
	Origin string // as sent, at most 256 bytes, not escaped
	Why    Why
}

func (e *Refused) Error() string { return "origin refused: " + string(e.Why) }

// Policy is an allow-list of origins. The zero Policy refuses everything.
// It does not change after New and is safe for concurrent use.
type Policy struct {
	own    string
	listed map[string]bool
}

// New returns a Policy for the given origins in the form a browser sends them,
// "https://app.example.com" or "http://127.0.0.1:8080". The first is the
// application's own; the others are front ends served from elsewhere. It refuses
// an empty list and every value that no browser would send: wildcards, paths,
// credentials, upper case, default ports, non-ASCII names.
func New(allowed ...string) (*Policy, error) {
	if len(allowed) == 0 {
		return nil, errors.New("origin: the list of allowed origins is empty")
	}
	p := &Policy{own: allowed[0], listed: make(map[string]bool, len(allowed))}
	for _, o := range allowed {
		if err := canonical(o); err != nil {
			return nil, fmt.Errorf("origin: allowed origin %q: %w", o, err)
		}
		p.listed[o] = true
	}
	return p, nil
}

// Allowed reports whether origin is on the list.
func (p *Policy) Allowed(origin string) bool { return p.listed[origin] }

// Check refuses, with a *[Refused], a handshake that was not started by a page
// of a listed origin. It reads headers only and has no side effect, so that it
// can run before a session is loaded or a ticket is spent.
//
//control:name origin
func (p *Policy) Check(r *http.Request) error {
	sent := r.Header["Origin"]
	switch {
	case len(sent) == 0:
		return refuse("", Missing)
	case len(sent) > 1:
		return refuse(sent[0], Several)
	case sent[0] == "":
		return refuse("", Empty)
	case sent[0] == "null":
		return refuse("null", Null)
	case !p.Allowed(sent[0]):
		return refuse(sent[0], Unlisted)
	}
	return p.checkFetch(r, sent[0])
}

// checkFetch hears the second witness. For the application's own origin only
// "same-origin" is true. A further listed origin is another site by intention,
// so it may say so; "none" (typed by the user) is never true of a socket.
func (p *Policy) checkFetch(r *http.Request, origin string) error {
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 {
		elsewhere := origin != p.own && (site[0] == "same-site" || site[0] == "cross-site")
		if len(site) > 1 || site[0] != "same-origin" && !elsewhere {
			return refuse(origin, FetchSite)
		}
	}
	if mode := r.Header["Sec-Fetch-Mode"]; len(mode) > 0 {
		if len(mode) > 1 || mode[0] != "websocket" {
			return refuse(origin, FetchMode)
		}
	}
	return nil
}

// CheckNone is the rule of the route for programs (bots, command line): it
// refuses, with a *[Refused], every request that carries an Origin at all.
// Browsers always send one and cannot be told not to, so no page can use that
// route, listed or not. The route must ignore cookies as well.
//
//control:name origin
func (p *Policy) CheckNone(r *http.Request) error {
	sent, found := r.Header["Origin"]
	if !found {
		return nil
	}
	if len(sent) == 0 {
		return refuse("", Present)
	}
	return refuse(sent[0], Present)
}

func refuse(origin string, why Why) *Refused {
	return &Refused{Origin: origin[:min(len(origin), maxShown)], Why: why}
}
