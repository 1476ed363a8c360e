// @ts-check
/**
 * Frames of portcullis.v1. What arrives is input: a frame is read into an
 * object of known shape, field by field, or it is refused. Nothing is copied from
 * it by name, so a field that nobody expects goes nowhere.
 * @import { Ack, Frame, Hello, Member, Message, Person, Room, Upload } from '../../../types/protocol.d.ts'
 */
export const SUBPROTOCOL = 'portcullis.v1.json', PACKED = 'portcullis.v1.msgpack';

/** Longest message body, in code points: the server's limit. */
export const MAX_BODY = 4096;

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const FORBIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/u;

/** Characters as the server counts them: code points, not UTF-16 units. @param {string} s */
export const characters = (s) => { let n = 0; for (const _ of s) n++; return n; };

/**
 * Why the server would refuse body, in words; empty if it would not.
 * @param {string} body
 */
export function bodyProblem(body) {
  const n = characters(body);
  if (n > MAX_BODY) return `too long: ${n.toLocaleString('en')} of ${MAX_BODY.toLocaleString('en')} characters`;
  if (FORBIDDEN.test(body)) return 'it holds control characters';
  return body.trim() === '' ? 'it is empty' : '';
}

/** @param {string} id @param {string} type @param {Record<string, unknown>} data */
export const encode = (id, type, data) => JSON.stringify({ v: 1, id, type, data });

/** Refuses what the protocol does not say. The error tells the place, never the value. @param {unknown} ok @param {string} place @returns {asserts ok} */
function must(ok, place) { if (!ok) throw new TypeError(place); }

/** @typedef {Record<string, unknown>} Raw */
/** @param {unknown} v @param {string} place */
export const object = (v, place) => { must(typeof v === 'object' && v !== null && !Array.isArray(v), place); return /** @type {Raw} */ (v); };
/** @param {Raw} o @param {string} k */
export const string = (o, k) => { const v = Object.hasOwn(o, k) ? o[k] : undefined; must(typeof v === 'string', k); return v; };
/** @param {Raw} o @param {string} k */
const optional = (o, k) => (Object.hasOwn(o, k) && o[k] !== null ? string(o, k) : '');
/** @param {Raw} o @param {string} k */
export const id = (o, k) => { const v = string(o, k); must(ID.test(v), k); return v; };
/** @param {Raw} o @param {string} k */
export const number = (o, k) => { const v = Object.hasOwn(o, k) ? o[k] : undefined; must(Number.isSafeInteger(v) && /** @type {number} */ (v) >= 0, k); return /** @type {number} */ (v); };
/** @param {Raw} o @param {string} k */
const count = (o, k) => (Object.hasOwn(o, k) ? number(o, k) : 0);
/** @template T @param {Raw} o @param {string} k @param {(v: unknown) => T} each */
const list = (o, k, each) => { const v = Object.hasOwn(o, k) ? (o[k] ?? []) : []; must(Array.isArray(v), k); return v.map(each); };

/** @param {unknown} v @returns {Person} */
export function person(v) {
  const o = object(v, 'person');
  return { id: id(o, 'id'), username: string(o, 'username'), display_name: optional(o, 'display_name') || string(o, 'username') };
}

/** @param {unknown} v @returns {Upload} */
function upload(v) {
  const o = object(v, 'upload');
  return { id: id(o, 'id'), name: string(o, 'name'), mime: string(o, 'mime'), size: number(o, 'size'), width: count(o, 'width'), height: count(o, 'height') };
}

/** @param {unknown} v @returns {Message} */
export function message(v) {
  const o = object(v, 'message');
  return {
    id: id(o, 'id'), seq: number(o, 'seq'), author: person(o.author), body: string(o, 'body'), created_at: string(o, 'created_at'),
    client_id: optional(o, 'client_id'), reply_to: optional(o, 'reply_to'), edited_at: optional(o, 'edited_at'), deleted_at: optional(o, 'deleted_at'),
    reactions: list(o, 'reactions', (r) => { const x = object(r, 'reaction'); return { emoji: string(x, 'emoji'), users: list(x, 'users', (u) => String(u)) }; }),
    uploads: list(o, 'uploads', upload),
  };
}

/** @param {string} text @returns {unknown} */
const parse = (text) => { try { return JSON.parse(text); } catch { return undefined; } };

