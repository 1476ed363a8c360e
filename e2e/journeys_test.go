package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/testkit"
)

// TestBrowser is what people do on the real pages, in one browser. Each person has a
// browser context of their own, and every claim a server.
//
//control:proves output
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for _, tt := range []struct {
		claim string
		test  func(*testing.T, browser)
	}{
		{"two people talk, and markup is text", twoPeopleTalk},
		{"a keyboard is enough", keyboardAlone},
		{"who loses the line comes back without loss or double", comesBack},
		{"who reads back in a room loses no line", readsBack},
		{"people are told in words what was taken away", takenAway},
		{"whoever signs in at one place too many is told, at every place", oneTooMany},
		{"a person takes their data along and deletes the account", takesLeave},
		{"every page is accessible at every size and colour", everyPage},
		{"dialogs are accessible", dialogs},
		{"a room can be read before the scripts run", readsAtOnce},
		{"a visit fetches what it needs, and the rest when it is asked for", comesLater},
	} {
		t.Run(tt.claim, func(t *testing.T) { t.Parallel(); tt.test(t, b) })
	}
}

func twoPeopleTalk(t *testing.T, b browser) {
	s := startGenerous(t)
	for i, l := range []look{wide, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			alice, bob := b.open(t, s.Base, "alice", l), b.open(t, s.Base, "bob", l)
			an, bn := fmt.Sprint("anna-", i), fmt.Sprint("bert-", i)
			alice.signUp(an, attack.Password)
			bob.signUp(bn, attack.Password)

			// Out and in again, by the forms.
			bob.click("button[popovertarget=account]")
			bob.click("#account form button")
			bob.until("location.pathname === '/sign-in' || document.querySelector('[data-testid=signed-out]')")
			bob.signIn(bn, attack.Password)

			title := fmt.Sprint("quay ", i)
			alice.click("#open-new-room")
			alice.typeInto("#new-room-name", title)
			alice.enter()
			alice.until("location.pathname.startsWith('/rooms/')")
			path := evaluate[string](alice, "location.pathname")
			alice.until("document.getElementById('room-title').textContent === " + quote(title))

			bob.joins(path)
			bob.until("document.getElementById('message')?.checkVisibility()")

			watchStatus(alice)
			alice.say("hello from the first")
			alice.hears("hello from the first")
			bob.hears("hello from the first")
			if got := statuses(alice); !slices.Contains(got, "sending") || got[len(got)-1] != "sent" {
				t.Errorf("on its way the message was %v, want sending and then sent", got)
			}
			bob.do(chromedp.SendKeys(chromedp.CSS("#message"), "hel"))
			alice.until("document.getElementById('typing').textContent.includes('is typing')")
			bob.say("lo back") // after what is there already
			alice.hears("hello back")

			// Markup is text, for the one who sends it and for the other.
			for _, hostile := range []string{"<b>bold?</b>", `<img src=x onerror="window.pwned=1">`, "<script>window.pwned=1</script>", `"><svg onload=window.pwned=1>`} {
				alice.say(hostile)
				bob.hears(hostile)
			}
			for _, who := range []*tab{alice, bob} {
				if evaluate[bool](who, "'pwned' in window || document.querySelector('#log b, #log img, #log script, #log svg[onload]') !== null") {
					t.Errorf("%s's page took a message for markup", who.name)
				}
			}
			alice.once("hello from the first", "hello back", "<b>bold?</b>")
			bob.once("hello from the first", "hello back", "<b>bold?</b>")
			bob.fits("chat")
			alice.shoot("two-people")
		})
	}
}

// watchStatus notes every status that a message of this page goes through.
func watchStatus(tb *tab) {
	evaluate[bool](tb, `(() => {
		window.statuses = [];
		const note = (a) => { if (a.dataset?.status && window.statuses.at(-1) !== a.dataset.status) window.statuses.push(a.dataset.status); };
		new MutationObserver((ms) => { for (const m of ms) { for (const n of m.addedNodes) if (n.localName === 'article') note(n); if (m.type === 'attributes') note(m.target); } })
			.observe(document.getElementById('log'), {subtree: true, childList: true, attributes: true, attributeFilter: ['data-status']});
		return true;
	})()`)
}

