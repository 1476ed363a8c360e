package certs

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Plain is the handler of the cleartext listener. It knows one thing: where https is.
type Plain struct {
	base    string // "https://chat.example.com", from the configuration and never from Host
	refused func(r *http.Request, reason string)
}

// NewPlain returns the handler; refused is told of each request that was not redirected.
func NewPlain(base *url.URL, refused func(r *http.Request, reason string)) (*Plain, error) {
	if base == nil || base.Scheme != "https" || base.Host == "" || refused == nil {
		return nil, errors.New("certs: the cleartext listener needs an https base URL to send people to")
	}
	return &Plain{"https://" + base.Host, refused}, nil
}

// ServeHTTP answers 308 to a person who typed a name, and refuses programs: their
// secrets were on the way in clear already, and a redirect would make that work for
// years. A socket gets 426 with what to upgrade to (RFC 9110 §15.5.22), the API 403.
//
//control:name tls
func (p *Plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	path := r.URL.EscapedPath()
	switch {
	case under(path, "/ws") || r.Header.Get("Upgrade") != "":
		p.refused(r, "socket_in_clear")
		h.Set("Upgrade", "TLS/1.2, HTTP/1.1")
		h.Add("Connection", "Upgrade") // a second line: net/http looks for "close" in the first
		refusePlain(w, http.StatusUpgradeRequired, "Sockets are served over wss only.")
	case under(path, "/api") || r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") || !strings.HasPrefix(path, "/"):
		p.refused(r, "call_in_clear")
		refusePlain(w, http.StatusForbidden, "This is served over https only. Whatever was sent was readable on the way: replace it.")
	default:
		target := p.base + path
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		h.Set("Location", target)
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

// under reports whether path is prefix or below it, in any case: no letter that some
// router forgives may turn a refusal into a redirect.
func under(path, prefix string) bool {
	path = strings.ToLower(path)
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func refusePlain(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":"tls_required","message":%q}`, message)
}
