package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/embedded"
)

// process is what the program gets from its surroundings, so that a test can be them.
type process struct {
	Args           []string
	Environ        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Interrupted is called once a stop has begun: the next Ctrl-C then ends the
	// process at once instead of being swallowed while sockets drain.
	Interrupted func()

	// Hangup starts listening to SIGHUP, on which certificates are read again, and
	// returns how to stop. nil: there is no such signal.
	Hangup func() (<-chan os.Signal, func())
}

// command is one verb. Its usage text has an example; -h prints it.
type command struct {
	name, summary, usage string
	run                  func(ctx context.Context, p process, args []string) error
}

// errUsage says that the words were wrong; the usage has been printed.
var errUsage = errors.New("usage")

// run is the program: it picks the verb and turns its error into an exit code.
// 0 done, 1 failed, 2 wrong words or a wrong configuration.
func run(ctx context.Context, p process) int {
	args := p.Args
	if len(args) == 0 {
		args = []string{"serve"}
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		return report(p, c.run(ctx, p, args[1:]))
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		help(p.Stdout)
		return 0
	}
	fmt.Fprintf(p.Stderr, "portcullis: there is no command %q\n\n", args[0])
	help(p.Stderr)
	return 2
}

func commands() []command {
	return []command{serveCommand(), migrateCommand(), userCommand(), sessionCommand(), roomCommand(), announceCommand(), serviceCommand(), tunnelCommand(), auditCommand(), responseCommand(), configCommand(), devcertCommand(), drillCommand(), healthCommand(), versionCommand()}
}

func help(w io.Writer) {
	fmt.Fprint(w, "Portcullis, a chat in which every WebSocket security control is built in.\n\nusage: portcullis [command] [arguments]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nWithout a command it serves. `portcullis <command> -h` shows an example; docs/config.md lists the variables.\n")
}

// report prints an error in the form that helps and returns the exit code.
func report(p process, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		fmt.Fprintln(p.Stderr, "portcullis:", problems)
		return 2
	}
	if e, ok := errors.AsType[*embedded.Error](err); ok {
		fmt.Fprintf(p.Stderr, "portcullis: %s\n    why:  %s\n    next: %s\n", e.What, e.Why, e.Next)
		return 1
	}
	fmt.Fprintln(p.Stderr, "portcullis:", err)
	return 1
}

// flags returns a flag set that prints the command's usage with its example.
func (c command) flags(p process) *flag.FlagSet {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(p.Stderr)
	fs.Usage = func() {
		fmt.Fprintf(p.Stderr, "%s\n\n%s\n", c.summary, strings.TrimSpace(c.usage))
		fs.PrintDefaults()
	}
	return fs
}

// parse reads flags and checks the number of words that are left.
func (c command) parse(fs *flag.FlagSet, args []string, least, most int) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if fs.NArg() < least || fs.NArg() > most {
		fs.Usage()
		return errUsage
	}
	return nil
}
