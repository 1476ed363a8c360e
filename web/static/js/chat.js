// @ts-check
import { cut, listOf, member, message, person, room as readRoom } from './protocol/frames.js';
import { meaning, notified, removal } from './protocol/codes.js';
import { Api, ApiError } from './net/api.js';
import { LinkDown, Refused, Socket, ownSocket } from './net/socket.js';
import { ticket } from './net/ticket.js';
import { Outbox } from './state/outbox.js';
import { storage } from './state/storage.js';
import { Store } from './state/store.js';
import { mountComposer } from './ui/composer.js';
import { mountDetails } from './ui/details.js';
import { showEnd } from './ui/ended.js';
import { byID, text } from './ui/h.js';
import { UNLOADED, later } from './ui/later.js';
import { mountMembers } from './ui/members.js';
import { mountDialogs, opener } from './ui/opener.js';
import { mountPill } from './ui/pill.js';
import { mountRooms } from './ui/rooms.js';
import { mountShortcuts } from './ui/shortcuts.js';
import { mountTimeline } from './ui/timeline.js';
import { drawOn, effect, flush } from './state/signal.js';

/** @import { Change, Frame, Hello, Message } from '../../types/protocol.d.ts' */

/** Messages per page of history. */
const PAGE = 50;
/** Rooms joined at once after hello, and the pause between further ones: the server counts joins as commands. */
const AT_ONCE = 8, PAUSE_MS = 1000;
/**
 * How often the rooms are read again, since nobody announces a new direct room.
 * Only while somebody uses the page: each call counts as use of the session, and a
 * page that calls by itself would keep an abandoned session alive for ever.
 */
const LOOK_EVERY_MS = 60_000;
/** A read marker is a command like any other: at most one in this time for a room. */
const MARK_EVERY_MS = 600;
/** A page that was out of sight this long asks whether the link still lives. */
const ASLEEP_MS = 30_000;

const STOPPED = 'Nothing more is tried until you choose Connect.';

const page = byID('chat');
/** What the page came with (internal/site/chat_page.go); what is taken back later must not stay there. */
const given = JSON.parse(page.dataset.given ?? '');
delete page.dataset.given;
const me = person(given.me);
const api = new Api(document.body.dataset.csrf ?? '', me.id);
const store = new Store(me);
const tabs = new BroadcastChannel('portcullis');
let ended = false;

const socket = new Socket({
  url: ownSocket(given.socket, location),
  ticket: () => ticket(api),
  resume,
  onFrame,
  onState(state) {
    if (ended) return;
    if (state.name !== 'live') outbox.down();
    if (state.name === 'stopped') store.notice.value = `${state.words} ${STOPPED}`;
    if (state.name === 'live') { outbox.up(); if (store.notice.value.endsWith(STOPPED)) store.notice.value = ''; }
    store.link.value = state;
    if (state.name === 'signed-out') void end(state.words);
  },
  onTraffic: (t) => store.traffic(t),
});

const outbox = new Outbox({
  user: me.id,
  storage: storage(),
  send: async (p) => {
    const ack = await socket.request('message.send', { room_id: p.room, body: p.body, ...(p.reply_to ? { reply_to: p.reply_to } : {}), ...(p.uploads?.length ? { upload_ids: p.uploads } : {}) }, { id: p.id });
    if (store.timeline(p.room).messages.some((m) => m.client_id === p.id)) outbox.settle(p.id);
    return ack;
  },
  changed: () => store.shown.touch(),
});

/** After hello: the rooms, then what was missed, the room on the screen first. @param {Hello} hello */
async function resume(hello) {
  if (hello.user.id !== me.id) return socket.end('signed-out', 'Somebody else signed in on this browser.');
  store.socket.value = { conn: hello.conn_id, ends: Date.parse(hello.session_ends_at), perMinute: hello.messages_per_minute };
  await readRooms();
  outbox.only((id) => store.rooms.value.has(id));
  const mine = [...store.rooms.value.values()].filter((r) => r.role).map((r) => r.id), here = store.current.value;
  if (mine.includes(here)) await join(here);
  void joinAll(mine.filter((id) => id !== here).slice(0, hello.rooms_per_connection - 1));
}

/** @param {string[]} ids */
async function joinAll(ids) {
  for (const [i, id] of ids.entries()) {
    try {
      if (i >= AT_ONCE) await new Promise((r) => setTimeout(r, PAUSE_MS));
      await join(id);
    } catch (err) {
      if (err instanceof LinkDown) return; // the next link joins them all again
    }
  }
}

