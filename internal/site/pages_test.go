package site_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/site"
	"example.com/portcullis/web"
)

var csrfField = regexp.MustCompile(`name="csrf_token" value="([^"]+)"`)

// open loads a page and takes its token, as a person with a form before them does.
func (b *browser) open(target string) string {
	b.w.t.Helper()
	res := b.send("GET", target, "")
	if res.Code != http.StatusOK {
		b.w.t.Fatalf("%s: %d", target, res.Code)
	}
	if m := csrfField.FindStringSubmatch(res.Body.String()); m != nil {
		b.token = m[1]
	}
	return res.Body.String()
}

func TestPages_leadThroughSignInAndBack(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("ada")
	b := w.browser()
	room := "/rooms/" + uuid.NewString()
	res := b.send("GET", room, "")
	if to := res.Header().Get("Location"); res.Code != http.StatusSeeOther || to != "/sign-in?next="+url.QueryEscape(room) {
		t.Fatalf("%d to %q", res.Code, to)
	}
	if b.cookie != "" {
		t.Error("a redirect has stored a session")
	}
	if res := b.send("GET", "/", ""); res.Header().Get("Location") != "/sign-in" {
		t.Errorf("from / to %q", res.Header().Get("Location"))
	}
	if page := b.open("/sign-in?next=" + url.QueryEscape(room)); !strings.Contains(page, `name="next" value="`+room+`"`) {
		t.Errorf("page without next: %s", page)
	}
	bad := b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {"wrong wrong wrong"}, "next": {room}})
	if page := bad.Body.String(); bad.Code != http.StatusUnauthorized || !strings.Contains(page, "The user name or the password is wrong.") || !strings.Contains(page, `value="ada"`) || strings.Contains(page, "wrong wrong wrong") {
		t.Errorf("%d %s", bad.Code, page)
	}
	res = b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}, "next": {room}})
	if res.Code != http.StatusSeeOther || res.Header().Get("Location") != room {
		t.Errorf("%d to %q", res.Code, res.Header().Get("Location"))
	}
	if res := b.send("GET", "/sign-in?next=/sessions", ""); res.Header().Get("Location") != "/sessions" {
		t.Errorf("sign-in page when signed in: to %q", res.Header().Get("Location"))
	}
}

//control:proves output
func TestPages_nextNeverLeavesTheSite(t *testing.T) {
	w := newWorld(t)
	w.accounts.add("ada")
	for _, next := range []string{
		"https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "/\n/evil.example", "javascript:alert(1)",
		"evil.example", "", "/%2f/evil.example/" + "\x00", "/" + strings.Repeat("a", 600), "http:/evil.example", "/x\\..\\..", " /", "/%5cevil.example", "/x\ty", "/x y", "/\r/evil.example", "/%2fevil.example", "/ä",
	} {
		b := w.browser()
		b.refresh()
		res := b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}, "next": {next}})
		if to := res.Header().Get("Location"); res.Code != http.StatusSeeOther || to != "/" {
			t.Errorf("%q: %d to %q", next, res.Code, to)
		}
	}
	for _, next := range []string{"/", "/sessions", "/rooms/" + uuid.NewString(), "/sessions?done=ended", "/a?b=https://other.example"} {
		b := w.browser()
		b.refresh()
		res := b.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}, "next": {next}})
		if to := res.Header().Get("Location"); to != next {
			t.Errorf("%q became %q", next, to)
		}
	}
}

//control:proves output
func TestPages_chat(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	res := b.send("GET", "/rooms/"+id, "")
	page := res.Body.String()
	for _, want := range []string{`data-room="` + id + `"`, `&#34;socket&#34;:&#34;wss://chat.example.com/ws&#34;`, "<title>General</title>", "<b>ada</b>"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	nonce := regexp.MustCompile(`nonce="([A-Z2-7]{26})"`).FindStringSubmatch(page)
	if nonce == nil || !strings.Contains(res.Header().Get("Content-Security-Policy"), "'nonce-"+nonce[1]+"'") {
		t.Errorf("nonce %v, policy %q", nonce, res.Header().Get("Content-Security-Policy"))
	}
	for _, target := range []string{"/rooms/" + uuid.NewString(), "/rooms/x"} {
		if res := b.send("GET", target, ""); res.Code != http.StatusNotFound || !strings.Contains(res.Body.String(), res.Header().Get("X-Request-Id")) {
			t.Errorf("%s: %d %s", target, res.Code, res.Body)
		}
	}
	// A page names what a person typed: it has to arrive as text.
	w.rooms.room.Title = `<script>alert(1)</script>`
	if page := b.send("GET", "/rooms/"+id, "").Body.String(); strings.Contains(page, "<script>alert") {
		t.Error(page)
	}
}

func TestPages_signOutAndSessionsWorkAsForms(t *testing.T) {
	w := newWorld(t)
	here, there := w.signedIn("ada"), w.signedIn("ada")
	hereSID, thereSID := here.sid(), there.sid()
	w.sockets[chat.SessionID{UUID: uuid.MustParse(thereSID)}] = 2
	page := here.open("/sessions")
	if !strings.Contains(page, thereSID) || !strings.Contains(page, "sockets=2 this=false") || !strings.Contains(page, "sockets=0 this=true") || !strings.Contains(page, " 192.0.2.1 ") {
		t.Error(page)
	}
	if res := here.submit("/sessions/"+uuid.NewString()+"/revoke", nil); res.Code != http.StatusNotFound {
		t.Errorf("unknown session: %d", res.Code)
	}
	if res := here.submit("/sessions/"+thereSID+"/revoke", nil); res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/sessions?done=ended" {
		t.Errorf("%d to %q", res.Code, res.Header().Get("Location"))
	}
	if page := here.open("/sessions?done=ended"); !strings.Contains(page, "The session has ended") || strings.Contains(page, thereSID) {
		t.Error(page)
	}
	if page := here.open("/sessions?done=%3Cb%3Eyou+won"); strings.Contains(page, "you won") {
		t.Error("text of the address is shown")
	}
	w.signedIn("ada")
	if res := here.submit("/sessions/revoke-others", nil); res.Code != http.StatusSeeOther || len(w.revoked.list) != 2 {
		t.Errorf("%d, %d revocations", res.Code, len(w.revoked.list))
	}
	res := here.submit("/sign-out", nil)
	if res.Code != http.StatusSeeOther || res.Header().Get("Location") != "/sign-in?done=signed-out" || res.Header().Get("Clear-Site-Data") == "" {
		t.Errorf("%d to %q", res.Code, res.Header().Get("Location"))
	}
	if got := w.revoked.list[2].Session.String(); got != hereSID {
		t.Errorf("ended %s", got)
	}
	here.cookie = ""
	if page := here.open("/sign-in?done=signed-out"); !strings.Contains(page, "You are signed out.") {
		t.Error(page)
	}
	if res := here.submit("/sign-in", url.Values{"username": {"ada"}, "password": {password}}); res.Code != http.StatusSeeOther {
		t.Errorf("sign in right after: %d", res.Code)
	}
}

