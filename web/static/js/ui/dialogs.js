// @ts-check
import { byID, h, near, patch, text } from './h.js';
import { moment } from './time.js';

// What the dialogs do. Fetched when somebody begins to use the page: opener.js.

/** @import { Store } from '../state/store.js' */
/** @import { Message } from '../../../types/protocol.d.ts' */

/** @param {string} id */
const dialog = (id) => byID(id, HTMLDialogElement);

/**
 * A dialog with fields that stays open until what it asks for is done. It closes
 * before what comes next, because closing gives the focus back to its opener.
 * @param {string} id
 * @param {(form: FormData) => Promise<unknown>} ask @param {(answer: unknown) => void} next @param {(err: unknown) => string} why
 */
export function mountAsk(id, ask, next, why) {
  const d = dialog(id), form = /** @type {HTMLFormElement} */ (d.querySelector('form')), error = /** @type {HTMLElement} */ (d.querySelector('.error'));
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    const button = /** @type {HTMLButtonElement} */ (form.querySelector('[type=submit]'));
    button.disabled = true;
    try {
      const answer = await ask(new FormData(form));
      d.close();
      next(answer);
    } catch (err) { text(error, why(err)); }
    button.disabled = false;
  });
  return () => text(error, '');
}

/** Asks before something that cannot be undone. @param {string} title @param {string} words @param {string} yes @returns {Promise<boolean>} */
export function confirm(title, words, yes) {
  const d = /** @type {HTMLDialogElement} */ (h('dialog', { id: 'confirm', role: 'alertdialog', 'aria-labelledby': 'confirm-title', 'aria-describedby': 'confirm-text', on: { click: (/** @type {Event} */ e) => { if (e.target === d) d.close(); } } },
    h('header', null, h('h2', { id: 'confirm-title' }, title)),
    h('form', { method: 'dialog' }, h('p', { id: 'confirm-text' }, words),
      h('div', { class: 'actions' }, h('button', { class: 'btn', value: 'no', autofocus: true }, 'Keep'), h('button', { class: 'btn danger', value: 'yes', id: 'confirm-yes' }, yes)))));
  document.body.append(d);
  d.showModal();
  return new Promise((resolve) => d.addEventListener('close', () => { d.remove(); resolve(d.returnValue === 'yes'); }, { once: true }));
}

/**
 * The room switcher: a combobox over rooms and people.
 * @param {Store} store @param {(room: string) => void} open @param {(username: string) => void} direct
 */
export function mountSwitcher(store, open, direct) {
  const d = dialog('switcher'), box = byID('switcher-text', HTMLInputElement), list = byID('switcher-list');
  let at = 0;
  /** @type {{key: string, title: string, go: () => void}[]} */ let items = [];
  const draw = () => {
    const words = box.value.trim().toLowerCase();
    items = [...store.rooms.value.values()]
      .map((r) => ({ key: r.id, title: store.title(r), go: () => open(r.id) }))
      .filter((i) => i.title.toLowerCase().includes(words)).slice(0, 30);
    if (/^@?[a-z0-9][a-z0-9._-]*$/.test(words)) items.push({ key: 'direct', title: `Write to @${words.replace('@', '')}`, go: () => direct(words.replace('@', '')) });
    at = Math.max(0, Math.min(at, items.length - 1));
    patch(list, items.map((i, n) => ({ key: i.key, n, title: i.title, on: n === at })), (i) => h('button', { type: 'button', role: 'option', id: `pick-${i.n}`, tabindex: -1, 'aria-selected': i.on, data: { n: i.n } }, i.title), (a, b) => a.n === b.n && a.on === b.on && a.title === b.title);
    box.setAttribute('aria-activedescendant', items.length > 0 ? `pick-${at}` : '');
    document.getElementById(`pick-${at}`)?.scrollIntoView({ block: 'nearest' });
  };
  const go = () => { d.close(); items[at]?.go(); };
  box.addEventListener('input', () => { at = 0; draw(); });
  box.addEventListener('keydown', (e) => {
    if (e.key === 'ArrowDown') at++; else if (e.key === 'ArrowUp') at--; else return;
    e.preventDefault();
    draw();
  });
  box.form?.addEventListener('submit', (e) => { e.preventDefault(); go(); });
  list.addEventListener('click', (e) => {
    const b = near(e, 'button');
    if (b) { at = Number(b.dataset.n); go(); }
  });
  return () => { at = 0; draw(); };
}

/**
 * Search in the current room.
 * @param {Store} store @param {(q: string) => Promise<Message[]>} find @param {(m: Message) => void} go
 */
export function mountSearch(store, find, go) {
  const d = dialog('search-dialog'), box = byID('search-text', HTMLInputElement), note = byID('search-note'), list = byID('search-results');
  /** @type {ReturnType<typeof find> | null} */ let asked = null;
  /** @param {Message[]} found */
  const draw = (found) => list.replaceChildren(...found.reverse().map((m) => h('li', null, h('button', { type: 'button', on: { click: () => { d.close(); go(m); } } },
    h('span', { class: 'soft' }, `${m.author.display_name} · ${moment(m.created_at)}`), h('span', { dir: 'auto' }, m.body.slice(0, 300))))));
  /** @type {HTMLFormElement} */ (d.querySelector('form')).addEventListener('submit', async (e) => {
    e.preventDefault();
    text(note, 'Searching…');
    const mine = asked = find(box.value.trim());
    const found = await mine.catch((err) => { if (mine === asked) text(note, /** @type {Error} */ (err).message); return null; });
    if (mine !== asked || !found) return;
    text(note, found.length === 0 ? 'Nothing found.' : `${found.length} found, newest first.`);
    draw(found);
  });
  return () => {
    asked = null;
    text(byID('search-title'), `Search ${store.room ? store.title(store.room) : ''}`);
    text(note, 'Finds whole words, taken literally.');
    draw([]);
  };
}
