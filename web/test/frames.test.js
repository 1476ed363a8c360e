import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { bodyProblem, characters, cut, decode, encode, listOf, member, message, room } from '../static/js/protocol/frames.js';

const schemas = new URL('../schemas/', import.meta.url);
const ID = '0190b6a0-1111-7aaa-8bbb-000000000001';
const MESSAGE = { id: ID, seq: 4, author: { id: ID, username: 'alice', display_name: 'Alice' }, body: 'x', created_at: '2026-11-23T15:04:05.678Z', client_id: ID };

test('every example of every server schema is understood', () => {
  let seen = 0;
  for (const file of readdirSync(schemas).filter((f) => f.startsWith('server.'))) {
    for (const example of JSON.parse(readFileSync(new URL(file, schemas), 'utf8')).examples) {
      const f = decode(JSON.stringify(example));
      assert.equal(f?.type, example.type, file);
      seen++;
    }
  }
  assert.ok(seen >= 15, `only ${seen} examples`);
});

test('a command has the shape of its schema example', () => {
  const example = JSON.parse(readFileSync(new URL('client.message.send.v1.json', schemas), 'utf8')).examples[0];
  assert.deepEqual(JSON.parse(encode(example.id, example.type, example.data)), example);
});

test('a frame that is not what the protocol says is refused', () => {
  const change = { v: 1, type: 'message.new', room_id: ID, seq: 5, data: { message: MESSAGE } };
  assert.equal(decode(JSON.stringify(change))?.type, 'message.new');
  /** @type {[string, unknown][]} */
  const cases = [
    ['not JSON', '{'],
    ['not an object', '[]'],
    ['another version', { ...change, v: 2 }],
    ['no type', { v: 1 }],
    ['a room id that is none', { ...change, room_id: '../../x' }],
    ['an id in upper case', { ...change, room_id: ID.toUpperCase() }],
    ['a negative seq', { ...change, seq: -1 }],
    ['a seq beyond exact numbers', { ...change, seq: 2 ** 53 }],
    ['a seq as text', { ...change, seq: '5' }],
    ['no message', { ...change, data: {} }],
    ['a body that is an object', { ...change, data: { message: { ...MESSAGE, body: {} } } }],
    ['an author without id', { ...change, data: { message: { ...MESSAGE, author: { username: 'x' } } } }],
    ['reactions that are no list', { ...change, data: { message: { ...MESSAGE, reactions: {} } } }],
    ['presence that is not yes or no', { v: 1, type: 'presence.changed', room_id: ID, data: { user: MESSAGE.author, online: 'yes' } }],
  ];
  for (const [name, frame] of cases) assert.throws(() => decode(typeof frame === 'string' ? frame : JSON.stringify(frame)), TypeError, name);
});

//control:proves schema
test('nothing but the known fields of a frame is taken', () => {
  const text = `{"v":1,"type":"message.new","room_id":"${ID}","seq":5,"data":{"message":${JSON.stringify(MESSAGE).replace('{', '{"__proto__":{"admin":true},"html":"<b>",')}}}`;
  const f = /** @type {any} */ (decode(text));
  assert.equal(f.message.admin, undefined);
  assert.equal('html' in f.message, false);
  assert.equal(/** @type {any} */ ({}).admin, undefined);
});

test('history of a newer server is history: passed over it would be a hole', () => {
  const f = decode(JSON.stringify({ v: 1, type: 'poll.changed', room_id: ID, seq: 5, data: { message: MESSAGE, by: ID } }));
  assert.deepEqual(f && 'message' in f && [f.seq, f.message.id], [5, ID]);
});

test('a type of a newer server is passed over', () => {
  assert.equal(decode(`{"v":1,"type":"poll.opened","room_id":"${ID}","data":{}}`), null);
  assert.equal(decode('{"v":1,"type":"toString"}'), null);
});

test('one bad entry does not hide a list', () => {
  assert.equal(listOf({ messages: [MESSAGE, { id: 'no' }, MESSAGE] }, 'messages', message).length, 2);
  assert.throws(() => listOf({ messages: 'x' }, 'messages', message), TypeError);
  assert.deepEqual([{ messages: [], more: true }, { messages: [] }, { messages: [], more: 'x' }].map(cut), [true, false, false]);
  assert.equal(room({ id: ID, title: 'a', visibility: 'open', head_seq: 3, members: 1 }).role, '');
  assert.equal(member({ user: MESSAGE.author, role: 'member' }).online, false);
});

test('lengths are counted as the server counts them', () => {
  assert.equal(characters('a👍🏽é'), 4);
  assert.equal(bodyProblem('👍'.repeat(4096)), '');
  assert.match(bodyProblem('👍'.repeat(4097)), /4,097 of 4,096/);
  assert.equal(bodyProblem('two\nlines\tand a tab'), '');
  for (const bad of ['\u202eevil', 'a\u0000b', '\u2066x', 'a\rb']) assert.match(bodyProblem(bad), /control/);
  assert.match(bodyProblem('  \n '), /empty/);
});
