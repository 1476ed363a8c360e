package certs_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"example.com/portcullis/internal/guard/certs"
	"example.com/portcullis/internal/testkit"
)

// listenTLS serves h with config on loopback until the test ends.
func listenTLS(t *testing.T, config *tls.Config, h http.HandlerFunc) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, TLSConfig: config, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr().String()
}

func files(t *testing.T, ca *testkit.CA, leaf testkit.Leaf) *certs.Files {
	t.Helper()
	cert, key := ca.Write(t, t.TempDir(), leaf)
	f, err := certs.NewFiles(certs.FilesOptions{Cert: cert, Key: key, Host: host, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

//control:proves tls
func TestConfig_refusesOldVersionsAndWeakSuites(t *testing.T) {
	ca := testkit.NewCA(t)
	config := certs.Config(files(t, ca, ca.Issue(t, []string{host})))
	if config.MinVersion < tls.VersionTLS12 {
		t.Error("older versions are refused for want of a common suite alone")
	}
	addr := listenTLS(t, config, func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct {
		name     string
		version  uint16
		suite    uint16
		accepted bool
	}{
		{"TLS 1.0", tls.VersionTLS10, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"TLS 1.1", tls.VersionTLS11, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"TLS 1.2 with CBC and SHA-1", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"TLS 1.2 with CBC and SHA-256", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, false},
		{"TLS 1.2 with RC4", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, false},
		{"TLS 1.2 without forward secrecy", tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, false},
		{"TLS 1.2 with AES-GCM", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{"TLS 1.2 with ChaCha20", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
		{"TLS 1.3", tls.VersionTLS13, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &tls.Config{RootCAs: ca.Pool(), ServerName: host, MinVersion: tt.version, MaxVersion: tt.version}
			if tt.suite != 0 {
				c.CipherSuites = []uint16{tt.suite}
			}
			conn, err := tls.Dial("tcp", addr, c)
			if (err == nil) != tt.accepted {
				t.Fatalf("accepted %v, want %v: %v", err == nil, tt.accepted, err)
			}
			if err == nil {
				conn.Close()
			} else if _, alert := errors.AsType[tls.AlertError](err); !alert && !strings.Contains(err.Error(), "remote error") {
				t.Errorf("it was not the server that refused: %v", err)
			}
		})
	}
}

// A client that has agreed on HTTP/2 asks for a tunnel with RFC 8441: nothing may be
// announced, and nobody may get one, because its stream would pass the frame guard by.
//
//control:proves tls
func TestConfig_opensNoTunnelInsideOfHTTP2(t *testing.T) {
	ca := testkit.NewCA(t)
	reached := make(chan string, 1)
	addr := listenTLS(t, certs.Config(files(t, ca, ca.Issue(t, []string{host}))), func(w http.ResponseWriter, r *http.Request) { reached <- r.Method })
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.Pool(), ServerName: host, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("pages get %q, want h2", got)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, bufio.NewReader(conn))
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", "/ws"}, {":authority", host},
		{"sec-websocket-version", "13"}, {"origin", "https://" + host}} {
		if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal("no answer to the tunnel:", err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := frame.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
				t.Error("sockets inside of HTTP/2 are announced")
			}
		case *http2.RSTStreamFrame:
			select {
			case m := <-reached:
				t.Errorf("a %s reached the handler", m)
			default:
			}
			return // refused
		case *http2.HeadersFrame:
			t.Fatal("the tunnel was answered with headers")
		}
	}
}

//control:proves tls
func TestPlain_redirectsPeopleAndRefusesPrograms(t *testing.T) {
	base, err := url.Parse("https://" + host)
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	p, err := certs.NewPlain(base, func(_ *http.Request, reason string) { refused = append(refused, reason) })
	if err != nil {
		t.Fatal(err)
	}
	const page = "text/html,application/xhtml+xml;q=0.9"
	for _, tt := range []struct {
		name, method, target, accept, upgrade string
		status                                int
		location, reason                      string
	}{
		{"a person who types the name", "GET", "/", page, "", 308, "https://chat.example.com/", ""},
		{"a link to a room", "GET", "/rooms/7?at=3", page, "", 308, "https://chat.example.com/rooms/7?at=3", ""},
		{"two slashes", "GET", "//evil.example/", page, "", 308, "https://chat.example.com//evil.example/", ""},
		{"a socket", "GET", "/ws", page, "websocket", 426, "", "socket_in_clear"},
		{"a socket without Upgrade", "GET", "/ws", page, "", 426, "", "socket_in_clear"},
		{"a socket of a program", "GET", "/ws/cli", "", "websocket", 426, "", "socket_in_clear"},
		{"a socket somewhere else", "GET", "/", page, "websocket", 426, "", "socket_in_clear"},
		{"a call", "GET", "/api/session", page, "", 403, "", "call_in_clear"},
		{"a call in capitals", "GET", "/API/session", page, "", 403, "", "call_in_clear"},
		{"a program", "GET", "/", "*/*", "", 403, "", "call_in_clear"},
		{"a form", "POST", "/sign-in", page, "", 403, "", "call_in_clear"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused = nil
			r := httptest.NewRequest(tt.method, "http://evil.example"+tt.target, nil)
			r.Host = "evil.example" // the answer must not come from it
			r.Header.Set("Accept", tt.accept)
			if tt.upgrade != "" {
				r.Header.Set("Upgrade", tt.upgrade)
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("Location") != tt.location {
				t.Errorf("answered %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), tt.status, tt.location)
			}
			if got := strings.Join(refused, " "); got != tt.reason {
				t.Errorf("reported %q, want %q", got, tt.reason)
			}
			if w.Header().Get("Strict-Transport-Security") != "" {
				t.Error("HSTS over plain http (RFC 6797 §7.2)")
			}
		})
	}
	for _, bad := range []*url.URL{nil, {Scheme: "http", Host: host}, {Scheme: "https"}} {
		if _, err := certs.NewPlain(bad, func(*http.Request, string) {}); err == nil {
			t.Errorf("base %v was accepted", bad)
		}
	}
}

//control:proves mtls
func TestServiceConfig_servesNobodyWithoutACertificateOfOurAuthority(t *testing.T) {
	ca, services, other := testkit.NewCA(t), testkit.NewCA(t), testkit.NewCA(t)
	const spiffe = "spiffe://example.com/bot"
	bot := services.Issue(t, []string{spiffe})
	expired := services.Issue(t, []string{spiffe}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	server := services.Issue(t, []string{spiffe}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	handler := certs.RequirePeer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, certs.Peer(r.Context())) }),
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	addr := listenTLS(t, certs.ServiceConfig(files(t, ca, ca.Issue(t, []string{host})), services.Pool()), handler.ServeHTTP)
	for _, tt := range []struct {
		name   string
		client *testkit.Leaf
		want   string // empty: TLS refuses
	}{
		{"no certificate", nil, ""},
		{"another authority", new(other.Issue(t, []string{spiffe})), ""},
		{"the authority of the server's own certificate", new(ca.Issue(t, []string{spiffe})), ""},
		{"expired", &expired, ""},
		{"for servers only", &server, ""},
		{"ours", &bot, "200 " + spiffe},
		{"ours, with a DNS name", new(services.Issue(t, []string{"bot.example.com"})), "200 bot.example.com"},
		{"ours, with two names to choose from", new(services.Issue(t, []string{"bot.example.com", "admin.example.com"})), "403 "},
		{"ours, without a name", new(services.Issue(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = spiffe })), "403 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := &tls.Config{RootCAs: ca.Pool(), ServerName: host}
			if tt.client != nil {
				pair := tt.client.Pair(t)
				// Sent whatever the server asks for, as an attacker would.
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			got := ""
			res, err := get(t, addr, config)
			if err == nil {
				b, _ := io.ReadAll(res.Body)
				res.Body.Close()
				got = fmt.Sprintf("%d %s", res.StatusCode, b)
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// A listener that only asks for certificates leaves the chains empty.
//
//control:proves mtls
func TestRequirePeer_believesVerifiedChainsOnly(t *testing.T) {
	ca, stranger := testkit.NewCA(t), testkit.NewCA(t)
	handler := certs.RequirePeer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, certs.Peer(r.Context())) }),
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	config := certs.ServiceConfig(files(t, ca, ca.Issue(t, []string{host})), ca.Pool())
	config.ClientAuth = tls.RequireAnyClientCert // somebody's mistake
	addr := listenTLS(t, config, handler.ServeHTTP)
	pair := stranger.Issue(t, []string{"spiffe://example.com/bot"}).Pair(t)
	res, err := get(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: host, Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("an unverified certificate got %d", res.StatusCode)
	}
	if got := certs.Peer(context.Background()); got != "" {
		t.Errorf("Peer outside of RequirePeer is %q", got)
	}
}

// get makes one call on a connection of its own.
func get(t *testing.T, addr string, config *tls.Config) (*http.Response, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return client.Get("https://" + host + "/")
}
