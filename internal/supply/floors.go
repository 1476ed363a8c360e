package supply

import (
	"fmt"

	"golang.org/x/mod/semver"
)

// Floor is the lowest version of a module that may be linked.
type Floor struct{ Module, Version, Because string }

// Floors are the advisories against libraries that stand on an attacker's path.
// The Go vulnerability database knows many more; these are checked without a network.
func Floors() []Floor {
	return []Floor{
		{"github.com/go-chi/chi/v5", "v5.3.0", "its RealIP believed the client; the advisories were fixed in this version"},
		{"github.com/gorilla/websocket", "v1.5.3", "CVE-2020-27813 (frame length overflow, before v1.4.1); v1.5.2 was retracted"},
		{"github.com/jackc/pgx/v5", "v5.12.0", "GHSA-j38q-h3ph-jjpq, CVE-2026-41889 (v5.9.2): injection through the simple protocol; CVE-2024-27304 (v5.5.4)"},
		{"github.com/golang-jwt/jwt/v5", "v5.2.2", "CVE-2025-30204: memory for a header full of dots"},
		{"github.com/redis/go-redis/v9", "v9.7.3", "CVE-2025-29923: replies out of order, one user's data for another"},
		{"golang.org/x/crypto", "v0.52.0", "CVE-2024-45337 and later: SSH authorisation bypass"},
	}
}

// Check says which of the linked modules (path → version) are below their floor.
//
//control:name supply-chain
func Check(linked map[string]string, floors []Floor) []error {
	var broken []error
	for _, f := range floors {
		version, ok := linked[f.Module]
		if !ok {
			continue
		}
		if !semver.IsValid(version) || semver.Compare(version, f.Version) < 0 {
			broken = append(broken, fmt.Errorf("%s %s is below %s: %s", f.Module, version, f.Version, f.Because))
		}
	}
	return broken
}
