package attack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

func transportAttacks() []Attack {
	return []Attack{
		{
			Control: "tls",
			Strict:  true,
			Title:   "somebody on the way talks a client down to TLS 1.0, to CBC or to a suite without forward secrecy",
			Run:     downgrade,
		},
		{
			Control: "tls",
			Strict:  true,
			Title:   "a program speaks in clear and is quietly sent on to https, so that nobody ever notices",
			Run:     inClear,
		},
		{
			Control: "mtls",
			Strict:  true,
			Title:   "a stranger comes to the listener for services with no certificate, and with one of their own making",
			Run:     strangeService,
		},
		{
			Control: "proxies",
			Title:   "an upgrade with a version that does not exist leaves a tunnel behind, and the next request goes through it unseen",
			Run:     smuggle,
		},
		{
			Control: "slow-upgrade",
			Title:   "a slow-loris handshake holds a connection open, one header byte at a time",
			Run:     func(ctx context.Context, t *Target) (Outcome, error) { return slowly(ctx, t, nil) },
		},
		{
			Control: "slow-upgrade",
			Title:   "a crowd of slow handshakes keeps an honest person from signing in",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				const crowd = 200
				return slowly(ctx, t, func() error {
					var all sync.WaitGroup
					for range crowd {
						conn, err := t.connect(ctx)
						if err != nil {
							return err
						}
						defer conn.Close()
						all.Go(func() { _, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nX-Slow: ") })
					}
					all.Wait()
					begin := time.Now()
					if _, err := t.Person(ctx, "honest"); err != nil {
						return err
					}
					if took := time.Since(begin); took > 4*time.Second { // less than the crowd's patience
						return fmt.Errorf("it took %s", took)
					}
					return nil
				})
			},
		},
	}
}

// downgrade offers what an old client offers, one weakness at a time.
func downgrade(ctx context.Context, t *Target) (Outcome, error) {
	honest, err := t.connect(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("an honest handshake: %w", err)
	}
	honest.Close()
	for _, weak := range []struct {
		name    string
		version uint16
		suites  []uint16
	}{
		{"TLS 1.0", tls.VersionTLS10, nil},
		{"TLS 1.1", tls.VersionTLS11, nil},
		{"CBC", tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256}},
		{"no forward secrecy", tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384}},
		{"RC4 and 3DES", tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}},
	} {
		conn, err := t.dial(ctx, "", "")
		if err != nil {
			return Outcome{}, err
		}
		c := t.tls.Clone()
		c.MinVersion, c.MaxVersion, c.CipherSuites = weak.version, weak.version, weak.suites
		err = tls.Client(conn, c).HandshakeContext(ctx)
		conn.Close()
		if err == nil {
			return won("the server agreed to %s", weak.name)
		}
	}
	return lost("every weak offer was refused, and an honest one accepted")
}

// inClear speaks http to the cleartext listener, which is where addr must lead.
func inClear(ctx context.Context, t *Target) (Outcome, error) {
	client := &http.Client{Timeout: callTime, Transport: &http.Transport{DialContext: t.dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, call := range []struct {
		path   string
		header http.Header
	}{
		{"/api/session", http.Header{"Accept": {"text/html"}}},
		{"/ws", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"c2l4dGVlbiBieXRlcyBvaw=="}, "Accept": {"text/html"}}},
		{"/ws/cli", http.Header{"Authorization": {"Bearer nothing"}}},
		{"/", http.Header{"Accept": {"application/json"}}},
	} {
		u := url.URL{Scheme: "http", Host: t.Base.Hostname(), Path: call.path}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return Outcome{}, err
		}
		req.Header = call.header
		res, err := client.Do(req)
		if err != nil {
			return Outcome{}, err
		}
		res.Body.Close()
		if res.StatusCode < 400 || res.Header.Get("Location") != "" {
			return won("%s in clear was answered %d %s", call.path, res.StatusCode, res.Header.Get("Location"))
		}
	}
	return lost("every call in clear was refused, and none was sent on")
}

// strangeService tries the service listener, which is where addr must lead.
func strangeService(ctx context.Context, t *Target) (Outcome, error) {
	own, err := selfSigned()
	if err != nil {
		return Outcome{}, err
	}
	for name, certificate := range map[string]*tls.Certificate{"no certificate": {}, "a certificate signed by itself": own} {
		c := t.tls.Clone()
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
		conn, err := t.dial(ctx, "", "")
		if err != nil {
			return Outcome{}, err
		}
		secure := tls.Client(conn, c)
		_ = secure.SetDeadline(time.Now().Add(callTime))
		_, _ = fmt.Fprintf(secure, "GET /ws/cli HTTP/1.1\r\nHost: %s\r\n\r\n", t.Base.Host)
		// In TLS 1.3 the refusal comes after the client believes to be connected.
		res, err := http.ReadResponse(bufio.NewReader(secure), nil)
		conn.Close()
		if err == nil {
			return won("with %s the application answered %d", name, res.StatusCode)
		}
	}
	return lost("nobody was served")
}

// selfSigned is a certificate that names a service and that nobody has signed.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/admin"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// smuggle is the WebSocket smuggling of 0ang3el: the proxy forwards an upgrade that the
// server refuses, believes in a tunnel all the same, and passes on blindly what comes next.
func smuggle(ctx context.Context, t *Target) (Outcome, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		return Outcome{}, err
	}
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\nOrigin: %s\r\n\r\n", t.Base.Host, t.Base)
	if err != nil {
		return Outcome{}, err
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return Outcome{}, err
	}
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return won("the upgrade was accepted")
	}
	// A proxy may keep its own connection to us; a tunnel is one in which the server's
	// answer comes as the server wrote it, to a path that no proxy lets through.
	if _, err := fmt.Fprintf(conn, "GET /livez?smuggled HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", t.Base.Host); err != nil {
		return lost("refused with %d, and the connection is closed", res.StatusCode)
	}
	second, err := io.ReadAll(in)
	switch {
	case err != nil && len(second) == 0:
		return lost("refused with %d, and the connection is closed", res.StatusCode)
	case bytes.Contains(second, []byte("ok\n")):
		return won("after %d %q the server answered through the same connection: %q", res.StatusCode, body, second)
	}
	return lost("refused with %d; what came next was answered %.40q", res.StatusCode, second)
}

// slowly sends a handshake one byte at a time and wins if it is held for longer than
// the server's patience, or if what others do meanwhile fails.
func slowly(ctx context.Context, t *Target, meanwhile func() error) (Outcome, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return Outcome{}, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: "+t.Base.Host+"\r\nX-Slow: "); err != nil {
		return Outcome{}, err
	}
	begin := time.Now()
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return won("meanwhile an honest person failed: %v", err)
		}
		return lost("an honest person signed up meanwhile, after %s", time.Since(begin).Round(time.Millisecond))
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 512)
	for time.Since(begin) < 10*time.Second {
		<-tick.C
		if _, err := io.WriteString(conn, "a"); err != nil {
			return lost("dropped after %s", time.Since(begin).Round(time.Second))
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := conn.Read(buf); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				continue
			}
			return lost("dropped after %s", time.Since(begin).Round(time.Second))
		}
		return lost("answered %.12q after %s", buf, time.Since(begin).Round(time.Second))
	}
	return won("held for 10 s")
}
