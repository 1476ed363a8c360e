import assert from 'node:assert/strict';
import test from 'node:test';
import { MAX_PENDING, Outbox } from '../static/js/state/outbox.js';
import { effect, Signal } from '../static/js/state/signal.js';
import { Store } from '../static/js/state/store.js';
import { HELD, MOST, Timeline, rows, span } from '../static/js/state/timeline.js';

const ALICE = { id: '0190b6a0-1111-7aaa-8bbb-000000000001', username: 'alice', display_name: 'Alice' };
const BOB = { id: '0190b6a0-1111-7aaa-8bbb-000000000002', username: 'bob', display_name: 'Bob' };
const ROOM = '0190b6a0-5f3e-7c1a-9d2b-6f0c5d1e2a01';
/** @typedef {import('../types/protocol.d.ts').Message} Message */
/** @typedef {import('../types/protocol.d.ts').Change} Change */

/** @param {number} seq @param {Partial<Message>} [o] @returns {Message} */
const msg = (seq, o) => ({ id: `m${seq}`, seq, author: BOB, body: `body ${seq}`, created_at: '2026-11-23T09:00:00.000Z', client_id: `c${seq}`, reply_to: '', edited_at: '', deleted_at: '', reactions: [], ...o });
/** @param {number} seq @param {Message} [message] @param {Change['type']} [type] @returns {Change} */
const change = (seq, message = msg(seq), type = 'message.new') => ({ type, room_id: ROOM, seq, message });
const settle = async () => { for (let i = 0; i < 30; i++) await Promise.resolve(); };

test('changes are applied once and in order, and a hole is seen', () => {
  const t = new Timeline(10);
  assert.equal(t.apply(change(11)), 'applied');
  assert.equal(t.apply(change(11)), 'old');
  assert.equal(t.apply(change(13)), 'gap');
  assert.equal(t.head, 11);
  assert.equal(t.apply(change(12)), 'applied');
  assert.deepEqual(t.messages.map((m) => m.seq), [11, 12]);
});

test('a page of history that was read before an edit does not undo it', () => {
  const t = new Timeline(10);
  t.apply(change(11, msg(5, { body: 'edited' }), 'message.edited'));
  assert.equal(t.messages.length, 0);
  t.prepend([msg(4), msg(5, { body: 'as it was' }), msg(6)], 50);
  assert.deepEqual(t.messages.map((m) => m.body), ['body 4', 'edited', 'body 6']);
  assert.equal(t.complete, true);
});

test('a deletion replaces the message in its place', () => {
  const t = new Timeline(0);
  for (const s of [1, 2, 3]) t.apply(change(s));
  t.apply(change(4, msg(2, { body: '', deleted_at: 'x' }), 'message.deleted'));
  assert.deepEqual(t.messages.map((m) => m.body), ['body 1', '', 'body 3']);
});

test('rows: days, what is new, blocks of one person, and the unconfirmed at the bottom', () => {
  const t = new Timeline(0);
  t.apply(change(1, msg(1, { created_at: '2026-11-22T09:00:00.000Z' })));
  for (const s of [2, 3]) t.apply(change(s));
  t.apply(change(4, msg(4, { author: ALICE })));
  t.away = { after: 2, count: 1, more: false };
  const pending = [{ id: 'p', user: ALICE.id, room: ROOM, body: 'x', reply_to: '', at: 0, status: /** @type {const} */ ('queued'), reason: '' }];
  const r = rows(t, pending, ALICE.id, 0, 4);
  assert.deepEqual(r.map((x) => x.kind), ['day', 'message', 'day', 'message', 'away', 'message', 'message', 'pending']);
  assert.equal(r[6].key, 'c4', 'an own message keeps the key of its pending row');
  t.away = null;
  assert.deepEqual(rows(t, [], ALICE.id, 1, 3).map((x) => 'more' in x && x.more), [false, false, true]);
  assert.equal(rows(t, pending, ALICE.id, 0, 3).at(-1)?.kind, 'message', 'pending rows only below the newest');
});

test('the line above what is new counts what is here, and says so when there is more', () => {
  const s = new Store(ALICE);
  s.setRooms([aRoom({ head_seq: 80, read_seq: 10 })]);
  const t = s.timeline(ROOM);
  t.prepend([31, 32, 33].map((n) => msg(n)), 3);
  s.markAway(ROOM, 10);
  assert.deepEqual(t.away, { after: 10, count: 3, more: true });
  t.prepend([9, 10, 12].map((n) => msg(n)), 3); // 11 was an edit
  s.markAway(ROOM, 10);
  assert.deepEqual(t.away, { after: 10, count: 4, more: false });
  t.prepend([], 3);
  s.markAway(ROOM, 0);
  assert.deepEqual(t.away, { after: 0, count: 6, more: false });
});

test('a room that is left keeps only its newest messages', () => {
  const t = new Timeline(0);
  for (let s = 1; s <= 500; s++) t.apply(change(s));
  t.trim();
  assert.equal(t.messages.length, 200);
  assert.equal(t.oldest, 301);
  assert.equal(t.find('m1'), undefined);
  assert.equal(t.complete, false);
});

