//go:build unix

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFailed_explainsWhatServersPrint(t *testing.T) {
	tests := []struct {
		name, output, why, next string
		err                     error
	}{
		{"full disk in initdb", "initdb: error: could not write to file \"/d/pg_wal/xlogtemp.31\": No space left on device", "disk is full", "free some space", nil},
		{"full disk in a bootstrap", "FATAL:  could not extend file \"base/1/2691\": wrote only 4096 of 8192 bytes at block 9", "disk is full", "free some space", nil},
		{"full disk in a call of ours", "", "disk is full", "nothing was deleted", fmt.Errorf("write: %w", syscall.ENOSPC)},
		{"a process with the number in postmaster.pid", `FATAL:  lock file "postmaster.pid" already exists`, "not ours", "remove postgres/postmaster.pid", nil},
		{"socket", "FATAL:  could not create any Unix-domain sockets", "socket", "TMPDIR", nil},
		{"redis socket", "# Failed opening Unix socket: bind: No such file or directory", "socket", "TMPDIR", nil},
		{"version", "FATAL:  database files are incompatible with server", "another PostgreSQL version", "install that version", nil},
		{"rights", "initdb: error: could not access directory \"/d\": Permission denied", "not accessible", "owner and mode", nil},
		{"anything else", "FATAL:  the moon is full", "the moon is full", "DATABASE_URL", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := failed("it failed", "/d", tt.err, tt.output)
			if !strings.Contains(e.Why, tt.why) || !strings.Contains(e.Next, tt.next) {
				t.Errorf("why %q, next %q; want %q and %q", e.Why, e.Next, tt.why, tt.next)
			}
		})
	}
}

