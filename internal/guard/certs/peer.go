package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
)

type peerKey struct{}

// Peer is the name in the verified client certificate of the request that ctx belongs
// to: its URI (a SPIFFE id), or else its DNS name. "" outside of [RequirePeer].
//
// It says who connects, not what they may do: that is decided where the identity is
// looked up.
func Peer(ctx context.Context) string {
	name, _ := ctx.Value(peerKey{}).(string)
	return name
}

// RequirePeer serves requests on connections whose client certificate was verified,
// and which names somebody; refused is called for all others. It looks at the verified
// chains, which are empty when a listener only asked for a certificate.
//
//control:name mtls
func RequirePeer(next, refused http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			refused.ServeHTTP(w, r)
			return
		}
		name := peerName(r.TLS.VerifiedChains[0][0])
		if name == "" {
			refused.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, name)))
	})
}

// peerName takes the one URI, or the one DNS name. A certificate with several names
// would let its holder choose who to be, so it names nobody. The common name is not
// looked at (RFC 9525 §2).
func peerName(c *x509.Certificate) string {
	switch {
	case len(c.URIs) == 1:
		return c.URIs[0].String()
	case len(c.URIs) == 0 && len(c.DNSNames) == 1:
		return c.DNSNames[0]
	}
	return ""
}

// Pool reads a file of certificates in PEM. An empty one is an error: it would trust
// nobody, or with some libraries everybody.
func Pool(path string) (*x509.CertPool, error) {
	b, err := readPEM(path, false)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("certs: %s: %w", path, errors.New("no certificate in it"))
	}
	return pool, nil
}
