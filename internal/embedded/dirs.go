package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// socketsPrefix starts the name of every socket directory, so that the clean-up never removes anything else.
const socketsPrefix = "portcullis-"

// maxSocketPath is the shortest limit of a Unix socket's path (macOS and the BSDs: 104 bytes with the final zero; Linux: 108).
const maxSocketPath = 103

// DefaultDataDir is where the stack lives when nothing else is said: /var/lib/portcullis for root (an unprivileged account
// has to reach it, and /root is closed), else a folder for application state in the home of this account. "" when there is none.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/portcullis"
	}
	switch runtime.GOOS {
	case "windows":
		return under(os.UserCacheDir())("portcullis", "data") // %LocalAppData%: not copied between machines
	case "darwin":
		return under(os.UserConfigDir())("portcullis") // ~/Library/Application Support
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "portcullis")
	}
	return under(os.UserHomeDir())(".local", "state", "portcullis")
}

// defaultCacheDir is like [DefaultDataDir], for what can be fetched again.
func defaultCacheDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/portcullis"
	}
	if runtime.GOOS == "windows" {
		return under(os.UserCacheDir())("portcullis", "cache")
	}
	return under(os.UserCacheDir())("portcullis")
}

func under(base string, err error) func(...string) string {
	return func(parts ...string) string {
		if err != nil || !filepath.IsAbs(base) {
			return ""
		}
		return filepath.Join(append([]string{base}, parts...)...)
	}
}

// prepareDataDir makes the data directory or checks the one that is there.
func prepareDataDir(dir string) error {
	if err := makeDir(dir, dataDirMode()); err != nil {
		return unwritable(dir, err)
	}
	if err := checkOwner(dir); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return unwritable(dir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// makeDir makes a directory with exactly this mode, whatever the umask; one that is there is left as it is.
func makeDir(dir string, mode fs.FileMode) error {
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// dataDirMode lets others pass through the directory only when the servers run as another account, which is when we are root.
func dataDirMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

func unwritable(dir string, err error) *Error {
	e := failed("the data directory "+dir+" cannot be used", dir, err, "")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) || strings.Contains(e.Why, "it gave an error") {
		e.Why = "it cannot be made or written (" + err.Error() + ")"
		e.Next = "set PORTCULLIS_DATA_DIR to a directory that this account can write"
	}
	return e
}

// openSockets makes a fresh directory for the sockets and removes the one of a killed process, after its servers are gone.
func (s *Stack) openSockets(ctx context.Context, o Options, who *account) error {
	record := filepath.Join(o.DataDir, "run")
	if old, err := os.ReadFile(record); err == nil {
		stopLeftoverRedis(ctx, o.DataDir, string(old))
		removeSockets(string(old))
	}
	dir, err := freshSockets(o.DataDir, who)
	if err != nil {
		return failed("the socket directory could not be made", o.DataDir, err, "")
	}
	s.sockets, s.record = dir, record
	if err := os.WriteFile(record, []byte(dir), 0o600); err != nil {
		return failed("the socket directory could not be recorded", o.DataDir, err, "")
	}
	return nil
}

// freshSockets makes a 0700 directory that the account owns: in the data directory, or in a temporary directory when that path
// is too long for a socket. A name nobody can guess keeps others from making it first.
func freshSockets(dataDir string, who *account) (string, error) {
	parent := dataDir
	for _, other := range []string{os.TempDir(), "/tmp"} {
		longest := len(parent) + len("/"+socketsPrefix+"4294967295/.s.PGSQL.5432.lock")
		if runtime.GOOS == "windows" || longest <= maxSocketPath && who.reaches(parent) == nil {
			break
		}
		parent = other
	}
	dir, err := os.MkdirTemp(parent, socketsPrefix)
	if err != nil {
		return "", err
	}
	return dir, who.own(dir)
}

func removeSockets(dir string) {
	if filepath.IsAbs(dir) && strings.HasPrefix(filepath.Base(dir), socketsPrefix) {
		_ = os.RemoveAll(dir) // litter of a killed process; nothing depends on it
	}
}

// poll asks until yes, every few milliseconds, or until ctx ends.
func poll(ctx context.Context, yes func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// phase reports how long a step took.
func (o Options) phase(name string, since time.Time) {
	took := time.Since(since)
	o.Progress(name, took)
	o.Log.Debug("embedded phase done", "phase", name, "took", took)
}
