// Package devcert makes a certificate for development, so that https and wss can
// be tried on one machine.
//
// Threat: a development CA that is trusted by a browser can sign for every site in
// the world, and lives for years in a folder that is backed up and shared; a key
// committed to a repository is everybody's key (CWE-321, ASVS 13.3.4).
//
// Rule: the CA is made on this machine, at this moment, by name constraints only
// good for localhost names and loopback addresses (RFC 5280 §4.2.1.10), ends after
// 30 days, and its private key is thrown away as soon as it has signed the one
// certificate. Its name says what it is, and production refuses it.
//
// Not covered: whoever can read the data directory can use the certificate's key.
package devcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Organization marks certificates made here.
const Organization = "Portcullis development, not for production"

// validity is short enough that a forgotten trusted CA heals by itself.
const validity = 30 * 24 * time.Hour

// Files are the paths of what Make wrote.
type Files struct{ CA, Cert, Key string }

// Make writes a CA certificate, a server certificate for *.portcullis.localhost,
// localhost and the loopback addresses, and its key (mode 0600) into dir.
//
//control:name devcert
func Make(dir string, now time.Time) (Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Files{}, fmt.Errorf("make folder: %w", err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Files{}, fmt.Errorf("make key: %w", err)
	}
	loopback := []*net.IPNet{{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, {IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)}}
	ca := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{Organization}, CommonName: "Portcullis development CA"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(validity), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"localhost"}, PermittedIPRanges: loopback,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return Files{}, fmt.Errorf("make CA: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Files{}, fmt.Errorf("make key: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{Organization}, CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "*.localhost", "portcullis.localhost", "*.portcullis.localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return Files{}, fmt.Errorf("make certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Files{}, fmt.Errorf("encode key: %w", err)
	}
	f := Files{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	for _, out := range []struct {
		path, kind string
		mode       os.FileMode
		der        [][]byte
	}{{f.CA, "CERTIFICATE", 0o644, [][]byte{caDER}}, {f.Cert, "CERTIFICATE", 0o644, [][]byte{leafDER, caDER}}, {f.Key, "PRIVATE KEY", 0o600, [][]byte{keyDER}}} {
		var b strings.Builder
		for _, der := range out.der {
			if err := pem.Encode(&b, &pem.Block{Type: out.kind, Bytes: der}); err != nil {
				return Files{}, fmt.Errorf("encode %s: %w", out.path, err)
			}
		}
		if err := os.WriteFile(out.path, []byte(b.String()), out.mode); err != nil {
			return Files{}, fmt.Errorf("write: %w", err)
		}
	}
	return f, nil
}

// Made reports whether a certificate was made here, so that production can refuse it.
func Made(c *x509.Certificate) bool {
	return len(c.Issuer.Organization) == 1 && c.Issuer.Organization[0] == Organization
}

// serial is 127 random bits (CA/Browser Forum BR 7.1: at least 64).
func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails since Go 1.24
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
