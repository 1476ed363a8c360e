package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/testkit"
)

// childDir is set in the environment of a second copy of this test program, which then is the application to be killed.
const childDir = "EMBEDDED_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(application(dir))
	}
	os.Exit(m.Run())
}

// application starts a stack, prints its URLs and waits to be killed; it never stops the stack.
func application(dir string) int {
	s, err := embedded.Start(context.Background(), embedded.Options{DataDir: dir}, both)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// launchApplication runs application as the account (nil: as we are).
func launchApplication(t *testing.T, dir string, as *syscall.Credential) (*osexec.Cmd, *embedded.Stack) {
	t.Helper()
	program := filepath.Join(filepath.Dir(dir), "application")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(program)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), childDir + "=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Stderr = t.Output()
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	var s embedded.Stack
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s)
	}
	if err != nil {
		t.Fatal("the application did not start:", err)
	}
	return cmd, &s
}

// servers reads the process ids of PostgreSQL and Redis.
func servers(t *testing.T, dir string) (pids []int) {
	t.Helper()
	for _, file := range []string{"postgres/postmaster.pid", "redis.pid"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// alive is false for a process that is gone or only waits to be collected.
func alive(pid int) bool {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && len(line) > 0
}

func ownerOf(t *testing.T, pid int) uint32 {
	t.Helper()
	st, err := os.Stat("/proc/" + strconv.Itoa(pid))
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Uid
}

func TestStart_afterKill9WorksAndLeavesNoOrphan(t *testing.T) {
	accounts := []struct {
		name string
		as   *syscall.Credential
	}{{"as this account", nil}}
	if os.Geteuid() == 0 { // only root can also become somebody else
		accounts = append(accounts, struct {
			name string
			as   *syscall.Credential
		}{"as an ordinary account", &syscall.Credential{Uid: 65534, Gid: 65534}})
	}
	for _, tt := range accounts {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(reachableDir(t), "data")
			if err := os.Mkdir(dir, 0o711); err != nil {
				t.Fatal(err)
			}
			if tt.as != nil {
				if err := os.Chown(dir, int(tt.as.Uid), int(tt.as.Gid)); err != nil {
					t.Fatal(err)
				}
			}
			app, first := launchApplication(t, dir, tt.as)
			conn := connect(t, first.OwnerURL)
			exec(t, conn, "CREATE TABLE kept (n int)")
			exec(t, conn, "INSERT INTO kept SELECT generate_series(1, 1000)")
			before := servers(t, dir)
			for _, pid := range before {
				if ownerOf(t, pid) == 0 {
					t.Errorf("server %d runs as root", pid)
				}
			}

			if err := app.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			app.Wait() // "signal: killed"; the servers may still be running
			began := time.Now()
			app, second := launchApplication(t, dir, tt.as)
			t.Log("start after kill -9:", time.Since(began))
			if n := count(t, connect(t, second.OwnerURL), "SELECT count(*) FROM kept"); n != 1000 {
				t.Errorf("rows after kill -9 = %d, want 1000", n)
			}
			options, err := redis.ParseURL(second.RedisURL)
			if err != nil {
				t.Fatal(err)
			}
			rdb := redis.NewClient(options)
			defer rdb.Close()
			if err := rdb.Ping(t.Context()).Err(); err != nil {
				t.Error("Redis after kill -9:", err)
			}
			for _, pid := range before {
				if alive(pid) {
					t.Errorf("server %d of the killed application still runs", pid)
				}
			}
			old, err := redis.ParseURL(first.RedisURL)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Dir(old.Addr)); !errors.Is(err, os.ErrNotExist) {
				t.Error("the killed application's socket directory is still there:", err)
			}

			after := servers(t, dir)
			if err := app.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, 10*time.Second, func() bool { return !alive(after[0]) && !alive(after[1]) })
		})
	}
}

func TestStart_putsNoPasswordWhereOtherAccountsCanRead(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "data")
	s := start(t, embedded.Options{DataDir: dir, Throwaway: true}, both)
	database, err := os.ReadFile(filepath.Join(dir, "postgres.password"))
	if err != nil {
		t.Fatal(err)
	}
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{strings.TrimSpace(string(database)), options.Password}
	for _, pid := range servers(t, dir) {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range secrets {
				if secret == "" || strings.Contains(string(text), secret) {
					t.Errorf("a password is in %s of process %d", file, pid)
				}
			}
		}
	}
	for path, want := range map[string]os.FileMode{
		filepath.Join(dir, "postgres.password"): 0o600,
		filepath.Dir(options.Addr):              os.ModeDir | 0o700,
	} {
		if st, err := os.Stat(path); err != nil || st.Mode() != want {
			t.Errorf("mode of %s = %v, %v; want %v", path, st.Mode(), err, want)
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log*"))
	if err != nil || len(logs) == 0 {
		t.Fatal("no logs:", err)
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(text), secrets[0]) || strings.Contains(string(text), secrets[1]) {
			t.Errorf("%s: %v, or it has a password in it", path, err)
		}
	}
}

func TestStack_saysWhenAServerEndsByItself(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "data")
	lines := make(chan string, 10)
	s := start(t, embedded.Options{DataDir: dir, Throwaway: true, Log: slog.New(slog.NewTextHandler(lineWriter(lines), nil))}, embedded.Need{Redis: true})
	if s.RedisKind == "miniredis" {
		testkit.Unavailable(t, fmt.Errorf("%w: the stand-in for Redis is no process that could end", embedded.ErrUnavailable))
	}
	text, err := os.ReadFile(filepath.Join(dir, "redis.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-lines:
		if !strings.Contains(line, "ended by itself") || !strings.Contains(line, "server=redis") {
			t.Errorf("logged %q", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was logged")
	}
	stop(t, s)
}

// lineWriter gives each log line to a channel.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
