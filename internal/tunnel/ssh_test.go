package tunnel

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/testkit"
)

const (
	sshUser     = "dockhand"
	sshPassword = "a-Password-that-no-log-may-hold"
	// transfer is what is sent both ways.
	transfer = 5 << 20
)

// sshServer is the target of a real SSH server, and its host key.
func sshServer(t *testing.T, name string) (tunnel.Target, ssh.PublicKey) {
	t.Helper()
	addr, key := testkit.SSH(t, sshUser, sshPassword)
	ap := netip.MustParseAddrPort(addr)
	return tunnel.Target{Name: name, Protocol: tunnel.SSH, Host: ap.Addr().String(), Port: ap.Port(), HostKey: ssh.FingerprintSHA256(key)}, key
}

// login is an SSH client through c, which knows the key that the ticket tells.
func login(t *testing.T, c net.Conn, key ssh.PublicKey) *ssh.Client {
	t.Helper()
	conn, channels, requests, err := ssh.NewClientConn(c, "bastion:22", &ssh.ClientConfig{
		User: sshUser, Auth: []ssh.AuthMethod{ssh.Password(sshPassword)}, HostKeyCallback: ssh.FixedHostKey(key), Timeout: testWait,
	})
	must(t, err)
	client := ssh.NewClient(conn, channels, requests)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A person with a grant runs a command on a real SSH server and moves five megabytes
// each way; the log knows how much, and not what.
//
//control:proves tunnel
func TestTunnel_carriesRealSSH(t *testing.T) {
	server, key := sshServer(t, "bastion")
	w := newWorld(t, server)
	n := w.node()
	c := n.open(w.granted("bastion"), "bastion")
	client := login(t, c, key)

	s, err := client.NewSession()
	must(t, err)
	out, err := s.Output("echo the tide is in")
	if err != nil || string(out) != "the tide is in\n" {
		t.Fatalf("%q, %v", out, err)
	}

	cargo := make([]byte, transfer)
	_, _ = rand.Read(cargo)
	s, err = client.NewSession()
	must(t, err)
	s.Stdin = bytes.NewReader(cargo)
	back := sha256.New()
	s.Stdout = back
	must(t, s.Run("cat"))
	if want := sha256.Sum256(cargo); !bytes.Equal(back.Sum(nil), want[:]) {
		t.Fatal("what came back is not what was sent")
	}
	_ = client.Close()

	open := w.event(audit.TunnelOpen, "open")
	if !strings.Contains(open.Detail, "target=bastion granted_by=") || open.User == "" || open.Session == "" {
		t.Errorf("open: %+v", open)
	}
	closed := w.event(audit.TunnelClose, "gone")
	if closed.Count < 2*transfer || closed.Count > 3*transfer || closed.Took <= 0 || !strings.Contains(closed.Detail, " up=") {
		t.Errorf("close: %+v", closed)
	}
	for _, e := range w.events.list {
		if strings.Contains(e.Detail, sshPassword) || strings.Contains(e.Detail, "tide") || strings.Contains(e.Detail, server.Host) {
			t.Errorf("the log holds %q", e.Detail)
		}
	}
}

// The relay cannot check the key that two ends agree on in secret; the client can, with
// the fingerprint that comes with the ticket.
func TestTunnel_aClientThatPinsTheKeyRefusesAnotherServer(t *testing.T) {
	server, _ := sshServer(t, "bastion")
	_, other := sshServer(t, "other")
	w := newWorld(t, server)
	c := w.node().open(w.granted("bastion"), "bastion")
	_, _, _, err := ssh.NewClientConn(c, "bastion:22", &ssh.ClientConfig{User: sshUser, HostKeyCallback: ssh.FixedHostKey(other), Timeout: testWait})
	if err == nil || !strings.Contains(err.Error(), "host key mismatch") {
		t.Errorf("another server's key is taken: %v", err)
	}
}
