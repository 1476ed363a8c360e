// @ts-check
import { byID, h, icon } from './h.js';
import { size } from './files.js';

/** @import { Store } from '../state/store.js' */
/** @import { Stored } from '../../../types/protocol.d.ts' */
/** @typedef {{file: File, words: string, state: 'sending'|'waiting'|'ready'|'failed', id: string, stop: AbortController}} Item */
/**
 * @typedef {object} Actions
 * @property {(room: string, file: File, progress: (part: number) => void, stop: AbortSignal) => Promise<Stored>} upload
 * @property {(id: string) => Promise<Stored>} status
 */

/** The server's limit for one message. */
export const MAX_FILES = 4;
/** How often the server is asked about a file that its scanner has not seen, and how often in all. */
const ASK_MS = 4000, ASKS = 30;

/**
 * Files that wait beside the message that is being written, per room. What happens
 * to each is said in words, in a list that screen readers announce.
 * @param {Store} store @param {Actions} actions
 */
export function mountAttach(store, actions) {
  const button = byID('attach', HTMLButtonElement), list = byID('files');
  /** @type {Map<string, Item[]>} */ const rooms = new Map();
  const here = () => rooms.get(store.current.value) ?? [];

  const draw = () => {
    list.replaceChildren(...here().map((item) => h('li', { data: { state: item.state } },
      h('span', { class: 'name', dir: 'auto' }, item.file.name), h('span', { class: item.state === 'failed' ? 'failed' : 'soft' }, item.words),
      h('button', { type: 'button', class: 'btn quiet square', on: { click: () => drop(item) } }, icon('close'), h('span', { class: 'sr' }, `Remove ${item.file.name}`)))));
    list.hidden = here().length === 0;
  };

  /** @param {Item} item @param {Item['state']} state @param {string} words */
  const say = (item, state, words) => { item.state = state; item.words = words; draw(); };

  /** @param {Item} item */
  const drop = (item) => {
    item.stop.abort();
    for (const [room, items] of rooms) rooms.set(room, items.filter((x) => x !== item));
    draw();
    button.focus();
  };

  /** @param {string} room @param {Item} item */
  const send = async (room, item) => {
    try {
      let got = await actions.upload(room, item.file, (part) => say(item, 'sending', part < 1 ? `sending, ${Math.floor(part * 100)} %` : 'being checked'), item.stop.signal);
      item.id = got.upload_id;
      for (let n = 0; got.status === 'pending' && n < ASKS; n++) {
        say(item, 'waiting', 'waits for the virus scanner');
        await new Promise((r) => setTimeout(r, ASK_MS));
        if (item.stop.signal.aborted) return;
        got = await actions.status(item.id);
      }
      if (got.status === 'clean') say(item, 'ready', `ready, ${size(got.size)}`);
      else say(item, 'failed', 'not sent: the virus scanner does not answer');
    } catch (err) {
      if (item.stop.signal.aborted) return;
      const { status, message } = /** @type {{status?: number, message?: string}} */ (err);
      say(item, 'failed', status === undefined ? 'not sent: something broke' : item.id && status === 404 ? 'not sent: the virus scanner objects' : `not sent: ${message}`);
    }
  };

  /** @param {string} room @param {File[]} chosen */
  const add = (room, chosen) => {
    const items = [...(rooms.get(room) ?? [])];
    for (const file of chosen) {
      if (items.length >= MAX_FILES) { store.notice.value = `A message carries at most ${MAX_FILES} files.`; break; }
      /** @type {Item} */ const item = { file, words: 'sending', state: 'sending', id: '', stop: new AbortController() };
      items.push(item);
      void send(room, item);
    }
    rooms.set(room, items);
    draw();
  };

  return {
    add, draw,
    /** Why the message cannot go yet, in words; empty if it can. */
    get problem() {
      if (here().some((i) => i.state === 'failed')) return 'A file was not sent. Remove it first.';
      return here().some((i) => i.state !== 'ready') ? 'A file is still on its way.' : '';
    },
    get ids() { return here().map((i) => i.id); },
    get names() { return here().map((i) => i.file.name).join(', '); },
    clear() { rooms.delete(store.current.value); draw(); },
  };
}
