package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// testTimeout ends the tests of one mutant. The slowest needs 10 s on two busy
	// cores; whatever needs longer is waiting for something that will not come.
	testTimeout = time.Minute
	// buildTimeout bounds one mutant as a whole. A cold build cache needs minutes.
	buildTimeout = 10 * time.Minute
	// mostOutput is what one mutant may print. The wordiest prints some 100 KiB.
	mostOutput = 16 << 20
)

type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "survived"
	failed   verdict = "error"
)

// result is what became of a mutant; why is empty for one that was killed.
type result struct {
	mutant
	verdict verdict
	why     string
}

// runner tests mutants of the module at root.
type runner struct {
	root    string
	workers int
	timeout time.Duration // of the tests of one mutant
}

// all returns one result for each mutant, in their order.
func (r runner) all(ctx context.Context, mutants []mutant, progress io.Writer) ([]result, error) {
	dir, err := os.MkdirTemp("", "kill-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	results := make([]result, len(mutants))
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range max(r.workers, 1) {
		wg.Go(func() {
			for i := range next {
				began := time.Now()
				results[i] = r.one(ctx, mutants[i], filepath.Join(dir, fmt.Sprint(i)))
				mu.Lock()
				done++
				fmt.Fprintf(progress, "%3d/%d %-8s %5.1fs %s: %s\n", done, len(mutants),
					results[i].verdict, time.Since(began).Seconds(), results[i].Control, results[i].Removes)
				mu.Unlock()
			}
		})
	}
	for i := range mutants {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return results, ctx.Err()
}

// one tests one mutant in the new directory dir.
func (r runner) one(ctx context.Context, m mutant, dir string) result {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	text, err := m.source(r.root)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil {
		return result{m, failed, err.Error()}
	}
	test := r.goTest
	if m.Package == "web" {
		test = r.nodeTest
	}
	seen, err := test(ctx, m, dir, text)
	if err != nil {
		return result{m, failed, err.Error()}
	}
	return judge(m, seen)
}

// outcome is what one test did.
type outcome string

const (
	passed   outcome = "passed"
	refuted  outcome = "failed" // by its own assertion
	broke    outcome = "broke"  // by something else
	skipped  outcome = "was skipped"
	neverRan outcome = ""
)

// judge decides over a mutant that compiled and whose tests ended by themselves.
//
//control:name kill-matrix
func judge(m mutant, seen map[string]outcome) result {
	var alive []string
	for _, name := range m.Kills {
		switch seen[name] {
		case refuted:
		case passed:
			alive = append(alive, name)
		case broke:
			return result{m, failed, name + " failed by no assertion"}
		case skipped:
			return result{m, failed, name + " was skipped"}
		default:
			return result{m, failed, name + " never ran: is there a test of that name?"}
		}
	}
	if alive != nil {
		return result{m, survived, strings.Join(alive, ", ") + " passed without the control"}
	}
	return result{m, killed, ""}
}

// start runs a command below dir and returns what it printed on stdout, also when its
// exit code says that a test failed.
func start(ctx context.Context, dir string, name string, args ...string) ([]byte, error) {
	var stdout, stderr bounded
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A test that lost its service must be seen as skipped. As a failure it would
	// look like a kill.
	cmd.Env = append(os.Environ(), "REQUIRE_SERVICES=")
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || ctx.Err() != nil {
		return nil, fmt.Errorf("%s did not run to its end: %w", name, errors.Join(err, ctx.Err()))
	}
	if stdout.buf.Len() == 0 {
		return nil, fmt.Errorf("%s printed no result: %s", name, brief(stderr.buf.String()))
	}
	return stdout.buf.Bytes(), nil
}

// bounded is a buffer with an end.
type bounded struct{ buf bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > mostOutput {
		return 0, errors.New("the tests print without end")
	}
	return b.buf.Write(p)
}

// brief is the beginning of a text that may be long, as one line.
func brief(s string) string {
	const most = 400
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}
