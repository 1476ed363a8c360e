package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errHeld means that another process has the lock.
var errHeld = errors.New("held by another process")

// lock is a file lock of the operating system: it ends with the process, however that ends. The text inside is for people.
type lock struct{ f *os.File }

// acquire takes the lock or fails at once with errHeld.
func acquire(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	text := fmt.Sprintf("pid %d since %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err := errors.Join(f.Truncate(0), writeAt(f, text)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{f}, nil
}

// acquireWaiting takes the lock as soon as it is free.
func acquireWaiting(ctx context.Context, path string) (l *lock, err error) {
	ended := poll(ctx, func() bool {
		l, err = acquire(path)
		return !errors.Is(err, errHeld)
	})
	if ended != nil {
		return nil, errors.Join(ended, err)
	}
	return l, err
}

// release gives the lock free. The file stays: removing it would let two processes lock two files of one name. Closing alone
// is not enough: a program that is being started at this moment has a copy of the open file until it runs.
func (l *lock) release() error { return errors.Join(l.f.Truncate(0), unlock(l.f), l.f.Close()) }

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// InUse reports whether a living process runs a stack on the data directory. It holds the lock for the moment of asking,
// so ask only about directories that nobody is about to start.
func InUse(dataDir string) bool {
	f, err := os.Open(filepath.Join(dataDir, "lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	if err := tryLock(f); err != nil {
		return errors.Is(err, errHeld)
	}
	_ = unlock(f) // Close does it as well, a little later
	return false
}

func heldError(dataDir string, err error) *Error {
	if !errors.Is(err, errHeld) {
		return unwritable(dataDir, err)
	}
	who, _ := os.ReadFile(filepath.Join(dataDir, "lock")) // for the sentence only
	return &Error{
		What: "the data directory " + dataDir + " is in use",
		Why:  "another Portcullis runs on it (" + strings.TrimSpace(string(who)) + ")",
		Next: "stop that process, or set PORTCULLIS_DATA_DIR to another directory",
		Err:  err,
	}
}
