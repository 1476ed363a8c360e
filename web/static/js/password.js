// @ts-check
import { Api } from './net/api.js';
import { h } from './ui/h.js';

// Passwords that can be looked at, and the card that changes one.

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
  card.hidden = false;
}
