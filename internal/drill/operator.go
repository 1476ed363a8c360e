package drill

import (
	"context"
	"errors"
	"log/slog"

	"example.com/portcullis/internal/app"
	"example.com/portcullis/internal/config"
)

// operator is somebody at a command line: a process of its own beside the nodes, with
// the same parts as the commands of this program.
type operator struct {
	parts    app.Parts
	backends *app.Backends
}

// operator runs do as one command.
func (s *stage) operator(ctx context.Context, do func(context.Context, *operator) error) (err error) {
	cfg, err := config.Load(append([]string{"DATABASE_URL=" + s.stack.Database.Reveal(), "REDIS_URL=" + s.stack.RedisURL.Reveal(), "PORTCULLIS_BASE_URL=" + s.base}, s.environ...))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(s.log, nil)).With("node", "command")
	b, err := app.OpenBackends(ctx, cfg, s.data, log, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(context.WithoutCancel(ctx))) }()
	parts, err := app.Hardened(ctx, cfg, b, log, "command", nil)
	if err != nil {
		return err
	}
	return app.Command(ctx, parts, func(ctx context.Context) error { return do(ctx, &operator{parts, b}) })
}
