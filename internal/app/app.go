// Package app is the assembly: every part of the server, put together in one place
// and in one order.
//
// Threat: controls that exist and are not used. A route that was added beside the
// middleware, a second server for health checks that also serves the API, a limiter
// with the zero limit. Here one function fills every part with the real thing, New
// refuses a part that is missing, and one list (routes.go) holds every route.
//
//	config → Backends (PostgreSQL, Redis) → Hardened → Parts → New → App
//	App.Handler   the public routes        App.Private   metrics, pprof, health detail
//	App.Run       everything that runs in the background
//	App.Drain     the orderly end: readiness off, sockets closed with 1012, then the rest
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/fanout"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/headers"
	"example.com/portcullis/internal/guard/host"
	"example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/site"
	"example.com/portcullis/internal/socket"
	"example.com/portcullis/internal/tunnel"
)

// Parts are what an App is made of. Hardened fills them all.
type Parts struct {
	Config   config.Config
	Log      *slog.Logger
	Registry *prometheus.Registry
	Audit    *audit.Log
	Host     *host.Policy
	ClientIP *clientip.Resolver
	Headers  *headers.Policy
	Accounts *account.Service
	Services *account.Services
	Chat     *chat.Service
	Uploads  *chat.Uploads
	Board    *chat.Board
	Rooms    chat.Store
	Node     *fanout.Node
	Sockets  *socket.Server
	Tunnels  *tunnel.Relay
	Site     *site.Site

	// Ready asks each dependency whether it answers, by name.
	Ready map[string]func(context.Context) error
	// Detector reads the security log, and Responses is what follows from it.
	Detector  *detect.Watch
	Responses *response.Book
	// Monitor says every minute that the security log is alive.
	Monitor *audit.Monitor
	// Purge removes what has passed its time.
	Purge func(context.Context) error
	// Rates keeps the numbers of the dashboard until its context ends.
	Rates func(context.Context)
}

// App is a server that is ready to serve.
type App struct {
	Parts
	draining atomic.Bool
	ready    readiness
	public   http.Handler
	private  http.Handler
}

// purgeEvery keeps tombstones and old events from piling up; an hour more or less
// does not matter to either.
const purgeEvery = time.Hour

// New checks that no part is missing.
func New(p Parts) (*App, error) {
	for _, part := range []struct {
		name  string
		given bool
	}{
		{"Log", p.Log != nil}, {"Registry", p.Registry != nil}, {"Audit", p.Audit != nil}, {"Host", p.Host != nil}, {"ClientIP", p.ClientIP != nil}, {"Headers", p.Headers != nil},
		{"Accounts", p.Accounts != nil}, {"Services", p.Services != nil}, {"Chat", p.Chat != nil}, {"Uploads", p.Uploads != nil}, {"Board", p.Board != nil}, {"Rooms", p.Rooms != nil}, {"Node", p.Node != nil}, {"Sockets", p.Sockets != nil}, {"Tunnels", p.Tunnels != nil}, {"Site", p.Site != nil},
		{"Ready", len(p.Ready) > 0}, {"Purge", p.Purge != nil}, {"Monitor", p.Monitor != nil}, {"Rates", p.Rates != nil}, {"Detector", p.Detector != nil}, {"Responses", p.Responses != nil},
	} {
		if !part.given {
			return nil, fmt.Errorf("app: %s is missing", part.name)
		}
	}
	a := &App{Parts: p}
	a.public, a.private = a.publicRoutes(), a.privateRoutes()
	return a, nil
}

// Handler serves the public listener.
func (a *App) Handler() http.Handler { return a.public }

// Private serves the private listener.
func (a *App) Private() http.Handler { return a.private }

// Run does the work in the background until ctx ends and everything it started has
// ended. The security log stops last, so that it holds the end as well.
func (a *App) Run(ctx context.Context) error {
	logCtx, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	var log sync.WaitGroup
	log.Go(func() { a.Audit.Run(logCtx) })
	defer log.Wait()
	defer stopLog()

	a.Audit.Record(ctx, audit.Event{Name: audit.Startup, Level: audit.Info, Control: "startup"})
	defer a.Audit.Record(ctx, audit.Event{Name: audit.Shutdown, Level: audit.Info, Control: "startup"})

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make(chan error, 3)
	wg.Go(func() { errs <- a.Node.Run(ctx); stop() })
	wg.Go(func() { errs <- a.Sockets.Run(ctx); stop() })
	wg.Go(func() { errs <- a.Monitor.Run(ctx) })
	wg.Go(func() { a.Detector.Run(ctx, a.respond) })
	wg.Go(func() { a.Responses.Run(ctx, a.unread) })
	wg.Go(func() { a.purge(ctx) })
	wg.Go(func() { a.Rates(ctx) })
	wg.Go(func() {
		a.Uploads.Run(ctx, func(err error) { a.Log.Warn("files wait in quarantine or were not swept", "error", err) })
	})
	wg.Wait()
	err := errors.Join(<-errs, <-errs, <-errs)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// respond does what follows from a rule that fired.
func (a *App) respond(ctx context.Context, f detect.Firing) {
	if err := a.Responses.Fired(ctx, f); err != nil {
		a.Log.Warn("no response to a rule that fired", "rule", f.Rule, "error", err)
	}
}

// unread says that responses of other nodes are not known here.
func (a *App) unread(err error) {
	a.Log.Warn("responses could not be read; those that are known stay in force", "error", err)
}

func (a *App) purge(ctx context.Context) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.Purge(ctx); err != nil {
				a.Log.Warn("purge failed; the next one is in an hour", "error", err)
			}
		}
	}
}

// Drain turns readiness off and closes the sockets: from now on a proxy sends
// nobody here, and clients are told to come back elsewhere after a random wait.
func (a *App) Drain(ctx context.Context) error {
	a.draining.Store(true)
	a.Site.Drain()
	return a.Sockets.Shutdown(ctx)
}

// Command runs do with the background work that a command needs, and no listener:
// the security log, and the fan-out that tells the nodes. Both write what do left in
// their queues before Command returns.
func Command(ctx context.Context, p Parts, do func(context.Context) error) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	var fan error
	wg.Go(func() { p.Audit.Run(background) })
	wg.Go(func() { fan = p.Node.Run(background) })
	err := do(ctx)
	stop()
	wg.Wait()
	return errors.Join(err, fan)
}
