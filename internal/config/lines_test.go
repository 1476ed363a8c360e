package config_test

import (
	"strings"
	"testing"

	"example.com/portcullis/internal/config"
)

// production is a configuration that starts, with more variables behind it.
func production(more ...string) []string {
	return append([]string{"PORTCULLIS_ENV=production", "PORTCULLIS_BASE_URL=https://chat.example.com", "DATABASE_URL=postgres://app:pw@db/chat?sslmode=verify-full",
		"REDIS_URL=rediss://app:pw@redis:6379", "PORTCULLIS_TICKET_KEYS=" + key, "PORTCULLIS_AUDIT_KEY=" + strings.TrimPrefix(key, "k1:")}, more...)
}

//control:proves backend-tls
func TestLoad_productionWantsADatabaseThatProvesWhoItIs(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"verified", "postgres://app:pw@db:5432/chat?sslmode=verify-full", ""},
		{"a Unix socket", "postgres://app:pw@/chat?host=/run/postgresql", ""},
		{"loopback", "postgres://app:pw@127.0.0.1:5432/chat", ""},
		{"loopback, version 6", "postgres://app:pw@[::1]:5432/chat", ""},
		{"localhost", "postgresql://app:pw@localhost/chat", ""},
		{"nothing said", "postgres://app:pw@db/chat", "has no sslmode"},
		{"require, which verifies nothing", "postgres://app:pw@db/chat?sslmode=require", "sslmode=require"},
		{"prefer", "postgres://app:pw@db/chat?sslmode=prefer", "sslmode=prefer"},
		{"disable", "postgres://app:pw@db/chat?sslmode=disable", "sslmode=disable"},
		{"any server of the authority", "postgres://app:pw@db/chat?sslmode=verify-ca", "sslmode=verify-ca"},
		{"said twice", "postgres://app:pw@db/chat?sslmode=verify-full&sslmode=disable", `"sslmode" twice`},
		{"loopback in front, another host behind", "postgres://app:pw@localhost/chat?host=db.example", "has no sslmode"},
		{"one of two hosts is elsewhere", "postgres://app:pw@localhost,db.example/chat", "has no sslmode"},
		{"a name that looks local", "postgres://app:pw@localhost.example/chat", "has no sslmode"},
		{"no host", "postgres://app:pw@/chat", "names no host"},
		{"words instead of a URL", "host=db user=app password=canary-pw", "not a postgres:// URL"},
	} {
		t.Run(tt.name, func(t *testing.T) { loads(t, tt.want, production("DATABASE_URL="+tt.url)...) })
	}
}

//control:proves backend-tls
func TestLoad_productionWantsARedisThatProvesWhoItIsAndAUserOfItsOwn(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"TLS and a user", "rediss://app:pw@redis:6379/0", ""},
		{"a Unix socket", "unix:///run/redis/r.sock", ""},
		{"loopback", "redis://127.0.0.1:6379", ""},
		{"in clear", "redis://app:pw@redis:6379", "is not rediss://"},
		{"no user", "rediss://:pw@redis:6379", "no user and password of its own"},
		{"the default user", "rediss://default:pw@redis:6379", "no user and password of its own"},
		{"no password", "rediss://app@redis:6379", "no user and password of its own"},
		{"believes any certificate", "rediss://app:pw@redis:6379?skip_verify=true", "skip_verify"},
		{"a name that looks local", "redis://app:pw@127.0.0.1.example:6379", "is not rediss://"},
		{"another scheme", "http://redis:6379", "not a rediss:// URL"},
	} {
		t.Run(tt.name, func(t *testing.T) { loads(t, tt.want, production("REDIS_URL="+tt.url)...) })
	}
}

//control:proves tls
func TestLoad_refusesListenersThatWouldSpeakInClear(t *testing.T) {
	const directory = "PORTCULLIS_ACME_DIRECTORY=https://acme.example/dir"
	service := []string{"PORTCULLIS_SERVICE_LISTEN=127.0.0.1:9443", "PORTCULLIS_SERVICE_CERT=c.pem", "PORTCULLIS_SERVICE_KEY=k.pem", "PORTCULLIS_SERVICE_CLIENT_CA=ca.pem"}
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"ACME with its terms accepted", production(directory, "PORTCULLIS_ACME_ACCEPT_TERMS=true"), ""},
		{"ACME without", production(directory), "PORTCULLIS_ACME_ACCEPT_TERMS is not true"},
		{"ACME over http", production("PORTCULLIS_ACME_DIRECTORY=http://acme.example/dir", "PORTCULLIS_ACME_ACCEPT_TERMS=true"), "whoever can change the answers"},
		{"ACME and files", production(directory, "PORTCULLIS_ACME_ACCEPT_TERMS=true", "PORTCULLIS_TLS_CERT=c", "PORTCULLIS_TLS_KEY=k"), "both set"},
		{"ACME for a local name", []string{directory, "PORTCULLIS_ACME_ACCEPT_TERMS=true"}, "no authority can reach"},
		{"TLS under an http address", []string{"PORTCULLIS_TLS_CERT=c", "PORTCULLIS_TLS_KEY=k", "PORTCULLIS_BASE_URL=http://localhost:8080"}, "the listener speaks TLS"},
		{"a way to https that is not there", []string{"PORTCULLIS_PLAIN_LISTEN=127.0.0.1:8081"}, "it sends people to https"},
		{"a cleartext listener without a port", production("PORTCULLIS_PLAIN_LISTEN=127.0.0.1"), "PORTCULLIS_PLAIN_LISTEN is"},
		{"a service listener", production(service...), ""},
		{"a service listener that verifies nobody", production(service[:3]...), "unverified"},
		{"a service listener in clear", production(service[0], service[3]), "unverified"},
	} {
		t.Run(tt.name, func(t *testing.T) { loads(t, tt.want, tt.env...) })
	}
}

// loads checks that env is accepted, or refused with want.
func loads(t *testing.T, want string, env ...string) {
	t.Helper()
	_, err := config.Load(env)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("err = %v, want it to say %q", err, want)
	}
	if err != nil && (strings.Contains(err.Error(), "app:pw") || strings.Contains(err.Error(), "canary-pw")) {
		t.Errorf("an error must not repeat a secret: %v", err)
	}
}
