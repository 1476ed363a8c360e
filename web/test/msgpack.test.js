import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { decode, understand } from '../static/js/protocol/frames.js';
import { pack, unpack } from '../static/js/protocol/msgpack.js';

/** @param {string} hex */
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (x) => parseInt(x, 16));
/** @param {unknown} v what unpack gives, with ordinary objects, to compare */
const plain = (v) => JSON.parse(JSON.stringify(v));

//control:proves msgpack
test('msgpack: the browser agrees with the server about every row of the table of bytes', () => {
  let written = true, rows = 0;
  for (const line of readFileSync(new URL('../testdata/msgpack.tsv', import.meta.url), 'utf8').split('\n')) {
    if (line.startsWith('#')) { written &&= rows === 0; continue; }
    if (!line) continue;
    const [name, hex, value] = line.split('\t');
    rows++;
    if (value.startsWith('!')) {
      assert.throws(() => unpack(bytes(hex)), { name: 'TypeError', message: value.slice(1) }, name);
      continue;
    }
    assert.deepEqual(plain(unpack(bytes(hex))), JSON.parse(value), name);
    if (written) assert.deepEqual(pack(JSON.parse(value)), bytes(hex), name);
  }
  assert.ok(rows > 50, `only ${rows} rows`);
});

//control:proves msgpack
test('msgpack: every event and command comes back as it went', () => {
  const schemas = new URL('../schemas/', import.meta.url);
  let seen = 0;
  for (const file of readdirSync(schemas).filter((f) => /^(server|client)\./.test(f))) {
    for (const example of JSON.parse(readFileSync(new URL(file, schemas), 'utf8')).examples) {
      assert.deepEqual(plain(unpack(pack(example))), example, file);
      if (file.startsWith('server.')) assert.deepEqual(understand(unpack(pack(example))), decode(JSON.stringify(example)), file);
      seen++;
    }
  }
  assert.ok(seen > 25, `only ${seen} examples`);
});

//control:proves msgpack
test('msgpack: a key __proto__ pollutes nothing', () => {
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    const hostile = Uint8Array.from([0x81, 0xa0 | key.length, ...new TextEncoder().encode(key), 0x81, 0xa8, ...new TextEncoder().encode('polluted'), 0xc3]);
    const v = /** @type {any} */ (unpack(hostile));
    assert.equal(Object.getPrototypeOf(v), null);
    assert.equal(v.polluted, undefined);
    assert.equal(/** @type {any} */ ({}).polluted, undefined, key);
    assert.throws(() => understand(v), TypeError);
  }
});

//control:proves msgpack
test('msgpack: what the format has no place for is refused before it is sent', () => {
  for (const v of [1.5, NaN, Infinity, 2 ** 53, 'a\ud800', () => 1, Symbol('x'), 10n, [undefined]]) assert.throws(() => pack(v), TypeError, String(v));
  assert.deepEqual(pack({ a: 1, b: undefined }), pack({ a: 1 }));
});
