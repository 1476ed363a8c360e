package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"example.com/portcullis/internal/embedded"
)

// ClamdSignature is what the throwaway daemon knows beside EICAR.
const ClamdSignature = "portcullis-test-signature-7f3a"

// Clamd is a ClamAV daemon of a test's own, with two signatures and no official database.
type Clamd struct {
	Address string // for malware.NewClamd and PORTCULLIS_CLAMD
	t       testing.TB
	config  string
	socket  string
	process *exec.Cmd
}

// StartClamd runs clamd with a configuration of its own in a new directory, as whoever runs the tests.
func StartClamd(t testing.TB) *Clamd {
	t.Helper()
	path, err := exec.LookPath("clamd")
	if err != nil {
		if path = "/usr/sbin/clamd"; !exists(path) {
			Unavailable(t, fmt.Errorf("%w: no clamd was found", embedded.ErrUnavailable))
		}
	}
	dir, err := os.MkdirTemp("", "clamd") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal("testkit:", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &Clamd{t: t, config: filepath.Join(dir, "clamd.conf"), socket: filepath.Join(dir, "clamd.sock")}
	c.Address = "unix:" + c.socket
	// A body signature of extended form: name, any file, any offset, bytes in hex.
	eicar := `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	for name, text := range map[string]string{
		"local.ndb":  fmt.Sprintf("Test.Eicar:0:*:%x\nTest.Own:0:*:%x\n", eicar, ClamdSignature),
		"clamd.conf": fmt.Sprintf("LocalSocket %s\nDatabaseDirectory %s\nForeground yes\nTemporaryDirectory %s\nStreamMaxLength 20M\nMaxThreads 4\n", c.socket, dir, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal("testkit:", err)
		}
	}
	c.process = exec.Command(path, "--config-file="+c.config)
	t.Cleanup(c.Stop)
	c.Start()
	return c
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Start runs the daemon, the first time or again, and waits until it answers.
func (c *Clamd) Start() {
	c.t.Helper()
	var output bytes.Buffer
	p := exec.Command(c.process.Path, c.process.Args[1:]...)
	p.Stdout, p.Stderr = &output, &output
	if err := p.Start(); err != nil {
		c.t.Fatal("testkit: clamd:", err)
	}
	c.process = p
	late, look := time.After(startTimeout), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for {
		if conn, err := net.Dial("unix", c.socket); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-look.C:
		case <-late:
			c.Stop()
			c.t.Fatalf("testkit: clamd does not answer: %s", output.Bytes())
		}
	}
}

// Stop kills the daemon, as a crash would.
func (c *Clamd) Stop() {
	if c.process.Process == nil {
		return
	}
	if err := c.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Error("testkit: clamd:", err)
	}
	_ = c.process.Wait() // the error says that it was killed
	c.process.Process = nil
	_ = os.Remove(c.socket)
}
