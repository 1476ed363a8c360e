package app_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/testkit"
)

// front speaks TLS before a real server, with a certificate that can be changed: what
// an impostor on the line has is everything but the right one.
type front struct {
	addr        string
	server      *url.URL
	certificate atomic.Pointer[tls.Certificate]

	mu      sync.Mutex
	clients map[net.Conn]bool
}

func newFront(t *testing.T, server string, leaf testkit.Leaf) *front {
	t.Helper()
	// The proxy makes one address of a Unix socket and of TCP.
	u, err := url.Parse(testkit.NewProxy(t, server).URL())
	if err != nil {
		t.Fatal(err)
	}
	f := &front{server: u, clients: map[net.Conn]bool{}}
	f.show(t, leaf)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.certificate.Load(), nil }}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.clients[client] = true
			f.mu.Unlock()
			all.Go(func() {
				defer f.forget(client)
				if u.Scheme != "redis" { // PostgreSQL asks first: SSLRequest, answered by one byte
					if _, err := io.ReadFull(client, make([]byte, 8)); err != nil {
						return
					}
					if _, err := client.Write([]byte("S")); err != nil {
						return
					}
				}
				secure := tls.Server(client, config)
				if secure.Handshake() != nil {
					return
				}
				upstream, err := net.Dial("tcp", u.Host)
				if err != nil {
					return
				}
				defer upstream.Close()
				var both sync.WaitGroup
				both.Go(func() { _, _ = io.Copy(upstream, secure); upstream.Close() })
				both.Go(func() { _, _ = io.Copy(secure, upstream); client.Close() })
				both.Wait()
			})
		}
	})
	t.Cleanup(func() { l.Close(); f.cut(); all.Wait() })
	return f
}

// show changes the certificate and cuts who may have been shown the former one, also
// in a handshake that is under way.
func (f *front) show(t *testing.T, leaf testkit.Leaf) {
	t.Helper()
	pair := leaf.Pair(t)
	f.certificate.Store(&pair)
	f.cut()
}

func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for client := range f.clients {
		client.Close()
	}
}

func (f *front) forget(client net.Conn) {
	client.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.clients, client)
}

// url is the server's URL through the front.
func (f *front) url() string {
	u := *f.server
	u.Host = f.addr
	if u.Scheme == "redis" {
		u.Scheme = "rediss"
		return u.String()
	}
	q := u.Query()
	q.Set("sslmode", "verify-full")
	u.RawQuery = q.Encode()
	return u.String()
}

//control:proves backend-tls
func TestBackends_anImpostorIsNotBelieved(t *testing.T) {
	ours, theirs := testkit.NewCA(t), testkit.NewCA(t)
	honest, impostor, wrongName := ours.Issue(t, []string{"127.0.0.1"}), theirs.Issue(t, []string{"127.0.0.1"}), ours.Issue(t, []string{"other.example"})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, ours.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	database, redis := newFront(t, testkit.DatabaseURL(t), honest), newFront(t, testkit.RedisURL(t), honest)
	c, err := config.Load([]string{"DATABASE_URL=" + database.url(), "REDIS_URL=" + redis.url(), "PORTCULLIS_BASE_URL=" + base, "PORTCULLIS_DATABASE_CA=" + ca, "PORTCULLIS_REDIS_CA=" + ca})
	if err != nil {
		t.Fatal(err)
	}
	buffer := &safeBuffer{}
	log := slog.New(slog.NewJSONHandler(buffer, nil))

	// At the start.
	for _, f := range []*front{database, redis} {
		for _, other := range []testkit.Leaf{impostor, wrongName} {
			f.show(t, other)
			b, err := app.OpenBackends(t.Context(), c, t.TempDir(), log, nil)
			if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Errorf("an impostor was believed, or refused for another reason: %v", err)
			}
			if err == nil {
				_ = b.Close(context.Background())
			}
		}
		f.show(t, honest)
	}

	// While it runs.
	b, err := app.OpenBackends(t.Context(), c, t.TempDir(), log, nil)
	if err != nil {
		t.Fatal("honest backends:", err)
	}
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	parts, err := app.Hardened(t.Context(), c, b, log, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(parts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	w := &world{App: a, log: buffer}
	status := func() int { return w.get(t, a.Handler(), base+"/readyz").Code }
	testkit.Eventually(t, 10*time.Second, func() bool { return status() == http.StatusOK })
	for name, f := range map[string]*front{"postgres": database, "redis": redis} {
		f.show(t, impostor)
		testkit.Eventually(t, 20*time.Second, func() bool {
			return status() == http.StatusServiceUnavailable && strings.Contains(buffer.String(), `"event":"backend_untrusted","severity":"CRITICAL","control":"backend-tls","reason":"`+name+`"`)
		})
		f.show(t, honest)
		testkit.Eventually(t, 20*time.Second, func() bool { return status() == http.StatusOK })
	}
}
