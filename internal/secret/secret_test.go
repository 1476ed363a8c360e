package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/portcullis/internal/secret"
)

// canary is a value that must never be seen in any output.
const canary = "canary-7KQ2-do-not-print"

//control:proves secrets
func TestSecretsNeverPrint(t *testing.T) {
	type holder struct {
		Text  secret.Text
		Bytes secret.Bytes
	}
	h := holder{secret.NewText(canary), secret.NewBytes([]byte(canary))}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+" "+verb+"\n", h.Text, h.Bytes)
	}
	fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", h.Text))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "h", h, "t", h.Text, "b", h.Bytes)
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "h", h, "t", h.Text, "b", h.Bytes)
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprint([]byte(canary))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output holds the secret as %q:\n%s", leak, out.String())
		}
	}
	if h.Text.Reveal() != canary || string(h.Bytes.Reveal()) != canary {
		t.Error("Reveal must return the secret itself")
	}
}
