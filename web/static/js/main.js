// @ts-check
import { h } from './ui/h.js';

// What every page has: the origin in the bar and the theme.

const origin = document.getElementById('origin');
if (origin) { origin.textContent = location.host; origin.hidden = false; }

const THEMES = ['system', 'light', 'dark'];
const theme = document.getElementById('theme'), themeName = document.getElementById('theme-name');
if (theme && themeName) {
  const root = document.documentElement;
  const show = () => { const now = root.dataset.theme ?? 'system'; themeName.textContent = now[0].toUpperCase() + now.slice(1); };
  theme.addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? 'system') + 1) % THEMES.length];
    if (next === 'system') delete root.dataset.theme; else root.dataset.theme = next;
    try { if (next === 'system') localStorage.removeItem('theme'); else localStorage.setItem('theme', next); } catch { /* for this page only, then */ }
    show();
  });
  show();
  theme.hidden = false;
}

// A page that the browser froze when it was left is not thawed for the next person: what
// it shows may be of a session that has ended meanwhile.
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });

// Signing out from a page without the chat: its tabs are told, the server clears the storage.
if (!document.getElementById('chat')) for (const out of document.querySelectorAll('form[data-sign-out]')) {
  out.addEventListener('submit', () => new BroadcastChannel('portcullis').postMessage({ type: 'signed-out', user: document.body.dataset.userId ?? '' }));
}

// What only some pages need is fetched by those that have it, twice if it must; a page that has to go without says so.
/** @type {[string, () => Promise<unknown>][]} */
const parts = [['#chat', () => import('./chat.js')], ['input[type=password]', () => import('./password.js')], ['[data-passkey]', () => import('./passkey.js')]];
for (const [what, load] of parts) {
  // A field that was wrong stays in sight when a part has come in above it.
  if (document.querySelector(what)) load().catch(load).then(() => document.querySelector('[aria-invalid=true]')?.scrollIntoView({ block: 'center' })).catch((err) => {
    document.querySelector('main')?.before(h('p', { class: 'note danger', role: 'alert' }, 'A part of this page could not be loaded. Reload it to try again.'));
    throw err;
  });
}
