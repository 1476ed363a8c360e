// @ts-check
import { SUBPROTOCOL, decode, encode } from '../protocol/frames.js';
import { verdict } from '../protocol/codes.js';
import { uuid7 } from '../protocol/uuid7.js';
import { backoff } from './backoff.js';

/** @import { Ack, Frame, Hello } from '../../../types/protocol.d.ts' */
/** @import { Options, State, Writing } from '../../../types/net.d.ts' */

/** A dial that has not said hello by then is given up. */
const DIAL_MS = 10_000;
/** A command without an answer by then means a dead link: the answer may have been lost with it, so the caller asks again with the same id on the next one. */
const ANSWER_MS = 15_000;
/** A link that lived this long makes the earlier failures forgotten; one that dies at once does not. */
const STABLE_MS = 10_000;
/** The least wait after "try later" without a time. */
const LONG_MS = 5_000;
/** More than this waiting in the browser means that the network does not take it: better to wait here, where it can be seen and kept. */
const MAX_BUFFERED = 256 * 1024;
/** Our own close code for a link that we give up (browsers may send 1000 and 3000–4999). */
const GIVEN_UP = 4000;

/** The link broke before the answer came: nobody knows whether the command was done. */
export class LinkDown extends Error {}

/** The server refused a command. */
export class Refused extends Error {
  /** @param {string} code @param {number} retry ms to wait, 0 for unknown */
  constructor(code, retry) { super(code); this.code = code; this.retry = retry; }
}

/**
 * The address of the socket, if it is on the page's own host and no weaker than the
 * page: a socket elsewhere would carry messages, and a ticket, to a stranger.
 * @param {string} address @param {{protocol: string, host: string}} page
 */
export function ownSocket(address, page) {
  const u = new URL(address);
  const scheme = page.protocol === 'https:' ? 'wss:' : 'ws:';
  if ((u.protocol !== scheme && u.protocol !== 'wss:') || u.host !== page.host || u.username || u.password || u.search || u.hash) throw new Error('the socket is not on the page’s own host');
  return u.href;
}

/** @type {Writing} */
const TEXT = { protocol: SUBPROTOCOL, write: encode, read: (data) => { if (typeof data !== 'string') throw new RangeError('kind'); return decode(data); } };

/**
 * One connection that stays: ticket → connect → hello → resume → live, and after a
 * loss again from the ticket. Close codes decide whether there is an again.
 */
export class Socket {
  #o;
  /** @type {State} */ #state = { name: 'connecting', words: '', at: 0 };
  /** @type {WebSocket | null} */ #ws = null;
  /** Each dial has a number; what belongs to an older one is ignored. */ #dial = 0;
  #ready = false;
  #writing = TEXT;
  #chosen = TEXT;
  #failures = 0;
  #hint = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #stable;
  /** @type {Map<string, {resolve: (a: Ack) => void, reject: (e: Error) => void, timer: ReturnType<typeof setTimeout>}>} */ #asked = new Map();

  /** @param {Options} o */
  constructor(o) {
    this.#o = { WebSocket: globalThis.WebSocket, online: () => navigator.onLine, ...o };
  }

