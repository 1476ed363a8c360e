package certs

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"
)

const (
	// maxPEM bounds what a wrong path may make us read; a chain has some 10 KiB.
	maxPEM = 1 << 20
	// minRSA is the floor of the CA/Browser Forum and of RFC 9325 §4.1.
	minRSA = 2048
)

// Refused is the error of a certificate that may not be used.
type Refused struct {
	Reason string // a fixed slug
	Err    error
}

func (e *Refused) Error() string { return fmt.Sprintf("certificate refused (%s): %v", e.Reason, e.Err) }
func (e *Refused) Unwrap() error { return e.Err }

// Check decides whether a pair may serve host at now: the key belongs to the
// certificate, every certificate of the chain signed the one before it, the leaf names
// host, is for servers, is strong enough and is valid. It does no I/O.
//
//control:name certificates
func Check(certPEM, keyPEM []byte, host string, now time.Time) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, &Refused{"pair", err} // does not parse, or the key is another's
	}
	chain := []*x509.Certificate{pair.Leaf}
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, &Refused{"chain", err}
		}
		chain = append(chain, c)
	}
	for i, c := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(c); err != nil {
			return nil, &Refused{"chain", fmt.Errorf("certificate %d was not signed by the next one: %w", i+1, err)}
		}
	}
	leaf := pair.Leaf
	if err := leaf.VerifyHostname(host); err != nil {
		return nil, &Refused{"name", err}
	}
	for _, c := range chain {
		switch {
		case now.Before(c.NotBefore):
			return nil, &Refused{"not_yet_valid", fmt.Errorf("begins %s", c.NotBefore)}
		case now.After(c.NotAfter):
			return nil, &Refused{"expired", fmt.Errorf("ended %s", c.NotAfter)}
		}
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil, &Refused{"usage", errors.New("it is not for servers")}
	}
	if k, ok := leaf.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < minRSA {
		return nil, &Refused{"weak_key", fmt.Errorf("RSA with %d bits", k.N.BitLen())}
	}
	return &pair, nil
}

// readPair reads both files. The key must be for its owner alone.
func readPair(certFile, keyFile string) (certPEM, keyPEM []byte, err error) {
	if certPEM, err = readPEM(certFile, false); err != nil {
		return nil, nil, err
	}
	keyPEM, err = readPEM(keyFile, true)
	return certPEM, keyPEM, err
}

// readPEM reads one file, and looks at the mode of the file that it opened: not of a
// name that may be another file a moment later.
//
//control:name certificates
func readPEM(path string, private bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Refused{"unreadable", err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &Refused{"unreadable", err}
	}
	// Windows has no such bits; there the folder's access list decides.
	if private && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, &Refused{"key_mode", fmt.Errorf("%s has mode %04o: other accounts of this machine can read the key; chmod 0600", path, info.Mode().Perm())}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(b) > maxPEM {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxPEM)
	}
	if err != nil {
		return nil, &Refused{"unreadable", err}
	}
	return b, nil
}
