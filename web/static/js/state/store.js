// @ts-check
import { Signal } from './signal.js';
import { Timeline } from './timeline.js';

/** @import { Frame, Member, Person, Room } from '../../../types/protocol.d.ts' */
/** @import { State, Traffic } from '../../../types/net.d.ts' */

/** Changes replayed at most to count what is unread in a room that nobody looks at. */
const LOOK_BACK = 100;
/** How long somebody is shown as typing after the last word about it. */
const TYPING_MS = 5_000;
/** Frames that the inspector remembers. */
const FRAMES = 50;

/** Everything the page shows, as plain data. Only events of the server and the person's own actions change it. */
export class Store {
  /** @type {Signal<Map<string, Room>>} */ rooms = new Signal(new Map());
  current = new Signal('');
  /** Touched when the timeline of the current room, or what is pending, changes. */ shown = new Signal(0);
  /** @type {Signal<Member[]>} of the current room */ members = new Signal(/** @type {Member[]} */ ([]));
  /** @type {Signal<Set<string>>} ids of people who are here */ online = new Signal(new Set());
  /** @type {Signal<Map<string, {person: Person, until: number}>>} room + user → typing */ typing = new Signal(new Map());
  /** @type {Signal<State>} */ link = new Signal(/** @type {State} */ ({ name: 'connecting', words: '', at: 0 }));
  /** @type {Signal<{conn: string, ends: number, perMinute: number} | null>} */ socket = new Signal(/** @type {any} */ (null));
  /** @type {Signal<(Traffic & {key: string})[]>} newest first */ frames = new Signal(/** @type {(Traffic & {key: string})[]} */ ([]));
  #frame = 0;
  /** When frames were sent during the last minute. @type {number[]} */ sent = [];
  notice = new Signal('');
  /** @type {Map<string, Timeline>} */ #timelines = new Map();

  /** @param {Person} me */
  constructor(me) { this.me = me; }

  get room() { return this.rooms.value.get(this.current.value); }

  /** The room's name for this reader. @param {Room} r */
  title(r) { return r.visibility === 'direct' ? r.peer?.display_name ?? 'Direct' : r.title; }

  /** Takes the list of rooms; what is not in it any more is forgotten. @param {Room[]} list @returns {string[]} ids that went */
  setRooms(list) {
    const old = this.rooms.value, map = new Map(list.map((r) => [r.id, r]));
    this.rooms.value = map;
    return [...old.keys()].filter((id) => !map.has(id));
  }

  /** @param {Room} r */
  addRoom(r) { this.rooms.value.set(r.id, r); this.rooms.touch(); }

  /** The room's timeline, made at the first look: from the newest when it is on the screen, from what was read otherwise. @param {string} id */
  timeline(id) {
    let t = this.#timelines.get(id);
    if (!t) {
      const r = this.rooms.value.get(id), head = r?.head_seq ?? 0;
      t = new Timeline(id === this.current.value ? head : Math.max(r?.read_seq ?? 0, head - LOOK_BACK));
      this.#timelines.set(id, t);
    }
    return t;
  }

  /** How many messages of others came after the read marker; more: the true number is larger. @param {Room} r */
  unread(r) {
    const t = this.#timelines.get(r.id);
    if (!t || !r.role) return { count: 0, more: false };
    let count = 0;
    for (let i = t.messages.length - 1; i >= 0 && t.messages[i].seq > r.read_seq; i--) if (t.messages[i].author.id !== this.me.id && !t.messages[i].deleted_at) count++;
    return { count, more: count > 0 && !t.complete && t.oldest > r.read_seq + 1 && t.messages.length >= LOOK_BACK / 2 };
  }

  /** Puts the line "n messages while you were away" above what is newer than after; more: what came first is not here. @param {string} id @param {number} after */
  markAway(id, after) {
    const t = this.timeline(id);
    const count = t.messages.filter((m) => m.seq > after && m.author.id !== this.me.id && !m.deleted_at).length;
    if (count > 0) t.away = { after, count, more: !t.complete && t.oldest > after + 1 };
  }

  /** @param {string} id @param {number} seq */
  read(id, seq) {
    const r = this.rooms.value.get(id);
    if (!r || seq <= r.read_seq) return;
    r.read_seq = seq;
    this.rooms.touch();
  }

