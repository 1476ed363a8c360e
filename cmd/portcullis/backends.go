package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
)

func urlsFile(dir string) string { return filepath.Join(dir, "urls") }

// withApp runs do with the same parts that the server has, so that what a command
// changes is announced to every node, and its events are in the security log.
func withApp(ctx context.Context, p process, do func(context.Context, app.Parts, *app.Backends) error) (err error) {
	cfg, err := config.Load(p.Environ)
	if err != nil {
		return err
	}
	dir := dataDir(cfg)
	// A running server has the embedded stack: use its servers instead of starting others. One that was killed has left
	// its file behind, and nobody answers there.
	if b, err := os.ReadFile(urlsFile(dir)); err == nil && embedded.InUse(dir) {
		database, redis, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
		if cfg.DatabaseURL.Empty() {
			cfg.DatabaseURL = secret.NewText(database)
		}
		if cfg.RedisURL.Empty() {
			cfg.RedisURL = secret.NewText(redis)
		}
	}
	log := slog.New(slog.NewTextHandler(p.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: audit.Escape}))
	backends, err := app.OpenBackends(ctx, cfg, dir, log, func(string, time.Duration) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backends.Close(context.WithoutCancel(ctx))) }()
	if err := migrated(ctx, cfg, backends, log); err != nil {
		return err
	}
	parts, err := app.Hardened(ctx, cfg, backends, log, "command", nil)
	if err != nil {
		return err
	}
	return app.Command(ctx, parts, func(ctx context.Context) error { return do(ctx, parts, backends) })
}

func userLine(u account.User) string {
	state := ""
	if u.Disabled {
		state = "disabled"
	}
	return fmt.Sprintf("%s  %-20s %-8s %-8s %s", u.ID, u.Username, u.Role, state, u.DisplayName)
}
