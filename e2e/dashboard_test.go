package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/testkit"
)

const adminPassword = "a-Password-for-the-harbour-master-9"

// official makes an account with a role, which only the command line can.
func official(t *testing.T, s *Server, name, role string) {
	t.Helper()
	s.Logs.Canary(adminPassword)
	got := portcullis(t, s.env, "", "user", "add", name, "-role", role)
	if got.code != 0 {
		t.Fatalf("user add: %+v", got)
	}
	signOut(t, choosePassword(t, s, name, strings.TrimSpace(got.out), adminPassword))
}

// choosePassword is the first sign-in of somebody who was given a password.
func choosePassword(t *testing.T, s *Server, name, given, chosen string) *attack.Client {
	t.Helper()
	s.Logs.Canary(given)
	c, err := s.Target(t).Visit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a := call(t, c, http.MethodPost, "/api/sign-in", data{"username": name, "password": given}, http.StatusForbidden, nil); a.Code() != "new_password_required" {
		t.Errorf("a password that nobody has chosen: %s", a.Body)
	}
	var in struct {
		CSRF string `json:"csrf_token"`
	}
	call(t, c, http.MethodPost, "/api/sign-in", data{"username": name, "password": given, "new_password": chosen}, http.StatusOK, &in)
	c.CSRF = in.CSRF
	return c
}

// from is a handshake of another page.
func from(origin string) attack.Handshake { return attack.Handshake{Origin: &origin} }