func TestPages_refusedFormIsAPageInWords(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn("ada")
	b.token = "stale"
	res := b.submit("/sign-out", nil)
	if res.Code != http.StatusForbidden || !strings.Contains(res.Header().Get("Content-Type"), "text/html") || !strings.Contains(res.Body.String(), "Load the page again") {
		t.Errorf("%d %s", res.Code, res.Body)
	}
}

// The product's own templates, with this package's data in them.
//
//control:proves headers
func TestPages_withTheRealTemplates(t *testing.T) {
	w := newWorld(t, func(o *site.Options) { o.Web = web.FS; o.Demo = []string{"ada", "grace"} })
	visitor := w.browser()
	for _, target := range []string{"/sign-in", "/sign-up"} {
		page := visitor.open(target)
		if !csrfField.MatchString(page) || !strings.Contains(page, `<form method="post" action="`+target+`"`) {
			t.Errorf("%s: no form with a token", target)
		}
	}
	if page := visitor.open("/sign-in"); !strings.Contains(page, "grace") {
		t.Error("no demo people")
	}
	b := w.signedIn("ada")
	id := w.ownRoom(b)
	page := b.open("/rooms/" + id)
	for _, want := range []string{`data-view="room"`, `data-user-id="` + b.user.String() + `"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	b.open("/")
	if page := b.open("/sessions"); !strings.Contains(page, "THIS DEVICE") {
		t.Error("this device is not marked")
	}
	if res := b.send("GET", "/nowhere", ""); res.Code != http.StatusNotFound || !strings.Contains(res.Body.String(), "Not found") {
		t.Errorf("%d", res.Code)
	}
	// Every file that a page names is there.
	for _, src := range regexp.MustCompile(`(?:src|href)="(/static/[^"#]+)`).FindAllStringSubmatch(page, -1) {
		if res := visitor.send("GET", src[1], ""); res.Code != http.StatusOK {
			t.Errorf("%s: %d", src[1], res.Code)
		}
	}
}

// A foreign page has the browser of a victim ask for pages that give a guess back beside
// their token.
//
//control:proves detection
func TestPages_guessesThatComeBackBesideATokenAreAnEvent(t *testing.T) {
	for _, page := range []string{"/sign-in", "/sign-up", "/step-up"} {
		w := newWorld(t)
		b := w.browser()
		if page == "/step-up" {
			b = w.signedIn("ada")
		}
		for range 40 {
			b.open(page + "?next=" + url.QueryEscape("/rooms/"+uuid.NewString()))
		}
		if slices.Contains(w.events.names(), audit.CompressionOracle) {
			t.Fatalf("%s: people of one network who open rooms are an oracle", page)
		}
		for _, c := range "0123456789abcdef~" {
			b.open(page + "?next=" + url.QueryEscape("/x?csrf_token=7c0f"+string(c)))
		}
		if e := w.wantEvent(audit.CompressionOracle, "near_equal_reflections"); strings.Contains(e.Detail, "7c0f") {
			t.Errorf("%s: the event repeats the guess: %+v", page, e)
		}
	}
}

// Somebody comes with a browser from before Fetch Metadata: they are told, on every page,
// also where they are refused something.
//
//control:proves headers
func TestPages_tellABrowserThatItIsTooOld(t *testing.T) {
	w := newWorld(t)
	ada := w.signedIn("ada")
	for _, path := range []string{"/", "/sign-up", "/no/such/page"} {
		for mode, want := range map[string]bool{"": true, "navigate": false} {
			res := ada.send("GET", path, "", func(r *http.Request) {
				if mode != "" {
					r.Header.Set("Sec-Fetch-Mode", mode)
				}
			})
			if path == "/sign-up" && res.Code == http.StatusSeeOther {
				res = w.browser().send("GET", path, "", func(r *http.Request) {
					if mode != "" {
						r.Header.Set("Sec-Fetch-Mode", mode)
					}
				})
			}
			if got := strings.Contains(res.Body.String(), "<em>old</em>"); got != want {
				t.Errorf("%s with %q: told %v, want %v", path, mode, got, want)
			}
		}
	}
}