  /** @param {string} id @param {string} role */
  setRole(id, role) {
    const r = this.rooms.value.get(id);
    if (r && r.role !== role) { r.role = role; this.rooms.touch(); }
  }

  /** Forgets a room and everything of it. @param {string} id */
  forget(id) {
    this.#timelines.delete(id);
    this.rooms.value.delete(id);
    for (const k of this.typing.value.keys()) if (k.startsWith(id)) this.typing.value.delete(k);
    if (this.current.value === id) { this.current.value = ''; this.members.value = []; }
    this.rooms.touch();
  }

  /** Starts a room's timeline anew at head. @param {string} id @param {number} head */
  restart(id, head) {
    this.#timelines.set(id, new Timeline(head));
    this.shown.touch();
    this.rooms.touch();
  }

  /** Whether anything is known of the room's history, and so whether its changes were asked for. @param {string} id */
  follows(id) { return this.#timelines.has(id); }

  /** @param {string} id */
  leave(id) { this.#timelines.get(id)?.trim(); }

  /** Takes one event. Returns 'gap' when something before it is missing. @param {Frame} f @returns {'gap'|'done'} */
  apply(f) {
    if ('message' in f) {
      const t = this.timeline(f.room_id), got = t.apply(f);
      if (got === 'gap') return 'gap';
      if (got === 'old') return 'done';
      if (this.typing.value.delete(f.room_id + f.message.author.id)) this.typing.touch();
      const r = this.rooms.value.get(f.room_id);
      if (r) r.head_seq = Math.max(r.head_seq, f.seq);
      if (f.type === 'message.new' || f.type === 'message.deleted') this.rooms.touch();
      if (f.room_id === this.current.value) this.shown.touch();
      return 'done';
    }
    switch (f.type) {
      case 'resync': this.restart(f.room_id, f.head_seq); break;
      case 'read.marked': this.read(f.room_id, f.seq); break;
      case 'room.changed': { const r = this.rooms.value.get(f.room_id); if (r) { r.title = f.title; this.rooms.touch(); } break; }
      case 'presence.changed': {
        if (f.online) this.online.value.add(f.user.id); else this.online.value.delete(f.user.id);
        this.online.touch();
        break;
      }
      case 'typing':
        if (f.user.id === this.me.id) break;
        this.typing.value.set(f.room_id + f.user.id, { person: f.user, until: Date.now() + TYPING_MS });
        this.typing.touch();
        break;
      case 'member.changed': this.#memberChanged(f); break;
    }
    return 'done';
  }

  /** Who types in the current room, now. */
  typists() {
    const now = Date.now(), all = this.typing.value, names = [];
    for (const [k, v] of all) {
      if (v.until <= now) all.delete(k);
      else if (k.startsWith(this.current.value)) names.push(v.person.display_name);
    }
    return names;
  }

  /** @param {Traffic} t */
  traffic(t) {
    this.frames.value = [{ ...t, key: `f${this.#frame++}` }, ...this.frames.value].slice(0, FRAMES);
    if (t.out) this.sent.push(Date.now());
  }

  /** Frames sent during the last minute. */
  rate() {
    const since = Date.now() - 60_000;
    while (this.sent.length > 0 && this.sent[0] < since) this.sent.shift();
    return this.sent.length;
  }

  /** Takes the members of the current room. Whoever reads them here is here, even if they were read before the room was joined. @param {Member[]} list */
  setMembers(list) {
    for (const m of list) if (m.online || m.user.id === this.me.id) this.online.value.add(m.user.id); else this.online.value.delete(m.user.id);
    this.online.touch();
    this.members.value = list;
  }

  /** @param {Extract<Frame, {type: 'member.changed'}>} f */
  #memberChanged(f) {
    if (f.user.id === this.me.id && f.role) this.setRole(f.room_id, f.role);
    if (f.room_id !== this.current.value) return;
    const rest = this.members.value.filter((m) => m.user.id !== f.user.id);
    if (f.role) rest.push({ user: f.user, role: f.role, muted_until: f.muted_until, online: this.online.value.has(f.user.id) });
    this.members.value = rest.sort((a, b) => a.user.display_name.localeCompare(b.user.display_name));
  }
}
