import assert from 'node:assert/strict';
import test from 'node:test';
import { Api } from '../static/js/net/api.js';
import { backoff } from '../static/js/net/backoff.js';
import { LinkDown, Refused, Socket, ownSocket } from '../static/js/net/socket.js';
import { ticket } from '../static/js/net/ticket.js';

const ME = { id: '0190b6a0-1111-7aaa-8bbb-000000000001', username: 'alice', display_name: 'Alice' };
const HELLO = JSON.stringify({ v: 1, type: 'hello', data: { conn_id: 'c1', server_time: 'x', session_ends_at: '2026-11-23T23:04:05.678Z', user: { ...ME, role: 'user' }, protocol: 'portcullis.v1.json', limits: { messages_per_minute: 100, rooms_per_connection: 100 }, ping_every_ms: 25000 } });

/** A socket that does what the test says. */
class FakeSocket {
  /** @type {FakeSocket[]} */ static made = [];
  readyState = 1;
  bufferedAmount = 0;
  protocol = 'portcullis.v1.json';
  /** @type {any[]} */ sent = [];
  /** @type {any} */ onopen; /** @type {any} */ onmessage; /** @type {any} */ onclose;
  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) { this.url = url; this.protocols = protocols; FakeSocket.made.push(this); }
  /** @param {string} t */ send(t) { this.sent.push(JSON.parse(t)); }
  /** @param {number} [code] */ close(code) { this.readyState = 3; this.closed = code; }
  /** @param {string} data */ say(data) { this.onmessage({ data }); }
  /** @param {number} code */ die(code) { this.readyState = 3; this.onclose({ code }); }
}

const settle = async () => { for (let i = 0; i < 20; i++) await Promise.resolve(); };

/** @param {Partial<ConstructorParameters<typeof Socket>[0]>} [o] */
function make(o) {
  FakeSocket.made = [];
  let tickets = 0;
  /** @type {any[]} */ const frames = [], states = [], traffic = [];
  const s = new Socket({
    url: 'wss://app/ws', ticket: async () => `t.${++tickets}.s`, resume: async () => {}, onFrame: (f) => frames.push(f), onState: (x) => states.push(x.name),
    onTraffic: (t) => traffic.push(t), WebSocket: /** @type {any} */ (FakeSocket), online: () => true, ...o,
  });
  return { s, frames, states, traffic, last: () => /** @type {FakeSocket} */ (FakeSocket.made.at(-1)), dials: () => FakeSocket.made.length };
}

//control:proves output
test('the socket has to be on the page’s own host and not weaker than the page', () => {
  const page = { protocol: 'https:', host: 'app.example.com' };
  assert.equal(ownSocket('wss://app.example.com/ws', page), 'wss://app.example.com/ws');
  for (const bad of ['wss://evil.example.com/ws', 'wss://app.example.com.evil.com/ws', 'wss://app.example.com:8443/ws', 'ws://app.example.com/ws', 'https://app.example.com/ws', 'wss://app.example.com@evil.com/ws', 'wss://u:p@app.example.com/ws', 'wss://app.example.com/ws?ticket=x', 'javascript:alert(1)', '', '/ws']) {
    assert.throws(() => ownSocket(bad, page), undefined, bad);
  }
  assert.equal(ownSocket('ws://localhost:8080/ws', { protocol: 'http:', host: 'localhost:8080' }), 'ws://localhost:8080/ws');
});

test('waiting is jittered, grows, is capped, and the server’s word wins', () => {
  assert.equal(backoff(1, 0, () => 0), 0);
  assert.equal(backoff(1, 0, () => 0.999), 999);
  assert.ok(backoff(5, 0, () => 0.999) > backoff(4, 0, () => 0.999));
  assert.ok(backoff(500, 0, () => 0.999) <= 30_000);
  assert.equal(backoff(9, 4000, () => 0), 4000);
  assert.equal(backoff(9, 4000, () => 0.999), 4400);
});

test('every dial has a fresh ticket, offered beside the protocol and never in the address', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const { s, last, dials, states } = make();
  s.now();
  await settle();
  assert.deepEqual(last().protocols, ['portcullis.v1.json', 'ticket.t.1.s']);
  assert.equal(last().url, 'wss://app/ws');
  last().say(HELLO);
  await settle();
  assert.equal(states.at(-1), 'live');
  last().die(1012);
  assert.equal(states.at(-1), 'waiting');
  t.mock.timers.tick(1000);
  await settle();
  assert.equal(dials(), 2);
  assert.deepEqual(last().protocols, ['portcullis.v1.json', 'ticket.t.2.s']);
});

