//go:build unix

package embedded

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"
)

// leftoverGrace is how long a left-over server may take to finish its shutdown checkpoint.
const leftoverGrace = 10 * time.Second

// askToStop is PostgreSQL's fast shutdown.
func (c *cluster) askToStop() error { return c.server.cmd.Process.Signal(syscall.SIGINT) }

// mustStop is PostgreSQL's immediate shutdown; the next start recovers from the log.
func (c *cluster) mustStop() error { return c.server.cmd.Process.Signal(syscall.SIGQUIT) }

func (c *cluster) endLeftover(ctx context.Context, pid int) error {
	return stopLeftover(ctx, pid, " -D "+c.dir+" ", syscall.SIGINT, syscall.SIGQUIT)
}

// stopLeftover ends a server that a killed process left behind. Its number may belong to a stranger by now, so it is
// touched only while its command line contains sign. The process handle is opened first: on Linux it stays with that very
// process even when the number is given out again between the look and the signal.
func stopLeftover(ctx context.Context, pid int, sign string, gentle, hard syscall.Signal) error {
	if pid <= 1 {
		return nil
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer p.Release()
	ours := func() bool { return strings.Contains(commandLine(pid), sign) }
	for _, signal := range []syscall.Signal{gentle, hard} {
		if !ours() {
			return nil
		}
		if err := p.Signal(signal); errors.Is(err, os.ErrProcessDone) {
			return nil
		} else if err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, leftoverGrace)
		err := poll(wait, func() bool { return !ours() })
		cancel()
		if ctx.Err() != nil || err == nil {
			return ctx.Err()
		}
	}
	return errors.New("it does not react to signals")
}
