// Package certs is TLS of this server's own listeners: which versions and suites,
// which certificate, how it is renewed without a restart, and who may come by
// client certificate.
//
// Threat: whoever is on the way reads cookies, tickets and messages of a connection
// in clear, or changes a page before it has a policy (CWE-319). A client is talked
// down to a version or a suite that is broken (CWE-757). A certificate ends on a
// Sunday and the service with it; a new one is put in place with the wrong key, for
// the wrong name or half written, and the service ends at once; its key is readable
// by every account of the machine (CWE-295, CWE-298, CWE-732). A port 80 that
// redirects programs hides for years that they send their secrets in clear first
// (ASVS 4.1.2).
//
// Rule:
//   - TLS 1.2 and 1.3 only, forward secrecy and AEAD only ([Config]).
//   - A certificate is checked as a whole before anybody sees it: chain, key, name,
//     time, file mode. One that fails changes nothing, and is an event ([Files]).
//   - Files are looked at every few seconds and at SIGHUP, by content, so that a
//     symlink swap and a write in place are both seen. Open sockets do not notice.
//   - The end of a certificate is an event 30, 14 and 7 days before, but not before the
//     last third of its life.
//   - Certificates can come from an ACME authority, for the one public host ([ACME]).
//   - The cleartext listener sends people's pages to https and refuses every program,
//     so that a program that speaks in clear is found out on its first day ([Plain]).
//   - On the service listener nobody is served whose certificate our own client
//     authority did not sign ([ServiceConfig], [Peer]).
//
// Not covered: a private key that was copied before; a certificate authority that is
// deceived (publish CAA records, watch certificate transparency logs); revocation of
// client certificates, for which they are short-lived; TLS that ends in a proxy,
// whose samples are in docs/operations.
//
// Source: RFC 9325 (BCP 195), RFC 8555, RFC 8737, RFC 6455 §10.6, ASVS 5.0 4.1.2,
// 4.4.1, 12.1, 12.2.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Source gives a listener its certificate and keeps it fresh.
type Source interface {
	// GetCertificate has the form of the field of [tls.Config].
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Protocols are ALPN names that the source needs beside those of HTTP.
	Protocols() []string
	// Run watches until ctx ends and reports what happens. A value in reload looks at once.
	Run(ctx context.Context, reload <-chan struct{}, report func(Change))
}

// Kind is what happened to a certificate.
type Kind int

// The kinds of Change.
const (
	Reloaded     Kind = iota + 1 // a new certificate is in use
	ReloadFailed                 // a new one was refused, or could not be had; the old one stays
	Expiring                     // the one in use ends soon
)

// Change is news of a certificate.
type Change struct {
	Kind     Kind
	Reason   string    // a fixed slug: of a failure, or "30_days", "14_days", "7_days"
	Serial   string    // of the certificate in use, hexadecimal
	NotAfter time.Time // its end
	Err      error     // of a failure
}

// thresholds are when the end of a certificate is said: ACME certificates of 90 days are
// renewed at 30, so each of these is a renewal that did not happen.
//
//control:name certificates
var thresholds = []struct {
	before time.Duration
	reason string
}{
	{7 * day, "7_days"}, {14 * day, "14_days"}, {30 * day, "30_days"},
}

const day = 24 * time.Hour

// expiry remembers what has been said of which certificate.
type expiry struct {
	serial string
	said   time.Duration // the smallest threshold so far, 0: none
}

// check returns the news of c at now: each threshold once for each certificate, and
// the smallest alone when several have passed at once. Before its last third no
// certificate is late: one of six days would be told off from its first hour to its last.
//
//control:name certificates
func (e *expiry) check(c *x509.Certificate, now time.Time) (Change, bool) {
	if s := serial(c); s != e.serial {
		*e = expiry{serial: s}
	}
	left, life := c.NotAfter.Sub(now), c.NotAfter.Sub(c.NotBefore)+time.Second // the last second counts (RFC 5280)
	if left > life/3 {
		return Change{}, false
	}
	for _, t := range thresholds {
		if left > t.before {
			continue
		}
		if e.said != 0 && e.said <= t.before {
			return Change{}, false
		}
		e.said = t.before
		return Change{Kind: Expiring, Reason: t.reason, Serial: e.serial, NotAfter: c.NotAfter}, true
	}
	return Change{}, false
}

func serial(c *x509.Certificate) string { return c.SerialNumber.Text(16) }
