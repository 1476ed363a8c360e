package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/testkit"
)

// sample is a proxy with the configuration that docs/operations hands out.
type sample struct {
	name, program, file string
	args                func(config, dir string) []string
	edit                func(addr, upstream, dir string) []string // old, new: each old must be in the sample
	excluded            map[string]string                         // attacks that are not run through it, with the reason
}

var samples = []sample{
	{
		name: "nginx", program: "nginx", file: "nginx.conf",
		args: func(config, dir string) []string { return []string{"-p", dir, "-c", config, "-g", "daemon off;"} },
		edit: func(addr, upstream, dir string) []string {
			var temps strings.Builder
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				temps.WriteString(kind + "_temp_path " + dir + "/" + kind + ";")
			}
			return []string{"127.0.0.1:8080", upstream, "/etc/portcullis/tls", dir, "/run/nginx.pid", dir + "/pid", "/var/log/nginx", dir,
				"listen 443", "listen " + addr, "server_tokens off;", "server_tokens off;" + temps.String()}
		},
		excluded: map[string]string{
			"an error page or a refused handshake is framed, sniffed or scripted, because only good answers carry the headers": "nginx says its name, without the version, and only a module can stop it",
			"a signed-in user makes the server connect to Redis, to the cloud's metadata and to itself, in eighteen spellings": "nginx refuses one of the spellings itself, with its own page",
		},
	},
	{
		name: "haproxy", program: "haproxy", file: "haproxy.cfg",
		args: func(config, _ string) []string { return []string{"-db", "-f", config} },
		edit: func(addr, upstream, dir string) []string {
			return []string{"127.0.0.1:8080", upstream, "/etc/portcullis/tls", dir, "bind :443", "bind " + addr}
		},
	},
	{
		name: "caddy", program: "caddy", file: "Caddyfile",
		args: func(config, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} },
		edit: func(addr, upstream, dir string) []string {
			_, port, _ := net.SplitHostPort(addr)
			return []string{"app1:8080 app2:8080", upstream, ":8443 {", ":" + port + " {\n\tbind 127.0.0.1", "tls internal", "tls " + dir + "/cert.pem " + dir + "/key.pem"}
		},
	},
}

// direct are controls whose attacks are between a client and the server alone, with the reason.
var direct = map[string]string{
	"tls": "the proxy speaks TLS; its sample has the same versions and suites", "mtls": "services do not come through the proxy",
	"slow-consumer": "a proxy reads for its client, until its own buffers are full",
	"malware":       "this server has no scanner, so it takes pictures only",
	"clientip":      "its attack counts on the budget of one address; the test below looks at the address itself",
}

// cut are attacks of any control that a proxy may end before the attacker has sent it all, so
// that the attacker sees a broken pipe and not the server's refusal.
var cut = map[string]bool{"64 KiB are sent before anybody has been authenticated": true}

// TestProxies runs every attack again through each proxy that has a sample: a proxy must
// not undo a control, and the controls must not break what passes through it.
//
//control:proves proxies
//control:proves clientip
func TestProxies(t *testing.T) {
	t.Parallel()
	s := startGenerous(t, append(produced(t), "PORTCULLIS_TRUSTED_PROXIES=127.0.0.1/32")...)
	ca := testkit.NewCA(t)
	for _, p := range samples {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			addr := p.run(t, s.Addr, ca)
			target, err := attack.NewTarget(public, addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(target.Close)
			target.Trust(ca.Pool())
			testkit.Eventually(t, startTimeout, func() bool { _, err := target.Visit(t.Context()); return err == nil })

			t.Run("honest people talk", func(t *testing.T) { talkThrough(t, target) })
			t.Run("upgrades on the routes of sockets only", func(t *testing.T) { upgradesElsewhere(t, target) })
			t.Run("the client cannot choose its address", func(t *testing.T) { claimsAddress(t, s, target) })
			controls := map[string][]attack.Attack{}
			for _, a := range attack.All() {
				if !a.Strict && direct[a.Control] == "" && p.excluded[a.Title] == "" && !cut[a.Title] { // strict ones use a server up
					controls[a.Control] = append(controls[a.Control], a)
				}
			}
			for control, attacks := range controls {
				t.Run(control, func(t *testing.T) {
					t.Parallel()
					for _, a := range attacks {
						ctx, cancel := context.WithTimeout(t.Context(), attackTimeout)
						outcome, err := a.Run(ctx, target)
						cancel()
						if err != nil {
							t.Errorf("%s: could not be carried out: %v", a.Title, err)
						}
						if outcome.Won {
							t.Errorf("%s: WON: %s", a.Title, outcome.Evidence)
						}
					}
				})
			}
		})
	}
}

