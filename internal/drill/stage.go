package drill

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
)

// stage is a service of two nodes that nobody else uses.
type stage struct {
	dir, data string
	base      string // the public origin of both nodes
	environ   []string
	progress  io.Writer
	log       *record
	stack     *app.Backends
	nodes     []*node
	report    Report
}

// record keeps the log that the nodes write.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// ticketKey is a fresh value for PORTCULLIS_TICKET_KEYS.
func ticketKey(id string) string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return id + ":" + base64.StdEncoding.EncodeToString(key)
}

// openStage starts PostgreSQL and Redis, makes the schema, and starts two nodes.
//
//control:name drill
func openStage(ctx context.Context, o Options) (_ *stage, err error) {
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: evidence is never written over", o.Dir)
	}
	s := &stage{dir: o.Dir, base: "http://app.portcullis.localhost:8080", progress: o.Progress, log: &record{}}
	if s.progress == nil {
		s.progress = io.Discard
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	// Not below the evidence: started by root, the database runs under another account,
	// which may not pass there.
	if s.data, err = os.MkdirTemp("", "portcullis-drill-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.data, 0o711); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)), os.RemoveAll(s.data))
		}
	}()
	for _, pair := range o.Environ {
		if name, _, _ := strings.Cut(pair, "="); name == "PORTCULLIS_OFFLINE" {
			s.environ = append(s.environ, pair)
		}
	}
	own, err := config.Load(s.environ)
	if err != nil {
		return nil, err
	}
	if s.stack, err = app.OpenBackends(ctx, own, s.data, slog.New(slog.NewJSONHandler(s.log, nil)), nil); err != nil {
		return nil, err
	}
	if err := s.stack.Migrate(ctx, slog.New(slog.NewJSONHandler(s.log, nil))); err != nil {
		return nil, err
	}
	key := ticketKey("before")
	for _, name := range []string{"a", "b"} {
		if _, err := s.startNode(ctx, name, key); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// node is one process's worth of server.
type node struct {
	name, addr string
	keys       string
	parts      app.Parts
	app        *app.App
	backends   *app.Backends
	server     *http.Server
	end        context.CancelFunc
	ended      sync.WaitGroup
}

// startNode starts a node with these ticket keys, the first of which signs.
func (s *stage) startNode(ctx context.Context, name, keys string) (_ *node, err error) {
	cfg, err := config.Load(append([]string{
		"DATABASE_URL=" + s.stack.Database.Reveal(), "REDIS_URL=" + s.stack.RedisURL.Reveal(), "PORTCULLIS_BASE_URL=" + s.base, "PORTCULLIS_TICKET_KEYS=" + keys,
		// One machine plays all people: what is per network has to be wider.
		"PORTCULLIS_HANDSHAKES_PER_MINUTE=1000", "PORTCULLIS_SIGN_INS_PER_MINUTE=1000",
	}, s.environ...))
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(s.log, nil)).With("node", name)
	n := &node{name: name, keys: keys}
	if n.backends, err = app.OpenBackends(ctx, cfg, s.data, log, nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.backends.Close(context.WithoutCancel(ctx)))
		}
	}()
	if n.parts, err = app.Hardened(ctx, cfg, n.backends, log, name, nil); err != nil {
		return nil, err
	}
	if n.app, err = app.New(n.parts); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.addr = listener.Addr().String()
	n.server = &http.Server{Handler: n.app.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	n.end = end
	n.ended.Go(func() { _ = n.app.Run(running) })
	n.ended.Go(func() { _ = n.server.Serve(listener) })
	s.nodes = append(s.nodes, n)
	return n, nil
}

// drain ends a node in order, as a stop signal would.
func (n *node) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := n.app.Drain(ctx)
	if e := n.server.Shutdown(ctx); e != nil {
		err = errors.Join(err, n.server.Close())
	}
	return errors.Join(err, n.gone(ctx))
}

// gone ends a node and takes away its connections, without a word to its clients.
func (n *node) gone(ctx context.Context) error {
	_ = n.server.Close()
	n.end()
	n.ended.Wait()
	return n.backends.Close(ctx)
}

// restart replaces every node, one after the other, by one with other keys.
func (s *stage) restart(ctx context.Context, keys string) error {
	old := s.nodes
	s.nodes = nil
	for _, n := range old {
		if err := n.drain(ctx); err != nil {
			return fmt.Errorf("drain node %s: %w", n.name, err)
		}
		if _, err := s.startNode(ctx, n.name, keys); err != nil {
			return fmt.Errorf("start node %s: %w", n.name, err)
		}
	}
	return nil
}

// stop ends what runs.
func (s *stage) stop(ctx context.Context) error {
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.drain(ctx))
	}
	s.nodes = nil
	if s.stack != nil {
		errs = append(errs, s.stack.Close(ctx))
	}
	return errors.Join(errs...)
}

// close stops the nodes, writes the evidence and removes the stack's data.
func (s *stage) close(ctx context.Context) error {
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.drain(ctx)) // so that every event is in the table
	}
	s.nodes = nil
	errs = append(errs, s.write(ctx), s.stop(ctx), os.RemoveAll(s.data))
	return errors.Join(errs...)
}
