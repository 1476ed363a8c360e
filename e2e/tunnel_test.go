package e2e

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/testkit"
)

const (
	sshUser     = "dockhand"
	sshPassword = "a-Password-that-the-relay-never-sees"
)

// The whole way: an administrator grants, a person proves who they are, an SSH client
// logs in through the socket of one node, and the end of the grant, on another node or
// none, ends it.
//
//control:proves tunnel
func TestTunnel_realSSHThroughTheRealProgram(t *testing.T) {
	t.Parallel()
	addr, key := testkit.SSH(t, sshUser, sshPassword)
	shared := append(backends(t), "PORTCULLIS_TUNNELS=bastion=ssh:"+addr+";hostkey="+ssh.FingerprintSHA256(key))
	first := startGenerous(t, shared...)
	second := startGenerous(t, append(slices.Clone(shared), "PORTCULLIS_BASE_URL="+first.Base)...)
	first.Logs.Canary(sshPassword)
	second.Logs.Canary(sshPassword)

	root, err := first.Target(t).Person(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := first.Target(t).Person(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	command := func(want int, args ...string) string {
		t.Helper()
		got := portcullis(t, first.env, "", args...)
		if got.code != want {
			t.Fatalf("%v: %+v", args, got)
		}
		return got.out + got.err
	}
	name := bob.User.Username
	command(1, "tunnel", "grant", name, "bastion", "-by", root.User.Username, "-for", "1h", "-reason", "no administrator yet")
	command(0, "user", "role", root.User.Username, "admin")
	command(1, "tunnel", "grant", root.User.Username, "bastion", "-by", root.User.Username, "-for", "1h", "-reason", "for myself")
	command(1, "tunnel", "grant", name, "127.0.0.1:22", "-by", root.User.Username, "-for", "1h", "-reason", "an address")
	command(1, "tunnel", "grant", name, "bastion", "-by", root.User.Username, "-for", "1000h", "-reason", "for ever")

	if _, err := bob.Tunnel(t.Context(), "bastion"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Fatalf("a tunnel without a grant: %v", err)
	}
	command(0, "tunnel", "grant", name, "bastion", "-by", root.User.Username, "-for", "1h", "-reason", "incident 4711")
	if got := command(0, "tunnel", "list"); !strings.Contains(got, name) || !strings.Contains(got, "incident 4711") {
		t.Errorf("tunnel list: %s", got)
	}

	mark := first.Logs.Mark()
	run := func(c *attack.Tunnel) *ssh.Client {
		t.Helper()
		if c.HostKey != ssh.FingerprintSHA256(key) {
			t.Errorf("the ticket tells the key %q", c.HostKey)
		}
		conn, channels, requests, err := ssh.NewClientConn(c, "bastion:22", &ssh.ClientConfig{User: sshUser, Auth: []ssh.AuthMethod{ssh.Password(sshPassword)}, HostKeyCallback: ssh.FixedHostKey(key), Timeout: soon})
		if err != nil {
			t.Fatal(err)
		}
		client := ssh.NewClient(conn, channels, requests)
		t.Cleanup(func() { _ = client.Close() })
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		session.Stdin = bytes.NewReader(make([]byte, 1<<20))
		out, err := session.Output("cat")
		if err != nil || len(out) != 1<<20 {
			t.Fatalf("%d bytes came back: %v", len(out), err)
		}
		return client
	}
	c, err := bob.Tunnel(t.Context(), "bastion")
	if err != nil {
		t.Fatal(err)
	}
	client := run(c)
	first.wantEvent(t, mark, "tunnel_open", func(e Event) bool {
		return e.User == bob.User.ID && e.Control == "tunnel" && strings.Contains(e.Detail, root.User.ID)
	})
	if _, err := bob.At(second.Target(t)).Tunnel(t.Context(), "bastion"); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("a second tunnel on another node: %v", err)
	}
	begin := time.Now()
	command(0, "tunnel", "revoke", name, "bastion")
	_ = client.Wait() // reads to the end
	if c.Code() != 4403 || time.Since(begin) > soon {
		t.Errorf("the grant was taken, the tunnel ended with %d after %v", c.Code(), time.Since(begin))
	}
	first.wantEvent(t, mark, "tunnel_close", func(e Event) bool { return e.User == bob.User.ID && strings.Contains(e.Detail, "up=") })

	// Sign out on the second node, tunnel on the first.
	command(0, "tunnel", "grant", name, "bastion", "-by", root.User.Username, "-for", "1h", "-reason", "once more")
	if c, err = bob.Tunnel(t.Context(), "bastion"); err != nil {
		t.Fatal(err)
	}
	client = run(c)
	call(t, bob.At(second.Target(t)), http.MethodPost, "/api/sign-out", nil, http.StatusNoContent, nil)
	_ = client.Wait()
	if c.Code() != 4403 {
		t.Errorf("signed out elsewhere, the tunnel ended with %d", c.Code())
	}

	// The attacks again, where there is something to find.
	for _, a := range attack.All() {
		if a.Control != "tunnel" || strings.Contains(a.Title, "none is configured") {
			continue
		}
		mark := first.Logs.Mark()
		if outcome, err := a.Run(t.Context(), first.Target(t)); err != nil || outcome.Won {
			t.Errorf("%s: %+v, %v", a.Title, outcome, err)
		}
		if _, ok := first.Logs.Wait(mark, soon, func(e Event) bool {
			return e.Name == "tunnel_denied" && e.Control == "tunnel" || e.Name == "ws_handshake_reject" && e.Control == "ticket"
		}); !ok {
			t.Errorf("%s left no trace", a.Title)
		}
	}
}
