package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"example.com/portcullis/internal/attack"
)

// loaded is what a page has fetched of the static files, by the name of each.
const loaded = `performance.getEntriesByType('resource').filter((e) => e.name.includes('/static/'))`

// blocked keeps files from a page; none: nothing is kept any more.
func (tb *tab) blocked(patterns ...string) {
	tb.t.Helper()
	p := network.SetBlockedURLsParams{}
	for _, pattern := range patterns {
		p.URLPatterns = append(p.URLPatterns, &network.BlockPattern{URLPattern: pattern, Block: true})
	}
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, network.SetBlockedURLs, p)
		return err
	}))
}

// readsAtOnce: what was written is in the page, above the place for the answer, before any
// script has run; and what the scripts start from does not stay in the page.
func readsAtOnce(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	socket := enter(t, host, id)
	for i := range 40 {
		say(t, socket, id, fmt.Sprint("line ", i))
	}
	for name, l := range map[string]look{"wendy": wide, "nora": narrow} {
		t.Run(l.String(), func(t *testing.T) {
			tb := b.open(t, s.Base, name, l)
			tb.signUp(name, attack.Password)
			tb.joins("/rooms/" + id)
			tb.hears("line 39")
			const newest = "document.querySelector('#log article:last-child .body')"
			atTheEnd := func(when string) {
				t.Helper()
				const place = `(() => { const r = ` + newest + `.getBoundingClientRect(); return {
					words: document.elementFromPoint(r.x + 9, r.y + r.height / 2)?.textContent,
					gap: document.getElementById('composer').getBoundingClientRect().top - r.bottom } })()`
				at := evaluate[struct {
					Words string
					Gap   float64
				}](tb, place)
				if at.Words != "line 39" || at.Gap < 0 || at.Gap > 30 {
					t.Errorf("%s: where the newest message should be is %q, %.0f pixels above the place for the answer", when, at.Words, at.Gap)
				}
			}
			tb.excuse("net::ERR_|Failed to fetch")
			tb.blocked("*://*:*/*/js/chat.js")
			tb.visit("/rooms/" + id)
			tb.until("document.querySelector('main').previousElementSibling.textContent.includes('could not be loaded')")
			atTheEnd("before the scripts")
			tb.blocked()
			tb.visit("/rooms/" + id)
			tb.state("live")
			tb.once("line 39")
			atTheEnd("after them")
			if kept := evaluate[bool](tb, "'given' in document.getElementById('chat').dataset"); kept {
				t.Error("the page keeps what it was given, also what is taken back later")
			}
		})
	}
}

// comesLater: a visit fetches what it needs and stays within its budget; the rest comes
// when somebody begins to use the page, and a part that does not come is said in words.
func comesLater(t *testing.T, b browser) {
	s := startGenerous(t)
	host := signUp(t, s, "host")
	id := room(t, host, "open")
	say(t, enter(t, host, id), id, "hello")
	tb := b.open(t, s.Base, "guest", wide)
	tb.signUp("guest", attack.Password)
	tb.visit("/rooms/" + id)
	tb.state("live")

	const later = `/\/js\/(acts|password|passkey|security|controls|net\/(upload|packed|webauthn)|ui\/(attach|dialogs|menus?|sheet)|protocol\/(msgpack|emoji))\.js$/`
	if early := evaluate[[]string](tb, loaded+`.map((e) => new URL(e.name).pathname).filter((p) => `+later+`.test(p))`); len(early) > 0 {
		t.Errorf("fetched before anybody did anything: %q", early)
	}
	if most, got := 60<<10, evaluate[int](tb, loaded+`.reduce((n, e) => n + e.encodedBodySize, 0)`); got == 0 || got > most {
		t.Errorf("a visit fetches %d bytes of static files, want at most %d", got, most)
	}

	// The files of the dialogs do not come: that is said, and no dead dialog stays open.
	tb.excuse("net::ERR_|Failed to fetch")
	tb.blocked("*://*:*/*/js/acts.js", "*://*:*/*/js/net/packed.js")
	tb.click("#open-new-room")
	tb.until("document.getElementById('notice-text').textContent.includes('could not be loaded') && !document.getElementById('new-room').open")
	tb.click("#s-encoding")
	tb.until("!document.getElementById('s-encoding').disabled && document.getElementById('s-encoding').ariaPressed === 'false' && document.getElementById('s-protocol').textContent === 'portcullis.v1.json'")

	// They come again, and so does what they do, at the next asking.
	tb.blocked()
	tb.click("#notice-close")
	tb.click("#open-new-room")
	tb.typeInto("#new-room-name", "mended")
	tb.enter()
	tb.until("document.getElementById('room-title').textContent === 'mended'")
	tb.click("#s-encoding")
	tb.until("document.getElementById('s-protocol').textContent === 'portcullis.v1.msgpack'")
}
