package embedded

import (
	"slices"
	"strings"
	"testing"
)

// What the operator's shell exports does not reach the database server: not the
// secrets, and not the variables that are arguments in disguise.
//
//control:proves no-shell
func TestEnvironment_carriesNeitherSecretsNorHiddenArguments(t *testing.T) {
	for _, name := range []string{"DATABASE_URL", "PORTCULLIS_TICKET_KEYS", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PGOPTIONS", "PGDATA", "BASH_ENV", "IFS"} {
		t.Setenv(name, "hostile")
	}
	allowed := []string{"PATH", "TZ", "LC_ALL", "SystemRoot", "TEMP"}
	for _, pair := range environment() {
		if name, _, _ := strings.Cut(pair, "="); !slices.Contains(allowed, name) {
			t.Errorf("a program that we start gets %s", name)
		}
	}
}
