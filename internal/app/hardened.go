package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	portcullis "example.com/portcullis"
	"example.com/portcullis/internal/account"
	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/config"
	"example.com/portcullis/internal/fanout"
	"example.com/portcullis/internal/guard/admission"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/guard/clientip"
	"example.com/portcullis/internal/guard/cors"
	"example.com/portcullis/internal/guard/csrf"
	"example.com/portcullis/internal/guard/detect"
	"example.com/portcullis/internal/guard/headers"
	"example.com/portcullis/internal/guard/host"
	"example.com/portcullis/internal/guard/origin"
	"example.com/portcullis/internal/guard/passkey"
	"example.com/portcullis/internal/guard/password"
	"example.com/portcullis/internal/guard/ratelimit"
	"example.com/portcullis/internal/guard/response"
	"example.com/portcullis/internal/guard/session"
	"example.com/portcullis/internal/guard/stepup"
	"example.com/portcullis/internal/guard/ticket"
	guard "example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/postgres"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/site"
	"example.com/portcullis/internal/socket"
	"example.com/portcullis/internal/tunnel"
	"example.com/portcullis/internal/wire"
	"example.com/portcullis/web"
)

const (
	// redisPrefix keeps our keys apart from others' in a shared Redis, and is what an
	// ACL user is limited to.
	redisPrefix = "portcullis:"
	// leaseTTL is how long the sockets of a crashed node count against their users.
	leaseTTL = 30 * time.Second
	// fallbackShare is what a node allows alone of each budget while Redis is away:
	// stricter, because every node counts for itself then.
	fallbackShare = 0.5
)

