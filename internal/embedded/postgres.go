package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// role owns the database of the same name and the tables, and migrates. It is no superuser.
	role = "portcullis"
	// appRole is the application's: it reads and writes rows.
	appRole = "portcullis_app"
	// startTimeout bounds the wait for a server: recovery after a kill -9 replays at most 1 GB of log.
	startTimeout = 2 * time.Minute
	// maxPidFile bounds the read of postmaster.pid, a file of eight short lines.
	maxPidFile = 4 << 10
)

// cluster is the private PostgreSQL of one data directory.
type cluster struct {
	o         Options
	who       *account
	bin       binaries
	dir       string // <DataDir>/postgres
	passwords passwords
	sockets   string
	port      int
	server    *child
}

func (s *Stack) startPostgres(ctx context.Context, o Options, who *account) error {
	c := &cluster{o: o, who: who, dir: filepath.Join(o.DataDir, "postgres"), sockets: s.sockets, port: 5432}
	major, err := c.existingMajor()
	if err != nil {
		return err
	}
	if c.bin, err = o.obtain(ctx, who, major); err != nil {
		return err
	}
	if major == 0 {
		start := time.Now()
		if err := c.create(ctx); err != nil {
			return err
		}
		o.phase("create database", start)
	}
	start := time.Now()
	if _, err := readPasswords(c.passwordFile()); err != nil {
		return err
	}
	if err := c.stopLeftover(ctx); err != nil {
		return err
	}
	if err := c.addRoles(ctx); err != nil {
		return err
	}
	if err := c.run(ctx, s); err != nil {
		return err
	}
	s.DatabaseURL, s.OwnerURL = c.url(appRole, c.passwords.app), c.url(role, c.passwords.owner)
	s.PostgresVersion = c.bin.version
	o.phase("start PostgreSQL "+c.bin.version, start)
	return nil
}

// existingMajor is the version that made the cluster; 0 when there is none yet. Anything that is neither is left alone.
func (c *cluster) existingMajor() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "PG_VERSION"))
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || major < 1 {
			return 0, &Error{
				What: "the database in " + c.dir + " cannot be used",
				Why:  "its PG_VERSION names no version",
				Next: "restore the directory from a copy, or set PORTCULLIS_DATA_DIR to a new one (the old one stays as it is)",
				Err:  err,
			}
		}
		return major, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return 0, failed("the database in "+c.dir+" cannot be read", c.o.DataDir, err, "")
	}
	if entries, err := os.ReadDir(c.dir); err == nil && len(entries) > 0 {
		return 0, &Error{
			What: "the database in " + c.dir + " cannot be used",
			Why:  "the directory has files but no PG_VERSION, and a data directory is never re-created",
			Next: "restore it from a copy, or set PORTCULLIS_DATA_DIR to a new directory (the old one stays as it is)",
		}
	}
	return 0, nil
}

