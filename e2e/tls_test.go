package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/devcert"
	"example.com/portcullis/internal/testkit"
)

// public is the origin of servers that are in production.
const public = "https://chat.portcullis.test"

// name is the host of public.
var name = strings.TrimPrefix(public, "https://")

// produced are the variables of a server in production mode, all but its TLS.
func produced(t *testing.T) []string {
	t.Helper()
	key := func() string {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		return base64.StdEncoding.EncodeToString(b)
	}
	return append(backends(t), "PORTCULLIS_ENV=production", "PORTCULLIS_BASE_URL="+public, "PORTCULLIS_TICKET_KEYS=k1:"+key(), "PORTCULLIS_AUDIT_KEY="+key())
}

// secured are the variables of a server in production mode that speaks TLS itself, on
// every listener that it can have.
func secured(t *testing.T) []string {
	t.Helper()
	ca, dir := testkit.NewCA(t), t.TempDir()
	cert, key := ca.Write(t, dir, ca.Issue(t, []string{name}))
	return append(produced(t), "PORTCULLIS_TLS_CERT="+cert, "PORTCULLIS_TLS_KEY="+key, "PORTCULLIS_PLAIN_LISTEN="+freePort(t),
		"PORTCULLIS_SERVICE_LISTEN="+freePort(t), "PORTCULLIS_SERVICE_CERT="+cert, "PORTCULLIS_SERVICE_KEY="+key, "PORTCULLIS_SERVICE_CLIENT_CA="+filepath.Join(dir, "ca.pem"))
}

// dialTLS is one TLS connection to the public listener.
func (s *Server) dialTLS(t *testing.T, protocols ...string) *tls.Conn {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: s.roots(), ServerName: name, NextProtos: protocols}}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*tls.Conn)
}

//control:proves certificates
func TestTLS_aHundredSocketsSurviveTheRotationOfTheCertificate(t *testing.T) {
	t.Parallel()
	env := secured(t)
	s := startGenerous(t, append(env, "PORTCULLIS_SOCKETS_PER_USER=1000")...)
	cert := variable(env, "PORTCULLIS_TLS_CERT")
	target := s.Target(t)
	person, err := target.Person(t.Context(), "steward")
	if err != nil {
		t.Fatal(err)
	}
	id := room(t, person, "closed")
	const many = 100
	sockets := make([]*attack.Socket, many)
	var all sync.WaitGroup
	for i := range sockets {
		all.Go(func() {
			var err error
			if sockets[i], err = person.At(target).Open(t.Context(), attack.Handshake{}); err != nil { // a copy: each call notes its cookie
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	serial := func() string { return s.dialTLS(t).ConnectionState().PeerCertificates[0].SerialNumber.Text(16) }
	old := serial()

	next, mark := s.next(t), s.Logs.Mark()
	dir := filepath.Dir(cert)
	replace(t, filepath.Join(dir, "cert.pem"), next.Cert)
	replace(t, filepath.Join(dir, "key.pem"), next.Key)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.wantEvent(t, mark, "cert_reloaded", func(e Event) bool { return e.Control == "certificates" })
	now := serial()
	if now == old {
		t.Error("new handshakes see the old certificate")
	}
	for i, socket := range sockets {
		if f, err := socket.Ask("room.join", data{"room_id": id}); err != nil || f.Type != "ack" {
			t.Fatalf("socket %d of %d did not survive: %s %v", i, many, f.Raw, err)
		}
	}

	// A corrupted file changes nothing, and is an event.
	mark = s.Logs.Mark()
	replace(t, filepath.Join(dir, "cert.pem"), []byte("corrupted"))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.wantEvent(t, mark, "cert_reload_failed", func(e Event) bool { return e.Control == "certificates" && e.Reason == "pair" })
	if got := serial(); got != now {
		t.Errorf("serial %s after a corrupted file, want %s", got, now)
	}
	for _, socket := range sockets {
		socket.Close()
	}
}

// next is a certificate of another authority, which clients believe from now on as well.
func (s *Server) next(t *testing.T) testkit.Leaf {
	t.Helper()
	ca, dir := testkit.NewCA(t), filepath.Dir(variable(s.env, "PORTCULLIS_TLS_CERT"))
	f, err := os.OpenFile(filepath.Join(dir, "ca.pem"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(ca.PEM)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return ca.Issue(t, []string{name})
}

// replace puts content in the place of a file at once.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

//control:proves hsts
//control:proves tls
func TestTLS_everyAnswerRemembersHTTPSAndNothingSaysWhatRunsHere(t *testing.T) {
	t.Parallel()
	s := startGenerous(t, secured(t)...)
	visitor, err := s.Target(t).Visit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for path, header := range map[string]http.Header{
		"/sign-in": {}, "/api/session": {}, "/no/such/page": {}, "/api/rooms": {}, "/ws": {}, "/ws/cli": {}, "/static/none.js": {},
		"/": {"Host": {"evil.example"}}, // refused by name
	} {
		a, err := visitor.Raw(t.Context(), http.MethodGet, path, header, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Header.Get("Strict-Transport-Security"); got != "max-age=63072000; includeSubDomains" {
			t.Errorf("%s answered %d with HSTS %q", path, a.Status, got)
		}
		if got := a.Header.Get("Server") + a.Header.Get("X-Powered-By") + a.Header.Get("Via"); got != "" {
			t.Errorf("%s says what it is: %q", path, got)
		}
	}

	// In clear there is no HSTS (RFC 6797 §7.2), no tunnel and no way on for programs.
	plain := variable(s.env, "PORTCULLIS_PLAIN_LISTEN")
	for _, tt := range []struct{ path, accept, upgrade, location string }{
		{"/rooms", "text/html", "", public + "/rooms"}, {"/ws", "text/html", "websocket", ""}, {"/api/session", "text/html", "", ""}, {"/", "*/*", "", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+plain+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		req.Header.Set("Accept", tt.accept)
		if tt.upgrade != "" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", tt.upgrade)
		}
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Header.Get("Location") != tt.location || (res.StatusCode == http.StatusPermanentRedirect) != (tt.location != "") || res.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s in clear: %d to %q with HSTS %q", tt.path, res.StatusCode, res.Header.Get("Location"), res.Header.Get("Strict-Transport-Security"))
		}
	}
	// ws:// to the port of wss:// gets neither a 101 nor a redirect.
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\n\r\n", name)
	if answer, err := io.ReadAll(conn); err == nil && (strings.Contains(string(answer), " 101 ") || strings.Contains(string(answer), "Location:")) {
		t.Errorf("ws:// at the port of wss://: %q", answer)
	}
}

//control:proves tls
func TestTLS_pagesMayUseHTTP2AndSocketsMayNot(t *testing.T) {
	t.Parallel()
	s := startGenerous(t, secured(t)...)
	if got := s.dialTLS(t, "h2", "http/1.1").ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("a browser that offers both got %q", got)
	}
	conn := s.dialTLS(t, "http/1.1")
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("a socket's client got %q", got)
	}
	client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: s.roots(), ServerName: name},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr)
		}}, Timeout: soon}
	defer client.CloseIdleConnections()
	mark := s.Logs.Mark()
	for path, want := range map[string]int{"/sign-in": 200, "/ws": 400, "/ws/cli": 400} {
		res, err := client.Get(public + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.ProtoMajor != 2 || res.StatusCode != want {
			t.Errorf("%s over HTTP/%d answered %d, want %d over HTTP/2", path, res.ProtoMajor, res.StatusCode, want)
		}
	}
	s.wantEvent(t, mark, "ws_handshake_reject", func(e Event) bool { return e.Control == "handshake-protocol" && e.Reason == "http_version" })
	// And over http/1.1 a whole conversation works.
	person, err := s.Target(t).Person(t.Context(), "steward")
	if err != nil {
		t.Fatal(err)
	}
	id := room(t, person, "closed")
	say(t, enter(t, person, id), id, "over wss")
}