/** Follows a room from where this page's knowledge of it ends. @param {string} id */
async function join(id) {
  const t = store.timeline(id), after = t.head;
  try {
    const ack = await socket.request('room.join', { room_id: id, after_seq: after });
    store.setRole(id, ack.role);
  } catch (err) {
    if (!(err instanceof Refused)) throw err;
    if (err.code === 'denied') return forget(id, '');
    if (!meaning(err.code).again) return report(err);
    await new Promise((r) => setTimeout(r, Math.max(err.retry, 500)));
    return join(id);
  }
  if (t.loaded && id === store.current.value) store.markAway(id, after);
  store.rooms.touch();
  store.shown.touch();
}

/** @type {Map<string, number>} rooms that were joined again because of a gap → the head then */
const gaps = new Map();

/** @param {Frame} f */
function onFrame(f) {
  if (f.type === 'room.removed') return forget(f.room_id, removal(f.reason));
  if (f.type === 'notice') { store.notice.value = notified(f.slug) || store.notice.value; return; }
  if ('room_id' in f && !store.rooms.value.has(f.room_id)) return;
  if (store.apply(f) === 'gap') return mendGap(/** @type {Change} */ (f));
  if (f.type === 'message.new' && f.message.author.id === me.id) outbox.settle(f.message.client_id);
}

/** Something between was missed: asks for it once; if that does not help, starts from what there is. @param {Change} c */
function mendGap({ room_id, seq }) {
  const { head } = store.timeline(room_id);
  if (gaps.get(room_id) === head) return store.restart(room_id, seq);
  gaps.set(room_id, head);
  join(room_id).catch(() => {}); // a link that is gone joins everything again
}

/** Forgets a room that is not ours any more: on the page, in memory, in the queue. @param {string} id @param {string} words */
function forget(id, words) {
  const r = store.rooms.value.get(id);
  if (!r) return;
  const title = store.title(r), here = store.current.value === id;
  outbox.dropRoom(id);
  store.forget(id);
  if (here) { history.replaceState(null, '', '/'); page.dataset.view = 'rooms'; heading.focus(); }
  if (words) store.notice.value = `${title}: ${words}`;
}

/** @param {unknown} answer */
function takeRooms(answer) { for (const id of store.setRooms(listOf(answer, 'rooms', readRoom))) forget(id, removal('')); }
const readRooms = async () => takeRooms(await api.call('GET', '/api/rooms'));

/**
 * Takes a page of history into the timeline that it was asked for; how many messages came.
 * @param {string} id @param {import('./state/timeline.js').Timeline} t @param {unknown} page
 */
function take(id, t, page) {
  const list = listOf(page, 'messages', message), first = !t.loaded, read = store.rooms.value.get(id)?.read_seq;
  t.prepend(list, cut(page) ? list.length : PAGE);
  if (first && read) store.markAway(id, read);
  store.rooms.touch();
  return list.length;
}

/** @param {string} id @param {boolean} [push] false: the address is right already @param {unknown} [newest] history that the page came with */
function open(id, push = true, newest) {
  const r = store.rooms.value.get(id);
  if (!r) return;
  const was = store.current.value;
  if (was !== id) {
    store.leave(was);
    store.members.value = [];
    if (push) history.pushState(null, '', `/rooms/${id}`);
    store.current.value = id;
    const t = store.timeline(id);
    t.away = null;
    store.markAway(id, r.read_seq);
    if (newest) take(id, t, newest);
    void readMembers(id);
  }
  page.dataset.view = 'room';
  flush();
  if (matchMedia('(pointer: fine)').matches) byID('message').focus();
}

/** @param {string} id */
async function readMembers(id) {
  if (!store.rooms.value.get(id)?.role) return;
  try {
    const list = listOf(await api.call('GET', `/api/rooms/${id}/members`), 'members', member);
    if (id === store.current.value) store.setMembers(list);
  } catch (err) { report(err); }
}

/** Why something failed, in words; and the end of the page, if that is why. @param {unknown} err */
function why(err) {
  if (err instanceof ApiError) {
    if (err.status === 401 && err.code !== 'invalid_credentials') socket.end('signed-out', 'Your session ended.');
    return err.message;
  }
  if (err instanceof Refused) return meaning(err.code).words;
  return err instanceof LinkDown ? 'there is no connection right now' : 'something went wrong on this page';
}
/** @param {unknown} err */
const report = (err) => tell('', why(err));