// Hardened fills every part with the real thing.
func Hardened(ctx context.Context, c config.Config, b *Backends, log *slog.Logger, node string, demo []string) (Parts, error) {
	now := time.Now
	base := strings.TrimSuffix(c.BaseURL.String(), "/")
	origins := append([]string{base}, c.AllowedOrigins...)

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	key, err := auditKey(ctx, c, b)
	if err != nil {
		return Parts{}, err
	}
	chain, err := audit.NewChain(key)
	if err != nil {
		return Parts{}, err
	}
	history := b.DB.Events(chain)
	events, err := audit.New(audit.Options{Log: log, Store: history, Now: now})
	if err != nil {
		return Parts{}, err
	}
	registry.MustRegister(eventCounts{events})

	hosts, err := host.New(origins...)
	if err != nil {
		return Parts{}, err
	}
	originPolicy, err := origin.New(origins...)
	if err != nil {
		return Parts{}, err
	}
	// Our own origin is none of the trusted ones: its pages say Sec-Fetch-Site: same-origin,
	// and in an old browser their Origin is the Host. Only others need to be named.
	csrfGuard, err := csrf.New(slices.DeleteFunc(slices.Clone(c.AllowedOrigins), func(o string) bool { return o == base })...)
	if err != nil {
		return Parts{}, err
	}
	readers, err := cors.New(c.CORSOrigins, origins)
	if err != nil {
		return Parts{}, err
	}
	fresh, err := stepup.New(c.StepUpWithin)
	if err != nil {
		return Parts{}, err
	}
	headerPolicy, err := headers.New(headers.Options{BaseURL: c.BaseURL, ReportPath: "/csp-report"})
	if err != nil {
		return Parts{}, err
	}
	addresses := clientip.New(c.TrustedProxies)

	memory := ratelimit.NewMemory(now)
	fan, err := fanout.New(fanout.Options{Redis: b.Redis, Prefix: redisPrefix, Key: key, Node: node, Log: log, Audit: events, Registerer: registry,
		Source: source{b.DB.Rooms(), b.DB.Revocations()}})
	if err != nil {
		return Parts{}, err
	}
	book, err := response.New(b.DB.Responses(), endings{b.DB.Sessions(), fan, events}, events, now)
	if err != nil {
		return Parts{}, err
	}
	honey, err := b.DB.Responses().Honey(ctx)
	if err != nil {
		return Parts{}, err
	}
	rules, err := detect.New(honey)
	if err != nil {
		return Parts{}, err
	}
	detector, err := detect.NewWatch(rules, stream{history, b.DB.Responses()}, events, now)
	if err != nil {
		return Parts{}, err
	}
	fallback := ratelimit.NewFallback(ratelimit.NewRedis(b.Redis, redisPrefix), memory, fallbackShare, func(err error) {
		events.Record(ctx, audit.Event{Name: audit.LimiterDegraded, Level: audit.Warn, Control: "limiter-failure", Reason: "redis_unavailable"})
		log.Warn("rate limits fall back to this node's memory", "error", err)
	})
	limits := book.Limit(fallback)

	sessions, err := session.New(session.Options{Idle: c.SessionIdle, Lifetime: c.SessionLifetime, Now: now, Unavailable: site.Unavailable}, b.DB.Sessions())
	if err != nil {
		return Parts{}, err
	}
	passwords, err := password.New(password.Options{})
	if err != nil {
		return Parts{}, err
	}
	keys, err := ticketKeys(ctx, c, b)
	if err != nil {
		return Parts{}, err
	}
	spent, err := fanout.NewTickets(b.Redis, redisPrefix)
	if err != nil {
		return Parts{}, err
	}
	tickets, err := ticket.New(ticket.Options{Keys: keys, Issuer: base, Lifetime: c.TicketLifetime, Now: now}, spent)
	if err != nil {
		return Parts{}, err
	}
	rooms := b.DB.Rooms()
	service, err := chat.New(rooms, fan, newBudgets(limits, c, events), now)
	if err != nil {
		return Parts{}, err
	}
	files, err := newFiles(c, events)
	if err != nil {
		return Parts{}, err
	}
	uploads, err := chat.NewUploads(b.DB.Uploads(), files, newBudgets(limits, c, events), int64(c.UploadQuota), now)
	if err != nil {
		return Parts{}, err
	}
	accounts, err := account.New(account.Options{Store: b.DB.Accounts(), Networks: b.DB.Sessions(), Passwords: passwords, Owners: passwords.Queue(), Limits: limits, Revoker: fan, Audit: events, Now: now,
		TriesPerMinute: c.SignInsPerMinute, OpenSignUp: c.OpenSignUp})
	if err != nil {
		return Parts{}, err
	}
	party, err := passkey.New(c.BaseURL, now)
	if err != nil && !errors.Is(err, passkey.ErrNoName) { // without a name there are none, and the pages do not offer them
		return Parts{}, err
	}
	passkeys, err := account.NewPasskeys(accounts, party, b.DB.Passkeys())
	if err != nil {
		return Parts{}, err
	}
	services, err := account.NewServices(accounts, b.DB.Services(), c.SessionIdle, c.SessionLifetime)
	if err != nil {
		return Parts{}, err
	}
	schemas, err := fs.Sub(web.FS, "schemas")
	if err != nil {
		return Parts{}, err
	}
	codec, err := wire.NewCodec(schemas)
	if err != nil {
		return Parts{}, err
	}
	board, err := chat.NewBoard(b.DB.Announcements(), fan, now)
	if err != nil {
		return Parts{}, err
	}
	sockets, err := socket.New(socket.Options{
		Chat: service, Codec: codec, Sessions: sessions, Accounts: accounts, Tickets: tickets, Host: hosts, Origin: originPolicy, ClientIP: addresses,
		Limits: limits, Gate: admission.NewGate(c.SocketsPerNode), Leases: admission.NewLeases(b.Redis, redisPrefix, leaseTTL), Feed: fan, Announcements: b.DB.Announcements(),
		Audit: events, Log: log, Registerer: registry, Now: now,
		Config: socket.Numbers{MessagesPerMinute: c.MessagesPerMinute, MessageBurst: c.MessageBurst, HandshakesPerMinute: c.HandshakesPerMinute,
			SocketsPerUser: c.SocketsPerUser, SessionIdle: c.SessionIdle, RevalidateEvery: c.RevalidateEvery, PingEvery: c.PingEvery},
	})
	if err != nil {
		return Parts{}, err
	}
	fan.SetSink(sockets)
	targets, err := guard.NewTargets(c.Tunnels)
	if err != nil {
		return Parts{}, err
	}
	tunnels, err := tunnel.New(tunnel.Options{Targets: targets, Limits: guard.NewLimits(int64(c.TunnelBytes), c.TunnelIdle), Grants: b.DB.Grants(),
		Leases: admission.NewLeases(b.Redis, redisPrefix+"tunnel:", leaseTTL), Resolver: net.DefaultResolver, Now: now})
	if err != nil {
		return Parts{}, err
	}
	rates := &pulse{from: registry, now: now}
	pages, err := site.New(site.Options{
		Chat: service, Uploads: uploads, UploadBytes: int64(c.UploadBytes), Archive: b.DB.Archive(), Accounts: accounts, Sessions: sessions, Devices: b.DB.Sessions(), Tickets: tickets, CSRF: csrfGuard, CORS: readers, StepUp: fresh, Suspects: book, SessionsPerUser: c.SessionsPerUser, Passkeys: passkeys, Services: services, Origin: originPolicy, ClientIP: addresses,
		Limits: limits, Revoker: fan, Sockets: sockets, Presence: fan, Targets: targets, Grants: b.DB.Grants(),
		Admin: site.Admin{Events: history, Sockets: watched{sockets}, Responses: responses{book, b.DB.Responses(), events}, Users: accounts, Board: board, Pulse: rates.Pulse},
		Audit: events, Log: log, Now: now, Web: web.FS, Source: portcullis.Source(), Knobs: knobs(c), BaseURL: c.BaseURL,
		RequestsPerMinute: c.RequestsPerMinute, OpenSignUp: c.OpenSignUp, Demo: demo,
	})
	if err != nil {
		return Parts{}, err
	}
	return Parts{
		Config: c, Log: log, Registry: registry, Audit: events, Host: hosts, ClientIP: addresses, Headers: headerPolicy, Accounts: accounts, Services: services, Chat: service, Uploads: uploads, Board: board, Rooms: rooms, Node: fan, Sockets: sockets, Tunnels: tunnels, Site: pages,
		Ready: map[string]func(context.Context) error{
			"postgres": untrusted(events, "postgres", b.DB.Ping),
			"redis":    untrusted(events, "redis", func(ctx context.Context) error { return b.Redis.Ping(ctx).Err() }),
		},
		Purge: func(ctx context.Context) error {
			return errors.Join(b.DB.Purge(ctx), b.DB.Forget(ctx, c.KeepMessages), history.Purge(ctx))
		},
		Detector: detector, Responses: book, Rates: rates.run,
		Monitor: &audit.Monitor{Log: events, Now: now, StoreNow: b.DB.Now},
	}, nil
}

