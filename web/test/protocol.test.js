import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { CLOSE, meaning, verdict } from '../static/js/protocol/codes.js';
import { EMOJI } from '../static/js/protocol/emoji.js';
import { can, canOn } from '../static/js/protocol/roles.js';
import { uuid7 } from '../static/js/protocol/uuid7.js';

/** @param {string} path below internal/ */
const source = (path) => readFileSync(new URL(`../../internal/${path}`, import.meta.url), 'utf8');

test('a message id is a canonical UUIDv7 that carries the time and nothing to guess by', () => {
  const now = Date.parse('2026-11-23T15:04:05.678Z');
  const ids = new Set(Array.from({ length: 1000 }, () => uuid7(now)));
  assert.equal(ids.size, 1000);
  for (const id of ids) {
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(parseInt(id.slice(0, 8) + id.slice(9, 13), 16), now);
  }
});

test('every close code that the server sends has a verdict', () => {
  const sent = [...source('socket/close.go').matchAll(/closeCode = (\d{4})/g)].map((m) => Number(m[1])).filter((c) => c !== 1005);
  assert.ok(sent.length >= 12, `found only ${sent}`);
  for (const code of sent) assert.ok(code in CLOSE, `no verdict for ${code}`);
});

test('an ended session is never dialled again, and a lost link always is', () => {
  for (const code of [4402, 4403, 4405]) assert.equal(verdict(code).retry, 'sign-in');
  for (const code of [1002, 1003, 1007, 1008, 1009, 4406, 4409, 4422]) assert.equal(verdict(code).retry, 'no', String(code));
  for (const code of [1006, 1011, 1012, 4430]) assert.equal(verdict(code).retry, 'backoff', String(code));
  for (const code of [1013, 4429, 3999]) assert.equal(verdict(code).retry, 'long', String(code));
});

test('a code that is a word of JavaScript means nothing special', () => {
  assert.deepEqual(meaning('constructor'), { words: 'it was refused', again: false });
  assert.equal(can('constructor', 'send'), false);
});

test('the reactions are the ones that the server takes', () => {
  const list = /var emoji = \[\]string\{([^}]*)\}/.exec(source('chat/text.go'))?.[1] ?? '';
  assert.deepEqual([...EMOJI], [...list.matchAll(/"([^"]+)"/g)].map((m) => m[1]));
});

test('what the page offers is what the policy allows', () => {
  const table = source('guard/authz/authz.go');
  const names = { send: 'Send', react: 'React', delete_any: 'DeleteAny', invite: 'Invite', mute: 'Mute', remove: 'Remove', ban: 'Ban', change_role: 'ChangeRole' };
  for (const [role, name] of [['reader', 'Reader'], ['member', 'Member'], ['moderator', 'Moderator'], ['owner', 'Owner']]) {
    const allowed = (new RegExp(`\\b${name}:\\s+set\\(([^)]*)\\)`).exec(table)?.[1] ?? '').split(/,\s*/);
    assert.ok(allowed.includes('Read'), `${name} not found in the policy`);
    for (const [action, goName] of Object.entries(names)) assert.equal(can(role, /** @type {any} */ (action)), allowed.includes(goName), `${role} ${action}`);
  }
  assert.equal(canOn('moderator', 'ban', 'moderator'), false);
  assert.equal(canOn('owner', 'ban', 'moderator'), true);
});
