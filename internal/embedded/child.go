package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// forceGrace is how long a server may take to end after it was told to end at once.
const forceGrace = 5 * time.Second

// child is a server process that ends with us.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; read after done
}

// launch starts cmd and waits for its end in one goroutine. On Linux the kernel tells the child when its parent dies, but
// parent means the thread that forked: so that goroutine keeps its thread to itself for as long as the child lives.
func launch(name string, cmd *exec.Cmd) (*child, error) {
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// ended reports whether the process is over.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// end asks politely, waits for ctx or stopGrace, then insists, then kills. It returns when the process is over.
func (c *child) end(ctx context.Context, ask, insist func() error) error {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	err := ask()
	if errors.Is(err, os.ErrProcessDone) {
		<-c.done
		return nil
	}
	if err == nil && c.wait(ctx) {
		return nil
	}
	late := fmt.Errorf("%s did not stop in time and was ended by force", c.name)
	force, cancelForce := context.WithTimeout(context.WithoutCancel(ctx), forceGrace)
	defer cancelForce()
	if insist() == nil && c.wait(force) {
		return errors.Join(late, err)
	}
	errKill := c.cmd.Process.Kill()
	<-c.done
	return errors.Join(late, err, errKill)
}

// wait reports whether the process ended before ctx did.
func (c *child) wait(ctx context.Context) bool {
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
		return c.ended()
	}
}