// knobs are the variables as the pages about controls show them to everybody.
func knobs(c config.Config) []site.Knob {
	var all []site.Knob
	for _, s := range c.Settings() {
		k := site.Knob{Name: s.Name, Value: s.Value, Default: s.Default, Doc: s.Doc}
		if s.Min != "" {
			k.Range = s.Min + " – " + s.Max
		}
		all = append(all, k)
	}
	return all
}

// ticketKeys are the configured ones, or in development those in the database, so
// that nodes on one database share them.
func ticketKeys(ctx context.Context, c config.Config, b *Backends) ([]ticket.Key, error) {
	var keys []ticket.Key
	for _, k := range c.TicketKeys {
		keys = append(keys, ticket.Key{ID: k.ID, Secret: k.Key})
	}
	if len(keys) > 0 {
		return keys, nil
	}
	if c.Production() {
		return nil, errors.New("app: production needs ticket keys") // config refuses it first
	}
	return b.DB.Keys().TicketKeys(ctx)
}

// auditKey is the configured key, or in development that of the database. Neither Redis
// nor, in production, PostgreSQL has it, so what one node seals with it another believes.
func auditKey(ctx context.Context, c config.Config, b *Backends) (secret.Bytes, error) {
	key, err := c.AuditKeyBytes()
	if err == nil && key.Len() == 0 {
		if c.Production() {
			return secret.Bytes{}, errors.New("app: production needs a key for the security log") // config refuses it first
		}
		key, err = b.DB.Keys().AuditKey(ctx)
	}
	return key, err
}

// source joins what fan-out reads from PostgreSQL.
type source struct {
	chat.Store
	outbox interface {
		Since(ctx context.Context, window time.Duration) ([]chat.Revocation, error)
	}
}

func (s source) Since(ctx context.Context, window time.Duration) ([]chat.Revocation, error) {
	return s.outbox.Since(ctx, window)
}

// stream joins what the detector reads from PostgreSQL.
type stream struct {
	*postgres.Events
	*postgres.Responses
}

// eventCounts shows the security log's own counters as metrics.
type eventCounts struct{ log *audit.Log }

var (
	descEvents  = prometheus.NewDesc("portcullis_security_events_total", "Security events, by name.", []string{"event"}, nil)
	descDropped = prometheus.NewDesc("portcullis_security_events_dropped_total", "Security events that found no room in the log's queues.", nil, nil)
)

func (e eventCounts) Describe(ch chan<- *prometheus.Desc) { ch <- descEvents; ch <- descDropped }

func (e eventCounts) Collect(ch chan<- prometheus.Metric) {
	for name, n := range e.log.Counts() {
		ch <- prometheus.MustNewConstMetric(descEvents, prometheus.CounterValue, float64(n), string(name))
	}
	ch <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(e.log.Dropped()))
}
