package site

import (
	"fmt"
	"strings"

	"example.com/portcullis/internal/guard/session"
)

// maxNamed is how many ended sessions a notice tells about; one is the usual number.
const maxNamed = 3

// excess tells the owner of a new session which older ones ended because of it, oldest
// first, with what they need to say whether these were theirs.
func excess(limit int, ended []session.Session) string {
	which := "the oldest was"
	if len(ended) > 1 {
		which = fmt.Sprintf("the %d oldest were", len(ended))
	}
	var names []string
	for _, s := range ended[:min(len(ended), maxNamed)] {
		names = append(names, fmt.Sprintf("%s · %s · last used %s", browserOf(s.UserAgent), addressOf(s.IP), s.LastSeenAt.UTC().Format(shown)))
	}
	if more := len(ended) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("You were signed in at %d places, and the limit is %d: %s signed out (%s). If you do not know a sign-in, change the password and look at Sessions and devices.",
		limit+len(ended), limit, which, strings.Join(names, "; "))
}

// products are the names that browsers give themselves, those first that name others too.
var products = []struct{ token, name string }{
	{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
}

// browserOf is a User-Agent in one word of ours. It is the client's claim, and a hint.
func browserOf(agent string) string {
	for _, p := range products {
		if strings.Contains(agent, p.token) {
			return p.name
		}
	}
	return "an unknown program"
}

// addressOf is a stored prefix as people write it: one address without its length.
func addressOf(prefix string) string {
	if prefix == "" {
		return "an unknown address"
	}
	return strings.TrimSuffix(prefix, "/32")
}
