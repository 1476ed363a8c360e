package embedded

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// oldestRedis is the first major version that the project is tested with.
const oldestRedis = 7

// redisTimeout bounds the wait for the answer of a server that starts in 0.1 s.
const redisTimeout = 20 * time.Second

// redisServer is a redis-server or valkey-server of ours.
type redisServer struct {
	socket, password string
	server           *child
}

func (s *Stack) startRedis(ctx context.Context, o Options, who *account) error {
	start := time.Now()
	program, kind, ok := findRedis(ctx, o, who)
	if !ok {
		return s.startMiniredis(o)
	}
	r := &redisServer{socket: filepath.Join(s.sockets, "redis.sock"), password: rand.Text()}
	if err := r.run(ctx, s, o, who, program); err != nil {
		return err
	}
	s.RedisKind = kind
	s.RedisURL = (&url.URL{Scheme: "unix", User: url.UserPassword("", r.password), Path: r.socket}).String()
	o.phase("start "+kind, start)
	return nil
}

// findRedis takes the first server program on PATH that is new enough. Redis has no Unix sockets on Windows.
func findRedis(ctx context.Context, o Options, who *account) (program, kind string, ok bool) {
	if runtime.GOOS == "windows" {
		return "", "", false
	}
	for _, kind := range []string{"redis-server", "valkey-server"} {
		program, err := exec.LookPath(kind)
		if err != nil {
			continue
		}
		out, err := ask(ctx, who, program, "--version")
		if major := redisMajor(out); err == nil && major >= oldestRedis {
			return program, kind, true
		}
		o.Log.Warn("this Redis is not used: too old, or it does not run", "program", program, "needs_major", oldestRedis, "error", err)
	}
	return "", "", false
}

// redisMajor reads "Redis server v=7.0.15 sha=…" and Valkey's like.
func redisMajor(text string) int {
	m := regexp.MustCompile(`\bv=(\d+)\.`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(m[1]) // digits
	return major
}

// run starts the server. The configuration goes through a pipe: a command line can be read by every account.
func (r *redisServer) run(ctx context.Context, s *Stack, o Options, who *account, program string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	dir := filepath.Join(o.DataDir, "redis")
	if err := makeDir(dir, dataDirMode()); err != nil {
		return failed("Redis could not be started", o.DataDir, err, "")
	}
	log, err := freshLog(filepath.Join(o.DataDir, "redis.log"))
	if err != nil {
		return failed("Redis could not be started", o.DataDir, err, "")
	}
	defer log.Close() // the server has its own copy
	cmd := exec.Command(program, "-")
	who.as(cmd)
	dieWithUs(cmd, syscall.SIGKILL) // nothing to save
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(r.config(dir))
	cmd.Stdout, cmd.Stderr = log, log
	if r.server, err = launch("redis", cmd); err != nil {
		return failed("Redis could not be started", o.DataDir, err, "")
	}
	s.stops = append(s.stops, r.stop)
	pid := strconv.Itoa(cmd.Process.Pid)
	if err := os.WriteFile(redisPidFile(o.DataDir), []byte(pid), 0o600); err != nil {
		return failed("Redis could not be started", o.DataDir, err, "")
	}
	if err := poll(ctx, func() bool { return r.answers(ctx) || r.server.ended() }); err != nil {
		return err
	}
	if r.server.ended() {
		output, _ := os.ReadFile(log.Name())
		return failed("Redis did not start", o.DataDir, r.server.err, string(output))
	}
	s.watch(r.server)
	return nil
}

func (r *redisServer) config(dir string) string {
	return strings.Join([]string{
		"port 0",
		"unixsocket " + strconv.Quote(r.socket),
		"unixsocketperm 700",
		"requirepass " + r.password,
		"dir " + strconv.Quote(dir),
		"daemonize no",
		// Tickets, leases and limits are short-lived: after a restart they are better gone.
		`save ""`,
		"appendonly no",
		// Full is an error that closes, not an eviction that lets a used ticket come back.
		"maxmemory 256mb",
		"maxmemory-policy noeviction",
	}, "\n") + "\n"
}

// answers signs in and asks for a PING, as any client does.
func (r *redisServer) answers(ctx context.Context) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", r.socket)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nPING\r\n", r.password); err != nil {
		return false
	}
	lines := bufio.NewScanner(conn)
	return lines.Scan() && lines.Text() == "+OK" && lines.Scan() && lines.Text() == "+PONG"
}

func (r *redisServer) stop(ctx context.Context) error {
	p := r.server.cmd.Process
	return r.server.end(ctx, func() error { return p.Signal(syscall.SIGTERM) }, p.Kill)
}

func redisPidFile(dataDir string) string { return filepath.Join(dataDir, "redis.pid") }

// stopLeftoverRedis ends the Redis of a killed process where the system did not: it shows the socket directory, which has a
// random name, as its title. It blocks nobody, so failing to stop it is no reason not to start.
func stopLeftoverRedis(ctx context.Context, dataDir, sockets string) {
	text, err := os.ReadFile(redisPidFile(dataDir))
	pid, errPid := strconv.Atoi(string(text))
	if err != nil || errPid != nil || !strings.HasPrefix(filepath.Base(sockets), socketsPrefix) {
		return
	}
	_ = stopLeftover(ctx, pid, sockets, syscall.SIGTERM, syscall.SIGKILL)
}

// startMiniredis runs a stand-in inside this process. It has one node's view and no persistence.
func (s *Stack) startMiniredis(o Options) error {
	start := time.Now()
	m, password := miniredis.NewMiniRedis(), rand.Text()
	m.RequireAuth(password) // before it listens: every account of the machine reaches the port
	m.ClockTTL(true)        // otherwise nothing ever expires
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return failed("the stand-in for Redis could not listen on 127.0.0.1", o.DataDir, err, "")
	}
	s.stops = append(s.stops, func(context.Context) error { m.Close(); return nil })
	s.RedisKind = "miniredis"
	s.RedisURL = (&url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: m.Addr()}).String()
	o.Log.Warn("in-process stand-in; not Redis", "kind", s.RedisKind, "hint", "install redis-server or set REDIS_URL")
	o.phase("start miniredis", start)
	return nil
}
