// Package headers tells the browser what our pages may do, on every response.
//
// Threat: one hole in a page (a chat line that becomes script) and the attacker
// acts as the user, reads everything and sends it away; or a foreign page frames
// ours, opens it as a window, embeds its data, or the browser guesses a type and
// runs an upload; or the back button and shared caches keep a private page.
//
// Rule: the browser gets a policy with each response. What it means:
//   - Scripts run only with this response's nonce, or when such a script loads
//     them. 'self' is not a script source, because uploads live on our origin.
//   - No string becomes markup or code: Trusted Types are required and there is
//     no policy to make them.
//   - Data can be sent to our own origin and our own socket only. The socket's
//     origin is written out, since older Safari does not match 'self' with wss:.
//   - Nobody frames us, shares a window group with us or embeds our resources.
//   - Nothing is stored unless the handler says so; HTTPS is remembered.
//
// Wrap goes outermost, so that refusals, errors and refused handshakes have the
// headers as well. There is one policy for every kind of response: on JSON and
// images it is stricter than needed and does no harm. A handler may replace a
// header by a stricter one (uploads add "sandbox", hashed assets allow caching).
//
// Not covered: what net/http answers by itself before a handler runs (a request
// that it cannot parse), and the 101 of a socket, to which no policy applies. A
// policy is the second line: the first is text, not markup, in the page. There
// is no Server header to remove, because Go sends none.
//
// Source: ASVS 5.0 chapter 3.4, CSP level 3, Trusted Types, RFC 6797.
package headers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// The headers that are the same for every response of every deployment.
const (
	// Referrers stay on our origin. Not "no-referrer": under it browsers send
	// "Origin: null" with our own forms, and the csrf room would refuse them.
	referrerPolicy = "same-origin"

	// Every powerful feature that a chat has no use for. Names that browsers do
	// not know would be warnings in the console, so the list is only of known ones.
	permissionsPolicy = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), " +
		"idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

	// Two years, the value that browsers' preload lists ask for (at least one).
	strictTransport = "max-age=63072000; includeSubDomains"
)

// Options are what the policy needs to know of the deployment.
type Options struct {
	BaseURL      *url.URL // public address of the application; its scheme decides on ws or wss and on HSTS
	ExtraConnect []string // further exact origins that scripts may connect to, such as "wss://ws2.example.com"
	ReportPath   string   // path on this origin that takes violation reports, such as "/csp-report"
}

// Policy sets the headers. Create it with New; it is safe for concurrent use.
type Policy struct {
	beforeNonce, afterNonce string // the Content-Security-Policy around the nonce
	reporting               string
	secure                  bool
}

// New checks the options: a base URL with host, exact origins without wildcard, a
// plain path. These become header text, so anything else is refused.
//
//control:name link-preview
//control:name headers
func New(o Options) (*Policy, error) {
	if o.BaseURL == nil {
		return nil, errors.New("headers: the base URL is missing")
	}
	socket := url.URL{Scheme: "wss", Host: o.BaseURL.Host}
	switch {
	case o.BaseURL.Scheme == "http":
		socket.Scheme = "ws"
	case o.BaseURL.Scheme != "https":
		return nil, fmt.Errorf("headers: the scheme of the base URL %q must be https or http", o.BaseURL)
	}
	connect := append([]string{socket.String()}, o.ExtraConnect...)
	for _, origin := range connect {
		if err := checkSource(origin); err != nil {
			return nil, fmt.Errorf("headers: connect source %q: %w", origin, err)
		}
	}
	if !strings.HasPrefix(o.ReportPath, "/") || strings.HasPrefix(o.ReportPath, "//") || strings.ContainsFunc(o.ReportPath, notPlainPath) {
		return nil, fmt.Errorf("headers: the report path %q must be a plain path like /csp-report", o.ReportPath)
	}
	return &Policy{
		beforeNonce: "default-src 'none'; script-src 'nonce-",
		afterNonce: "' 'strict-dynamic'; style-src 'self'; img-src 'self' blob:; connect-src 'self' " + strings.Join(connect, " ") +
			"; font-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'" +
			"; require-trusted-types-for 'script'; trusted-types 'none'; report-uri " + o.ReportPath + "; report-to csp",
		reporting: `csp="` + o.ReportPath + `"`,
		secure:    remembered(o.BaseURL),
	}, nil
}

// Wrap sets the headers before next runs and gives it a fresh nonce, which
// [Nonce] returns from the request's context.
//
//control:name headers
func (p *Policy) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nonce := rand.Text() // 130 random bits in letters and digits
		h := w.Header()
		h.Set("Content-Security-Policy", p.beforeNonce+nonce+p.afterNonce)
		h.Set("Reporting-Endpoints", p.reporting)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", referrerPolicy)
		h.Set("Permissions-Policy", permissionsPolicy)
		h.Set("Cache-Control", "no-store")
		if p.secure {
			h.Set("Strict-Transport-Security", strictTransport)
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), nonceKey{}, nonce)))
	})
}

type nonceKey struct{}

// Nonce returns the nonce of this response for the script elements of a page. It
// is "" outside of Wrap, and then no script runs.
func Nonce(ctx context.Context) string {
	nonce, _ := ctx.Value(nonceKey{}).(string)
	return nonce
}

// checkSource refuses what is not one exact origin: a scheme alone, a wildcard or
// a second directive behind a semicolon would let data out to anywhere.
func checkSource(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || origin != u.Scheme+"://"+u.Host || strings.ContainsAny(origin, "*;, '\"") {
		return errors.New("must be scheme://host or scheme://host:port")
	}
	switch u.Scheme {
	case "https", "wss", "http", "ws":
		return nil
	}
	return errors.New("the scheme must be https, wss, http or ws")
}

func notPlainPath(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/-_.", c)
}

// remembered reports whether browsers shall remember that base is reached by https
// only, subdomains included, on every answer (RFC 6797).
//
//control:name hsts
func remembered(base *url.URL) bool {
	return base.Scheme == "https" && !onThisMachine(base.Hostname())
}

// onThisMachine reports whether the name is local: HSTS for it would lock every
// other development server of the machine out of plain HTTP for two years.
func onThisMachine(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true // HSTS does not exist for addresses (RFC 6797 section 8.1.1)
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