  get state() { return this.#state; }
  get buffered() { return this.#ws?.bufferedAmount ?? 0; }
  get protocol() { return this.#ws?.protocol ?? ''; }
  get live() { return this.#state.name === 'live'; }

  /** Dials now, whatever it was waiting for. Does nothing while a link is up or signed out. */
  now() {
    if (this.#ws || this.#state.name === 'signed-out') return;
    void this.#connect();
  }

  /** The network is gone, says the browser. */
  offline() {
    if (this.#ended()) return;
    this.#drop();
    this.#set('offline', 'This device is offline.');
  }

  /** Chooses the encoding, for this page, from the next link on, which is at once. Rejects, and changes nothing, when its file cannot be loaded. */
  async encoding(/** @type {boolean} */ msgpack) {
    this.#chosen = msgpack ? (await import('./packed.js')).BINARY : TEXT;
    this.redial();
  }

  /** Ends for good, as after signing out. @param {'stopped'|'signed-out'} name @param {string} words */
  end(name, words) {
    this.#drop();
    this.#set(name, words);
  }

  /** Gives the present link up and dials again. */
  redial() {
    if (this.#ended()) return;
    this.#drop();
    void this.#connect();
  }

  /**
   * Sends a command and waits for its answer.
   * @param {string} type @param {Record<string, unknown>} data
   * @param {{id?: string, within?: number}} [o] id: the same for the same message, however often it is sent
   * @returns {Promise<Ack>}
   * @throws {LinkDown | Refused}
   */
  //control:name slow-consumer
  request(type, data, { id = uuid7(), within = ANSWER_MS } = {}) {
    return new Promise((resolve, reject) => {
      if (this.buffered > MAX_BUFFERED) return reject(new Refused('busy', 1000));
      if (!this.#send(id, type, data)) return reject(new LinkDown('not connected'));
      const timer = setTimeout(() => { if (this.#asked.has(id)) this.redial(); }, within);
      this.#asked.set(id, { resolve, reject, timer });
    });
  }

  /** Says something that nobody answers, and that may be lost. @param {string} type @param {Record<string, unknown>} data */
  tell(type, data) {
    if (this.buffered === 0) this.#send(uuid7(), type, data);
  }

  /** @param {string} id @param {string} type @param {Record<string, unknown>} data */
  #send(id, type, data) {
    if (!this.#ready || this.#ws?.readyState !== 1) return false;
    const frame = this.#writing.write(id, type, data);
    this.#ws.send(frame);
    this.#o.onTraffic({ out: true, type, bytes: size(frame) });
    return true;
  }

  async #connect() {
    this.#drop();
    const dial = this.#dial;
    if (!this.#o.online()) return this.#set('offline', 'This device is offline.');
    this.#set('connecting', '');
    this.#timer = setTimeout(() => this.#lost(dial, 1006), DIAL_MS);
    this.#writing = this.#chosen;
    let ticket;
    try {
      ticket = await this.#o.ticket();
    } catch (err) {
      const e = /** @type {{status?: number, retry?: number, message?: string}} */ (err);
      if (e.status === 401) return this.#lost(dial, 4402);
      return this.#lost(dial, e.status === 429 ? 4429 : e.status === 403 ? 1008 : e.status === 503 ? 1013 : 1006, e.retry);
    }
    if (dial !== this.#dial) return;
    const ws = new this.#o.WebSocket(this.#o.url, [this.#writing.protocol, `ticket.${ticket}`]);
    this.#ws = ws;
    ws.binaryType = 'arraybuffer';
    ws.onopen = () => { if (ws.protocol !== this.#writing.protocol) ws.close(GIVEN_UP); };
    ws.onmessage = (e) => { if (dial === this.#dial) this.#read(dial, e.data); };
    ws.onclose = (e) => this.#lost(dial, e.code);
  }

  /** @param {number} dial @param {unknown} data */
  #read(dial, data) {
    let f;
    try {
      f = this.#writing.read(data);
    } catch (err) {
      if (err instanceof RangeError) return this.#lost(dial, 1003);
      this.#o.onTraffic({ out: false, type: 'refused', bytes: size(data), note: /** @type {Error} */ (err).message, bad: true });
      return;
    }
    this.#o.onTraffic({ out: false, type: f ? f.type : 'unknown', bytes: size(data), note: note(f), bad: f?.type === 'error' });
    if (!f) return;
    switch (f.type) {
      case 'hello': return this.#hello(dial, f.data);
      case 'ack': return this.#answered(f.re)?.resolve(f.data);
      case 'error':
        if (f.retry_ms) this.#hint = f.retry_ms;
        return this.#answered(f.re)?.reject(new Refused(f.code, f.retry_ms));
      default: this.#o.onFrame(f);
    }
  }

  /** @param {number} dial @param {Hello} hello */
  #hello(dial, hello) {
    if (this.#ready) return;
    this.#ready = true;
    clearTimeout(this.#timer);
    this.#set('resuming', '');
    this.#o.resume(hello).then(() => {
      if (dial !== this.#dial || this.#state.name !== 'resuming') return;
      this.#stable = setTimeout(() => { this.#failures = 0; }, STABLE_MS);
      this.#set('live', '');
    }, (err) => {
      // A lost link has been dealt with where it was lost. Anything else must not leave the page half resumed.
      if (dial === this.#dial && !(err instanceof LinkDown)) this.#lost(dial, 1006);
    });
  }

  /** @param {string} id */
  #answered(id) {
    const a = this.#asked.get(id);
    if (a) { clearTimeout(a.timer); this.#asked.delete(id); }
    return a;
  }

  /** The dial failed or the link is gone. @param {number} dial @param {number} code @param {number} [hint] ms */
  #lost(dial, code, hint = 0) {
    if (dial !== this.#dial) return;
    const v = verdict(code);
    if (v.retry === 'long') hint ||= this.#hint;
    this.#drop();
    this.#hint = 0;
    this.#failures++;
    if (v.retry === 'sign-in') return this.#set('signed-out', v.words);
    if (v.retry === 'no') return this.#set('stopped', v.words);
    if (!this.#o.online()) return this.#set('offline', 'This device is offline.');
    const quick = (v.retry === 'now' || v.retry === 'ticket') && this.#failures === 1;
    const wait = quick ? 0 : backoff(this.#failures, hint) + (v.retry === 'long' && !hint ? LONG_MS : 0);
    this.#set('waiting', v.words, Date.now() + wait);
    this.#timer = setTimeout(() => void this.#connect(), wait);
  }

  /** Lets go of the present dial: its timers, its socket, and those who wait for answers. */
  #drop() {
    this.#dial++;
    this.#ready = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#stable);
    const ws = this.#ws;
    this.#ws = null;
    if (ws && ws.readyState < 2) ws.close(GIVEN_UP);
    for (const id of [...this.#asked.keys()]) this.#answered(id)?.reject(new LinkDown('the link broke'));
  }

  #ended() { return this.#state.name === 'stopped' || this.#state.name === 'signed-out'; }

  /** @param {State['name']} name @param {string} words */
  #set(name, words, at = 0) {
    this.#state = { name, words, at };
    this.#o.onState(this.#state);
  }
}

/** @param {unknown} frame */
const size = (frame) => (typeof frame === 'string' ? new TextEncoder().encode(frame).length : /** @type {ArrayBuffer | Uint8Array} */ (frame).byteLength);

/** @param {Frame | null} f */
function note(f) {
  if (f?.type === 'error') return f.code;
  const seq = f && 'seq' in f ? f.seq : f?.type === 'ack' ? f.data.seq || f.data.head_seq : 0;
  return seq ? `seq ${seq}` : '';
}
