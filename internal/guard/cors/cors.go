// Package cors decides which other origins may read our answers: none, unless listed.
//
// Threat: a server that echoes any Origin, or says *, or trusts "null", hands its
// answers to every page in the world, with the victim's cookies if it also allows
// credentials (CWE-942, ASVS 3.4.2). The usual way there is a middleware that somebody
// added because a developer's page on another port did not work.
//
// Rule: without a list, no answer has an Access-Control header and a preflight is
// refused as plainly as any method that is not there. A listed origin is compared as a
// whole, byte by byte, and echoed. It may read, without cookies, and send nothing but
// GET; only an origin that is also among those allowed to open sockets
// (PORTCULLIS_ALLOWED_ORIGINS), and so trusted with a user's session anyway, may use
// credentials and the other methods of a route. Vary: Origin goes out in every case, so
// that no cache serves one origin's permission to another.
//
// CORS does not protect sockets. A browser asks nobody before a WebSocket handshake,
// sends the cookies with it, and lets the page read what comes, whatever the headers of
// the answer say: RFC 6455 leaves the decision to the server. That is the origin room,
// with a list of its own; to be listed here opens no socket.
//
// Not covered: no-cors requests, which a page may send anywhere and cannot read: that
// is for the csrf room. A program that is no browser ignores all of this.
package cors

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// headers are what a script of another origin may set; what browsers always allow is
// not among them.
var headers = []string{"content-type", "x-csrf-token"}

// maxAge is how many seconds a browser may remember a preflight's answer: an origin
// that is taken off the list is out after ten minutes.
const maxAge = "600"

// Policy is the list. The zero Policy lists nobody.
type Policy struct {
	listed      []string
	credentials []string // those of listed that are trusted with a session
}

// New returns a Policy for the listed origins. trusted are the origins that may open
// sockets; credentials are for origins in both.
//
//control:name cors
func New(listed, trusted []string) (*Policy, error) {
	p := &Policy{}
	for _, origin := range listed {
		u, err := url.Parse(origin)
		switch {
		case origin == "*" || origin == "null" || strings.ContainsAny(origin, "*?"):
			return nil, fmt.Errorf("cors: %q is no origin: list each one", origin)
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin):
			return nil, fmt.Errorf("cors: %q is not an origin like https://app.example.com", origin)
		}
		p.listed = append(p.listed, origin)
		if slices.Contains(trusted, origin) {
			p.credentials = append(p.credentials, origin)
		}
	}
	return p, nil
}

// ErrRefused is a preflight's refusal.
var ErrRefused = errors.New("cors refused")

// Answer writes the headers of an ordinary answer to r: none for an origin that is not
// listed, and for one that is, the permission to read what it asked for.
//
//control:name cors
func (p *Policy) Answer(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if p.Reads(r) {
		p.permit(h, r.Header["Origin"][0])
	}
}

// Reads reports whether r is of a page that is listed to read what it asks for.
func (p *Policy) Reads(r *http.Request) bool {
	origin, ok := p.origin(r)
	return ok && p.may(origin, r.Method)
}

// Preflight answers an OPTIONS request for a route that has methods. It writes the
// permission, or nothing and returns ErrRefused.
func (p *Policy) Preflight(h http.Header, r *http.Request, methods []string) error {
	h.Add("Vary", "Origin")
	origin, ok := p.origin(r)
	method := r.Header.Get("Access-Control-Request-Method")
	if !ok || !slices.Contains(methods, method) || !p.may(origin, method) {
		return ErrRefused
	}
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" && !slices.Contains(headers, name) {
			return ErrRefused
		}
	}
	allowed := slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return !p.may(origin, m) })
	p.permit(h, origin)
	h.Set("Access-Control-Allow-Methods", strings.Join(allowed, ", "))
	h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	h.Set("Access-Control-Max-Age", maxAge)
	return nil
}

// IsPreflight reports whether r asks for permission (Fetch standard, CORS-preflight).
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// origin is the one listed origin that r names.
//
//control:name cors
func (p *Policy) origin(r *http.Request) (string, bool) {
	sent := r.Header["Origin"]
	if len(sent) != 1 || !slices.Contains(p.listed, sent[0]) {
		return "", false
	}
	return sent[0], true
}

// may reports whether pages of a listed origin may use method.
func (p *Policy) may(origin, method string) bool {
	return method == http.MethodGet || method == http.MethodHead || slices.Contains(p.credentials, origin)
}

func (p *Policy) permit(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	if slices.Contains(p.credentials, origin) {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}
