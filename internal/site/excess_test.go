package site

import (
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/session"
)

//control:proves session-limit
func TestExcess_namesWhatEndedInWordsOfOurs(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	ended := []session.Session{
		{UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", IP: "192.0.2.7/32", LastSeenAt: at},
		{UserAgent: "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", IP: "2001:db8::/64", LastSeenAt: at},
		{UserAgent: "call 555-0100 to keep your account", LastSeenAt: at},
		{UserAgent: "Safari/1"},
	}
	for _, tt := range []struct {
		limit int
		ended []session.Session
		want  string
	}{
		{10, ended[:1], "You were signed in at 11 places, and the limit is 10: the oldest was signed out (Firefox · 192.0.2.7 · last used 23 Nov 2026, 15:04 UTC). "},
		{1, ended, "You were signed in at 5 places, and the limit is 1: the 4 oldest were signed out (Firefox · 192.0.2.7 · last used 23 Nov 2026, 15:04 UTC; " +
			"Edge · 2001:db8::/64 · last used 23 Nov 2026, 15:04 UTC; an unknown program · an unknown address · last used 23 Nov 2026, 15:04 UTC; and 1 more). "},
	} {
		if got := excess(tt.limit, tt.ended); !strings.HasPrefix(got, tt.want) || len([]rune(got)) > 500 {
			t.Errorf("%q, want it to begin with %q and be no longer than a notice", got, tt.want)
		}
	}
}