// TestDashboard is what administrators and auditors do on the real page.
//
//control:proves admin-separation
func TestDashboard(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	s := startGenerous(t)
	official(t, s, "root", "admin")
	official(t, s, "audrey", "auditor")
	victim, mallory := signUp(t, s, "victim"), signUp(t, s, "mallory")
	private := room(t, victim, "closed")

	root := b.open(t, s.Base, "root", wide)
	root.signIn("root", adminPassword)
	root.click("button[popovertarget=account]")
	root.click("#account a[href='/admin/security']")
	root.until("document.getElementById('stream')?.dataset.state === 'live'")

	t.Run("a refused handshake appears within two seconds", func(t *testing.T) {
		refusal(t, mallory, from("https://evil.example"), http.StatusForbidden)
		begin := time.Now()
		root.until("document.querySelector(\"#events tr[data-level]\") && [...document.querySelectorAll('#events tr[data-level]')].some((r) => r.textContent.includes('https://evil.example'))")
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("after %s", took)
		}
		root.until("[...document.querySelectorAll('#chart rect title')].some((title) => title.textContent.includes('origin'))")
	})

	t.Run("the table is worked by keyboard and holds only what is in sight", func(t *testing.T) {
		before, _ := s.Logs.Since(0)
		for range 80 {
			refusal(t, mallory, from("https://evil.example"), http.StatusForbidden)
		}
		root.until("Number(document.querySelector('#events table').getAttribute('aria-rowcount')) > 60")
		if n := evaluate[int](root, "document.querySelectorAll('#events tbody tr').length"); n > 40 {
			t.Errorf("%d rows are in the document after %d events", n, len(before)+80)
		}
		on := "Number(document.activeElement.dataset.id)"
		evaluate[bool](root, "document.querySelector('#events tr[tabindex=\"0\"]').focus(), true")
		first := evaluate[int](root, on)
		root.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
		root.until(on + " < " + strconv.Itoa(first) + " && document.activeElement.matches('#events tr.row')")
		// A key that meets events which are not drawn yet: the next row is the next row.
		counted := "Number(document.getElementById('counted').textContent.split(' ')[0])"
		at := evaluate[int](root, on)
		seen := evaluate[int](root, "window.frame = requestAnimationFrame, window.undrawn = [], window.requestAnimationFrame = (draw) => undrawn.push(draw), "+counted)
		for range 20 {
			refusal(t, mallory, from("https://evil.example"), http.StatusForbidden)
		}
		root.until(counted + " >= " + strconv.Itoa(seen+20))
		root.do(chromedp.KeyEvent(kb.ArrowDown))
		root.until(on + " === " + strconv.Itoa(at-1))
		evaluate[bool](root, "window.requestAnimationFrame = window.frame, undrawn.forEach((draw) => requestAnimationFrame(draw)), true")
		// More events than the table holds rows: whoever reads one stays on it.
		second, count := evaluate[int](root, on), evaluate[int](root, "Number(document.querySelector('#events table').getAttribute('aria-rowcount'))")
		for range 40 {
			refusal(t, mallory, from("https://evil.example"), http.StatusForbidden)
		}
		root.until("Number(document.querySelector('#events table').getAttribute('aria-rowcount')) >= " + strconv.Itoa(count+40))
		if !evaluate[bool](root, on+" === "+strconv.Itoa(second)+" && (() => { const row = document.activeElement.getBoundingClientRect(), table = document.getElementById('events').getBoundingClientRect(); return row.top >= table.top && row.bottom <= table.bottom; })()") {
			t.Error("new events took the focused row away")
		}
		root.enter()
		root.until("document.getElementById('detail').checkVisibility() && document.activeElement.id === 'detail'")
		root.click("#pause")
		rows := evaluate[string](root, "document.querySelector('#events table').getAttribute('aria-rowcount')")
		refusal(t, mallory, from("https://paused.example"), http.StatusForbidden)
		root.until("document.getElementById('counted').textContent.includes('wait')")
		if got := evaluate[string](root, "document.querySelector('#events table').getAttribute('aria-rowcount')"); got != rows {
			t.Errorf("a paused table went from %s to %s rows", rows, got)
		}
		root.click("#pause")
		root.typeInto("#text", "paused.example")
		root.until("document.querySelectorAll('#events tr[data-level]').length >= 1 && [...document.querySelectorAll('#events tr[data-level]')].every((r) => r.textContent.includes('paused.example'))")
		root.click("#as-table")
		root.until("document.getElementById('activity').checkVisibility() && !document.getElementById('chart').checkVisibility()")
	})

	confirm := func(tb *tab) { tb.click("#confirm[open] button[value=yes]") }
	socket := open(t, mallory, attack.Handshake{})
	t.Run("a socket is closed", func(t *testing.T) {
		mark := s.Logs.Mark()
		root.visit("/admin/security?socket=" + mallory.User.ID)
		root.click("#sockets summary")
		root.click("#sockets form[action$='/close'] button")
		root.until("document.getElementById('confirm').open")
		root.click("#confirm button[value='']")
		root.until("!document.getElementById('confirm').open")
		root.click("#sockets form[action$='/close'] button")
		confirm(root)
		wantClose(t, socket, 1008)
		root.until("document.querySelector('.note.ok')?.textContent.includes('closed')")
		s.wantEvent(t, mark, "authz_admin", func(e Event) bool { return e.Control == "admin-separation" })
		if !signedIn(t, mallory) {
			t.Error("the session went with the socket")
		}
	})

	t.Run("somebody is blocked, and the block is lifted", func(t *testing.T) {
		own := room(t, mallory, "closed")
		again := enter(t, mallory, own)
		for range 4 {
			if f, err := again.Ask("room.join", data{"room_id": private}); err != nil || f.Type == "ack" {
				t.Fatal(f, err)
			}
		}
		// The page has the log as it is stored, a moment later.
		offender := "[...document.querySelectorAll('form[action$=\"/blocks\"]')].find((f) => f.elements.subject?.value === " + quote(mallory.User.ID) + ")"
		root.until("fetch('/admin/security').then((r) => r.text()).then((x) => { window.there = x.includes(" + quote(`name="subject" value="`+mallory.User.ID+`"`) + ") }), window.there")
		root.visit("/admin/security")
		root.until(offender)
		evaluate[bool](root, offender+".closest('details').open = true, "+offender+".elements.reason.value = 'probes rooms', "+offender+".requestSubmit(), true")
		confirm(root)
		root.until("document.querySelector('.note.ok')?.textContent.includes('Blocked')")
		if f, err := again.Ask("message.send", data{"room_id": own, "body": "still here?"}); err != nil || f.Type != "error" {
			t.Errorf("somebody who is blocked sends: %s %v", f.Raw, err)
		}
		root.click("#responses form[action$='/lift'] button")
		confirm(root)
		root.until("document.querySelector('.note.ok')?.textContent.includes('Lifted')")
		say(t, again, own, "back")
		if !evaluate[bool](root, "document.getElementById('responses').textContent.includes('Nobody is blocked')") {
			t.Error("the page still shows a response")
		}
	})

	t.Run("an auditor has no buttons", func(t *testing.T) {
		audrey := b.open(t, s.Base, "audrey", wide)
		audrey.signIn("audrey", adminPassword)
		audrey.visit("/admin/security")
		audrey.until("document.getElementById('stream')?.dataset.state === 'live'")
		if n := evaluate[int](audrey, "document.querySelectorAll('main form[method=post], main button.danger:not(dialog *)').length"); n != 0 {
			t.Errorf("%d", n)
		}
		// The role goes, and with it the page and what it hears.
		audrey.excuse("status of 404|status of 401")
		if got := portcullis(t, s.env, "", "user", "role", "audrey", "user"); got.code != 0 {
			t.Fatalf("%+v", got)
		}
		audrey.until("document.getElementById('stream').dataset.state === 'ended'")
	})

	t.Run("to everybody else there is nothing", func(t *testing.T) {
		for _, c := range []*attack.Client{mallory, {}} {
			if c.User.ID == "" {
				var err error
				if c, err = s.Target(t).Visit(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range []string{"/admin/security", "/api/admin/events"} {
				if a := call(t, c, http.MethodGet, path, nil, http.StatusNotFound, nil); slices.Contains(a.Header.Values("Set-Cookie"), "") {
					t.Error(a.Header)
				}
			}
		}
	})

	for _, l := range []look{wide, {1280, 800, "dark"}, {360, 740, "light"}, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			root.see(l)
			open(t, mallory, attack.Handshake{})
			root.visit("/admin/security")
			root.until("document.getElementById('stream')?.dataset.state === 'live' && document.querySelector('#chart svg') && document.querySelectorAll('#events tr[data-level]').length > 5")
			evaluate[bool](root, "document.querySelectorAll('details').forEach((d) => d.open = true), true")
			root.fits("security")
			root.shoot("security")
			root.accessible("security")
			evaluate[bool](root, "document.getElementById('chart').scrollIntoView(), true")
			root.shoot("security-events")
			evaluate[bool](root, "document.getElementById('sockets').scrollIntoView(), true")
			root.shoot("security-below")
			evaluate[bool](root, "document.getElementById('responses').scrollIntoView(), true")
			root.shoot("security-end")
		})
	}
}

