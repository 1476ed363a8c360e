package embedded

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrUnavailable is inside the [*Error] of a machine that has no usable server binaries and no way to get them.
var ErrUnavailable = errors.New("no server binaries")

// Error is what a person can act on: what failed, why, and what to do next.
type Error struct {
	What, Why, Next string
	Err             error // cause; may be nil
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s. Next: %s", e.What, e.Why, e.Next) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// known maps a text that PostgreSQL, Redis or the system prints to what a person can do about it. First match wins.
// The servers are run with LC_ALL set, so the texts are not translated.
func known(text, dataDir string) (why, next string) {
	table := []struct{ sign, why, next string }{
		{"No space left on device", "the disk is full", "free some space on the disk of " + dataDir + " and start again; nothing was deleted"},
		{"could not extend file", "the disk is full", "free some space on the disk of " + dataDir + " and start again; nothing was deleted"},
		{"Disk quota exceeded", "the disk quota of this account is used up", "free some space on the disk of " + dataDir + " and start again; nothing was deleted"},
		{`lock file "postmaster.pid" already exists`, "the cluster's postmaster.pid names a process that is alive and is not ours",
			"make sure that no PostgreSQL runs on " + dataDir + ", remove postgres/postmaster.pid there and start again"},
		{"pre-existing shared memory block", "processes of an earlier server are still ending", "wait a few seconds and start again"},
		{"database files are incompatible", "the cluster was made by another PostgreSQL version", "install that version, or set DATABASE_URL"},
		{"could not create any", "the server could not open its socket", "check that the temporary directory is writable and its path is short (TMPDIR)"},
		{"Failed opening Unix socket", "the server could not open its socket", "check that the temporary directory is writable and its path is short (TMPDIR)"},
		{"Address already in use", "the port was taken in the same moment", "start again"},
		{"administrative permissions", "PostgreSQL refuses to run with administrator rights", "start from a shell without administrator rights"},
		{"cannot be run as root", "PostgreSQL refuses to run as root", "start as an ordinary user, or set DATABASE_URL"},
		{"Permission denied", "a file or folder is not accessible to the account that the server runs as", "check owner and mode of " + dataDir},
	}
	for _, k := range table {
		if strings.Contains(text, k.sign) {
			return k.why, k.next
		}
	}
	return "", ""
}

// failed explains that a step on the data directory failed. output is what the failed program printed, if one did.
func failed(what, dataDir string, err error, output string) *Error {
	text := output
	if errors.Is(err, syscall.ENOSPC) {
		text += "No space left on device"
	}
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		text += "Permission denied"
	}
	why, next := known(text, dataDir)
	if why == "" {
		why, next = "it gave an error", "read the log files in "+dataDir+", or set DATABASE_URL and REDIS_URL to servers of your own"
	}
	if last := lastLines(output); last != "" {
		why += " (" + last + ")"
	} else if err != nil {
		why += " (" + err.Error() + ")"
	}
	return &Error{What: what, Why: why, Next: next, Err: err}
}

// lastLines keeps of a program's output what fits into a sentence: the lines that complain, or else the last one.
func lastLines(output string) string {
	const most = 300 // enough for two lines of PostgreSQL's
	var complaints []string
	last := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		last = line
		if strings.Contains(line, "FATAL") || strings.Contains(line, "PANIC") || strings.Contains(strings.ToLower(line), "error:") {
			complaints = append(complaints, line)
		}
	}
	if len(complaints) > 0 {
		last = strings.Join(complaints, " / ")
	}
	if len(last) > most {
		last = strings.ToValidUTF8(last[:most], "") + " …"
	}
	return last
}