func statuses(tb *tab) []string { return evaluate[[]string](tb, "window.statuses") }

func keyboardAlone(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	hs := enter(t, host, id)
	tb := b.open(t, s.Base, "keys", wide)
	tb.signUp("keys", attack.Password)
	tb.visit("/rooms/" + id)
	tb.state("live")
	press := func(keys string) {
		t.Helper()
		tb.do(chromedp.KeyEvent(keys))
	}
	// tabTo presses Tab until the focus is on what matches.
	tabTo := func(selector string) {
		t.Helper()
		for range 60 {
			if evaluate[bool](tb, "document.activeElement?.matches("+quote(selector)+") ?? false") {
				return
			}
			press("\t")
		}
		tb.fail("Tab never reaches %s", selector)
	}
	tabTo("#join")
	tb.enter()
	tb.until("document.getElementById('message')?.checkVisibility()")
	tb.visit("/rooms/" + id)
	tb.state("live")
	tabTo(".skip[href='#message'], #message")
	if evaluate[bool](tb, "document.activeElement.matches('.skip')") {
		tb.enter()
	}
	tb.until("document.activeElement.id === 'message'")
	press("no mouse was here")
	tb.enter()
	tb.hears("no mouse was here")
	untilSeq(t, hs, id, 1)
	if m := messageOf(t, changes(hs, id)[0]); m.Body != "no mouse was here" {
		t.Errorf("%+v", m)
	}
	if !evaluate[bool](tb, "document.activeElement.id === 'message'") {
		t.Error("the focus is lost after sending")
	}
}

// throughProxy starts a server whose public port is that of a proxy, so that browsers
// can be cut off while others go on.
func throughProxy(t *testing.T) (*Server, *testkit.Proxy) {
	t.Helper()
	addr := freePort(t)
	proxy := testkit.NewProxy(t, "redis://"+addr)
	port := proxy.URL()[strings.LastIndex(proxy.URL(), ":"):]
	return startGenerous(t, "PORTCULLIS_LISTEN="+addr, "PORTCULLIS_BASE_URL=http://app.portcullis.localhost"+port), proxy
}

