// @ts-check
import { effect } from '../state/signal.js';
import { byID, h, patch, text } from './h.js';
import { left } from './time.js';

/** @import { Store } from '../state/store.js' */

/** "This socket" and the last frames: what the connection is, never what was said on it.
 * @param {Store} store @param {{protocol: () => string, buffered: () => number, waiting: () => number, encoding: (msgpack: boolean) => Promise<boolean>}} o */
export function mountDetails(store, { protocol, buffered, waiting, encoding }) {
  const chat = byID('chat'), toggle = byID('toggle-details'), panel = byID('details');
  const small = matchMedia('(max-width: 1040px)');
  /** @param {boolean} open */
  const set = (open) => { chat.dataset.details = open ? 'open' : 'closed'; toggle.setAttribute('aria-expanded', String(open)); if (open) show(); };
  const shut = () => { set(false); toggle.focus(); };
  toggle.addEventListener('click', () => { set(chat.dataset.details === 'closed'); if (small.matches && chat.dataset.details === 'open') byID('close-details').focus(); });
  byID('close-details').addEventListener('click', shut);
  panel.addEventListener('keydown', (e) => { if (e.key === 'Escape' && small.matches) { e.stopPropagation(); shut(); } });

  const other = byID('s-encoding', HTMLButtonElement);
  other.addEventListener('click', async () => {
    const on = other.getAttribute('aria-pressed') !== 'true';
    other.disabled = true;
    if (await encoding(on)) other.setAttribute('aria-pressed', String(on));
    other.disabled = false;
    other.focus();
  });

  const [conn, version, ends, sent, meter, queue, buffer] = ['conn', 'protocol', 'ends', 'rate', 'meter', 'queue', 'buffer'].map((name) => byID(`s-${name}`)), frames = byID('frames');
  const show = () => {
    const s = store.socket.value, live = store.link.value.name === 'live' && s;
    text(conn, live ? `${s.conn.slice(0, 12)}…` : 'none');
    conn.title = live ? s.conn : '';
    text(version, live ? protocol() : 'none');
    text(ends, s ? left(s.ends - Date.now()) : 'unknown');
    const rate = store.rate(), of = s?.perMinute ?? 0;
    text(sent, of ? `${rate} of ${of}` : String(rate));
    meter.style.inlineSize = `${of ? Math.min(100, (rate / of) * 100) : 0}%`;
    text(queue, String(waiting()));
    text(buffer, `${buffered().toLocaleString('en')} B`);
  };
  effect(show);
  setInterval(() => { if (chat.dataset.details !== 'closed' && !document.hidden) show(); }, 1000);
  set(!small.matches);
  small.addEventListener('change', () => set(!small.matches));

  effect(() => {
    patch(frames, store.frames.value, (t) => h('li', { class: t.bad ? 'bad' : null }, h('span', { 'aria-hidden': true }, t.out ? '→' : '←'), h('span', { class: 'sr' }, t.out ? 'sent' : 'received'), h('b', null, t.type), t.note ? h('span', null, t.note) : null, h('span', { class: 'size' }, `${t.bytes} B`)), () => true);
  });
}
