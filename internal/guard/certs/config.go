package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
)

// suites are those of TLS 1.2 with forward secrecy and authenticated encryption (RFC
// 9325 §4.2); the suites of TLS 1.3 all have both and cannot be chosen. No CBC (Lucky
// 13), no RSA key exchange (a key that leaks later opens recorded traffic).
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Config is TLS of the public listener. Pages may use HTTP/2. A socket needs HTTP/1.1,
// and browsers open a connection of their own for it, because this server does not
// announce RFC 8441 (sockets inside of HTTP/2).
//
//control:name tls
func Config(s Source) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   slices.Clone(suites),
		NextProtos:     append([]string{"h2", "http/1.1"}, s.Protocols()...),
		GetCertificate: s.GetCertificate,
	}
}

// ServiceConfig is TLS of the listener for services: version 1.3, HTTP/1.1, and a client
// certificate that one of authorities signed. A session is never resumed, so that each
// connection proves it again.
//
//control:name mtls
func ServiceConfig(s Source, authorities *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"http/1.1"},
		GetCertificate:         s.GetCertificate,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              authorities,
		SessionTicketsDisabled: true,
	}
}