// run starts the server and waits until it takes connections.
func (c *cluster) run(ctx context.Context, s *Stack) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	hba := filepath.Join(c.o.DataDir, "pg_hba.conf")
	if err := writeOpenly(hba, hbaText); err != nil {
		return failed("PostgreSQL could not be configured", c.o.DataDir, err, "")
	}
	log, err := freshLog(filepath.Join(c.o.DataDir, "postgres.log"))
	if err != nil {
		return failed("PostgreSQL could not be started", c.o.DataDir, err, "")
	}
	defer log.Close() // the server has its own copy
	listen := ""
	if runtime.GOOS == "windows" {
		listen = "127.0.0.1"
		if c.port, err = freePort(); err != nil {
			return failed("PostgreSQL could not be started", c.o.DataDir, err, "")
		}
	}
	args := []string{"-D", c.dir,
		"-c", "listen_addresses=" + listen,
		"-c", "port=" + strconv.Itoa(c.port),
		"-c", "unix_socket_directories=" + quoteList(c.sockets),
		"-c", "unix_socket_permissions=0700",
		"-c", "hba_file=" + hba,
		"-c", "max_connections=100",
		"-c", "shared_buffers=64MB",
		"-c", "logging_collector=off",
		// The detail line of a failed constraint shows the row: a message, a password hash.
		"-c", "log_error_verbosity=terse",
	}
	if c.o.Throwaway {
		args = append(args, "-F", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "autovacuum=off",
			"-c", "max_wal_size=4GB", "-c", "checkpoint_timeout=1h", "-c", "max_connections=300")
	}
	cmd := exec.Command(c.bin.path("postgres"), args...)
	c.who.as(cmd)
	dieWithUs(cmd, syscall.SIGINT) // a fast shutdown
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	if c.server, err = launch("postgres", cmd); err != nil {
		return failed("PostgreSQL could not be started", c.o.DataDir, err, "")
	}
	s.stops = append(s.stops, c.stop)
	if err := poll(ctx, func() bool { return c.ready() || c.server.ended() }); err != nil {
		return err
	}
	if c.server.ended() {
		output, _ := os.ReadFile(log.Name())
		return failed("PostgreSQL did not start", c.o.DataDir, c.server.err, string(output))
	}
	s.watch(c.server)
	return nil
}

func (c *cluster) stop(ctx context.Context) error {
	if c.o.Throwaway {
		return c.server.end(ctx, c.mustStop, c.mustStop)
	}
	return c.server.end(ctx, c.askToStop, c.mustStop)
}

// ready reads what the server says about itself: the last line becomes "ready". That costs no connection.
func (c *cluster) ready() bool {
	pid, status := c.pidFile()
	return status == "ready" && pid == c.server.cmd.Process.Pid
}

// pidFile reads line 1 and 8 of postmaster.pid; 0 and "" when they are not there.
func (c *cluster) pidFile() (pid int, status string) {
	f, err := os.Open(filepath.Join(c.dir, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPidFile))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(text), "\n")
	pid, _ = strconv.Atoi(strings.TrimSpace(lines[0])) // 0 is no process
	if len(lines) >= 8 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status
}

// stopLeftover ends the server of a killed process: two servers on one cluster would destroy it.
func (c *cluster) stopLeftover(ctx context.Context) error {
	pid, _ := c.pidFile()
	if pid == 0 {
		return nil
	}
	c.o.Log.Info("looking after the PostgreSQL of a process that ended without stopping it", "pid", pid)
	if err := c.endLeftover(ctx, pid); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &Error{
			What: "an earlier PostgreSQL still runs on " + c.dir,
			Why:  fmt.Sprintf("process %d cannot be stopped (%v)", pid, err),
			Next: fmt.Sprintf("end process %d by hand and start again", pid),
			Err:  err,
		}
	}
	return nil
}

// url is for pgx. The password is made of letters and digits.
func (c *cluster) url(who, password string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(who, password), Path: "/" + role}
	q := url.Values{"sslmode": {"disable"}} // a socket on this machine
	if runtime.GOOS == "windows" {
		u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	} else {
		q.Set("host", c.sockets)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// hbaText is PostgreSQL's list of ways in: the application's two roles by password. The superuser has none.
const hbaText = `# Written at every start. Two roles, by password, from this machine.
# TYPE  DATABASE  USER                       ADDRESS       METHOD
local   all       ` + role + `,` + appRole + `                scram-sha-256
host    all       ` + role + `,` + appRole + `  127.0.0.1/32  scram-sha-256
`

// writeOpenly writes a file that holds no secret and that the server's account has to read.
func writeOpenly(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// freshLog starts a log file and keeps the one before: enough to look at the start that failed, and bounded.
func freshLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// quoteList makes one element of a PostgreSQL list setting: a comma in TMPDIR must not make two directories of one.
func quoteList(dir string) string { return `"` + strings.ReplaceAll(dir, `"`, `""`) + `"` }

// freePort asks the system for a port. Another process may take it before the server does; that start fails and says so.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
