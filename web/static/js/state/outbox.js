// @ts-check
import { meaning } from '../protocol/codes.js';
import { uuid7 } from '../protocol/uuid7.js';

/** Unsent messages kept at most, over all rooms: a browser that is offline for a day must not fill its disk. */
export const MAX_PENDING = 200;
/** Refusals that another try may mend are tried this often before a person is asked. */
const MAX_TRIES = 4;
/** The least wait before such a try. */
const AGAIN_MS = 1500;

/** @import { Pending } from '../../../types/state.d.ts' */

/**
 * The queue of messages on their way: one at a time per room, in the order they
 * were written; kept across a reload; wiped when the session ends.
 */
export class Outbox {
  #o;
  /** @type {Pending[]} in the order they were written */ #all = [];
  /** Rooms with a message on its way. @type {Set<string>} */ #busy = new Set();
  /** @type {Map<string, number>} */ #tries = new Map();
  /** @type {Set<ReturnType<typeof setTimeout>>} */ #timers = new Set();
  #up = false;

  /**
   * @param {object} o
   * @param {string} o.user
   * @param {import('../../../types/state.d.ts').Storage} o.storage
   * @param {(p: Pending) => Promise<{seq: number}>} o.send rejects with a code when refused, without one when the link broke
   * @param {() => void} o.changed
   */
  constructor(o) { this.#o = o; }

  /** Takes up what an earlier page left. What was on its way then is sent again, with the same id. */
  async load() {
    const kept = await this.#o.storage.load(this.#o.user).catch(() => []);
    for (const p of kept) if (!this.#all.some((x) => x.id === p.id)) this.#all.push(p.status === 'failed' ? p : { ...p, status: 'queued', reason: '' });
    this.#all.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
    this.#o.changed();
    this.#pump();
  }

  /** @param {string} room */
  of(room) { return this.#all.filter((p) => p.room === room); }
  /** How many wait for the server. */
  get waiting() { return this.#all.filter((p) => p.status === 'queued' || p.status === 'sending').length; }
  get size() { return this.#all.filter((p) => p.status !== 'sent').length; }

  /**
   * @param {string} room @param {string} body @param {string} reply_to @param {string[]} [uploads]
   * @returns {boolean} false: the queue is full
   */
  add(room, body, reply_to, uploads = []) {
    if (this.#all.length >= MAX_PENDING) return false;
    /** @type {Pending} */
    const p = { id: uuid7(), user: this.#o.user, room, body, reply_to, uploads, at: Date.now(), status: 'queued', reason: '' };
    this.#all.push(p);
    this.#keep(p);
    this.#o.changed();
    this.#pump();
    return true;
  }

  /** The link is live. */
  up() { this.#up = true; this.#pump(); }
  /** The link is gone: what was on its way waits for the next one. */
  down() { this.#up = false; }

  /** @param {string} id */
  retry(id) {
    this.#tries.delete(id);
    this.#change(id, 'queued', '');
    this.#pump();
  }

  /** @param {string} id */
  discard(id) { this.#remove((p) => p.id === id); }
  /** The room is gone, and with it what was meant for it. @param {string} room */
  dropRoom(room) { this.#remove((p) => p.room === room); }
  /** Forgets what is meant for rooms that do not fit. @param {(room: string) => boolean} fits */
  only(fits) { this.#remove((p) => !fits(p.room)); }
  /** Its message.new came: the message is in the timeline now. @param {string} id */
  settle(id) { this.#remove((p) => p.id === id); }

  /** Ends everything, here and in the storage. Returns how many messages were never sent. */
  async wipe() {
    const lost = this.size;
    this.#up = false;
    this.#all = [];
    for (const t of this.#timers) clearTimeout(t);
    await this.#o.storage.clear().catch(() => {});
    this.#o.changed();
    return lost;
  }

  #pump() {
    if (!this.#up) return;
    for (const p of this.#all) if (p.status === 'queued' && !this.#busy.has(p.room)) void this.#send(p);
  }

  /** @param {Pending} p */
  async #send(p) {
    this.#busy.add(p.room);
    this.#change(p.id, 'sending', '');
    let wait = 0;
    try {
      await this.#o.send(p);
      // The row stays until message.new brings its seq; the disk copy is not needed any more.
      this.#change(p.id, 'sent', '');
      this.#o.storage.delete(p.id).catch(() => {});
    } catch (err) {
      wait = this.#refused(p, /** @type {{code?: string, retry?: number}} */ (err));
    }
    if (wait === 0) { this.#busy.delete(p.room); return this.#pump(); }
    const t = setTimeout(() => { this.#timers.delete(t); this.#busy.delete(p.room); this.#pump(); }, wait);
    this.#timers.add(t);
  }

  /** Decides after a refusal; returns how long the room waits. @param {Pending} p @param {{code?: string, retry?: number}} e */
  #refused(p, e) {
    if (e.code === undefined) {
      // The link broke. up() of the next one goes on; until then nothing is sent.
      this.#up = false;
      this.#change(p.id, 'queued', '');
      return 0;
    }
    const { words, again } = meaning(e.code);
    const tries = (this.#tries.get(p.id) ?? 0) + 1;
    this.#tries.set(p.id, tries);
    if (!again || tries > MAX_TRIES) { this.#change(p.id, 'failed', words); return 0; }
    const wait = Math.max(e.retry ?? 0, AGAIN_MS);
    this.#change(p.id, 'queued', `${words}: again in ${Math.ceil(wait / 1000)} s`);
    return wait;
  }

  /** @param {string} id @param {Pending['status']} status @param {string} reason */
  #change(id, status, reason) {
    const i = this.#all.findIndex((p) => p.id === id);
    if (i < 0) return;
    this.#all[i] = { ...this.#all[i], status, reason };
    if (status === 'failed') this.#keep(this.#all[i]);
    this.#o.changed();
  }

  /** @param {(p: Pending) => boolean} which */
  #remove(which) {
    const gone = this.#all.filter(which);
    if (gone.length === 0) return;
    this.#all = this.#all.filter((p) => !which(p));
    for (const p of gone) { this.#tries.delete(p.id); this.#o.storage.delete(p.id).catch(() => {}); }
    this.#o.changed();
  }

  /** @param {Pending} p */
  #keep(p) { this.#o.storage.put(p).catch(() => {}); }
}
