// Package e2e runs the real program, built from cmd/portcullis, as its users and its
// attackers meet it: over HTTP, over WebSockets written by hand, and in a browser.
//
// Every test has processes, a database and a Redis of its own, so that the budgets of
// one (all clients of these tests have one address) are not spent by another. Whatever
// a test is about, it also fails when its server logs a panic, a data race or a
// secret.
package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	// buildTimeout is for a cold build cache on a small machine.
	buildTimeout = 10 * time.Minute
	// startTimeout is for a start beside other tests under the race detector; alone it takes a second.
	startTimeout = time.Minute
	// stopTimeout is more than the server's own drain timeout.
	stopTimeout = 30 * time.Second
	// soon is how long a test waits for what should happen at once, on a machine that
	// is busy with other tests.
	soon = 20 * time.Second
)

// binary builds the server once, with the race detector when the tests have it.
var binary = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs(filepath.Join("artifacts", "portcullis"))
	if err != nil {
		return "", err
	}
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", append(args, "../cmd/portcullis")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// generous are limits that only attacks on limits could reach, and those get a server
// with the defaults. What an attack tells from the protocol stays as it is there: five
// sockets per user.
var generous = []string{
	"PORTCULLIS_MESSAGES_PER_MINUTE=6000",
	"PORTCULLIS_MESSAGE_BURST=1000",
	"PORTCULLIS_HANDSHAKES_PER_MINUTE=100000",
	"PORTCULLIS_SIGN_INS_PER_MINUTE=10000",
	"PORTCULLIS_REQUESTS_PER_MINUTE=1000000",
}

// backends gives a test a database and a Redis that nobody else uses, as two
// variables for servers.
func backends(t *testing.T) []string {
	t.Helper()
	return []string{"DATABASE_URL=" + testkit.DatabaseURL(t), "REDIS_URL=" + ownRedis(t)}
}

// ownRedis starts a Redis for one test: the server's key prefix is fixed, and its
// budgets per address would be shared by all tests.
func ownRedis(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	stack, err := embedded.Start(ctx, embedded.Options{DataDir: dataDir(t), Throwaway: true}, embedded.Need{Redis: true})
	if err != nil {
		testkit.Unavailable(t, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := stack.Stop(ctx); err != nil {
			t.Error("stop Redis:", err)
		}
	})
	return stack.RedisURL
}

// dataDir is an empty directory for a stack. t.TempDir would not do: run by root, the
// stack's servers are another account's, and have to come through.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "portcullis-e2e-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Server is one process.
type Server struct {
	Base    string // the public origin
	Addr    string // where it listens
	Private string // its private listener
	Logs    *logbook
	Card    *card // what it prints for people

	env    []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// start runs a server until the test ends and returns when it is ready. Variables in
// env come after, and so instead of, the defaults of these tests. A server that got no
// DATABASE_URL gets backends of its own.
func start(t *testing.T, env ...string) *Server {
	t.Helper()
	s := &Server{Addr: freePort(t), Private: freePort(t), Logs: newLogbook(t)}
	_, port, _ := net.SplitHostPort(s.Addr)
	s.env = append([]string{
		"PORTCULLIS_LISTEN=" + s.Addr,
		"PORTCULLIS_PRIVATE_LISTEN=" + s.Private,
		"PORTCULLIS_BASE_URL=http://app.portcullis.localhost:" + port,
		"PORTCULLIS_DATA_DIR=" + dataDir(t),
		"PORTCULLIS_LOG_FORMAT=json",
	}, env...)
	if variable(s.env, "DATABASE_URL") == "" {
		s.env = append(s.env, backends(t)...)
	}
	s.Base, s.Addr = variable(s.env, "PORTCULLIS_BASE_URL"), variable(s.env, "PORTCULLIS_LISTEN")
	t.Cleanup(func() {
		if s.running() {
			s.Kill(t)
		}
		s.Logs.check(t)
	})
	s.Start(t)
	return s
}

// startGenerous is start with limits that do not get into the way.
func startGenerous(t *testing.T, env ...string) *Server {
	t.Helper()
	return start(t, slices.Concat(generous, env)...)
}

// variable is the value of a variable in env; the last one counts.
func variable(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// environ is this process's environment without what configures a server.
func environ(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "PORTCULLIS_") || strings.HasPrefix(kv, "DATABASE_URL") || strings.HasPrefix(kv, "REDIS_URL")
	})
	return append(env, more...)
}

// Start runs the process, for the first time or again, and waits until it is ready.
func (s *Server) Start(t *testing.T) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(path)
	s.cmd.Env = environ(s.env...)
	s.Card = &card{}
	s.cmd.Stdout = s.Card
	stderr, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	s.exited = exited
	cmd := s.cmd
	go func() {
		defer close(exited)
		s.Logs.read(stderr)
		_ = cmd.Wait() // the exit code is in ProcessState
	}()
	testkit.Eventually(t, startTimeout, func() bool {
		if !s.running() {
			t.Fatalf("the server ended with %d:\n%s", s.cmd.ProcessState.ExitCode(), s.Logs.tail(30))
		}
		return s.Ready() == http.StatusOK
	})
}

func (s *Server) running() bool {
	if s.exited == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Ready is the status of /readyz, 0 when nobody answers.
func (s *Server) Ready() int {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	scheme := "http"
	if roots := s.roots(); roots != nil {
		scheme = "https"
		base, err := url.Parse(s.Base)
		if err != nil {
			return 0
		}
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: base.Hostname()}}
	}
	res, err := client.Get(scheme + "://" + s.Addr + "/readyz")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// Terminate asks the process to stop, as an orchestrator does, and does not wait.
func (s *Server) Terminate(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// Wait returns the exit code of a process that is stopping.
func (s *Server) Wait(t *testing.T) int {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		t.Fatal("the server does not stop")
	}
	return s.cmd.ProcessState.ExitCode()
}

// Kill ends the process without a warning, as a crash does.
func (s *Server) Kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-s.exited
}

// Target is the server as a client sees it.
func (s *Server) Target(t *testing.T) *attack.Target {
	t.Helper()
	return s.at(t, s.Addr)
}

// at is the server as a client sees it at another address, of a listener or a proxy.
func (s *Server) at(t *testing.T, addr string) *attack.Target {
	t.Helper()
	target, err := attack.NewTarget(s.Base, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	target.Trust(s.roots())
	return target
}

// roots is the authority of a server that speaks TLS: ca.pem beside its certificate.
func (s *Server) roots() *x509.CertPool {
	cert := variable(s.env, "PORTCULLIS_TLS_CERT")
	if cert == "" {
		return nil
	}
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(cert), "ca.pem"))
	if err != nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return pool
}

// ports hands out ports below the range from which systems take those of outgoing
// connections, so that a port is still free when its server is started again.
var ports struct {
	sync.Mutex
	next int
}

func freePort(t *testing.T) string {
	t.Helper()
	const first, last = 20_000, 30_000
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = first + rand.IntN(last-first-1000)
	}
	for ; ports.next < last; ports.next++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports.next))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		ports.next++
		return l.Addr().String()
	}
	t.Fatal("no free port")
	return ""
}

// card is what the program prints on standard output.
type card struct {
	mu sync.Mutex
	b  strings.Builder
}

func (c *card) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(b)
}

func (c *card) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}
