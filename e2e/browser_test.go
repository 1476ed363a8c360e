package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/internal/testkit"
)

// journeyTimeout bounds everything that one tab does.
const journeyTimeout = 3 * time.Minute

// browser is one headless Chromium; every tab gets a browser context, and so cookies
// and storage, of its own.
type browser struct{ root context.Context }

func newBrowser(t *testing.T) browser {
	t.Helper()
	if !slices.ContainsFunc([]string{"headless-shell", "headless_shell", "chromium", "chromium-browser", "google-chrome"}, onPath) {
		testkit.Unavailable(t, fmt.Errorf("there is no Chromium on PATH: %w", embedded.ErrUnavailable))
	}
	options := chromedp.DefaultExecAllocatorOptions[:]
	if os.Geteuid() == 0 { // Chromium's sandbox refuses root
		options = append(slices.Clone(options), chromedp.NoSandbox)
	}
	root, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(options...))
	t.Cleanup(cancel)
	if err := chromedp.Do(root); err != nil {
		t.Fatal(err)
	}
	return browser{root}
}

func onPath(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// look is what a page is looked at with.
type look struct {
	width, height int64
	scheme        string // light or dark
}

func (l look) String() string { return fmt.Sprintf("%d-%s", l.width, l.scheme) }

var (
	wide   = look{1280, 800, "light"}
	narrow = look{360, 740, "dark"}
)

// tab is one person's page.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	name string
	look look

	mu       sync.Mutex
	problems []string
	excused  *regexp.Regexp
}

// reporter makes the browser say on its console what its policy stopped.
const reporter = `document.addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.effectiveDirective, e.blockedURI, e.sample));`

// open opens a tab of a person. The test fails when its console ever holds an error.
func (b browser) open(t *testing.T, base, name string, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.root, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, journeyTimeout)
	t.Cleanup(cancel)
	tb := &tab{t: t, ctx: ctx, base: base, name: name, look: l}
	err := chromedp.Listen(ctx, func(event any) {
		e, ok := event.(*audits.EventIssueAdded)
		if !ok {
			return
		}
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			tb.problem(fmt.Sprintf("CSP issue: %s %v", d.ViolatedDirective, d.BlockedURL))
		} else if d := e.Issue.Details.DeprecationIssueDetails; d != nil {
			tb.problem("deprecated: " + d.Type)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	console := chromedp.Console(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleWarning {
				tb.problem(fmt.Sprintf("console.%s: %s %s", m.Type, m.Text, m.URL))
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		for _, p := range tb.problems {
			t.Errorf("%s's page: %s", name, p)
		}
	})
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, audits.Enable, struct{}{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: reporter})
		return err
	}))
	tb.see(l)
	return tb
}

// see changes the size of the window and the colours that the system prefers.
func (tb *tab) see(l look) {
	tb.t.Helper()
	tb.look = l
	tb.do(chromedp.EmulateViewport(l.width, l.height), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

func (tb *tab) problem(p string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.excused == nil || !tb.excused.MatchString(p) {
		tb.problems = append(tb.problems, p)
	}
}

// excuse lets console errors pass that a test provokes: a browser complains when a
// server is away, whatever the page does.
func (tb *tab) excuse(pattern string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.excused = regexp.MustCompile(pattern)
}

// away is what Chromium says of a server that does not answer.
const away = `net::ERR_|WebSocket connection to|status of 401`

func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, steps...); err != nil {
		tb.fail("%v", err)
	}
}

// fail ends the test with a picture of what the person saw.
func (tb *tab) fail(format string, args ...any) {
	tb.t.Helper()
	where := ""
	if png, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot()); err == nil {
		where = tb.save("failed-"+tb.name, png)
	}
	text, _ := chromedp.Run(tb.ctx, chromedp.Evaluate[string]("location.href + ' ' + document.body.dataset.state + ' ' + document.body.innerText.slice(0, 600)"))
	tb.t.Fatalf("%s: %s; see %s; the page: %s", tb.name, fmt.Sprintf(format, args...), where, text)
}

func (tb *tab) visit(path string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate(tb.base + path))
}

// until waits until a JavaScript condition holds in a page that is parsed to its end: a
// condition on the head of a page says nothing of what a test asks next.
func (tb *tab) until(condition string) {
	tb.t.Helper()
	late := time.NewTimer(2 * soon)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// A page that is being replaced cannot be asked; the next one can.
		if ok, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool]("document.readyState !== 'loading' && Boolean(("+condition+"))")); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			tb.fail("never held: %s", condition)
		}
	}
}

