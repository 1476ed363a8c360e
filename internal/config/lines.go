package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// listeners checks what speaks TLS, and what must not without it.
func (c Config) listeners() Problems {
	var ps Problems
	add := func(bad bool, what, why, next string) {
		if bad {
			ps = append(ps, Problem{what, why, next})
		}
	}
	acme := c.ACMEDirectory != ""
	add((c.TLSCert == "") != (c.TLSKey == ""), "only one of PORTCULLIS_TLS_CERT and PORTCULLIS_TLS_KEY is set", "TLS needs both", "set both or none")
	add(acme && c.TLSCert != "", "PORTCULLIS_ACME_DIRECTORY and PORTCULLIS_TLS_CERT are both set", "the certificate comes from one of them", "unset one")
	add(acme && !strings.HasPrefix(c.ACMEDirectory, "https://"), fmt.Sprintf("PORTCULLIS_ACME_DIRECTORY is %q", c.ACMEDirectory), "whoever can change the answers issues the certificate", "set the https URL of the authority")
	add(acme && !c.ACMETerms, "PORTCULLIS_ACME_ACCEPT_TERMS is not true", "an authority issues certificates to those who accept its terms only, and nobody can accept them for you", "read them and set it")
	add(acme && c.BaseURL != nil && (loopback(c.BaseURL.Hostname()) || isAddress(c.BaseURL.Hostname())), "PORTCULLIS_ACME_DIRECTORY is set for a name that no authority can reach",
		"it connects to the name before it signs", "set a public PORTCULLIS_BASE_URL, or use files")
	add(c.TLS() && c.BaseURL != nil && c.BaseURL.Scheme != "https", "PORTCULLIS_BASE_URL is not https, and the listener speaks TLS", "Origin would never match", "set the https origin")
	add(c.PlainListen != "" && !c.Secure(), "PORTCULLIS_PLAIN_LISTEN is set and PORTCULLIS_BASE_URL is not https", "it sends people to https, and there is none", "unset it, or set the https origin")
	for _, l := range []struct{ name, addr string }{{"PORTCULLIS_PLAIN_LISTEN", c.PlainListen}, {"PORTCULLIS_SERVICE_LISTEN", c.ServiceListen}} {
		_, _, err := net.SplitHostPort(l.addr)
		add(l.addr != "" && err != nil, fmt.Sprintf("%s is %q", l.name, l.addr), "it is no host:port", "set for example 127.0.0.1:9443")
	}
	service := []string{c.ServiceListen, c.ServiceCert, c.ServiceKey, c.ServiceClients}
	set := 0
	for _, v := range service {
		if v != "" {
			set++
		}
	}
	add(set != 0 && set != len(service), "PORTCULLIS_SERVICE_LISTEN, _CERT, _KEY and _CLIENT_CA are not all set", "without one of them services would come in clear or unverified", "set all four or none")
	return ps
}

const (
	lateral = "whoever is on the way reads and changes everything, and sslmode=require or prefer believe any certificate"
	verify  = "add sslmode=verify-full, and PORTCULLIS_DATABASE_CA for an authority of your own"
)

// databaseLine is what production wants of the line to PostgreSQL: TLS with the
// certificate verified for the name. A Unix socket and a loopback address are this
// machine: whoever can listen there can read this process's memory too.
//
//control:name backend-tls
func databaseLine(raw string) Problems {
	if raw == "" {
		return nil // that is another problem
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return Problems{{"DATABASE_URL is not a postgres:// URL", "how it is protected cannot be checked in another form", "write it as postgres://user@host:5432/name?sslmode=verify-full"}}
	}
	q := u.Query()
	hosts := u.Host
	if q.Has("host") { // it wins over the authority of the URL
		hosts = q.Get("host")
	}
	for key, values := range q {
		if len(values) > 1 {
			return Problems{{fmt.Sprintf("DATABASE_URL says %q twice", key), "two readers would understand it differently", "say it once"}}
		}
	}
	if hosts != "" && local(hosts) || q.Get("sslmode") == "verify-full" {
		return nil
	}
	if hosts == "" {
		return Problems{{"DATABASE_URL names no host", "the environment would decide where and how to connect", "name a host, or the folder of a Unix socket with ?host=/run/postgresql"}}
	}
	mode := q.Get("sslmode")
	switch mode {
	case "":
		return Problems{{"DATABASE_URL has no sslmode", lateral, verify}}
	case "verify-ca":
		return Problems{{"DATABASE_URL has sslmode=verify-ca", "every server of that authority could play the database", verify}}
	case "disable", "allow", "prefer", "require":
		return Problems{{"DATABASE_URL has sslmode=" + mode, lateral, verify}}
	}
	return Problems{{"DATABASE_URL has an unknown sslmode", lateral, verify}}
}

// redisLine is the same for Redis, which also must be a user of its own with a
// password: the default user may do everything, such as loading a module.
//
//control:name backend-tls
func redisLine(raw string) Problems {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix" {
		return Problems{{"REDIS_URL is not a rediss:// URL", "how it is protected cannot be checked", "write it as rediss://user:password@host:6379"}}
	}
	var ps Problems
	if u.Query().Has("skip_verify") {
		ps = append(ps, Problem{"REDIS_URL has skip_verify", "TLS that believes any certificate protects from nobody", "remove it, and set PORTCULLIS_REDIS_CA for an authority of your own"})
	}
	if u.Scheme == "unix" || local(u.Host) {
		return ps
	}
	if u.Scheme != "rediss" {
		ps = append(ps, Problem{"REDIS_URL is not rediss://", "whoever is on the way reads tickets' ids and sends revocations", "use TLS, and PORTCULLIS_REDIS_CA for an authority of your own"})
	}
	if password, _ := u.User.Password(); u.User.Username() == "" || u.User.Username() == "default" || password == "" {
		ps = append(ps, Problem{"REDIS_URL has no user and password of its own", "the default user may do everything to everybody's data", "make an ACL user for the keys and channels portcullis:* and name it in the URL"})
	}
	return ps
}

// local reports whether each of these hosts is a Unix socket or a loopback address.
// "localhost" counts, other names that resolve to loopback do not: DNS would decide.
func local(hosts string) bool {
	for h := range strings.SplitSeq(hosts, ",") {
		if strings.HasPrefix(h, "/") {
			continue
		}
		if name, _, err := net.SplitHostPort(h); err == nil {
			h = name
		}
		h = strings.Trim(h, "[]")
		if ip, err := netip.ParseAddr(h); h != "localhost" && (err != nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
