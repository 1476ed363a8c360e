import assert from 'node:assert/strict';
import test from 'node:test';
import { UNLOADED, later } from '../static/js/ui/later.js';

/** A part whose file comes at the given tries. @param {boolean[]} comes */
function fetched(comes) {
  let tries = 0;
  /** @type {string[]} */ const told = [];
  const part = later(async () => { if (!comes[tries++]) throw new TypeError('Failed to fetch'); return { doubled: (/** @type {number} */ n) => 2 * n }; }, (words) => told.push(words));
  return { part, told, tries: () => tries };
}

test('a part is fetched when it is first asked for, and once', async () => {
  const { part, told, tries } = fetched([true]);
  assert.equal(tries(), 0);
  part.warm();
  assert.deepEqual(await Promise.all([part.use((p) => p.doubled(1)), part.use((p) => p.doubled(2))]), [2, 4]);
  assert.equal(tries(), 1);
  assert.deepEqual(told, []);
});

test('a fetch that fails once is mended without a word', async () => {
  const { part, told, tries } = fetched([false, true]);
  assert.equal(await part.use((p) => p.doubled(3)), 6);
  assert.deepEqual([tries(), told], [2, []]);
});

test('a part that cannot be had is said in words, and fetched again at the next asking', async () => {
  const { part, told, tries } = fetched([false, false, true]);
  assert.equal(await part.use(() => assert.fail('there is nothing to use')), undefined);
  assert.deepEqual(told, [UNLOADED]);
  assert.equal(await part.use((p) => p.doubled(4)), 8);
  assert.equal(tries(), 3);
});

test('fetching ahead says nothing when it fails', async () => {
  const { part, told } = fetched([false, true]);
  part.warm();
  await new Promise((r) => setImmediate(r));
  assert.deepEqual(told, []);
  assert.equal(await part.use((p) => p.doubled(5)), 10);
});

test('what goes wrong inside a part is not taken for a part that is missing', async () => {
  const { part, told } = fetched([true]);
  await assert.rejects(part.use(() => { throw new RangeError('inside'); }), RangeError);
  assert.deepEqual(told, []);
});