// evaluate asks the page.
func evaluate[T any](tb *tab, expression string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		tb.fail("%s: %v", expression, err)
	}
	return v
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// state waits for the connection to be Live, Reconnecting, Offline or Signed out.
func (tb *tab) state(want string) {
	tb.t.Helper()
	tb.until("document.body.dataset.state === " + quote(want))
}

// click clicks when it can be clicked.
func (tb *tab) click(selector string) {
	tb.t.Helper()
	tb.until("document.querySelector(" + quote(selector) + ")?.checkVisibility()")
	tb.do(chromedp.Click(chromedp.CSS(selector)))
}

// typeInto types into a field.
func (tb *tab) typeInto(selector, text string) {
	tb.t.Helper()
	tb.until("document.querySelector(" + quote(selector) + ")?.checkVisibility()")
	tb.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// signUp makes an account with the form.
func (tb *tab) signUp(username, password string) {
	tb.t.Helper()
	tb.visit("/sign-up")
	tb.typeInto("#username", username)
	tb.typeInto("#display-name", strings.ToUpper(username[:1])+username[1:])
	tb.typeInto("#password", password)
	tb.click("form[action='/sign-up'] button[type=submit]")
	tb.state("live")
}

// signIn uses the form, which leads to the chat.
func (tb *tab) signIn(username, password string) {
	tb.t.Helper()
	tb.visit("/sign-in")
	tb.typeInto("#username", username)
	tb.typeInto("#password", password)
	tb.click("form[action='/sign-in'] button[type=submit]")
	tb.state("live")
}

// joins opens the page of an open room and becomes a member of it.
func (tb *tab) joins(path string) {
	tb.t.Helper()
	tb.visit(path)
	tb.state("live")
	tb.click("#join")
}

// say writes a message and sends it with Enter.
func (tb *tab) say(text string) {
	tb.t.Helper()
	tb.typeInto("#message", text)
	tb.enter()
	tb.until("document.getElementById('message').value === ''")
}

// enter presses Enter as a keyboard does: a page that takes the key down gets no line
// break after it. (chromedp's own sends both, whatever the page says.)
func (tb *tab) enter() {
	tb.t.Helper()
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		key := input.DispatchKeyEventParams{Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13}
		for _, step := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeChar, input.DispatchKeyEventTypeKeyUp} {
			key.Type, key.Text = step, ""
			if step == input.DispatchKeyEventTypeChar {
				key.Text = "\r"
			}
			if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, key); err != nil {
				return err
			}
		}
		return nil
	}))
}

// bodyOf is a message with exactly that text, as JavaScript.
func bodyOf(text string) string {
	return "[...document.querySelectorAll('#log article')].find((a) => a.querySelector('.body').textContent === " + quote(text) + ")"
}

// hears waits for a message that the server has confirmed.
func (tb *tab) hears(text string) {
	tb.t.Helper()
	tb.until(bodyOf(text) + "?.dataset.status === 'sent'")
}

// timeline is the text of all messages on the page.
func (tb *tab) timeline() []string {
	tb.t.Helper()
	return evaluate[[]string](tb, "[...document.querySelectorAll('#log article .body')].map((b) => b.textContent)")
}

// once fails the test unless each text is on the page exactly once, in that order.
func (tb *tab) once(texts ...string) {
	tb.t.Helper()
	got := slices.DeleteFunc(tb.timeline(), func(s string) bool { return !slices.Contains(texts, s) })
	if !slices.Equal(got, texts) {
		tb.fail("the page shows %q, want %q", got, texts)
	}
}

// artifacts is where pictures go.
func (tb *tab) save(name string, png []byte) string {
	tb.t.Helper()
	path := filepath.Join("artifacts", name+".png")
	if err := errors.Join(os.MkdirAll("artifacts", 0o755), os.WriteFile(path, png, 0o644)); err != nil {
		tb.t.Error(err)
	}
	return path
}

// shoot keeps a picture for people.
func (tb *tab) shoot(name string) {
	tb.t.Helper()
	png, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		tb.fail("%v", err)
	}
	tb.save(name+"-"+tb.look.String(), png)
}
