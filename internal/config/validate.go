package config

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"example.com/portcullis/internal/guard/tunnel"
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
		if c.TLS() {
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
	for _, o := range c.CORSOrigins {
		u, err := url.Parse(o)
		add(err != nil || !isOrigin(u) || o != u.Scheme+"://"+strings.ToLower(u.Host), fmt.Sprintf("PORTCULLIS_CORS_ORIGINS holds %q", o), "origins are compared byte by byte: wildcards, null, paths and capitals can never match", "write it as https://host or https://host:port")
	}
	for _, o := range c.AllowedOrigins {
		u, err := url.Parse(strings.TrimSpace(o))
		add(err != nil || !isOrigin(u), fmt.Sprintf("PORTCULLIS_ALLOWED_ORIGINS holds %q", o), "origins are compared exactly: wildcards, paths and schemes other than http and https can never match", "write it as https://host or https://host:port")
	}
	ps = append(ps, c.listeners()...)
	if c.PrivateListen != "" {
		host, _, err := net.SplitHostPort(c.PrivateListen)
		ip, ipErr := netip.ParseAddr(host)
		add(err != nil || (host != "localhost" && (ipErr != nil || !ip.IsLoopback() && !ip.IsPrivate())), fmt.Sprintf("PORTCULLIS_PRIVATE_LISTEN is %q", c.PrivateListen),
			"metrics and pprof must not be public", "set a loopback or private address, such as 127.0.0.1:9090")
	}
	add(c.LogFormat != "text" && c.LogFormat != "json", fmt.Sprintf("PORTCULLIS_LOG_FORMAT is %q", c.LogFormat), "there are two formats", "set text or json")
	add(c.Clamd != "" && !clamd(c.Clamd), fmt.Sprintf("PORTCULLIS_CLAMD is %q", c.Clamd), "its protocol has neither encryption nor names, so the daemon must be on this machine", "set unix:/path/of/its/socket or tcp:127.0.0.1:3310")
	seen := map[string]bool{}
	for _, k := range c.TicketKeys {
		add(k.Key.Len() < 32, fmt.Sprintf("ticket key %q has %d bytes", k.ID, k.Key.Len()), "HS256 is as strong as its key", "make one with: openssl rand -base64 32")
		add(k.Key.Len() >= 32 && weak(k.Key.Reveal()), fmt.Sprintf("ticket key %q is not random", k.ID), "whoever guesses it signs tickets", "make one with: openssl rand -base64 32")
		add(seen[k.ID], fmt.Sprintf("ticket key %q appears twice", k.ID), "a kid must name one key", "give each key its own kid")
		seen[k.ID] = true
	}
	if !c.AuditKey.Empty() {
		key, err := c.AuditKeyBytes()
		add(err != nil || key.Len() < 32, "PORTCULLIS_AUDIT_KEY is not base64 of 32 bytes", "the chain of the security log is as strong as its key", "make one with: openssl rand -base64 32")
		add(key.Len() >= 32 && weak(key.Reveal()), "PORTCULLIS_AUDIT_KEY is not random", "whoever guesses it rewrites the security log", "make one with: openssl rand -base64 32")
	}
	for _, p := range c.TrustedProxies {
		add(p.Bits() == 0, fmt.Sprintf("PORTCULLIS_TRUSTED_PROXIES holds %s", p), "then every client could claim any address", "list only your proxies' networks")
	}
	_, err = tunnel.NewTargets(c.Tunnels)
	add(err != nil, "PORTCULLIS_TUNNELS cannot be used", fmt.Sprint(err), "give each of at most 64 targets a name of its own")
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
	for _, u := range []struct {
		name string
		url  string
	}{{"DATABASE_URL", c.DatabaseURL.Reveal()}, {"REDIS_URL", c.RedisURL.Reveal()}} {
		add(samplePassword(u.url), "the password in "+u.name+" is one from a sample", "everybody tries it first", "make one with: openssl rand -base64 24")
	}
	add(len(c.TicketKeys) == 0, "PORTCULLIS_TICKET_KEYS is not set", "nodes must share keys that no database backup holds", "set kid:base64 of 32 random bytes, or PORTCULLIS_TICKET_KEYS_FILE")
	add(c.AuditKey.Empty(), "PORTCULLIS_AUDIT_KEY is not set", "a key in the database protects the log from nobody who can write there", "set base64 of 32 random bytes, or PORTCULLIS_AUDIT_KEY_FILE")
	add(!c.MigrateURL.Empty() && c.MigrateURL.Reveal() == c.DatabaseURL.Reveal(), "DATABASE_MIGRATE_URL is DATABASE_URL", "the server would own its tables, and the log in them", "let the server sign in as a role in portcullis_app")
	add(c.BaseURL != nil && loopback(c.BaseURL.Hostname()), "PORTCULLIS_BASE_URL names this machine", "browsers trust such names more than others", "set the public name")
	ps = append(ps, databaseLine(c.DatabaseURL.Reveal())...)
	ps = append(ps, redisLine(c.RedisURL.Reveal())...)
	for _, o := range c.CORSOrigins {
		add(strings.HasPrefix(o, "http://"), fmt.Sprintf("PORTCULLIS_CORS_ORIGINS holds %q", o), "whoever can change an http page on the way can read answers", "list https origins only")
	}
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

// clamd reports whether address is one that guard/malware takes.
func clamd(address string) bool {
	network, rest, _ := strings.Cut(address, ":")
	if network == "unix" {
		return filepath.IsAbs(rest)
	}
	ap, err := netip.ParseAddrPort(rest)
	return network == "tcp" && err == nil && ap.Addr().IsLoopback()
}

// samplePasswords are what images, compose files and tutorials have, ours not excepted.
var samplePasswords = []string{"postgres", "postgresql", "redis", "password", "passw0rd", "secret", "changeme", "change-me", "change_me", "example", "portcullis", "admin", "root", "test", "demo", "default", "foobared", "letmein", "12345678", "123456"}

// samplePassword reports whether the password in a URL is one of those, or one character
// again and again. None at all is not for here to judge: a socket or a certificate may
// prove who connects. A URL that cannot be read is another check's.
//
//control:name secrets
func samplePassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return false
	}
	password, set := u.User.Password()
	if !set || password == "" {
		return false
	}
	return slices.Contains(samplePasswords, strings.ToLower(password)) || strings.Trim(password, password[:1]) == ""
}

// weak reports whether a key is surely no random one: 32 random bytes have fewer
// than 12 distinct values once in 10^17 times, and are never all printable words.
//
//control:name secrets
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
