package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// acmeEvery is how often the certificate is looked at; the renewal itself is
	// autocert's, 30 days before the end.
	acmeEvery = time.Hour
	// acmeTimeout bounds one call to the authority.
	acmeTimeout = 30 * time.Second
)

// ACMEOptions of NewACME. All but Email and Client are required.
type ACMEOptions struct {
	Directory string // URL of the authority, RFC 8555 §7.1.1
	Email     string // where the authority writes to
	Host      string // the only name that is asked for
	Dir       string // for account key, certificates and their keys; made with mode 0700
	Client    *http.Client
	Now       func() time.Time
}

// ACME gets and renews a certificate from an authority, by TLS-ALPN-01 (RFC 8737): the
// authority connects to port 443 of the host, and no port 80 is needed. It is for one
// node; several nodes would each ask, and the authority would reach any of them.
type ACME struct {
	o       ACMEOptions
	manager *autocert.Manager
}

// NewACME refuses a directory that is not https and a folder that others may read.
// Whoever calls it has accepted the authority's terms.
func NewACME(o ACMEOptions) (*ACME, error) {
	u, err := url.Parse(o.Directory)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("certs: the ACME directory %q must be an https URL", o.Directory)
	}
	if o.Host == "" || o.Dir == "" || o.Now == nil {
		return nil, errors.New("certs: ACME needs a host, a folder and a clock")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for certificates: %w", err)
	}
	if err := onlyOurs(o.Dir); err != nil {
		return nil, err
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: acmeTimeout}
	}
	return &ACME{o, acmeManager(o)}, nil
}

// acmeManager asks for the one host only: without the policy anybody could point
// names at us, or make them up in SNI, and spend our account's quota at the authority.
//
//control:name certificates
func acmeManager(o ACMEOptions) *autocert.Manager {
	return &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(o.Host),
		Cache:      autocert.DirCache(o.Dir),
		Email:      o.Email,
		Client:     &acme.Client{DirectoryURL: o.Directory, HTTPClient: o.Client},
	}
}

func onlyOurs(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at folder for certificates: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return &Refused{"key_mode", fmt.Errorf("%s has mode %04o and will hold keys; chmod 0700: %w", dir, info.Mode().Perm(), fs.ErrPermission)}
	}
	return nil
}

// GetCertificate answers clients and, during a challenge, the authority.
func (a *ACME) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.manager.GetCertificate(hello)
}

// Protocols is that of the challenge.
func (a *ACME) Protocols() []string { return []string{acme.ALPNProto} }

// Run gets the certificate at once, before the first visitor waits for it, and says
// when one is new, cannot be had or is about to end.
func (a *ACME) Run(ctx context.Context, reload <-chan struct{}, report func(Change)) {
	var end expiry
	var last string
	tick := time.NewTicker(acmeEvery)
	defer tick.Stop()
	for {
		// A hello as a browser's: without the suites of ECDSA autocert gets an RSA one.
		pair, err := a.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: a.o.Host, CipherSuites: suites, SupportedCurves: []tls.CurveID{tls.CurveP256},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedVersions: []uint16{tls.VersionTLS13}})
		switch {
		case err != nil:
			report(Change{Kind: ReloadFailed, Reason: "acme", Serial: last, Err: err})
		case serial(pair.Leaf) != last:
			last = serial(pair.Leaf)
			report(Change{Kind: Reloaded, Reason: "acme", Serial: last, NotAfter: pair.Leaf.NotAfter})
		}
		if err == nil {
			if c, ok := end.check(pair.Leaf, a.o.Now()); ok {
				report(c)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-reload:
		case <-tick.C:
		}
	}
}
