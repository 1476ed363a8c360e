package embedded

import (
	"context"
	"os/exec"
	"syscall"
)

// dieWithUs does nothing here; the next start stops what a killed process left behind.
func dieWithUs(*exec.Cmd, syscall.Signal) {}

func (c *cluster) askToStop() error { return c.control("fast") }
func (c *cluster) mustStop() error  { return c.control("immediate") }

// control stops the server with pg_ctl: Windows has no signals, and PostgreSQL listens on a pipe of its own instead. A
// process that is no PostgreSQL has no such pipe, so a stranger with a reused number is safe.
func (c *cluster) control(mode string) error {
	return exec.Command(c.bin.path("pg_ctl"), "stop", "-D", c.dir, "-m", mode).Run()
}

func (c *cluster) endLeftover(ctx context.Context, _ int) error {
	if err := c.askToStop(); err != nil {
		return nil // nothing answered: PostgreSQL itself refuses to start when that was wrong
	}
	return ctx.Err()
}

// stopLeftover has nothing to do: the only other server, Redis, is never a child here.
func stopLeftover(context.Context, int, string, syscall.Signal, syscall.Signal) error { return nil }
