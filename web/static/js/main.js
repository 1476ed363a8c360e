// @ts-check
import { Api } from './net/api.js';
import { h } from './ui/h.js';

// What every page has: the origin in the bar, the theme, passwords that can be looked at.

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

for (const input of document.querySelectorAll('input[type=password]')) {
  const button = h('button', { type: 'button', class: 'btn', 'aria-pressed': 'false', 'aria-label': 'Show the password' }, 'Show');
  button.addEventListener('click', () => {
    const shown = input.getAttribute('type') === 'text';
    input.setAttribute('type', shown ? 'password' : 'text');
    button.setAttribute('aria-pressed', String(!shown));
  });
  input.after(button);
}

const card = document.getElementById('password-card'), form = document.getElementById('password-form');
if (card && form instanceof HTMLFormElement) {
  card.hidden = false;
  const result = /** @type {HTMLElement} */ (document.getElementById('password-result'));
  const value = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (document.getElementById(id)).value;
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    const api = new Api(document.body.dataset.csrf ?? '', document.body.dataset.userId ?? '');
    const words = await api.call('POST', '/api/password', { current_password: value('current'), new_password: value('next') }).then(() => '', (err) => String(err.message));
    result.textContent = words || 'Changed. Your other sessions have ended.';
    result.className = words ? 'note danger' : 'note ok';
    result.hidden = false;
    if (!words) form.reset();
  });
}

if (document.querySelector('[data-passkey]')) await import('./passkey.js');

// A page that the browser froze when it was left is not thawed for the next person: what
// it shows may be of a session that has ended meanwhile.
addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });

// Signing out from a page without the chat: its tabs are told, the server clears the storage.
if (document.getElementById('chat')) await import('./chat.js');
else for (const out of document.querySelectorAll('form[data-sign-out]')) {
  out.addEventListener('submit', () => new BroadcastChannel('portcullis').postMessage({ type: 'signed-out', user: document.body.dataset.userId ?? '' }));
}
