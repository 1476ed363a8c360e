package config

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// derive fills what follows from other values.
func (c *Config) derive() {
	if c.BaseURL == nil && !c.Production() {
		_, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return // validate says so
		}
		// A name of its own: cookies do not tell ports apart, so plain "localhost"
		// would share them with every other server on this machine.
		c.BaseURL = &url.URL{Scheme: "http", Host: net.JoinHostPort("app.portcullis.localhost", port)}
		if c.TLSCert != "" {
			c.BaseURL.Scheme = "https"
		}
	}
	if c.Production() {
		c.LogFormat = "json"
	}
}

// validate returns everything that is wrong, in the order of Config.
//
//control:name startup
func (c Config) validate() Problems {
	ps := c.bounds()
	add := func(bad bool, what, why, next string) {
		if bad {
			ps = append(ps, Problem{what, why, next})
		}
	}
	add(c.Env != "development" && c.Env != "production", fmt.Sprintf("PORTCULLIS_ENV is %q", c.Env), "the checks depend on it", "set development or production")
	_, _, err := net.SplitHostPort(c.Listen)
	add(err != nil, fmt.Sprintf("PORTCULLIS_LISTEN is %q", c.Listen), "it is no host:port", "set for example 127.0.0.1:8080")
	add(c.BaseURL == nil, "PORTCULLIS_BASE_URL is not set", "Origin and Host are checked against it", "set the public origin, such as https://chat.example.com")
	if c.BaseURL != nil {
		add(!isOrigin(c.BaseURL), fmt.Sprintf("PORTCULLIS_BASE_URL is %q", c.BaseURL), "it must be an origin: scheme, host and perhaps a port, nothing else", "remove path, query and user")
		add(!c.Production() && c.BaseURL.Scheme == "http" && !loopback(c.BaseURL.Hostname()), fmt.Sprintf("PORTCULLIS_BASE_URL is %q", c.BaseURL),
			"cookies with Secure are not sent over http except on this machine", "use https, or a name that ends in .localhost")
	}
	for _, o := range c.AllowedOrigins {
		u, err := url.Parse(strings.TrimSpace(o))
		add(err != nil || !isOrigin(u), fmt.Sprintf("PORTCULLIS_ALLOWED_ORIGINS holds %q", o), "origins are compared exactly: wildcards, paths and schemes other than http and https can never match", "write it as https://host or https://host:port")
	}
	add((c.TLSCert == "") != (c.TLSKey == ""), "only one of PORTCULLIS_TLS_CERT and PORTCULLIS_TLS_KEY is set", "TLS needs both", "set both or none")
	if c.PrivateListen != "" {
		host, _, err := net.SplitHostPort(c.PrivateListen)
		ip, ipErr := netip.ParseAddr(host)
		add(err != nil || (host != "localhost" && (ipErr != nil || !ip.IsLoopback() && !ip.IsPrivate())), fmt.Sprintf("PORTCULLIS_PRIVATE_LISTEN is %q", c.PrivateListen),
			"metrics and pprof must not be public", "set a loopback or private address, such as 127.0.0.1:9090")
	}
	add(c.LogFormat != "text" && c.LogFormat != "json", fmt.Sprintf("PORTCULLIS_LOG_FORMAT is %q", c.LogFormat), "there are two formats", "set text or json")
	seen := map[string]bool{}
	for _, k := range c.TicketKeys {
		add(k.Key.Len() < 32, fmt.Sprintf("ticket key %q has %d bytes", k.ID, k.Key.Len()), "HS256 is as strong as its key", "make one with: openssl rand -base64 32")
		add(k.Key.Len() >= 32 && weak(k.Key.Reveal()), fmt.Sprintf("ticket key %q is not random", k.ID), "whoever guesses it signs tickets", "make one with: openssl rand -base64 32")
		add(seen[k.ID], fmt.Sprintf("ticket key %q appears twice", k.ID), "a kid must name one key", "give each key its own kid")
		seen[k.ID] = true
	}
	for _, p := range c.TrustedProxies {
		add(p.Bits() == 0, fmt.Sprintf("PORTCULLIS_TRUSTED_PROXIES holds %s", p), "then every client could claim any address", "list only your proxies' networks")
	}
	add(c.SessionIdle > c.SessionLifetime, "PORTCULLIS_SESSION_IDLE is longer than PORTCULLIS_SESSION_LIFETIME", "the idle end would never come first", "make the idle time the shorter one")
	if c.Production() {
		ps = append(ps, c.weaknesses()...)
	}
	return ps
}

// weaknesses is what development may have and production must not.
func (c Config) weaknesses() Problems {
	var ps Problems
	add := func(bad bool, what, why, next string) {
		if bad {
			ps = append(ps, Problem{what, why, next})
		}
	}
	add(c.BaseURL != nil && c.BaseURL.Scheme != "https", "PORTCULLIS_BASE_URL is not https", "cookies and messages would travel in clear", "set the https origin, with TLS here or at a proxy")
	add(c.DatabaseURL.Empty(), "DATABASE_URL is not set", "the embedded PostgreSQL is for development", "set it, or DATABASE_URL_FILE")
	add(c.RedisURL.Empty(), "REDIS_URL is not set", "the embedded Redis is for development", "set it, or REDIS_URL_FILE")
	add(len(c.TicketKeys) == 0, "PORTCULLIS_TICKET_KEYS is not set", "nodes must share keys that no database backup holds", "set kid:base64 of 32 random bytes, or PORTCULLIS_TICKET_KEYS_FILE")
	add(c.BaseURL != nil && loopback(c.BaseURL.Hostname()), "PORTCULLIS_BASE_URL names this machine", "browsers trust such names more than others", "set the public name")
	for _, o := range c.AllowedOrigins {
		add(strings.HasPrefix(strings.TrimSpace(o), "http://"), fmt.Sprintf("PORTCULLIS_ALLOWED_ORIGINS holds %q", o), "whoever can change an http page on the way can open sockets", "list https origins only")
	}
	return ps
}

// isOrigin reports whether u is an RFC 6454 origin and nothing more.
func isOrigin(u *url.URL) bool {
	return u != nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" && !strings.ContainsAny(u.Host, "*\\ ")
}

// loopback reports whether host always means this machine (RFC 6761 §6.3).
func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// weak reports whether a key is surely no random one: 32 random bytes have fewer
// than 12 distinct values once in 10^17 times, and are never all printable words.
func weak(key []byte) bool {
	distinct := [256]bool{}
	n := 0
	for _, b := range key {
		if !distinct[b] {
			distinct[b] = true
			n++
		}
	}
	lower := bytes.ToLower(key)
	for _, word := range []string{"secret", "password", "change", "example", "portcullis", "0123456789", "abcdefgh"} {
		if bytes.Contains(lower, []byte(word)) {
			return true
		}
	}
	return n < 12
}