/** @param {Raw} f @returns {Hello} */
function hello(f) {
  const d = object(f.data, 'data'), l = object(d.limits, 'limits');
  return {
    conn_id: string(d, 'conn_id'), session_ends_at: string(d, 'session_ends_at'), user: person(d.user),
    messages_per_minute: number(l, 'messages_per_minute'), rooms_per_connection: number(l, 'rooms_per_connection'), ping_every_ms: number(d, 'ping_every_ms'),
  };
}

/** @param {Raw} f @returns {Ack} */
function ack(f) {
  const d = object(f.data, 'data');
  return { message_id: optional(d, 'message_id'), seq: count(d, 'seq'), head_seq: count(d, 'head_seq'), role: optional(d, 'role') };
}

/**
 * Reads a frame of the server. A type that this page does not know gives null: a
 * newer server may say more.
 * @param {string} text
 * @returns {Frame | null}
 * @throws {TypeError} its message is the place in the frame that is wrong
 */
export const decode = (text) => understand(parse(text));

/**
 * The same for a frame that has been parsed, whichever way it was written.
 * @param {unknown} parsed @returns {Frame | null}
 */
export function understand(parsed) {
  const f = object(parsed, 'frame');
  must(f.v === 1, 'v');
  const type = string(f, 'type');
  switch (type) {
    case 'hello': return { type, data: hello(f) };
    case 'ack': return { type, re: id(f, 're'), data: ack(f) };
    case 'error': return { type, re: optional(f, 're'), code: string(f, 'code'), retry_ms: number(f, 'retry_ms') };
    case 'notice': return { type, slug: string(object(f.data, 'data'), 'slug') };
    case 'announcement': { const d = object(f.data, 'data'); return { type, seq: number(f, 'seq'), body: string(d, 'body'), created_at: string(d, 'created_at') }; }
  }
  if (!Object.hasOwn(f, 'room_id')) return null;
  const room_id = id(f, 'room_id'), d = object(f.data, 'data');
  // History of any kind: to pass one of a newer server by would be a hole.
  if (Object.hasOwn(f, 'seq')) return { type: /** @type {any} */ (type), room_id, seq: number(f, 'seq'), message: message(d.message) };
  switch (type) {
    case 'member.changed': return { type, room_id, user: person(d.user), role: optional(d, 'role'), muted_until: optional(d, 'muted_until') };
    case 'room.changed': return { type, room_id, title: string(d, 'title') };
    case 'room.removed': return { type, room_id, reason: string(d, 'reason') };
    case 'presence.changed': must(typeof d.online === 'boolean', 'online'); return { type, room_id, user: person(d.user), online: d.online };
    case 'typing': return { type, room_id, user: person(d.user) };
    case 'read.marked': return { type, room_id, seq: number(d, 'seq') };
    case 'resync': return { type, room_id, head_seq: number(d, 'head_seq') };
    default: return null;
  }
}

/**
 * A room as GET /api/rooms lists it.
 * @param {unknown} v @returns {Room}
 */
export function room(v) {
  const o = object(v, 'room');
  return {
    id: id(o, 'id'), title: optional(o, 'title'), visibility: string(o, 'visibility'), head_seq: number(o, 'head_seq'), read_seq: count(o, 'read_seq'),
    role: optional(o, 'role'), members: count(o, 'members'), peer: o.peer ? person(o.peer) : null,
  };
}

/**
 * A member as GET /api/rooms/{id}/members lists it.
 * @param {unknown} v @returns {Member}
 */
export function member(v) {
  const o = object(v, 'member');
  return { user: person(o.user), role: string(o, 'role'), muted_until: optional(o, 'muted_until'), online: o.online === true };
}

/**
 * The list under name in an answer of the API; entries that are not what they should be are left out.
 * @template T @param {unknown} v @param {string} name @param {(v: unknown) => T} each @returns {T[]}
 */
export function listOf(v, name, each) {
  const all = object(v, 'answer')[name];
  must(Array.isArray(all), name);
  return all.flatMap((x) => { try { return [each(x)]; } catch { return []; } });
}

/**
 * Whether a page was cut by its size: it is shorter than asked for, and not the last.
 * @param {unknown} v an answer of the API @returns {boolean}
 */
export const cut = (v) => object(v, 'answer').more === true;
