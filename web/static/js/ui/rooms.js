// @ts-check
import { effect } from '../state/signal.js';
import { byID, h, icon, near, patch } from './h.js';
import { plural } from './time.js';

/** @import { Store } from '../state/store.js' */
/** @import { Room } from '../../../types/protocol.d.ts' */

/** @param {Room} r */
export const sign = (r) => (r.visibility === 'direct' ? 'person' : r.visibility === 'closed' ? 'lock' : 'hash');

/**
 * The list of rooms, with what is unread, and the number in the tab's title.
 * @param {Store} store @param {(id: string) => void} open
 */
export function mountRooms(store, open) {
  const nav = byID('rooms'), othersTitle = byID('others-title'), [joined, direct, others] = ['joined', 'direct', 'others'].map((id) => byID(id));
  nav.addEventListener('click', (e) => {
    const a = near(e, 'a');
    if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    open(a.dataset.id ?? '');
  });
  effect(() => {
    const all = [...store.rooms.value.values()], current = store.current.value, online = store.online.value;
    const items = all.map((r) => {
      const { count, more } = store.unread(r);
      return { key: r.id, title: store.title(r), sign: sign(r), current: r.id === current, count, more, on: r.peer !== null && online.has(r.peer.id), joined: r.role !== '', direct: r.visibility === 'direct' };
    });
    show(joined, items.filter((i) => i.joined && !i.direct), 'None yet.');
    show(direct, items.filter((i) => i.direct), 'Nobody yet.');
    show(others, items.filter((i) => !i.joined), '');
    othersTitle.hidden = items.every((i) => i.joined);
    const unread = items.reduce((n, i) => n + i.count, 0), room = store.rooms.value.get(current);
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${room ? store.title(room) : 'Chat'} · Portcullis`;
  });

  /** Opens the next room of the list, or the one before; of the unread ones if asked. @param {number} by @param {boolean} unread */
  return (by, unread) => {
    const links = /** @type {HTMLElement[]} */ ([...nav.querySelectorAll(unread ? 'a.unread, a[aria-current]' : 'li a')]);
    links[(links.findIndex((a) => a.ariaCurrent) + by + links.length) % links.length]?.click();
  };
}

/** @typedef {{key: string, title: string, sign: string, current: boolean, count: number, more: boolean, on: boolean, joined: boolean, direct: boolean}} Item */

/** @param {Element} list @param {Item[]} items @param {string} none */
function show(list, items, none) {
  patch(list, items.length > 0 || !none ? items : [/** @type {Item} */ ({ key: '', title: none })], row, (a, b) => JSON.stringify(a) === JSON.stringify(b));
}

/** @param {Item} i */
function row(i) {
  if (!i.key) return h('li', { class: 'none' }, i.title);
  return h('li', null, h('a', { href: `/rooms/${i.key}`, class: i.count > 0 ? 'unread' : null, 'aria-current': i.current ? 'page' : null, data: { id: i.key, act: 'open' } },
    i.direct ? h('span', { class: i.on ? 'dot on' : 'dot', 'aria-hidden': true }) : icon(i.sign),
    h('span', { class: 't' }, i.title),
    i.direct && i.on ? h('span', { class: 'sr' }, ', here') : null,
    i.sign === 'lock' ? h('span', { class: 'sr' }, ', closed room') : null,
    i.count > 0 ? h('span', { class: 'n', 'aria-hidden': true }, i.count + (i.more ? '+' : '')) : null,
    i.count > 0 ? h('span', { class: 'sr' }, `, ${plural(i.count, 'unread message', 'unread messages')}`) : null));
}