test('the link is live only when it has caught up', async () => {
  /** @type {(v?: unknown) => void} */ let done = () => {};
  const { s, last } = make({ resume: () => /** @type {Promise<void>} */ (new Promise((r) => { done = r; })) });
  s.now();
  await settle();
  last().say(HELLO);
  await settle();
  assert.equal(s.state.name, 'resuming');
  done();
  await settle();
  assert.equal(s.live, true);
  s.end('stopped', '');
});

test('an answer goes to who asked, a refusal with its code', async () => {
  const { s, last, traffic } = make();
  s.now();
  await settle();
  last().say(HELLO);
  await settle();
  const a = s.request('read.mark', { seq: 1 }), b = s.request('message.send', { body: 'secret words' });
  const [ra, rb] = last().sent.map((f) => f.id);
  last().say(JSON.stringify({ v: 1, type: 'error', re: rb, code: 'denied', retry_ms: 0 }));
  last().say(JSON.stringify({ v: 1, type: 'ack', re: ra, data: { seq: 7 } }));
  assert.equal((await a).seq, 7);
  await assert.rejects(b, (/** @type {Refused} */ e) => e instanceof Refused && e.code === 'denied');
  assert.ok(!JSON.stringify(traffic).includes('secret words'), 'the inspector holds content');
  s.end('stopped', '');
});

test('a link that breaks leaves its questions open, for the same id to ask again', async () => {
  const { s, last } = make();
  s.now();
  await settle();
  last().say(HELLO);
  await settle();
  const asked = s.request('message.send', {}, { id: ME.id });
  last().die(1006);
  await assert.rejects(asked, LinkDown);
  await assert.rejects(s.request('message.send', {}), LinkDown);
  s.end('stopped', '');
});

test('an answer that does not come means a dead link', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const { s, last, dials } = make();
  s.now();
  await settle();
  last().say(HELLO);
  await settle();
  const asked = assert.rejects(s.request('message.send', {}), LinkDown);
  const first = last();
  t.mock.timers.tick(15_000);
  await asked;
  await settle();
  assert.equal(first.closed, 4000);
  assert.equal(dials(), 2);
  s.end('stopped', '');
});

test('a dial that says nothing is given up', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const { s, states } = make();
  s.now();
  await settle();
  t.mock.timers.tick(10_000);
  assert.equal(states.at(-1), 'waiting');
  s.end('stopped', '');
});

//control:proves slow-consumer
test('what the browser cannot get rid of is refused here and not piled up', async (t) => {
  const { s, last } = make();
  t.after(() => s.end('stopped', ''));
  s.now();
  await settle();
  last().say(HELLO);
  await settle();
  last().bufferedAmount = 300_000;
  await assert.rejects(Promise.race([s.request('message.send', {}), settle()]), (/** @type {Refused} */ e) => e.code === 'busy');
  s.tell('typing.start', {});
  assert.equal(last().sent.length, 0);
});

test('close codes decide what comes next', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  for (const [code, state, after] of /** @type {[number, string, number][]} */ ([[4403, 'signed-out', 1], [4402, 'signed-out', 1], [4409, 'stopped', 1], [1009, 'stopped', 1], [4401, 'waiting', 2], [1006, 'waiting', 2], [4431, 'waiting', 2]])) {
    const { s, last, dials, states } = make();
    s.now();
    await settle();
    last().say(HELLO);
    await settle();
    last().die(code);
    assert.equal(states.at(-1), state, String(code));
    t.mock.timers.tick(1000);
    await settle();
    assert.equal(dials(), after, String(code));
    s.end('stopped', '');
  }
});

test('after 4429 the server’s time is kept', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const { s, last, dials } = make();
  s.now();
  await settle();
  last().say(HELLO);
  await settle();
  last().say(JSON.stringify({ v: 1, type: 'error', code: 'rate_limited', retry_ms: 9000 }));
  last().die(4429);
  t.mock.timers.tick(8999);
  await settle();
  assert.equal(dials(), 1);
  t.mock.timers.tick(1000);
  await settle();
  assert.equal(dials(), 2);
  s.end('stopped', '');
});

