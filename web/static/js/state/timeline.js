// @ts-check
/** @import { Change, Message } from '../../../types/protocol.d.ts' */

/** Kept per room that is not on the screen: what one glance back needs. */
const KEEP = 200;

/**
 * What this page knows of one room's history. Messages stand in the order of their
 * seq and have no holes above the oldest; head is the newest change applied, which
 * is what a resume starts from.
 */
export class Timeline {
  /** @type {Message[]} by seq */ messages = [];
  /** @type {Map<string, Message>} */ #byID = new Map();
  /** Messages as the newest change left them: a page of history that was read before the change must not undo it. @type {Map<string, Message>} */ #newer = new Map();
  head;
  /** Nothing older exists. */ complete = false;
  /** At least one page of history was asked for and came. */ loaded = false;
  /** The line "n messages while you were away": above the first message after this seq. @type {{after: number, count: number, more: boolean} | null} */ away = null;

  /** @param {number} head the seq from which changes are wanted */
  constructor(head) { this.head = head; }

  /** @param {string} id */
  find(id) { return this.#byID.get(id); }
  get oldest() { return this.messages.length > 0 ? this.messages[0].seq : this.head + 1; }

  /**
   * Takes one change: 'applied', 'old' (seen before) or 'gap' (something between is
   * missing; nothing was done).
   * @param {Change} c
   * @returns {'applied'|'old'|'gap'}
   */
  apply(c) {
    if (c.seq <= this.head) return 'old';
    if (c.seq > this.head + 1) return 'gap';
    this.head = c.seq;
    this.#newer.set(c.message.id, c.message);
    // A message older than all we have waits for the page of history that it belongs to.
    if (c.type === 'message.new' || c.message.seq >= this.oldest) this.#put(c.message);
    return 'applied';
  }

  /** Adds a page of history, oldest first. @param {Message[]} page @param {number} asked how many were asked for */
  prepend(page, asked) {
    for (const m of page) this.#put(this.#newer.get(m.id) ?? m);
    this.loaded = true;
    if (page.length < asked) this.complete = true;
  }

  /** Forgets all but the newest, while the room is not looked at. */
  trim() {
    if (this.messages.length <= KEEP) return;
    for (const m of this.messages.splice(0, this.messages.length - KEEP)) this.#byID.delete(m.id);
    for (const id of this.#newer.keys()) if (!this.#byID.has(id)) this.#newer.delete(id);
    this.complete = false;
  }

  /** @param {Message} m */
  #put(m) {
    const old = this.#byID.get(m.id);
    this.#byID.set(m.id, m);
    if (old) { this.messages[this.messages.indexOf(old)] = m; return; }
    let at = this.messages.length;
    while (at > 0 && this.messages[at - 1].seq > m.seq) at--;
    this.messages.splice(at, 0, m);
  }
}

/** Messages drawn at most: the far end is dropped from the page, not from memory. */
export const MOST = 500;
/** Messages kept at most of the room that is looked at, at its newest end. */
export const HELD = 2000;

/**
 * The window of messages to draw: at most count, and never more than MOST, up to the
 * message with the seq lastShown (0: the newest).
 * @param {Message[]} messages @param {number} lastShown @param {number} count
 */
//control:name slow-consumer
export function span(messages, lastShown, count) {
  let to = messages.length;
  if (lastShown > 0) while (to > 0 && messages[to - 1].seq > lastShown) to--;
  return { from: Math.max(0, to - Math.min(count, MOST)), to, length: messages.length };
}

/** Messages of one person closer together than this are shown as one block. */
const BLOCK_MS = 5 * 60_000;

/**
 * @typedef {import('../../../types/state.d.ts').Pending} Pending
 * @typedef {{key: string, kind: 'day', at: string} | {key: string, kind: 'away', count: number, more: boolean} | {key: string, kind: 'pending', pending: Pending} | {key: string, kind: 'message', message: Message, more: boolean, quoted: Message | undefined}} Row
 */

/**
 * The rows to show, from the top: days, the line above what is new, messages, and
 * at the bottom what is not confirmed yet. A message keeps the key of its pending
 * row, so that the row changes in place and is not read out twice.
 * @param {Timeline} t @param {Pending[]} pending of this room, in order
 * @param {string} me @param {number} from @param {number} to the window of messages
 * @returns {Row[]}
 */
export function rows(t, pending, me, from, to) {
  /** @type {Row[]} */
  const out = [];
  let day = '', away = t.away;
  /** @type {Message | null} */ let last = null;
  for (const m of t.messages.slice(from, to)) {
    const d = new Date(m.created_at).toDateString();
    if (d !== day) { out.push({ key: `day ${d}`, kind: 'day', at: m.created_at }); last = null; }
    day = d;
    if (away && m.seq > away.after && m.author.id !== me) { out.push({ key: `away ${away.count}`, kind: 'away', ...away }); away = null; last = null; }
    const more = last !== null && last.author.id === m.author.id && !m.reply_to && Date.parse(m.created_at) - Date.parse(last.created_at) < BLOCK_MS;
    out.push({ key: m.author.id === me && m.client_id ? m.client_id : m.id, kind: 'message', message: m, more, quoted: m.reply_to ? t.find(m.reply_to) : undefined });
    last = m;
  }
  if (to >= t.messages.length) for (const p of pending) out.push({ key: p.id, kind: 'pending', pending: p });
  return out;
}
