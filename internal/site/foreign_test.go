package site_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/site"
)

// A foreign page navigates, or a sibling host embeds: the browser sends the victim's
// cookies, and nobody has to read the answer to spend the victim's budget.
//
//control:proves csrf
func TestReads_ofForeignPagesReachNobodysSession(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	before := len(w.events.list)
	n := 0
	for _, rt := range w.site.Table() {
		if rt.Method != http.MethodGet || rt.Policy != site.VisitorAPI && rt.Policy != site.UserAPI && rt.Policy != site.FreshAPI {
			continue
		}
		n++
		path := strings.NewReplacer("{id}", uuid.NewString(), "{name}", "x").Replace(rt.Pattern)
		for _, from := range []string{"cross-site", "same-site"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				res := ada.send(method, path, "", header("Sec-Fetch-Site", from), header("Sec-Fetch-Mode", "navigate"))
				if res.Code != http.StatusForbidden || res.Header().Get("Set-Cookie") != "" {
					t.Errorf("%s %s, %s: %d, cookie %q", method, path, from, res.Code, res.Header().Get("Set-Cookie"))
				}
			}
		}
	}
	if n < 6 {
		t.Fatalf("only %d routes", n)
	}
	for _, e := range w.events.list[before:] {
		if e.Name != audit.MaliciousCSRF || e.User != "" {
			t.Errorf("%s about the user %q, whose browser it only was", e.Name, e.User)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"their own page":    header("Sec-Fetch-Site", "same-origin"),
		"typed by hand":     header("Sec-Fetch-Site", "none"),
		"an old browser":    func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") },
		"a listed origin's": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site"); r.Header.Set("Origin", listed) },
	} {
		if res := ada.send("GET", "/api/rooms", "", change); res.Code != http.StatusOK {
			t.Errorf("%s: %d", name, res.Code)
		}
	}
}

// A link may lead to a room from anywhere; to one that is not theirs, too.
//
//control:proves detection
func TestRoomPage_aLinkOfAnotherSiteIsNoEvidenceAgainstWhoFollowsIt(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	for from, reason := range map[string]string{"cross-site": audit.ReasonForeignPage, "same-site": audit.ReasonForeignPage, "same-origin": "denied", "none": "denied"} {
		room := uuid.NewString()
		if res := ada.send("GET", "/rooms/"+room, "", header("Sec-Fetch-Site", from)); res.Code != http.StatusNotFound {
			t.Errorf("%s: %d", from, res.Code)
		}
		if e := w.events.list[len(w.events.list)-1]; e.Name != audit.AuthzFail || e.Reason != reason || e.Room != room {
			t.Errorf("%s: %+v, want the reason %s", from, e, reason)
		}
	}
}
