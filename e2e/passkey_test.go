package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"example.com/portcullis/internal/attack"
)

// device gives the tab a built-in authenticator that unlocks at once.
func (tb *tab) device() {
	tb.t.Helper()
	tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		return err
	}))
}

// Somebody registers a passkey, signs out, signs in with it and nothing else, and proves
// with it once more who they are.
//
//control:proves passkey
//control:proves step-up
//control:proves sign-out-cleanup
func TestPasskey_inABrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	s := startGenerous(t, "PORTCULLIS_STEP_UP_WITHIN=10s")
	for _, l := range []look{wide, narrow} {
		t.Run(l.String(), func(t *testing.T) {
			tb := b.open(t, s.Base, "petra-"+l.scheme, l)
			tb.excuse(`status of 40[13]`) // the answers that ask for a proof
			tb.device()
			tb.signUp("petra-"+l.scheme, attack.Password)

			tb.visit("/sessions")
			tb.until("performance.now() > 11000 && !document.getElementById('passkey-form').hidden") // the sign-up's own proof is old now
			mark := s.Logs.Mark()
			tb.typeInto("#passkey-name", "This laptop")
			tb.shoot("passkey-sessions")
			tb.click("#passkey-form button")
			tb.until("document.getElementById('step-up').open")
			tb.shoot("passkey-step-up-dialog")
			tb.typeInto("#step-up-password", attack.Password)
			tb.click("#step-up button[type=submit]")
			tb.until("document.querySelector('.passkeys strong')?.textContent === 'This laptop'")
			s.wantEvent(t, mark, "authz_fail", func(e Event) bool { return e.Control == "step-up" })
			s.wantEvent(t, mark, "user_updated", func(e Event) bool { return e.Control == "passkey" && e.Reason == "passkey_added" })
			tb.do(chromedp.Evaluate[chromedp.Void]("document.getElementById('passkeys').scrollIntoView()"))
			tb.shoot("passkey-passkeys")

			// Out: nothing is left behind, and going back shows nothing.
			tb.click("button[popovertarget=account]")
			tb.click("#account form button")
			tb.until("location.pathname === '/sign-in'")
			tb.until("indexedDB.databases().then((d) => { window.left = d.length; }) && window.left === 0 && sessionStorage.length === 0")
			tb.do(chromedp.Evaluate[chromedp.Void]("history.back()"))
			tb.until("location.pathname === '/sign-in' && !document.querySelector('.passkeys')")

			// In, without a name and without a password.
			mark = s.Logs.Mark()
			tb.visit("/sign-in?next=/sessions")
			tb.until("!document.querySelector('[data-passkey]').hidden")
			tb.shoot("passkey-sign-in")
			tb.click("[data-passkey] button")
			tb.until("location.pathname === '/sessions' && document.body.dataset.userId")
			s.wantEvent(t, mark, "authn_login_success", func(e Event) bool { return e.Control == "passkey" })

			// Once more, to remove the passkey, from the page that a form leads to.
			tb.until("performance.now() > 11000")
			tb.click(".passkeys form button")
			tb.until("location.pathname === '/step-up' && !document.querySelector('[data-passkey]').hidden")
			tb.shoot("passkey-step-up")
			tb.click("[data-passkey] button")
			tb.until("location.pathname === '/sessions' && document.querySelector('.passkeys')")
			tb.click(".passkeys form button")
			tb.until("location.search === '?done=passkey-removed' && !document.querySelector('.passkeys')")
		})
	}
}
