// Package host decides under which names the server answers.
//
// Threat: DNS rebinding. A page on evil.example lets its own name point to
// 127.0.0.1 (or to an address of the victim's network) after it has loaded. From
// then on the victim's browser takes our server for evil.example: same origin,
// no CORS, and from an address that every IP allow-list trusts. Also, a server
// that believes the Host header builds links, redirects and origin comparisons
// out of the attacker's text (CWE-350, CVE-2025-24010).
//
// Rule: the one thing that the page cannot change is the Host header, which
// carries the name that the browser believes in. It must be a name that we were
// configured to have, on every route. Only Host counts: X-Forwarded-Host and
// Forwarded are the client's text and are never read, so a proxy has to pass
// Host on unchanged.
//
// Not covered: a program sends any Host it likes; it gains nothing by it that a
// direct connection would not give. Answer a refusal with 421 Misdirected Request.
//
// Source: ASVS 5.0 4.1.3, RFC 9110 sections 7.2 and 15.5.20.
package host

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxShown caps what is kept of a refused Host for the security event.
const maxShown = 256

// Refused is the error of a request for a name that is not ours.
type Refused struct {
	Host string // as sent, at most 256 bytes, not escaped
}

func (e *Refused) Error() string { return "host refused" }

// Policy is an allow-list of names. The zero Policy refuses everything.
// It does not change after New and is safe for concurrent use.
type Policy struct {
	listed map[string]bool
}

// New returns a Policy for the names in the given origins, such as
// "https://app.example.com" or "http://app.portcullis.localhost:8080". An origin
// rather than a bare name, because the scheme says which port may be left out.
// It refuses an empty list, wildcards, paths and names in upper case.
func New(origins ...string) (*Policy, error) {
	if len(origins) == 0 {
		return nil, errors.New("host: the list of hosts is empty")
	}
	p := &Policy{listed: make(map[string]bool, len(origins))}
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Hostname() == "" || o != u.Scheme+"://"+u.Host || o != strings.ToLower(o) || strings.ContainsAny(o, "*, ") || strings.HasSuffix(o, ":") {
			return nil, fmt.Errorf("host: %q is not an origin like https://app.example.com", o)
		}
		p.listed[u.Host] = true
		bare := strings.TrimSuffix(u.Host, ":"+u.Port())
		switch {
		case u.Scheme != "https" && u.Scheme != "http":
			return nil, fmt.Errorf("host: the scheme of %q must be https or http", o)
		case u.Scheme == "https" && (u.Port() == "" || u.Port() == "443"):
			p.listed[bare], p.listed[bare+":443"] = true, true
		case u.Scheme == "http" && (u.Port() == "" || u.Port() == "80"):
			p.listed[bare], p.listed[bare+":80"] = true, true
		}
	}
	return p, nil
}

// Check refuses, with a *[Refused], a request for a host that is not listed.
// Case does not matter (RFC 9110 section 4.2.3); everything else does, and the
// trailing dot of an absolute name too, because browsers treat it as another origin.
//
//control:name host
func (p *Policy) Check(r *http.Request) error {
	if !p.listed[lowerASCII(r.Host)] {
		return &Refused{Host: r.Host[:min(len(r.Host), maxShown)]}
	}
	return nil
}

// lowerASCII is strings.ToLower without Unicode folding, in which the Kelvin
// sign becomes a "k" and an unlisted name a listed one.
//
//control:name host
func lowerASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}
