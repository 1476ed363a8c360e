package config_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/portcullis/internal/config"
)

const key = "k1:SHn5dyLk0yHJgV3Gq2O1bFq3mZ5Y8rT0uW7xC4vB6nM=" // made for this test

//control:proves startup
func TestLoad_emptyEnvironmentIsASafeDevelopmentServer(t *testing.T) {
	c, err := config.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Production() || c.Listen != "127.0.0.1:8080" || c.BaseURL.String() != "http://app.portcullis.localhost:8080" || c.MessagesPerMinute != 100 || c.SocketsPerUser != 5 {
		t.Errorf("%+v", c)
	}
}

//control:proves startup
//control:proves secrets
func TestLoad_productionListsEveryWeaknessAtOnce(t *testing.T) {
	_, err := config.Load([]string{"PORTCULLIS_ENV=production", "PORTCULLIS_BASE_URL=http://localhost:8080", "PORTCULLIS_ALLOWED_ORIGINS=http://other.example"})
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		t.Fatalf("err = %v, want Problems", err)
	}
	for _, want := range []string{"PORTCULLIS_BASE_URL is not https", "DATABASE_URL is not set", "REDIS_URL is not set", "PORTCULLIS_TICKET_KEYS is not set", "names this machine", "http://other.example"} {
		if !strings.Contains(problems.Error(), want) {
			t.Errorf("the list lacks %q:\n%v", want, problems)
		}
	}
	for _, p := range problems {
		if p.What == "" || p.Why == "" || p.Next == "" {
			t.Errorf("a problem says what, why and what next: %+v", p)
		}
	}
}

//control:proves startup
func TestLoad_aWholeProductionConfigurationIsAccepted(t *testing.T) {
	c, err := config.Load([]string{"PORTCULLIS_ENV=production", "PORTCULLIS_BASE_URL=https://chat.example.com", "DATABASE_URL=postgres://app:pw@db/chat?sslmode=verify-full",
		"REDIS_URL=rediss://app:pw@redis:6379", "PORTCULLIS_TICKET_KEYS=" + key, "PORTCULLIS_AUDIT_KEY=" + strings.TrimPrefix(key, "k1:"), "PORTCULLIS_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Secure() || c.LogFormat != "json" || len(c.TrustedProxies) != 2 || c.TicketKeys[0].Key.Len() != 32 {
		t.Errorf("%+v", c)
	}
}

//control:proves clientip
//control:proves startup
func TestLoad_badValuesAreNamedWithTheVariable(t *testing.T) {
	tests := []struct{ name, env, want string }{
		{"misspelt", "PORTCULLIS_MESSAGE_PER_MINUTE=5", "did you mean PORTCULLIS_MESSAGES_PER_MINUTE?"},
		{"limit off", "PORTCULLIS_MESSAGES_PER_MINUTE=0", "PORTCULLIS_MESSAGES_PER_MINUTE is 0"},
		{"limit off by size", "PORTCULLIS_SOCKETS_PER_USER=1000000000", "PORTCULLIS_SOCKETS_PER_USER is"},
		{"not a number", "PORTCULLIS_HANDSHAKES_PER_MINUTE=ten", "PORTCULLIS_HANDSHAKES_PER_MINUTE cannot be read"},
		{"wildcard origin", "PORTCULLIS_ALLOWED_ORIGINS=https://*.example.com", "*.example.com"},
		{"origin with path", "PORTCULLIS_ALLOWED_ORIGINS=https://example.com/app", "example.com/app"},
		{"null origin", "PORTCULLIS_ALLOWED_ORIGINS=null", `"null"`},
		{"base url with path", "PORTCULLIS_BASE_URL=https://example.com/chat", "must be an origin"},
		{"clear text away from here", "PORTCULLIS_BASE_URL=http://chat.example.com", "cookies with Secure"},
		{"public metrics", "PORTCULLIS_PRIVATE_LISTEN=0.0.0.0:9090", "metrics and pprof must not be public"},
		{"everybody is a proxy", "PORTCULLIS_TRUSTED_PROXIES=0.0.0.0/0", "every client could claim any address"},
		{"half of TLS", "PORTCULLIS_TLS_CERT=cert.pem", "TLS needs both"},
		{"short key", "PORTCULLIS_TICKET_KEYS=k1:c2hvcnQ=", "has 5 bytes"},
		{"constant key", "PORTCULLIS_TICKET_KEYS=k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "is not random"},
		{"sample key", "PORTCULLIS_TICKET_KEYS=k1:" + base64.StdEncoding.EncodeToString([]byte("change-me-change-me-0123456789-abcd")), "is not random"},
		{"one kid twice", "PORTCULLIS_TICKET_KEYS=" + key + "," + key, "appears twice"},
		{"idle after lifetime", "PORTCULLIS_SESSION_IDLE=20h", "longer than PORTCULLIS_SESSION_LIFETIME"},
		{"unknown mode", "PORTCULLIS_ENV=prod", `"prod"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load([]string{tt.env})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want it to say %q", err, tt.want)
			}
		})
	}
}

//control:proves startup
//control:proves secrets
func TestLoad_secretsComeFromFilesAndNeverPrint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("postgres://app:canary-pw@db/chat\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]string{"DATABASE_URL_FILE=" + path, "PORTCULLIS_TICKET_KEYS=" + key})
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL.Reveal() != "postgres://app:canary-pw@db/chat" {
		t.Errorf("DatabaseURL = %q", c.DatabaseURL.Reveal())
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "canary") || strings.Contains(out.String(), "SHn5dy") {
		t.Errorf("a secret is printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "* PORTCULLIS_TICKET_KEYS=k1:[redacted]") {
		t.Errorf("the kid tells which key is in force:\n%s", out.String())
	}
	_, err = config.Load([]string{"PORTCULLIS_TICKET_KEYS=k1:canary!not!base64"})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("an error must not repeat a secret: %v", err)
	}
}

//control:proves startup
func TestDoc_isWhatTheRepositoryHolds(t *testing.T) {
	var want bytes.Buffer
	if err := config.Doc(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/config.md is stale: go run ./cmd/portcullis config doc > docs/config.md")
	}
}
