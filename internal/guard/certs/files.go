package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// pollEvery is how soon a new certificate is seen without SIGHUP. Two small reads; no
// watcher of the file system, which would miss the symlink swap of orchestrators.
const pollEvery = 10 * time.Second

// FilesOptions of NewFiles. All but Refuse are required.
type FilesOptions struct {
	Cert, Key string                        // paths of PEM files; the certificate's file holds the chain, leaf first
	Host      string                        // the name that the certificate must be for
	Refuse    func(*x509.Certificate) error // a further rule, such as: no development certificate in production
	Now       func() time.Time
}

// Files is a certificate in two files.
type Files struct {
	o       FilesOptions
	current atomic.Pointer[tls.Certificate]
	content [sha256.Size]byte // of what current was made from

	// What failed last, so that the same files are refused aloud once.
	failed  [sha256.Size]byte
	strikes int
}

// NewFiles reads and checks the pair. The error is *[Refused] when the pair is at fault.
func NewFiles(o FilesOptions) (*Files, error) {
	if o.Cert == "" || o.Key == "" || o.Host == "" || o.Now == nil {
		return nil, errors.New("certs: two files, a host and a clock are required")
	}
	f := &Files{o: o}
	pair, content, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	f.content = content
	return f, nil
}

// GetCertificate returns the one that is in use, whatever name is asked for: the Host
// of the request decides later, and a client that wants another name finds out itself.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// Protocols are none.
func (f *Files) Protocols() []string { return nil }

// Run looks at the files until ctx ends.
func (f *Files) Run(ctx context.Context, reload <-chan struct{}, report func(Change)) {
	var end expiry
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if c, ok := end.check(f.current.Load().Leaf, f.o.Now()); ok {
			report(c)
		}
		patience := 2 // a pair is written in two steps: the first look may fall in between
		select {
		case <-ctx.Done():
			return
		case <-reload:
			patience = 1 // whoever says so has finished writing
		case <-tick.C:
		}
		if c, ok := f.look(patience); ok {
			report(c)
		}
	}
}

// look reads the files and, if they are new and good, uses them from the next handshake
// on. What is new and bad is reported when it was seen patience times, and then not
// again until it changes.
//
//control:name certificates
func (f *Files) look(patience int) (Change, bool) {
	pair, content, err := f.read()
	if err == nil {
		f.strikes, f.failed = 0, [sha256.Size]byte{}
		if content == f.content {
			return Change{}, false
		}
		f.current.Store(pair)
		f.content = content
		return Change{Kind: Reloaded, Serial: serial(pair.Leaf), NotAfter: pair.Leaf.NotAfter}, true
	}
	if content != f.failed || f.strikes == 0 {
		f.failed, f.strikes = content, 0
	}
	told := f.strikes >= 2
	f.strikes++
	if told || f.strikes < patience {
		return Change{}, false
	}
	f.strikes = max(f.strikes, 2)
	reason := "unreadable"
	if r, ok := errors.AsType[*Refused](err); ok {
		reason = r.Reason
	}
	leaf := f.current.Load().Leaf
	return Change{Kind: ReloadFailed, Reason: reason, Serial: serial(leaf), NotAfter: leaf.NotAfter, Err: err}, true
}

// read returns the pair, and a hash that tells these files from others even if they
// are refused.
func (f *Files) read() (*tls.Certificate, [sha256.Size]byte, error) {
	certPEM, keyPEM, err := readPair(f.o.Cert, f.o.Key)
	if err != nil {
		return nil, sha256.Sum256([]byte(err.Error())), err
	}
	content := sha256.Sum256(fmt.Appendf(nil, "%d\n%s%s", len(certPEM), certPEM, keyPEM))
	if content == f.content {
		return f.current.Load(), content, nil // it was checked; that it ends is another event
	}
	// The further rule first: its reason is the one that helps.
	if block, _ := pem.Decode(certPEM); block != nil && f.o.Refuse != nil {
		if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
			if no := f.o.Refuse(leaf); no != nil {
				return nil, content, &Refused{"rule", no}
			}
		}
	}
	pair, err := Check(certPEM, keyPEM, f.o.Host, f.o.Now())
	return pair, content, err
}