test('a ticket that is refused for want of a session ends it', async () => {
  const { s, dials } = make({ ticket: async () => { throw Object.assign(new Error('no'), { status: 401 }); } });
  s.now();
  await settle();
  assert.equal(s.state.name, 'signed-out');
  s.now();
  s.redial();
  await settle();
  assert.equal(s.state.name, 'signed-out');
  assert.equal(dials(), 0);
});

test('a frame that cannot be read does not stop the others', async () => {
  const { s, last, frames, traffic } = make();
  s.now();
  await settle();
  last().say(HELLO);
  last().say('{"v":1,"type":"typing","room_id":"x"}');
  last().say(JSON.stringify({ v: 1, type: 'typing', room_id: ME.id, data: { user: ME } }));
  await settle();
  assert.equal(frames.length, 1);
  assert.ok(traffic.some((x) => x.bad && x.note === 'room_id'));
  s.end('stopped', '');
});

/** @param {[number, unknown][]} answers */
function fakeFetch(answers) {
  /** @type {{path: string, headers: Record<string, string>}[]} */ const calls = [];
  const fetch = async (/** @type {any} */ path, /** @type {any} */ init) => {
    calls.push({ path, headers: init.headers });
    const [status, body] = answers.shift() ?? [500, {}];
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers: status === 429 ? { 'Retry-After': '7' } : {} });
  };
  return { calls, fetch: /** @type {typeof globalThis.fetch} */ (fetch) };
}

test('a renewed CSRF token is fetched once', async () => {
  const { calls, fetch } = fakeFetch([[403, { code: 'csrf' }], [200, { user: ME, csrf_token: 'new' }], [201, { ticket: 'a.b.c' }]]);
  assert.equal(await ticket(new Api('old', ME.id, fetch)), 'a.b.c');
  assert.deepEqual(calls.map((c) => c.headers['X-CSRF-Token']), ['old', undefined, 'new']);
});

test('a page never acts for another person who signed in on this browser', async () => {
  const { calls, fetch } = fakeFetch([[403, { code: 'csrf' }], [200, { user: { ...ME, id: 'other' }, csrf_token: 'new' }]]);
  await assert.rejects(new Api('old', ME.id, fetch).call('POST', '/api/rooms', {}), { status: 401 });
  assert.equal(calls.length, 2);
});

test('a refusal says how long to wait', async () => {
  const { fetch } = fakeFetch([[429, { code: 'rate_limited', message: 'Wait.' }]]);
  await assert.rejects(new Api('c', ME.id, fetch).call('POST', '/x'), { status: 429, retry: 7000, message: 'Wait.' });
});

test('what is not a ticket is not offered', async () => {
  for (const bad of [null, {}, { ticket: '' }, { ticket: 'a b' }, { ticket: 'a.b.c, evil' }]) {
    await assert.rejects(ticket(new Api('c', ME.id, fakeFetch([[201, bad]]).fetch)));
  }
});

//control:proves msgpack
test('with MessagePack the next link offers it, sends and reads binary frames, and text ends it', async () => {
  const { pack, unpack } = await import('../static/js/protocol/msgpack.js');
  const m = make();
  await m.s.encoding(true);
  for (let i = 0; i < 50 && !m.dials(); i++) await new Promise((r) => setTimeout(r, 1));
  const ws = m.last();
  ws.protocol = 'portcullis.v1.msgpack';
  assert.deepEqual(ws.protocols[0], 'portcullis.v1.msgpack');
  /** @type {any} */ (ws).send = (/** @type {Uint8Array} */ b) => ws.sent.push(unpack(b));
  const packed = (/** @type {unknown} */ v) => /** @type {any} */ (pack(v).buffer);
  ws.onopen();
  ws.say(packed(JSON.parse(HELLO)));
  await settle();
  assert.equal(m.states.at(-1), 'live');
  const asked = m.s.request('message.send', { room_id: ME.id, body: 'hi' });
  assert.equal(ws.sent[0].data.body, 'hi');
  ws.say(packed({ v: 1, type: 'ack', re: ws.sent[0].id, data: { seq: 4 } }));
  assert.equal((await asked).seq, 4);
  ws.say(HELLO);
  assert.notEqual(m.states.at(-1), 'live');
  m.s.end('stopped', '');
});
