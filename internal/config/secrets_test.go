package config_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"example.com/portcullis/internal/config"
)

// What somebody copied from a tutorial goes live.
//
//control:proves secrets
func TestLoad_productionRefusesSecretsThatEverybodyKnows(t *testing.T) {
	base64of := base64.StdEncoding.EncodeToString
	for _, c := range []struct{ name, env, want string }{
		{"a database image's password", "DATABASE_URL=postgres://app:postgres@db/chat?sslmode=verify-full", "the password in DATABASE_URL"},
		{"in capitals", "DATABASE_URL=postgres://app:ChangeMe@db/chat?sslmode=verify-full", "the password in DATABASE_URL"},
		{"one character", "DATABASE_URL=postgres://app:000000000000@db/chat?sslmode=verify-full", "the password in DATABASE_URL"},
		{"the sample of redis.conf", "REDIS_URL=rediss://app:foobared@redis:6379", "the password in REDIS_URL"},
		{"a key of zeros", "PORTCULLIS_TICKET_KEYS=k1:" + base64of(make([]byte, 32)), `ticket key "k1" is not random`},
		{"a key of one byte", "PORTCULLIS_TICKET_KEYS=k1:" + base64of(bytes.Repeat([]byte{0xa7}, 32)), `ticket key "k1" is not random`},
		{"a key of one word", "PORTCULLIS_TICKET_KEYS=k1:" + base64of([]byte(strings.Repeat("changeme", 4))), `ticket key "k1" is not random`},
		{"a sentence", "PORTCULLIS_TICKET_KEYS=k1:" + base64of([]byte("this-is-my-secret-key-for-the-chat")), `ticket key "k1" is not random`},
		{"counting", "PORTCULLIS_TICKET_KEYS=k1:" + base64of([]byte("0123456789abcdef0123456789abcdef")), `ticket key "k1" is not random`},
		{"a short one", "PORTCULLIS_TICKET_KEYS=k1:" + base64of([]byte("sixteen bytes!!!")), `ticket key "k1" has 16 bytes`},
		{"a good one first", "PORTCULLIS_TICKET_KEYS=" + key + ",old:" + base64of(make([]byte, 32)), `ticket key "old" is not random`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Load([]string{"PORTCULLIS_ENV=production", "PORTCULLIS_BASE_URL=https://chat.example.com", c.env})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			for _, secret := range []string{"foobared", "ChangeMe", "000000000000"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the refusal prints the secret: %v", err)
				}
			}
		})
	}
	_, err := config.Load([]string{"PORTCULLIS_ENV=production", "DATABASE_URL=postgres://app:rT4-vB9_postgres_mQ2@db/chat", "REDIS_URL=rediss://redis:6379"})
	if err == nil || strings.Contains(err.Error(), "from a sample") {
		t.Errorf("a random password, or none, is refused: %v", err)
	}
}