func TestLastLines_isShortAndPrefersComplaints(t *testing.T) {
	output := "starting\nFATAL:  no\nLOG:  database system is shut down\n" + strings.Repeat("ü", 4000)
	if got := lastLines(output); got != "FATAL:  no" {
		t.Errorf("got %q", got)
	}
	if got := lastLines(strings.Repeat("ü", 4000)); len(got) > 310 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestParsePostgresVersion(t *testing.T) {
	tests := []struct {
		text, version string
		major         int
	}{
		{"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15.18", 15},
		{"postgres (PostgreSQL) 18.4\n", "18.4", 18},
		{"postgres (PostgreSQL) 19beta2\n", "19beta2", 19},
		{"postgres (PostgreSQL) 9.6.24\n", "9.6.24", 9},
		{"usage: postgres", "", 0},
		{"", "", 0},
	}
	for _, tt := range tests {
		version, major, err := parsePostgresVersion(tt.text)
		if version != tt.version || major != tt.major || (err == nil) != (tt.major > 0) {
			t.Errorf("%q = %q, %d, %v; want %q, %d", tt.text, version, major, err, tt.version, tt.major)
		}
	}
}

func TestRedisMajor(t *testing.T) {
	for text, want := range map[string]int{
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64": 7,
		"Valkey server v=8.1.1 sha=00000000:0":                               8,
		"Redis server v=6.2.7 sha=1":                                         6,
		"something else 7.0":                                                 0,
	} {
		if got := redisMajor(text); got != want {
			t.Errorf("%q = %d, want %d", text, got, want)
		}
	}
}

// program builds a real (not a script) stand-in for postgres in dir: a copy of true, which prints no version.
func program(t *testing.T, dir string, names ...string) {
	t.Helper()
	source, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := copyFile(source, filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindBinaries_passesOverWhatCannotServe(t *testing.T) {
	empty, half, mute, script := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	program(t, half, "postgres")
	program(t, mute, "postgres", "initdb")
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(script, name), []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, seen, ok := findBinaries(t.Context(), nil, slices.Values([]string{"", "relative", empty, half, script, mute, mute}), 0)
	if ok || len(seen) != 1 || !strings.HasPrefix(seen[0], mute) {
		t.Errorf("found = %v, seen = %q; want nothing, and the one folder of programs told once", ok, seen)
	}
}

func TestStopLeftover_leavesAStrangerWithTheNumberAlone(t *testing.T) {
	sleep := func() *exec.Cmd {
		cmd := exec.Command("sleep", "61")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Start returns when the exec closed its pipe; the kernel fills in the command line a moment later.
		started, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := poll(started, func() bool { return strings.Contains(commandLine(cmd.Process.Pid), "sleep") }); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	stranger := sleep()
	defer func() {
		stranger.Process.Kill()
		stranger.Wait()
	}()
	if err := stopLeftover(t.Context(), stranger.Process.Pid, " -D /data/postgres ", syscall.SIGINT, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if commandLine(stranger.Process.Pid) == "" {
		t.Fatal("a stranger was killed")
	}

	ours := sleep()
	if err := stopLeftover(t.Context(), ours.Process.Pid, "sleep 61", syscall.SIGINT, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := ours.Wait(); err == nil {
		t.Error("the left-over ended by itself, want by a signal")
	}
	for _, pid := range []int{0, 1, -1, os.Getpid(), ours.Process.Pid} {
		if err := stopLeftover(t.Context(), pid, " -D /data/postgres ", syscall.SIGINT, syscall.SIGKILL); err != nil {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
}

func TestChild_thatIgnoresTheRequestIsKilled(t *testing.T) {
	cmd := exec.Command("sleep", "61")
	(*account)(nil).as(cmd)
	c, err := launch("sleep", cmd)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	nothing := func() error { return nil }
	refused := func() error { return errors.New("no") }
	if err := c.end(ctx, nothing, refused); err == nil || !c.ended() {
		t.Errorf("err = %v, ended = %v; want a child ended by force, and told so", err, c.ended())
	}
}

func TestChild_thatEndedByItselfIsNoErrorToStop(t *testing.T) {
	cmd := exec.Command("true")
	(*account)(nil).as(cmd)
	c, err := launch("true", cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-c.done
	ask := func() error { return cmd.Process.Signal(syscall.SIGINT) }
	if err := c.end(t.Context(), ask, ask); err != nil {
		t.Error(err)
	}
}

func TestLock_isExclusiveAndEndsWithItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := acquire(path); !errors.Is(err, errHeld) {
		t.Errorf("second = %v, want held", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), fmt.Sprintf("pid %d since ", os.Getpid())) {
		t.Errorf("the lock says %q, %v", text, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := acquireWaiting(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting = %v, want the deadline", err)
	}
	if err := first.release(); err != nil {
		t.Error(err)
	}
	again, err := acquireWaiting(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

func TestReaches_refusesAParentThatIsClosedToTheAccount(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(base, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stranger := &account{uid: 54321, gid: 54321}
	err := stranger.reaches(dir)
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.Contains(e.Why, "uid 54321") || !strings.Contains(e.Next, "/var/lib/portcullis") {
		t.Fatalf("err = %v, want which folder is closed to whom and where to go", err)
	}
	if err := (*account)(nil).reaches(dir); err != nil {
		t.Error("as ourselves:", err)
	}
}

func TestFreshSockets_fitIntoASocketAddress(t *testing.T) {
	short := t.TempDir()
	long := filepath.Join(short, strings.Repeat("x", 100))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, dataDir, tmpDir, parent string }{
		{"short data directory", short, long, short},
		{"long data directory", long, short, short},
		{"both long", long, long, "/tmp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TMPDIR", tt.tmpDir)
			dir, err := freshSockets(tt.dataDir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			st, err := os.Stat(dir)
			if err != nil || st.Mode().Perm() != 0o700 || filepath.Dir(dir) != tt.parent {
				t.Errorf("%s: %v, %v; want a 0700 directory in %s", dir, st, err, tt.parent)
			}
		})
	}
}

func TestRemoveSockets_removesNothingElse(t *testing.T) {
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.Mkdir(precious, 0o755); err != nil {
		t.Fatal(err)
	}
	removeSockets(precious)
	removeSockets("")
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestDefaultDataDir_isAbsolute(t *testing.T) {
	for _, dir := range []string{DefaultDataDir(), defaultCacheDir()} {
		if !filepath.IsAbs(dir) {
			t.Errorf("%q is not absolute", dir)
		}
	}
}
