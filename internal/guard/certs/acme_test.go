package certs_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/testkit"
)

// authorityServer is a certificate authority that speaks ACME (RFC 8555) as far as one
// order needs it, and validates by TLS-ALPN-01 (RFC 8737): it connects to the server
// that asks, and signs only when it finds the key authorization there. Every name is
// at target.
type authorityServer struct {
	*httptest.Server
	ca     *testkit.CA
	target string

	mu         sync.Mutex
	thumbprint string
	host       string   // of the one order
	valid      bool     // the challenge was met
	issued     []byte   // the chain
	asked      []string // the names of all orders
}

const token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

func newAuthorityServer(t *testing.T) *authorityServer {
	t.Helper()
	s := &authorityServer{ca: testkit.NewCA(t)}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.serve(t, w, r); err != nil {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"type": "urn:ietf:params:acme:error:unauthorized", "detail": err.Error()})
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *authorityServer) serve(t *testing.T, w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, body any) error {
		w.WriteHeader(status)
		return json.NewEncoder(w).Encode(body)
	}
	payload, jwk := s.read(r)
	switch r.URL.Path {
	case "/dir":
		return answer(200, map[string]any{"newNonce": s.URL + "/nonce", "newAccount": s.URL + "/account", "newOrder": s.URL + "/order",
			"revokeCert": s.URL + "/revoke", "keyChange": s.URL + "/key", "meta": map[string]string{"termsOfService": s.URL + "/terms"}})
	case "/nonce":
		return nil
	case "/account":
		x, errX := base64.RawURLEncoding.DecodeString(jwk["x"])
		y, errY := base64.RawURLEncoding.DecodeString(jwk["y"])
		if errX != nil || errY != nil {
			return fmt.Errorf("account key: %v", jwk)
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return err
		}
		if s.thumbprint, err = acme.JWKThumbprint(key); err != nil {
			return err
		}
		w.Header().Set("Location", s.URL+"/account/1")
		return answer(201, map[string]string{"status": "valid"})
	case "/order":
		var in struct{ Identifiers []struct{ Value string } }
		if err := json.Unmarshal(payload, &in); err != nil || len(in.Identifiers) != 1 {
			return fmt.Errorf("order %s", payload)
		}
		s.host, s.valid, s.issued = in.Identifiers[0].Value, false, nil
		s.asked = append(s.asked, s.host)
		w.Header().Set("Location", s.URL+"/order/1")
		return answer(201, s.order())
	case "/order/1":
		return answer(200, s.order())
	case "/authz/1", "/challenge/1":
		status := map[bool]string{true: "valid", false: "pending"}
		challenge := func() map[string]any {
			return map[string]any{"type": "tls-alpn-01", "url": s.URL + "/challenge/1", "token": token, "status": status[s.valid]}
		}
		if r.URL.Path == "/authz/1" {
			return answer(200, map[string]any{"status": status[s.valid], "identifier": map[string]string{"type": "dns", "value": s.host}, "challenges": []any{challenge()}})
		}
		if err := s.validate(); err != nil {
			return err
		}
		s.valid = true
		return answer(200, challenge())
	case "/finalize/1":
		if !s.valid {
			return fmt.Errorf("not validated")
		}
		var in struct{ CSR string }
		if err := json.Unmarshal(payload, &in); err != nil {
			return err
		}
		der, err := base64.RawURLEncoding.DecodeString(in.CSR)
		if err != nil {
			return err
		}
		request, err := x509.ParseCertificateRequest(der)
		if err != nil || len(request.DNSNames) != 1 || request.DNSNames[0] != s.host {
			return fmt.Errorf("request for %v: %w", request.DNSNames, err)
		}
		leaf := s.ca.SignRequest(t, request)
		s.issued = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), s.ca.PEM...)
		return answer(200, s.order())
	case "/cert/1":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, err := w.Write(s.issued)
		return err
	}
	return fmt.Errorf("nothing at %s", r.URL.Path)
}

// read takes a JWS apart. It does not check the signature: what is tested is the asker.
func (s *authorityServer) read(r *http.Request) (payload []byte, jwk map[string]string) {
	var jws struct{ Protected, Payload string }
	b, _ := io.ReadAll(r.Body)
	if json.Unmarshal(b, &jws) != nil {
		return nil, nil
	}
	head, _ := base64.RawURLEncoding.DecodeString(jws.Protected)
	payload, _ = base64.RawURLEncoding.DecodeString(jws.Payload)
	var h struct{ JWK map[string]string }
	_ = json.Unmarshal(head, &h)
	return payload, h.JWK
}

