package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

func (c *cluster) passwordFile() string { return c.dir + ".password" }

// create makes the cluster in a folder beside its place and moves it there when it is complete: a half-made cluster is never
// used. The password is on disk before the cluster is, so there is no cluster without one.
func (c *cluster) create(ctx context.Context) error {
	side := c.dir + ".init"
	if err := os.RemoveAll(side); err != nil { // of a first start that was killed; it has never held data
		return failed("the database could not be created", c.o.DataDir, err, "")
	}
	build := c.initialise
	if c.o.Throwaway && c.o.CacheDir != "" {
		build = c.copySeed
	}
	if err := build(ctx, side, c.passwordFile()); err != nil {
		_ = os.RemoveAll(side) // a full disk needs the space; the next start tries again
		return err
	}
	_ = os.Remove(c.dir) // an empty directory may stand there; Remove takes no other
	if err := errors.Join(os.Rename(side, c.dir), syncDir(c.o.DataDir)); err != nil {
		return failed("the database could not be created", c.o.DataDir, err, "")
	}
	return nil
}

// initialise makes a cluster with the application's roles and database. The superuser gets no password: nobody can sign in
// as it, whatever pg_hba.conf says.
func (c *cluster) initialise(ctx context.Context, dir, passwordFile string) error {
	words, err := newPasswords(passwordFile)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil {
		err = c.who.own(dir)
	}
	if err != nil {
		return failed("the database could not be created", c.o.DataDir, err, "")
	}
	if err := c.tool(ctx, "", "initdb", c.initArgs(dir)...); err != nil {
		return err
	}
	// Single-user mode: no server, no socket, no superuser password. One statement per line.
	rights := ""
	if c.o.Throwaway {
		rights = " CREATEDB" // one database per test
	}
	return c.single(ctx, dir, "CREATE ROLE "+role+" LOGIN"+rights+" PASSWORD '"+words.owner+"'\n"+
		"CREATE DATABASE "+role+" OWNER "+role+"\n"+
		rolesText(words))
}

// rolesText makes the roles that the application has beside the owner of its tables, see
// migrations/00012_roles.sql; only an administrator can, and the owner is none.
func rolesText(words passwords) string {
	return "CREATE ROLE " + appRole + " LOGIN PASSWORD '" + words.app + "'\n" +
		"CREATE ROLE portcullis_audit NOLOGIN\n" +
		"CREATE ROLE portcullis_auditor NOLOGIN\n" +
		"GRANT " + appRole + ", portcullis_audit, portcullis_auditor TO " + role + "\n"
}

// single runs statements, one per line, as the administrator of a cluster that does not run.
func (c *cluster) single(ctx context.Context, dir, statements string) error {
	return c.tool(ctx, statements, "postgres", "--single", "-D", dir,
		"-c", "exit_on_error=on",
		"-c", "log_min_error_statement=panic", // a statement may have a password in it
		"postgres")
}

// addRoles gives a cluster of before there were two roles the second one, once: the
// second line of the password file says that it is there.
func (c *cluster) addRoles(ctx context.Context) error {
	words, err := readPasswords(c.passwordFile())
	if err != nil || words.app != "" {
		c.passwords = words
		return err
	}
	words.app = rand.Text()
	// A start that was killed in between has left roles behind, without a password that anybody knows.
	again := "DROP ROLE IF EXISTS " + appRole + "\nDROP ROLE IF EXISTS portcullis_audit\nDROP ROLE IF EXISTS portcullis_auditor\n"
	if err := c.single(ctx, c.dir, again+rolesText(words)); err != nil {
		return err
	}
	side := c.passwordFile() + ".new"
	if err := words.write(side); err != nil {
		return failed("the database's second role could not be made", c.o.DataDir, err, "")
	}
	if err := errors.Join(os.Rename(side, c.passwordFile()), syncDir(c.o.DataDir)); err != nil {
		return failed("the database's second role could not be made", c.o.DataDir, err, "")
	}
	c.passwords = words
	return nil
}

func (c *cluster) initArgs(dir string) []string {
	args := []string{"-D", dir, "-U", "postgres", "-A", "reject", "-E", "UTF8", "--locale=" + serverLocale()}
	if runtime.GOOS == "darwin" {
		args = append(args, "--lc-ctype=en_US.UTF-8") // letters beyond ASCII for full-text search; C.UTF-8 is not on every macOS
	}
	if c.o.Throwaway {
		args = append(args, "-N", "--wal-segsize=1") // no sync, small files
	}
	return args
}

// tool runs one of PostgreSQL's programs to its end.
func (c *cluster) tool(ctx context.Context, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, c.bin.path(program), args...)
	c.who.as(cmd)
	dieWithUs(cmd, syscall.SIGKILL)
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	process, err := launch(program, cmd)
	if err == nil {
		<-process.done // ctx kills it
		err = process.err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return failed("the database could not be created ("+program+")", c.o.DataDir, err, output.String())
	}
	return nil
}

// passwords are those of the owner of the tables and of the application, a line each.
type passwords struct{ owner, app string }

// newPasswords makes them and keeps them in a file.
func newPasswords(path string) (passwords, error) {
	words := passwords{rand.Text(), rand.Text()}
	return words, words.write(path)
}

// write makes a file that only this account can read, on disk before it returns.
func (p passwords) write(path string) (err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(p.owner + "\n" + p.app + "\n")
	return errors.Join(err, f.Sync())
}

func readPasswords(path string) (passwords, error) {
	text, err := os.ReadFile(path)
	words := strings.Fields(string(text))
	if err == nil && len(words) > 0 {
		return passwords{owner: words[0], app: strings.Join(words[1:], "")}, nil
	}
	return passwords{}, &Error{
		What: "the database cannot be opened",
		Why:  "its password file " + path + " is missing, empty or not readable",
		Next: "restore that file from a copy, or set PORTCULLIS_DATA_DIR to a new directory (the old one stays as it is)",
		Err:  err,
	}
}

// syncDir makes a rename survive a power cut. Windows cannot, and does not need it: its renames are journalled.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