/** @param {Promise<unknown>} p @returns {Promise<string>} '' or why not */
const outcome = (p) => p.then(() => '', why);

/** @param {string} what did not happen @param {string} why '' if it did */
function tell(what, why) { if (why && !ended) store.notice.value = what ? `${what}: ${why}.` : why; }

// What most visits do not need comes when somebody begins to use the page.
/** @param {string} words */
const say = (words) => tell('', words);
const menus = later(() => import('./ui/menus.js'), say);
const acts = later(async () => (await import('./acts.js')).mountActs({
  api, store, enter, why, report, readMembers,
  open,
  reveal: async (m) => { if (!(await timeline.reveal(m.seq))) say('That message is too far back to show here.'); },
  async erase(room_id, m) {
    tell('Not deleted', await outcome(socket.request('message.delete', { room_id, message_id: m.id })));
    byID('message').focus();
  },
}), say);

/** Shows a room that was just made or found. @param {unknown} answer */
async function enter(answer) {
  const r = readRoom(answer);
  if (!store.rooms.value.has(r.id)) store.addRoom(r);
  open(r.id);
  if (socket.live) await join(r.id).catch(report);
}

/** Rooms whose read marker is about to be sent. @type {Set<string>} */
const marking = new Set();
/** The newest message is on the screen. */
function read() {
  const id = store.current.value, t = store.timeline(id), r = store.room;
  if (!r?.role || !t.loaded || t.head <= r.read_seq) return;
  store.read(id, t.head);
  if (marking.has(id)) return;
  marking.add(id);
  setTimeout(() => {
    marking.delete(id);
    const seq = store.rooms.value.get(id)?.read_seq;
    // A mark that is lost shows as unread in the next list of rooms, and is sent again.
    if (seq && socket.live) socket.request('read.mark', { room_id: id, seq }).catch(() => {});
  }, MARK_EVERY_MS);
}

/**
 * The session is over: everything of it leaves this page and this browser, and the
 * other tabs are told.
 * @param {string} words
 */
async function end(words) {
  if (ended) return;
  leave(words);
  store.link.value = socket.state;
  const unsent = outbox.size;
  store.rooms.value = new Map();
  store.current.value = '';
  showEnd(words, unsent);
  await outbox.wipe();
}

/** Lets go of the connection and tells the other tabs. @param {string} words */
function leave(words) {
  ended = true;
  tabs.postMessage({ type: 'signed-out', user: me.id });
  socket.end('signed-out', words);
}

// Another tab's word is a reason to ask the server: that tab may speak of a session before this one.
tabs.onmessage = async (e) => {
  if (ended || e.data?.type !== 'signed-out' || e.data.user !== me.id) return;
  const s = /** @type {any} */ (await api.call('GET', '/api/session').catch(() => null));
  if (s?.user?.id !== me.id) void end('You signed out in another tab, or your session was ended.');
};