//control:proves slow-consumer
test('however much is written, the page draws and keeps only so much', () => {
  const t = new Timeline(0);
  for (let s = 1; s <= 5000; s++) {
    t.apply(change(s));
    if (t.messages.length > HELD) t.trim(); // as the page does while it shows the newest
    const { from, to, length } = span(t.messages, 0, 1_000_000);
    assert.ok(to - from <= MOST && to === length && length <= HELD, `${s}: draws ${from} to ${to} of ${length}`);
  }
  assert.ok(MOST <= 500);
  assert.equal(t.messages.at(-1)?.seq, 5000);
  const all = Array.from({ length: 1500 }, (_, i) => msg(i + 1));
  assert.deepEqual(span(all, 700, 100), { from: 600, to: 700, length: 1500 }, 'somebody who reads further up');
  assert.deepEqual(span(all, 700, 9999), { from: 200, to: 700, length: 1500 });
  assert.deepEqual(span([], 0, 100), { from: 0, to: 0, length: 0 });
});

/** @param {Partial<{id: string, head_seq: number, read_seq: number, role: string}>} [o] */
const aRoom = (o) => ({ id: ROOM, title: 'harbour', visibility: 'open', head_seq: 10, read_seq: 8, role: 'member', members: 2, peer: null, ...o });

test('unread counts the messages of others after the marker', () => {
  const s = new Store(ALICE);
  s.setRooms([aRoom()]);
  const t = s.timeline(ROOM);
  assert.equal(t.head, 8, 'a room that nobody looks at starts from what was read');
  for (const c of [change(9), change(10, msg(10, { author: ALICE })), change(11)]) s.apply(c);
  assert.equal(s.unread(aRoom()).count, 2);
  s.apply({ type: 'read.marked', room_id: ROOM, seq: 11 });
  assert.equal(s.unread(/** @type {any} */ (s.rooms.value.get(ROOM))).count, 0);
  s.apply({ type: 'read.marked', room_id: ROOM, seq: 3 });
  assert.equal(s.rooms.value.get(ROOM)?.read_seq, 11, 'the marker never goes back');
});

test('history of a kind that only a newer server has is no hole', () => {
  const s = new Store(ALICE);
  s.setRooms([aRoom()]);
  const kinds = /** @type {Change['type'][]} */ (['message.new', 'poll.changed', 'message.new']);
  assert.deepEqual(kinds.map((kind, i) => s.apply(change(9 + i, msg(9 + i), kind))), ['done', 'done', 'done']);
  assert.equal(s.timeline(ROOM).head, 11);
});

test('a room that is gone leaves nothing', () => {
  const s = new Store(ALICE);
  s.setRooms([aRoom()]);
  s.current.value = ROOM;
  s.apply(change(11));
  s.apply({ type: 'typing', room_id: ROOM, user: BOB });
  s.forget(ROOM);
  assert.equal(s.current.value, '');
  assert.equal(s.rooms.value.size + s.typing.value.size + s.members.value.length, 0);
  assert.equal(s.follows(ROOM), false);
  assert.deepEqual(s.setRooms([]), []);
});

test('whoever reads the members of a room is here, also if they were read before the room was joined', () => {
  const s = new Store(ALICE);
  const list = [ALICE, BOB].map((user) => ({ user, role: 'member', muted_until: '', online: false }));
  s.setMembers(list);
  assert.deepEqual([...s.online.value], [ALICE.id]);
  s.setMembers(list.map((m) => ({ ...m, online: m.user === BOB })));
  assert.deepEqual([...s.online.value], [ALICE.id, BOB.id]);
  s.setMembers(list);
  assert.deepEqual([...s.online.value], [ALICE.id]);
});

test('signals tell their readers once per turn', async () => {
  const a = new Signal(1), b = new Signal(1);
  /** @type {number[]} */ const seen = [];
  effect(() => { seen.push(a.value + b.value); });
  a.value = 2;
  b.value = 2;
  b.value = 2;
  await settle();
  assert.deepEqual(seen, [2, 4]);
});

/** @typedef {import('../types/state.d.ts').Pending} Pending */
/** @param {(p: Pending) => Promise<{seq: number}>} send @param {Map<string, Pending>} [disk] */
function box(send, disk = new Map()) {
  const storage = {
    load: async (/** @type {string} */ user) => [...disk.values()].filter((p) => p.user === user),
    put: async (/** @type {Pending} */ p) => { disk.set(p.id, p); },
    delete: async (/** @type {string} */ id) => { disk.delete(id); },
    clear: async () => disk.clear(),
  };
  return { disk, outbox: new Outbox({ user: ALICE.id, storage, send, changed: () => {} }) };
}
/** @param {Outbox} o */
const states = (o) => o.of(ROOM).map((p) => `${p.body}:${p.status}`);