// run starts the proxy in front of upstream until the test ends and returns its address.
// At the end it looks at everything that the proxy wrote.
func (p sample) run(t *testing.T, upstream string, ca *testkit.CA) (addr string) {
	t.Helper()
	program, err := exec.LookPath(p.program)
	if err != nil {
		testkit.Unavailable(t, fmt.Errorf("%w (e2e/install-deps.sh installs it): %w", err, embedded.ErrUnavailable))
	}
	addr = freePort(t)
	dir := dataDir(t)
	leaf := ca.Issue(t, []string{name})
	ca.Write(t, dir, leaf)
	if err := os.WriteFile(filepath.Join(dir, "haproxy.pem"), slices.Concat(leaf.Cert, leaf.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join("..", "docs", "operations", p.file))
	if err != nil {
		t.Fatal(err)
	}
	edits := p.edit(addr, upstream, dir)
	config := comment.ReplaceAllString(string(b), "")
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(config, edits[i]) {
			t.Fatalf("%s has no %q any more", p.file, edits[i])
		}
		config = strings.ReplaceAll(config, edits[i], edits[i+1])
	}
	path := filepath.Join(dir, p.file)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out := &card{}
	cmd := exec.Command(program, p.args(path, dir)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopTimeout):
			_ = cmd.Process.Kill()
			t.Errorf("%s does not stop", p.name)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "access.log")); err == nil {
			_, _ = out.Write(b)
		}
		quiet(t, out)
		if t.Failed() {
			text := out.String()
			t.Logf("%s says:\n%s", p.name, text[max(0, len(text)-3000):])
		}
	})
	return addr
}

// comment is a line of a sample that is for people.
var comment = regexp.MustCompile(`(?m)^\s*#.*\n`)

// talkThrough is a short conversation.
func talkThrough(t *testing.T, target *attack.Target) {
	person, err := target.Person(t.Context(), "steward")
	if err != nil {
		t.Fatal(err)
	}
	id := room(t, person, "closed")
	socket := enter(t, person, id)
	say(t, socket, id, "through the proxy")
	socket.Close()
}

// upgradesElsewhere asks for an upgrade where there is no socket.
func upgradesElsewhere(t *testing.T, target *attack.Target) {
	visitor, err := target.Visit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/sign-in", "/api/session", "/ws/", "/ws/none", "/WS", "/livez", "/readyz"} {
		a, err := visitor.Raw(t.Context(), http.MethodGet, path, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"c2l4dGVlbiBieXRlcyBvaw=="}}, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		if a.Status == http.StatusSwitchingProtocols || a.Status == http.StatusUpgradeRequired {
			t.Errorf("%s: the upgrade reached the server, which answered %d", path, a.Status)
		}
		if (path == "/livez" || path == "/readyz") && a.Status != http.StatusNotFound {
			t.Errorf("%s is for orchestrators, and the world got %d", path, a.Status)
		}
	}
}

// claimsAddress sends every header that ever named a client, and looks at the event.
func claimsAddress(t *testing.T, s *Server, target *attack.Target) {
	const fake = "203.0.113.77"
	person, err := target.Person(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	foreign := "https://" + strings.ToLower(rand.Text()) + ".evil.example"
	mark := s.Logs.Mark()
	_, err = person.Open(t.Context(), attack.Handshake{Origin: &foreign, Header: map[string]string{"X-Forwarded-For": fake, "X-Real-IP": fake, "Forwarded": "for=" + fake, "True-Client-IP": fake, "CF-Connecting-IP": fake}})
	if err == nil {
		t.Fatal("a foreign page got in")
	}
	s.wantEvent(t, mark, "malicious_cors", func(e Event) bool { return e.Origin == foreign })
	if strings.Contains(s.Logs.tail(1<<20), fake) {
		t.Error("the log believes an address that the client made up")
	}
}

// quiet fails the test for what no log of a proxy may hold: secrets and queries.
func quiet(t *testing.T, out *card) {
	t.Helper()
	text := out.String()
	if !strings.Contains(text, "/api/session") {
		t.Errorf("the proxy logs no requests, so this proves nothing:\n%.500s", text)
	}
	for _, secret := range []string{"smuggled", "ticket.", attack.Password, "__Host-", "Bearer"} {
		if strings.Contains(text, secret) {
			t.Errorf("the proxy's log holds %q", secret)
		}
	}
	if strings.Contains(text, "eyJ") {
		t.Error("the proxy's log holds what looks like a ticket")
	}
}