// act sends a form of the dashboard, with a token that is right.
func act(t *testing.T, s *Server, c *attack.Client, path, form string) attack.Answer {
	t.Helper()
	a, err := c.Raw(t.Context(), http.MethodPost, path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {s.Base}, "X-Csrf-Token": {c.CSRF}}, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// An auditor who knows every form, and a thief with the cookie and the token of an
// administrator who went for a coffee.
//
//control:proves admin-separation
//control:proves step-up
func TestAdmin_neitherAnAuditorNorAStolenSessionActs(t *testing.T) {
	t.Parallel()
	s := startGenerous(t, "PORTCULLIS_STEP_UP_WITHIN=10s")
	official(t, s, "root", "admin")
	official(t, s, "audrey", "auditor")
	victim := signUp(t, s, "victim")
	socket := open(t, victim, attack.Handshake{})
	signedInAs := func(name string) *attack.Client {
		c, err := s.Target(t).SignIn(t.Context(), name, adminPassword)
		if err != nil {
			t.Fatal(err)
		}
		s.Logs.Canary(c.Cookie, c.CSRF)
		return c
	}
	forms := map[string]string{
		"/admin/security/users/disable": "username=" + victim.User.Username,
		"/admin/security/blocks":        "subject=" + victim.User.ID + "&minutes=15&reason=because",
		"/admin/security/announcements": "body=All+your+base",
	}
	audrey, stolen := signedInAs("audrey"), signedInAs("root")
	call(t, audrey, http.MethodGet, "/admin/security", nil, http.StatusOK, nil)
	mark := s.Logs.Mark()
	for path, form := range forms {
		if a := act(t, s, audrey, path, form); a.Status != http.StatusNotFound {
			t.Errorf("an auditor at %s: %d", path, a.Status)
		}
	}
	s.wantEvent(t, mark, "authz_fail", func(e Event) bool { return e.Control == "admin-separation" && e.User == audrey.User.ID })

	testkit.Eventually(t, soon, func() bool { // the proof ages
		return act(t, s, stolen, "/admin/security/sockets/none/close", "").Status == http.StatusSeeOther
	})
	for path, form := range forms {
		if a := act(t, s, stolen, path, form); a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/step-up") {
			t.Errorf("a stolen session at %s: %d %s", path, a.Status, a.Header.Get("Location"))
		}
	}
	s.wantEvent(t, mark, "authz_fail", func(e Event) bool { return e.Control == "step-up" && e.User == stolen.User.ID })
	if !signedIn(t, victim) {
		t.Error("the victim was hit")
	}
	if f, err := socket.Ask("message.send", data{"room_id": room(t, victim, "closed"), "body": "x"}); err != nil {
		t.Error(f, err)
	}
}
