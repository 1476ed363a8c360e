package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/testkit"
)

// axe is the source of axe-core, at the version and checksum of package-lock.json; it
// is installed by the first test that asks.
var axe = sync.OnceValues(func() (string, error) {
	path := filepath.Join("node_modules", "axe-core", "axe.min.js")
	wanted, err := axeVersion("package-lock.json", "packages", "node_modules/axe-core")
	if err != nil {
		return "", err
	}
	if got, err := axeVersion(filepath.Join("node_modules", "axe-core", "package.json")); err != nil || got != wanted {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("npm ci: %w\n%s", err, out)
		}
	}
	b, err := os.ReadFile(path)
	return string(b), err
})

// axeVersion reads "version" of a JSON file, below some keys.
func axeVersion(path string, keys ...string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(b, &m); err != nil {
			return "", err
		}
		b = m[k]
	}
	var v struct {
		Version string `json:"version"`
	}
	return v.Version, json.Unmarshal(b, &v)
}

// accessible fails the test for what axe-core calls serious or critical.
func (tb *tab) accessible(name string) {
	tb.t.Helper()
	source, err := axe()
	if err != nil {
		testkit.Unavailable(tb.t, fmt.Errorf("axe-core: %w: %w", err, embedded.ErrUnavailable))
	}
	if !evaluate[bool](tb, "'axe' in window") {
		tb.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[bool](source+"; true")(ctx, t)
			return err
		}))
	}
	found, err := chromedp.Run(tb.ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ['violations']}).then((r) =>
		r.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').flatMap((v) => v.nodes.slice(0, 3).map((n) => v.id + ' (' + v.impact + '): ' + n.target.join(' ') + ': ' + n.failureSummary)))`, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.fail("axe: %v", err)
	}
	for _, f := range found {
		tb.t.Errorf("%s at %s: %s", name, tb.look, f)
	}
}

// fits fails the test when a page can be pushed sideways.
func (tb *tab) fits(name string) {
	tb.t.Helper()
	if over := evaluate[int](tb, "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
		tb.t.Errorf("%s at %s is %d px too wide", name, tb.look, over)
	}
}

func everyPage(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	hs := enter(t, host, id)
	for _, body := range []string{"Morning. Who has the berth list?", "<b>not bold</b> & \"quoted\"", "שלום, right to left", strings.Repeat("a long line that has to wrap ", 20), "👩‍👩‍👧‍👦 whole", strings.Repeat("unbreakable", 40)} {
		say(t, hs, id, body)
	}
	gone := say(t, hs, id, "deleted")
	ask(t, hs, "message.delete", data{"room_id": id, "message_id": gone.MessageID})
	liked := say(t, hs, id, "liked")
	ask(t, hs, "reaction.add", data{"room_id": id, "message_id": liked.MessageID, "emoji": "👍"})

	for _, l := range []look{wide, {1280, 800, "dark"}, {360, 740, "light"}, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			tb := b.open(t, s.Base, "guest", l)
			check := func(name string) {
				t.Helper()
				tb.fits(name)
				tb.shoot(name)
				tb.accessible(name)
			}
			tb.visit("/controls")
			check("controls")
			tb.typeInto("#q", "CWE-1385 origin")
			tb.until("location.search === '?q=CWE-1385+origin' && [...document.querySelectorAll('.controls li')].filter((r) => r.checkVisibility()).every((r) => r.dataset.words.includes('cwe-1385'))")
			check("controls-found")
			tb.visit("/controls/origin")
			check("control")
			tb.visit("/source/internal/guard/origin/origin.go")
			check("source")
			tb.visit("/sign-in")
			check("sign-in")
			tb.visit("/sign-up")
			check("sign-up")
			guest := fmt.Sprintf("guest-%d-%s", l.width, l.scheme)
			tb.signUp(guest, attack.Password)
			check("chat-no-room")
			tb.joins("/rooms/" + id)
			tb.hears("liked")
			check("chat-room")
			tb.excuse("status of 404")
			tb.visit("/no/such/page")
			check("error")
			tb.visit("/sessions")
			check("sessions")
			tb.visit("/rooms/" + id)
			tb.state("live")
			visitor, err := s.Target(t).SignIn(t.Context(), guest, attack.Password)
			if err != nil {
				t.Fatal(err)
			}
			tb.excuse("status of 40[14]")
			call(t, visitor, http.MethodPost, "/api/sessions/revoke-others", nothing, http.StatusOK, nil)
			tb.until("document.querySelector('[data-testid=signed-out]')")
			check("signed-out")
		})
	}
}

func dialogs(t *testing.T, b browser) {
	s := startGenerous(t)
	for _, l := range []look{wide, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			tb := b.open(t, s.Base, "guest", l)
			tb.signUp(fmt.Sprint("guest-", l.width), attack.Password)
			for dialog, opener := range map[string]string{"new-room": "#open-new-room", "direct-dialog": "#open-direct"} {
				tb.click(opener)
				tb.until("document.getElementById(" + quote(dialog) + ").open")
				tb.fits(dialog)
				tb.shoot(dialog)
				tb.accessible(dialog)
				tb.do(chromedp.KeyEvent("\x1b"))
				tb.until("!document.getElementById(" + quote(dialog) + ").open")
			}
		})
	}
}

// noInlineCode: the policy forbids it, and what is forbidden is not even tried.
func noInlineCode(t *testing.T, s *Server) {
	alice := signUp(t, s, "alice")
	for _, path := range []string{"/sign-in", "/sign-up", "/", "/sessions", "/controls", "/controls/origin", "/no/such/page"} {
		a, err := alice.Raw(t.Context(), http.MethodGet, path, http.Header{"Accept": {"text/html"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<style", " style=", " onclick=", " onload=", "javascript:"} {
			if bytes.Contains(a.Body, []byte(bad)) {
				t.Errorf("%s holds %s", path, bad)
			}
		}
		if !strings.Contains(a.Header.Get("Content-Security-Policy"), "require-trusted-types-for 'script'") {
			t.Errorf("%s: %s", path, a.Header.Get("Content-Security-Policy"))
		}
	}
}