func (s *authorityServer) order() map[string]any {
	o := map[string]any{"status": "pending", "identifiers": []any{map[string]string{"type": "dns", "value": s.host}}, "authorizations": []string{s.URL + "/authz/1"}, "finalize": s.URL + "/finalize/1"}
	switch {
	case s.issued != nil:
		o["status"], o["certificate"] = "valid", s.URL+"/cert/1"
	case s.valid:
		o["status"] = "ready"
	}
	return o
}

// validate is RFC 8737 §3: the protocol is negotiated, and the certificate that comes
// holds the hash of the key authorization.
func (s *authorityServer) validate() error {
	conn, err := tls.Dial("tcp", s.target, &tls.Config{ServerName: s.host, NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	sum := sha256.Sum256([]byte(token + "." + s.thumbprint))
	want, err := asn1.Marshal(sum[:])
	if err != nil {
		return err
	}
	for _, e := range state.PeerCertificates[0].Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.31" && bytes.Equal(e.Value, want) && state.NegotiatedProtocol == acme.ALPNProto {
			return nil
		}
	}
	return fmt.Errorf("the challenge was not met")
}

//control:proves certificates
func TestACME_getsACertificateForOurHostAndForNoOther(t *testing.T) {
	authority := newAuthorityServer(t)
	dir := filepath.Join(t.TempDir(), "acme")
	options := certs.ACMEOptions{Directory: authority.URL + "/dir", Email: "ops@example.com", Host: host, Dir: dir, Client: authority.Client(), Now: time.Now}
	source, err := certs.NewACME(options)
	if err != nil {
		t.Fatal(err)
	}
	authority.target = listenTLS(t, certs.Config(source), func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

	news := make(chan certs.Change, 4)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); source.Run(ctx, nil, func(c certs.Change) { news <- c }) }()
	defer func() { cancel(); <-ended }()
	if c := <-news; c.Kind != certs.Reloaded || c.Err != nil {
		t.Fatalf("the first news is %+v", c)
	}

	res, err := get(t, authority.target, &tls.Config{RootCAs: authority.ca.Pool(), ServerName: host})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()

	// Somebody points names at us, or makes them up.
	for _, name := range []string{"evil.example", "www." + host, strings.TrimPrefix(host, "chat."), "chat.example.com.evil.example"} {
		conn, err := tls.Dial("tcp", authority.target, &tls.Config{RootCAs: authority.ca.Pool(), ServerName: name})
		if err == nil {
			conn.Close()
			t.Errorf("%s got a certificate", name)
		}
	}
	authority.mu.Lock()
	defer authority.mu.Unlock()
	if len(authority.asked) != 1 || authority.asked[0] != host {
		t.Errorf("the authority was asked for %v", authority.asked)
	}
	// What was kept is for this account alone.
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatal("nothing was kept:", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v (%v)", e.Name(), info.Mode(), err)
		}
	}
}

//control:proves certificates
func TestACME_saysWhenTheAuthorityRefuses(t *testing.T) {
	authority := newAuthorityServer(t)
	source, err := certs.NewACME(certs.ACMEOptions{Directory: authority.URL + "/dir", Host: host, Dir: filepath.Join(t.TempDir(), "acme"), Client: authority.Client(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	authority.target = "127.0.0.1:1" // nobody answers the challenge there
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	source.Run(ctx, nil, func(c certs.Change) {
		if c.Kind != certs.ReloadFailed || c.Reason != "acme" || c.Err == nil {
			t.Errorf("reported %+v", c)
		}
		cancel()
	})
}

func TestNewACME_refusesACleartextDirectoryAndAnOpenFolder(t *testing.T) {
	good := certs.ACMEOptions{Directory: "https://acme.example/dir", Host: host, Dir: filepath.Join(t.TempDir(), "acme"), Now: time.Now}
	if _, err := certs.NewACME(good); err != nil {
		t.Fatal(err)
	}
	for _, directory := range []string{"", "http://acme.example/dir", "acme.example"} {
		o := good
		o.Directory = directory
		if _, err := certs.NewACME(o); err == nil {
			t.Errorf("directory %q was accepted", directory)
		}
	}
	if err := os.Chmod(good.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.NewACME(good); err == nil {
		t.Error("a folder that everybody can read was accepted for keys")
	}
}