//control:proves mtls
func TestTLS_aServiceOfOursReachesItsRoute(t *testing.T) {
	t.Parallel()
	env := secured(t)
	services := testkit.NewCA(t)
	trust := filepath.Join(t.TempDir(), "services.pem")
	if err := os.WriteFile(trust, services.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startGenerous(t, append(env, "PORTCULLIS_SERVICE_CLIENT_CA="+trust)...)
	door := variable(s.env, "PORTCULLIS_SERVICE_LISTEN")
	_, port, _ := net.SplitHostPort(door)
	knock := func(client testkit.Leaf, path string) (status int, err error) {
		c := &tls.Config{RootCAs: s.roots(), ServerName: name}
		if client.Cert != nil {
			c.Certificates = []tls.Certificate{client.Pair(t)}
		}
		conn, err := tls.Dial("tcp", door, c)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(soon))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\nSec-WebSocket-Protocol: portcullis.v1.json\r\n\r\n", path, name, port)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		res.Body.Close()
		return res.StatusCode, nil
	}
	bot := services.Issue(t, []string{"spiffe://portcullis.test/bot"})
	// The route is reached: it asks for a ticket. Pages and calls are not on this listener.
	for path, want := range map[string]int{"/ws/cli": 401, "/ws": 404, "/sign-in": 404, "/api/session": 404, "/metrics": 404} {
		if got, err := knock(bot, path); got != want {
			t.Errorf("%s with our certificate answered %d (%v), want %d", path, got, err, want)
		}
	}
	for _, tt := range []struct {
		who, reason string
		client      testkit.Leaf
	}{
		{"nobody", "no_certificate", testkit.Leaf{}},
		{"a service of another authority", "not_trusted", testkit.NewCA(t).Issue(t, []string{"spiffe://portcullis.test/bot"})},
		{"a service whose certificate has ended", "expired", services.Issue(t, []string{"spiffe://portcullis.test/bot"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
	} {
		mark := s.Logs.Mark()
		if got, err := knock(tt.client, "/ws/cli"); err == nil {
			t.Errorf("%s was answered %d", tt.who, got)
		}
		s.wantEvent(t, mark, "tls_peer_refused", func(e Event) bool { return e.Control == "mtls" && e.Reason == tt.reason })
	}
}

//control:proves devcert
func TestTLS_productionDoesNotStartWithADevelopmentCertificate(t *testing.T) {
	t.Parallel()
	f, err := devcert.Make(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	env := append(produced(t), "PORTCULLIS_LISTEN="+freePort(t), "PORTCULLIS_TLS_CERT="+f.Cert, "PORTCULLIS_TLS_KEY="+f.Key)
	got := portcullis(t, env, "", "serve")
	if got.code != 2 || !strings.Contains(got.err, "PORTCULLIS_TLS_CERT is a development certificate") || !strings.Contains(got.err, "config_weak_refused") {
		t.Errorf("exit code %d:\n%s", got.code, got.err)
	}
}