test('messages leave one after the other, in the order they were written', async () => {
  /** @type {string[]} */ const sent = [];
  /** @type {(() => void)[]} */ const acks = [];
  const { outbox, disk } = box((p) => { sent.push(p.body); return new Promise((r) => acks.push(() => r({ seq: 1 }))); });
  for (const b of ['a', 'b', 'c']) outbox.add(ROOM, b, '');
  outbox.add('other room', 'x', '');
  assert.deepEqual(sent, [], 'nothing before the link is live');
  outbox.up();
  await settle();
  assert.deepEqual(sent, ['a', 'x']);
  acks[0]();
  await settle();
  assert.deepEqual(sent, ['a', 'x', 'b']);
  assert.deepEqual(states(outbox), ['a:sent', 'b:sending', 'c:queued']);
  assert.equal(disk.size, 3, 'a confirmed message leaves the disk');
  outbox.settle(outbox.of(ROOM)[0].id);
  assert.deepEqual(states(outbox), ['b:sending', 'c:queued']);
});

test('what a broken link left open goes again with the same id', async () => {
  /** @type {string[]} */ const ids = [];
  let up = false;
  const { outbox } = box(async (p) => { ids.push(p.id); if (!up) throw new Error('link down'); return { seq: 1 }; });
  outbox.add(ROOM, 'a', '');
  outbox.up();
  await settle();
  assert.deepEqual(states(outbox), ['a:queued']);
  assert.equal(ids.length, 1, 'not again before the next link');
  up = true;
  outbox.up();
  await settle();
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  assert.deepEqual(states(outbox), ['a:sent']);
});

test('a refusal stays in place with its reason, and does not hold up the next', async () => {
  const { outbox, disk } = box(async (p) => { if (p.body === 'bad') throw Object.assign(new Error(), { code: 'denied', retry: 0 }); return { seq: 1 }; });
  outbox.add(ROOM, 'bad', '');
  outbox.add(ROOM, 'good', '');
  outbox.up();
  await settle();
  assert.deepEqual(states(outbox), ['bad:failed', 'good:sent']);
  const failed = outbox.of(ROOM)[0];
  assert.equal(failed.reason, 'you may not do this here');
  assert.equal(disk.get(failed.id)?.status, 'failed', 'still there after a reload');
  outbox.discard(failed.id);
  await settle();
  assert.equal(disk.size, 0);
});

test('too fast: waits as long as the server says, tries a few times, then asks a person', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let tries = 0;
  const { outbox } = box(async () => { tries++; throw Object.assign(new Error(), { code: 'rate_limited', retry: 4000 }); });
  outbox.add(ROOM, 'a', '');
  outbox.up();
  await settle();
  assert.match(outbox.of(ROOM)[0].reason, /again in 4 s/);
  t.mock.timers.tick(3999);
  await settle();
  assert.equal(tries, 1);
  for (let i = 0; i < 10; i++) { t.mock.timers.tick(4000); await settle(); }
  assert.equal(tries, 5);
  assert.deepEqual(states(outbox), ['a:failed']);
});

test('a reload takes the queue up, and nothing of another user', async () => {
  const kept = { user: ALICE.id, room: ROOM, reply_to: '', reason: '' };
  const disk = new Map(/** @type {[string, Pending][]} */ ([
    ['2', { ...kept, id: '2', body: 'second', at: 2, status: 'sending' }],
    ['1', { ...kept, id: '1', body: 'first', at: 1, status: 'queued' }],
    ['3', { ...kept, id: '3', body: 'refused', at: 3, status: 'failed', reason: 'x' }],
    ['4', { ...kept, id: '4', user: BOB.id, body: 'not mine', at: 0, status: 'queued' }],
  ]));
  /** @type {string[]} */ const sent = [];
  const { outbox } = box(async (p) => { sent.push(p.id); return { seq: 1 }; }, disk);
  await outbox.load();
  outbox.up();
  await settle();
  assert.deepEqual(sent, ['1', '2']);
  assert.deepEqual(states(outbox), ['first:sent', 'second:sent', 'refused:failed']);
});

test('the end of a session leaves nothing, and says how much was lost', async () => {
  const { outbox, disk } = box(async () => { throw new Error('link down'); });
  outbox.add(ROOM, 'a', '');
  outbox.add(ROOM, 'b', '');
  await settle();
  assert.equal(disk.size, 2);
  assert.equal(await outbox.wipe(), 2);
  assert.equal(disk.size, 0);
  assert.equal(outbox.size, 0);
});

test('the queue has an end, and a room that is gone has none of it', async () => {
  const { outbox, disk } = box(async () => ({ seq: 1 }));
  for (let i = 0; i < MAX_PENDING; i++) assert.equal(outbox.add(ROOM, String(i), ''), true);
  assert.equal(outbox.add(ROOM, 'one too many', ''), false);
  outbox.only((id) => id !== ROOM);
  await settle();
  assert.equal(outbox.size + disk.size, 0);
});
