package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/guard/audit"
)

func serveCommand() command {
	c := command{
		name:    "serve",
		summary: "start the chat server",
		usage: `usage: portcullis [serve]

Without DATABASE_URL and REDIS_URL, in development, it starts a PostgreSQL and a Redis of
its own in PORTCULLIS_DATA_DIR, and makes demo people. Ctrl-C drains, a second one ends.

example: PORTCULLIS_LISTEN=127.0.0.1:9000 portcullis serve`,
	}
	c.run = func(ctx context.Context, p process, args []string) error {
		if err := c.parse(c.flags(p), args, 0, 0); err != nil {
			return err
		}
		return serve(ctx, p)
	}
	return c
}

func serve(ctx context.Context, p process) (err error) {
	begin := time.Now()
	cfg, err := config.Load(p.Environ)
	log := logger(cfg, p.Stderr)
	defer func() { recordRefusal(log, err) }()
	if err != nil {
		return err
	}
	// The ports first: nothing has to be undone when somebody else has one.
	ports, err := openListeners(&cfg)
	if err != nil {
		return err
	}
	defer ports.Close()

	dir := dataDir(cfg)
	backends, err := app.OpenBackends(ctx, cfg, dir, log, phase(p.Stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backends.Close(context.WithoutCancel(ctx))) }()
	forget, err := remember(dir, backends)
	if err != nil {
		return err
	}
	defer forget()
	if err := migrated(ctx, cfg, backends, log); err != nil {
		return err
	}
	node := "node-" + rand.Text()[:8]
	log = log.With("node", node)
	parts, err := app.Hardened(ctx, cfg, backends, log, node, demoNames(cfg))
	if err != nil {
		return err
	}
	if err := parts.Tunnels.Resolve(ctx); err != nil {
		return err
	}
	var demo app.Demo
	if !cfg.Production() {
		if demo, err = app.SeedDemo(ctx, dir, parts.Accounts, parts.Rooms); err != nil {
			return err
		}
	}
	a, err := app.New(parts)
	if err != nil {
		return err
	}
	servers, err := ports.servers(cfg, a, log)
	if err != nil {
		return err
	}
	return runServers(ctx, p, cfg, a, ports, servers, func() {
		printCard(p.Stdout, cfg, backends, demo, time.Since(begin))
	})
}

// runServers serves until ctx ends or a part fails, then drains: readiness off,
// sockets closed with a time to come back, requests finished, background work ended.
func runServers(ctx context.Context, p process, cfg config.Config, a *app.App, ports *listening, servers []served, ready func()) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	failed := make(chan error, len(servers)+1)
	var wg sync.WaitGroup
	wg.Go(func() { failed <- a.Run(background) })
	wg.Go(func() { ports.watch(background, p.Hangup, a.CertificateChanged) })
	for _, s := range servers {
		wg.Go(func() {
			var err error
			if s.TLSConfig != nil {
				err = s.ServeTLS(s.on, "", "")
			} else {
				err = s.Serve(s.on)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", s.on.Addr(), err)
			}
		})
	}
	ready()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	if p.Interrupted != nil {
		p.Interrupted()
	}
	fmt.Fprintf(p.Stderr, "stopping: sockets are told to come back, at most %s\n", cfg.DrainTimeout)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.DrainTimeout)
	defer cancel()
	err = errors.Join(err, a.Drain(drain))
	for _, s := range servers {
		if e := s.Shutdown(drain); e != nil {
			err = errors.Join(err, e, s.Close())
		}
	}
	stopBackground()
	wg.Wait()
	return err
}

// migrated brings the schema up to date in development; in production that is a
// step of its own with its own rights, so here it is only checked.
func migrated(ctx context.Context, cfg config.Config, b *app.Backends, log *slog.Logger) error {
	if !cfg.Production() {
		return b.Migrate(ctx, log)
	}
	n, err := b.DB.Pending(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%d migrations are pending: run `portcullis migrate` first", n)
	}
	return b.CheckRole(ctx)
}

func logger(cfg config.Config, w io.Writer) *slog.Logger {
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: audit.Escape}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: audit.Escape}))
}

// dataDir is where the embedded stack lives.
func dataDir(cfg config.Config) string {
	if cfg.DataDir != "" {
		return cfg.DataDir
	}
	return embedded.DefaultDataDir()
}

// phase prints one line per step that took long enough to wonder about.
func phase(w io.Writer) func(string, time.Duration) {
	return func(name string, took time.Duration) {
		fmt.Fprintf(w, "  %-40s %s\n", name, took.Round(10*time.Millisecond))
	}
}

func demoNames(cfg config.Config) []string {
	if cfg.Production() {
		return nil
	}
	return app.DemoNames()
}

// printCard tells where everything is. One screen, plain text.
func printCard(w io.Writer, cfg config.Config, b *app.Backends, demo app.Demo, took time.Duration) {
	mode := cfg.Env
	if b.Embedded != "" {
		mode += ", with its own " + b.Embedded
	}
	fmt.Fprintf(w, "\n%s · %s · ready in %.1f s\n\n", version(), mode, took.Seconds())
	fmt.Fprintf(w, "  Chat      %s\n", cfg.BaseURL)
	if demo.Password != "" {
		fmt.Fprintf(w, "  Sign in   ")
		for i, n := range demo.Usernames {
			if i > 0 {
				fmt.Fprint(w, " / ")
			}
			fmt.Fprint(w, n)
		}
		fmt.Fprintf(w, "\n  Password  %s\n", demo.Password)
	}
	if cfg.PrivateListen != "" {
		fmt.Fprintf(w, "  Private   http://%s/metrics\n", cfg.PrivateListen)
	}
	fmt.Fprintf(w, "\n  Listening on %s. Two browser profiles make two people. Stop: Ctrl-C   Help: portcullis help\n\n", cfg.Listen)
}

// remember writes, for this account only, where the embedded servers are, so that
// the other commands work while this one runs.
func remember(dir string, b *app.Backends) (forget func(), err error) {
	if b.Embedded == "" {
		return func() {}, nil
	}
	path := urlsFile(dir)
	if err := os.WriteFile(path, []byte(b.Database.Reveal()+"\n"+b.RedisURL.Reveal()+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return func() { _ = os.Remove(path) }, nil
}