// The page, from here on.
drawOn((draw) => { requestAnimationFrame(draw); setTimeout(draw, 200); }); // a page that is not seen has no frames, but a title
mountDialogs();
const waiting = () => outbox.waiting;
mountPill(store, { waiting, dial: () => socket.now() });
const step = mountRooms(store, open);
mountDetails(store, { protocol: () => socket.protocol, buffered: () => socket.buffered, waiting, encoding: (msgpack) => socket.encoding(msgpack).then(() => true, () => { say(UNLOADED); return false; }) });
// Before the conversation, which ends where the place for the answer begins.
const composer = mountComposer(store, {
  send(body, reply_to, uploads) {
    if (!outbox.add(store.current.value, body, reply_to, uploads)) return 'Too many messages wait. Discard some, or wait for the connection.';
    timeline.toEnd();
    return '';
  },
  edit: (m, body) => outcome(socket.request('message.edit', { room_id: store.current.value, message_id: m.id, body })),
  lastOwn: () => store.timeline(store.current.value).messages.findLast((m) => m.author.id === me.id && !m.deleted_at),
  typing: () => { if (socket.live) socket.tell('typing.start', { room_id: store.current.value }); },
  idle: () => timeline.toEnd(),
  acts,
  async join() {
    const id = store.current.value;
    store.restart(id, store.room?.head_seq ?? 0);
    await join(id).catch(report);
    void readMembers(id);
    flush();
    byID('message').focus();
  },
});
const timeline = mountTimeline(store, {
  pending: (id) => outbox.of(id),
  async older(id) {
    const t = store.timeline(id);
    return take(id, t, await api.call('GET', `/api/rooms/${id}/messages?before_seq=${t.oldest}&limit=${PAGE}`));
  },
  read,
  edit: (m) => composer.edit(m),
  reply: (m) => composer.reply(m),
  remove: (m) => void acts.use((a) => a.remove(m)),
  async react(m, emoji, add) {
    tell('The reaction was not taken', await outcome(socket.request(add ? 'reaction.add' : 'reaction.remove', { room_id: store.current.value, message_id: m.id, emoji })));
  },
  retry: (id) => outbox.retry(id),
  discard: (id) => outbox.discard(id),
  menus,
});
mountMembers(store, {
  invite: async (username) => (await acts.use((a) => a.invite(username))) ?? UNLOADED,
  change: (m, change) => void acts.use((a) => a.change(m, change)),
  expel: (m, way) => void acts.use((a) => a.expel(m, way)),
  direct: (username) => void acts.use((a) => a.write(username)),
  menus,
});
const switcher = opener('switcher', acts, (a) => a.switcher()), find = opener('search-dialog', acts, (a) => a.search());
const search = () => { if (store.room?.role) find(); };
byID('open-switcher').addEventListener('click', switcher);
byID('open-search').addEventListener('click', search);
byID('open-new-room').addEventListener('click', opener('new-room', acts, (a) => a.newRoom()));
byID('open-direct').addEventListener('click', opener('direct-dialog', acts, (a) => a.direct()));
mountShortcuts({ switcher, search, sheet: () => void acts.use((a) => a.sheet()), step, idle: () => timeline.toEnd() });

const heading = byID('room-title'), searchButton = byID('open-search'), notice = byID('notice'), noticeText = byID('notice-text');
effect(() => {
  const r = store.room;
  text(heading, r ? store.title(r) : 'Portcullis');
  searchButton.hidden = !r?.role;
});
const told = document.getElementById('told'); // what the server had to tell this session: here it can be closed
if (told) { store.notice.value = told.textContent ?? ''; told.remove(); }
effect(() => { notice.hidden = store.notice.value === ''; text(noticeText, store.notice.value); });
byID('notice-close').addEventListener('click', () => { store.notice.value = ''; });
byID('to-rooms').addEventListener('click', () => { page.dataset.view = 'rooms'; byID('open-switcher').focus(); });

// The form goes its own way, so it has to stay in the page. The queue is gone before the next page comes.
for (const form of document.querySelectorAll('form[data-sign-out]')) form.addEventListener('submit', () => { leave(''); void outbox.wipe(); });
addEventListener('online', () => { if (!ended && !socket.live) socket.redial(); });
addEventListener('offline', () => { if (!ended) socket.offline(); });
addEventListener('popstate', () => open(location.pathname.split('/')[2] ?? '', false));
let hiddenAt = 0;
document.addEventListener('visibilitychange', () => {
  if (document.hidden) { hiddenAt = Date.now(); return; }
  if (ended || Date.now() - hiddenAt < ASLEEP_MS) return;
  look().catch(report);
  const r = store.room;
  if (socket.live && r?.role) socket.request('read.mark', { room_id: r.id, seq: r.read_seq }, { within: 5000 }).catch(() => {});
});
let used = 0; // when somebody last did, and what they may want then comes at the first time
for (const event of ['keydown', 'pointerdown']) addEventListener(event, () => { if (!used) { menus.warm(); acts.warm(); } used = Date.now(); }, { passive: true, capture: true });
setInterval(() => { if (socket.live && Date.now() - used < LOOK_EVERY_MS) look().catch(() => {}); }, LOOK_EVERY_MS);

/** Reads the rooms and the session's end again, and follows rooms that are new. */
async function look() {
  await readRooms();
  const { session } = /** @type {any} */ (await api.call('GET', '/api/session'));
  if (session && store.socket.value) store.socket.value = { ...store.socket.value, ends: Math.min(Date.parse(session.idle_ends_at), Date.parse(session.ends_at)) };
  await joinAll([...store.rooms.value.values()].filter((r) => r.role && !store.follows(r.id)).map((r) => r.id));
}

// Start: what the page came with, what was left unsent, then the link.
takeRooms(given);
open(given.room, false, given.history);
await outbox.load();
if (!ended) socket.now();
