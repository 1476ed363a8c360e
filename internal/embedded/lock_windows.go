package embedded

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// place is the locked byte. A lock on Windows also stops readers, so it lies far behind the text: others can read who has it.
func place() *windows.Overlapped { return &windows.Overlapped{Offset: 1 << 30} }

func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, place())
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

func unlock(f *os.File) error { return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, place()) }
