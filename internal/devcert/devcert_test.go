package devcert_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/portcullis/internal/devcert"
)

//control:proves devcert
func TestMake_theCertificateIsGoodHereAndNowhereElse(t *testing.T) {
	now := time.Now()
	f, err := devcert.Make(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Leaf
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	for _, tt := range []struct {
		host string
		at   time.Time
		ok   bool
	}{
		{"localhost", now, true}, {"app.portcullis.localhost", now, true}, {"127.0.0.1", now, true}, {"::1", now, true},
		{"example.com", now, false}, {"localhost", now.Add(31 * 24 * time.Hour), false},
	} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: tt.host, Roots: roots, CurrentTime: tt.at})
		if (err == nil) != tt.ok {
			t.Errorf("%s at %s: err = %v, want ok %v", tt.host, tt.at, err, tt.ok)
		}
	}
	if !devcert.Made(leaf) || devcert.Made(&x509.Certificate{}) {
		t.Error("production must be able to tell such a certificate")
	}
	info, err := os.Stat(f.Key)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("key file mode = %v", info.Mode())
	}
}

//control:proves devcert
func TestMake_theCAIsConstrainedSoThatAStolenOneCannotSignForOthers(t *testing.T) {
	f, err := devcert.Make(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(pair.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	if !ca.PermittedDNSDomainsCritical || len(ca.PermittedDNSDomains) != 1 || ca.PermittedDNSDomains[0] != "localhost" || len(ca.PermittedIPRanges) != 2 || !ca.MaxPathLenZero {
		t.Errorf("constraints: %+v", ca.PermittedDNSDomains)
	}
}

// A key that is committed is everybody's, and stays in the history.
//
//control:proves devcert
func TestRepository_holdsNoPrivateKey(t *testing.T) {
	root := filepath.Join("..", "..")
	read := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "artifacts" || d.Name() == "secrets" || d.Name() == "bin"):
			return fs.SkipDir // not in the repository, by .gitignore
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read++
		for _, kind := range []string{"", "EC ", "RSA ", "ENCRYPTED ", "OPENSSH "} {
			if bytes.Contains(b, []byte("-----BEGIN "+kind+"PRIVATE"+" KEY-----\n")) {
				t.Errorf("%s holds a private key", path)
			}
		}
		return nil
	})
	if err != nil || read < 100 {
		t.Fatalf("read %d files: %v", read, err)
	}
}
