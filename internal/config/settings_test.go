package config

import (
	"fmt"
	"strings"
	"testing"

	"example.com/portcullis/internal/secret"
)

//control:proves secrets
func TestSettings_tellNumbersAndNeitherSecretsNorPlaces(t *testing.T) {
	c, err := Load([]string{"DATABASE_URL=postgres://app:hunter2@db.internal/chat", "PORTCULLIS_DATA_DIR=/srv/secret-place", "PORTCULLIS_MESSAGE_BURST=33", "PORTCULLIS_PING_EVERY=7s"})
	if err != nil {
		t.Fatal(err)
	}
	c.TicketKeys = []TicketKey{{ID: "kid-of-today", Key: secret.NewBytes([]byte("0123456789abcdef0123456789abcdef"))}}
	got := map[string]string{}
	for _, s := range c.Settings() {
		got[s.Name] = s.Value
	}
	for name, want := range map[string]string{"DATABASE_URL": "set", "REDIS_URL": "not set", "PORTCULLIS_TICKET_KEYS": "set", "PORTCULLIS_DATA_DIR": "set",
		"PORTCULLIS_MESSAGE_BURST": "33", "PORTCULLIS_PING_EVERY": "7s", "PORTCULLIS_OPEN_SIGN_UP": "true"} {
		if got[name] != want {
			t.Errorf("%s is shown as %q, want %q", name, got[name], want)
		}
	}
	if all := fmt.Sprint(got); strings.Contains(all, "hunter2") || strings.Contains(all, "secret-place") || strings.Contains(all, "kid-of-today") {
		t.Error(all)
	}
}
