// @ts-check
import { h } from './h.js';
import { singleKeys } from './shortcuts.js';

/** What each key does, in the order of the sheet; a space is between keys that are pressed together or one after another. */
const KEYS = [
  ['Ctrl K', 'or ⌘ K: go to a room'],
  ['Alt ↑ ↓', 'previous, next room; with Shift the unread ones'],
  ['Enter', 'send; Shift Enter breaks the line'],
  ['↑', 'in an empty message: edit your last one'],
  ['↑ ↓ Home End', 'walk through the messages'],
  ['Enter', 'on a message: what you can do with it'],
  ['r + e Del', 'on a message: reply, react, edit, delete'],
  ['/', 'search this room'],
  ['Esc', 'close, cancel, or mark the room read'],
  ['?', 'this sheet'],
];

/** @param {boolean} on */
const setSingleKeys = (on) => { try { localStorage.setItem('single-keys', on ? 'on' : 'off'); } catch { /* it stays as it was */ } };

/** Opens the sheet of shortcuts, which is made when it is first asked for. */
export function openSheet() {
  const old = /** @type {HTMLDialogElement | null} */ (document.getElementById('shortcuts'));
  if (old) return void (old.open || old.showModal());
  const box = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', id: 'single-keys', checked: singleKeys(), on: { change: () => setSingleKeys(box.checked) } }));
  const sheet = /** @type {HTMLDialogElement} */ (h('dialog', { id: 'shortcuts', 'aria-labelledby': 'shortcuts-title', on: { click: (/** @type {Event} */ e) => { if (e.target === sheet) sheet.close(); } } },
    h('header', null, h('h2', { id: 'shortcuts-title' }, 'Shortcuts'), h('kbd', null, 'Esc')),
    h('form', { method: 'dialog' },
      h('dl', { class: 'keys' }, ...KEYS.flatMap(([keys, does]) => [h('dt', null, ...keys.split(' ').flatMap((k) => [h('kbd', null, k), ' '])), h('dd', null, does)])),
      h('label', { class: 'choice' }, box, h('span', null, 'Shortcuts of one key, such as / ? r + e')),
      h('div', { class: 'actions' }, h('button', { class: 'btn primary' }, 'Close')))));
  document.body.append(sheet);
  sheet.showModal();
}