func comesBack(t *testing.T, b browser) {
	s, line := throughProxy(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	hs := enter(t, host, id)
	say(t, hs, id, "before")

	tb := b.open(t, s.Base, "carla", wide)
	tb.signUp("carla", attack.Password)
	tb.joins("/rooms/" + id)
	tb.hears("before")
	tb.say("carla was here")
	tb.hears("carla was here")
	tb.excuse(away)

	// The line breaks, for her alone. She writes on.
	line.Cut()
	tb.state("reconnecting")
	if words := evaluate[string](tb, "document.getElementById('pill').innerText"); !strings.HasPrefix(words, "Reconnecting") {
		t.Errorf("the pill says %q", words)
	}
	tb.say("written without a line")
	tb.until(bodyOf("written without a line") + "?.dataset.status === 'queued'")
	tb.shoot("reconnecting")
	for _, body := range []string{"missed one", "missed two"} {
		say(t, hs, id, body)
	}
	line.Resume()
	tb.state("live")
	if words := evaluate[string](tb, "document.getElementById('pill').innerText"); !strings.HasPrefix(words, "Live") {
		t.Errorf("the pill says %q", words)
	}
	tb.hears("missed one")
	tb.hears("missed two")
	tb.hears("written without a line")
	tb.until("document.querySelector('#log .new')?.textContent.includes('while you were away')")
	tb.shoot("back-again")

	// The server is killed and started again on its port.
	s.Kill(t)
	tb.state("reconnecting")
	tb.say("written to a dead server")
	tb.until(bodyOf("written to a dead server") + "?.dataset.status === 'queued'")
	s.Start(t)
	tb.state("live")
	tb.hears("written to a dead server")

	want := []string{"before", "carla was here", "missed one", "missed two", "written without a line", "written to a dead server"}
	tb.once(want...)
	if got := bodies(history(t, host, id, "")); !slices.Equal(got, want) {
		t.Errorf("the room holds %q, want %q", got, want)
	}

	// The line breaks in the moment of sending: nobody knows whether it arrived.
	tb.typeInto("#message", "in the moment")
	tb.enter()
	line.Cut()
	line.Resume()
	tb.state("live")
	tb.hears("in the moment")
	tb.once(append(want, "in the moment")...)
	if got := bodies(history(t, host, id, "")); !slices.Equal(got, append(want, "in the moment")) {
		t.Errorf("the room holds %q", got)
	}
}

// readsBack scrolls to the top of what is there: the older page that comes, and the word
// that it is coming, go above what is being read.
func readsBack(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	hs := enter(t, host, id)
	for i := range 120 {
		say(t, hs, id, fmt.Sprint("line ", i))
	}
	tb := b.open(t, s.Base, "nora", wide)
	tb.signUp("nora", attack.Password)
	tb.joins("/rooms/" + id)
	tb.hears("line 119")
	if evaluate[bool](tb, bodyOf("line 20")+" !== undefined") {
		t.Fatal("there is nothing to read back to")
	}
	const place = "Math.round(window.line.getBoundingClientRect().top)"
	was := evaluate[int](tb, `(() => {
		const scroll = document.getElementById('scroll');
		scroll.scrollTop = 40;
		window.line = [...document.querySelectorAll('#log article')].find((a) => a.getBoundingClientRect().top > scroll.getBoundingClientRect().top);
		return `+place+`;
	})()`)
	tb.hears("line 20")
	if is := evaluate[int](tb, place); is < was-2 || is > was+2 {
		t.Errorf("the line that was read is at %d, and was at %d", is, was)
	}
}

func takenAway(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	for i, l := range []look{wide, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			id := room(t, host, "closed")
			hs := enter(t, host, id)
			dora := fmt.Sprint("dora-", i)
			tb := b.open(t, s.Base, "dora", l)
			tb.signUp(dora, attack.Password)
			device, err := s.Target(t).SignIn(t.Context(), dora, attack.Password)
			if err != nil {
				t.Fatal(err)
			}

			// Removed from a room that is on the screen.
			call(t, host, http.MethodPost, "/api/rooms/"+id+"/members", data{"username": dora}, http.StatusCreated, nil)
			tb.visit("/rooms/" + id)
			tb.state("live")
			say(t, hs, id, "for members")
			tb.hears("for members")
			tb.excuse("status of 404") // a page of history that was asked for before and answered after
			call(t, host, http.MethodDelete, "/api/rooms/"+id+"/members/"+device.User.ID, nil, http.StatusNoContent, nil)
			tb.until("document.getElementById('notice').checkVisibility() && document.getElementById('notice-text').textContent.includes('removed')")
			if text := evaluate[string](tb, "document.body.innerText"); strings.Contains(text, "for members") {
				t.Error("what was said in the room is still on the page")
			}
			tb.shoot("removed")

			// The page of sessions ends another one, and its socket.
			phone := open(t, device, attack.Handshake{})
			tb.visit("/sessions")
			tb.until("document.querySelectorAll('tbody tr').length === 2")
			tb.click("form[action='/sessions/" + device.SID + "/revoke'] button")
			tb.until("document.querySelectorAll('tbody tr').length === 1")
			wantClose(t, phone, 4403)

			// And the page's own session is ended from elsewhere.
			tb.visit("/")
			tb.state("live")
			tb.excuse("status of 401")
			other, err := s.Target(t).SignIn(t.Context(), dora, attack.Password)
			if err != nil {
				t.Fatal(err)
			}
			call(t, other, http.MethodPost, "/api/sessions/revoke-others", nothing, http.StatusOK, nil)
			tb.state("signed-out")
			tb.until("document.querySelector('[data-testid=signed-out]')?.innerText.includes('Your session was ended')")
			tb.visit("/")
			tb.until("location.pathname === '/sign-in'")
		})
	}
}

