// @ts-check
import { effect } from '../state/signal.js';
import { byID, text } from './h.js';
import { plural } from './time.js';

/** A connection that flaps is not read aloud at every flap. */
const QUIET_MS = 2000;

/** @import { Store } from '../state/store.js' */

/**
 * The connection in four words: Live, Reconnecting, Offline, Signed out.
 * @param {Store} store @param {{waiting: () => number, dial: () => void}} o
 */
export function mountPill(store, { waiting, dial }) {
  const word = byID('pill-word'), now = byID('pill-now'), spoken = byID('announce-link');
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let say;
  /** @type {ReturnType<typeof setInterval> | undefined} */ let tick;
  let last = '';
  now.addEventListener('click', dial);
  effect(() => {
    const s = store.link.value;
    void store.shown.value; // the number of queued messages is part of the words
    const state = s.name === 'live' ? 'live' : s.name === 'signed-out' ? 'signed-out' : s.name === 'offline' || s.name === 'stopped' ? 'offline' : 'reconnecting';
    const name = { live: 'Live', offline: 'Offline', reconnecting: 'Reconnecting', 'signed-out': 'Signed out' }[state];
    document.body.dataset.state = state;
    clearInterval(tick);
    const show = () => {
      const seconds = s.name === 'waiting' ? Math.ceil((s.at - Date.now()) / 1000) : 0;
      const queued = state === 'offline' && waiting() > 0 ? ` (${waiting().toLocaleString('en')} queued)` : '';
      text(word, name + queued + (seconds > 0 ? ` in ${seconds} s` : ''));
    };
    show();
    if (s.name === 'waiting') tick = setInterval(show, 500);
    now.hidden = !(s.name === 'waiting' || state === 'offline');
    text(now, s.name === 'stopped' ? 'Connect' : 'Now');
    if (name === last) return;
    last = name;
    clearTimeout(say);
    say = setTimeout(() => text(spoken, `Connection: ${name}. ${s.words}${waiting() > 0 && state !== 'live' ? ` ${plural(waiting(), 'message waits', 'messages wait')}.` : ''}`), QUIET_MS);
  });
}
