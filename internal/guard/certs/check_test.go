package certs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/testkit"
)

const host = "chat.example.com"

//control:proves certificates
func TestCheck_refusesAPairThatWouldEndTheService(t *testing.T) {
	ca, other := testkit.NewCA(t), testkit.NewCA(t)
	good := ca.Issue(t, []string{host})
	foreign := ca.Issue(t, []string{host})
	at := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
	}
	for _, tt := range []struct {
		name, reason string
		leaf         testkit.Leaf
	}{
		{"a good one", "", good},
		{"a good one with its authority", "", testkit.Leaf{Cert: append(bytes.Clone(good.Cert), ca.PEM...), Key: good.Key}},
		{"the key of another certificate", "pair", testkit.Leaf{Cert: good.Cert, Key: foreign.Key}},
		{"half a file", "pair", testkit.Leaf{Cert: good.Cert[:len(good.Cert)/2], Key: good.Key}},
		{"an empty file", "pair", testkit.Leaf{Key: good.Key}},
		{"the chain of another authority", "chain", testkit.Leaf{Cert: append(bytes.Clone(good.Cert), other.PEM...), Key: good.Key}},
		{"another name", "name", ca.Issue(t, []string{"chat.example.org"})},
		{"a name in the subject only", "name", ca.Issue(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = host })},
		{"ended", "expired", ca.Issue(t, []string{host}, at(-48*time.Hour, -time.Hour))},
		{"from tomorrow", "not_yet_valid", ca.Issue(t, []string{host}, at(24*time.Hour, 48*time.Hour))},
		{"for clients only", "usage", ca.Issue(t, []string{host}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })},
		{"RSA with 1024 bits", "weak_key", weak(t)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := certs.Check(tt.leaf.Cert, tt.leaf.Key, host, time.Now())
			refused, ok := errors.AsType[*certs.Refused](err)
			if tt.reason == "" && err != nil || tt.reason != "" && (!ok || refused.Reason != tt.reason) {
				t.Errorf("err = %v, want reason %q", err, tt.reason)
			}
		})
	}
}

// weak is self-signed with a short key, which crypto/rsa makes only when asked twice.
func weak(t *testing.T) testkit.Leaf {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return testkit.Leaf{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})}
}