// oneTooMany signs in beyond the limit: the page that ends says why, the new one what
// ended, and one that stays hears of it.
func oneTooMany(t *testing.T, b browser) {
	s := startGenerous(t, "PORTCULLIS_SESSIONS_PER_USER=2")
	oldest, phone, newest := b.open(t, s.Base, "oldest", wide), b.open(t, s.Base, "phone", narrow), b.open(t, s.Base, "newest", narrow)
	oldest.signUp("dora", attack.Password)
	oldest.state("live")
	phone.signIn("dora", attack.Password)
	phone.state("live")
	newest.signIn("dora", attack.Password)
	oldest.excuse("status of 401")
	oldest.until("document.querySelector('[data-testid=signed-out]')?.innerText.includes('at more places than the limit allows')")
	phone.until("document.getElementById('notice').checkVisibility() && document.getElementById('notice-text').textContent.includes('Your oldest session was ended')")
	newest.until("document.getElementById('notice').checkVisibility() && document.getElementById('notice-text').textContent.includes('You were signed in at 3 places, and the limit is 2: the oldest was signed out (Chrome')")
	newest.shoot("one-too-many")
	newest.visit("/sessions")
	newest.until("document.querySelectorAll('tbody tr').length === 2 && !document.getElementById('told')")

	// A page that is not the chat has another place for it.
	phone.excuse("status of 401")
	oldest.visit("/sign-in?next=/sessions")
	oldest.typeInto("#username", "dora")
	oldest.typeInto("#password", attack.Password)
	oldest.click("form[action='/sign-in'] button[type=submit]")
	oldest.until("document.getElementById('told')?.textContent.includes('the oldest was signed out')")
	oldest.shoot("one-too-many-sessions")
}

// takesLeave is the end of an account: a file of everything, a wrong name, the right one.
func takesLeave(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	for i, l := range []look{wide, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			name := fmt.Sprint("fern-", i)
			tb := b.open(t, s.Base, "fern", l)
			tb.signUp(name, attack.Password)
			tb.joins("/rooms/" + id)
			tb.say("before I go " + name)
			tb.hears("before I go " + name)
			tb.visit("/sessions")
			type file struct {
				How, Kind string
				Data      struct {
					Profile  struct{ Username string }
					Messages []struct{ Body string }
					Complete bool
				}
			}
			evaluate[bool](tb, `(async () => {
				const r = await fetch('/account/export', {method: 'POST', body: new URLSearchParams(new FormData(document.querySelector('form[action="/account/export"]')))});
				window.taken = {How: r.headers.get('content-disposition'), Kind: r.headers.get('content-type'), Data: await r.json()};
			})(), true`)
			tb.until("window.taken")
			got := evaluate[file](tb, "window.taken")
			if !strings.HasPrefix(got.How, "attachment;") || !strings.HasPrefix(got.Kind, "application/json") || got.Data.Profile.Username != name || !got.Data.Complete ||
				len(got.Data.Messages) != 1 || got.Data.Messages[0].Body != "before I go "+name {
				t.Errorf("the file is %+v", got)
			}
			tb.excuse("status of 422")
			tb.typeInto("#delete-name", "host")
			tb.click("form[action='/account/delete'] button")
			tb.until("document.getElementById('delete-error')?.checkVisibility()")
			tb.shoot("delete-account")
			tb.typeInto("#delete-name", name)
			tb.click("form[action='/account/delete'] button")
			tb.until("location.pathname === '/sign-in' && document.querySelector('[role=status]')?.textContent.includes('Your account is deleted')")
			tb.excuse("status of 401")
			tb.typeInto("#username", name)
			tb.typeInto("#password", attack.Password)
			tb.click("form[action='/sign-in'] button[type=submit]")
			tb.until("document.getElementById('form-error')?.checkVisibility()")
		})
	}
}
