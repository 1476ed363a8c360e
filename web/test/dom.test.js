import assert from 'node:assert/strict';
import test from 'node:test';

/** As much of a document as making elements needs. */
class Fake {
  /** @type {Record<string, string>} */ attributes = {};
  /** @type {Record<string, string>} */ dataset = {};
  /** @type {any[]} */ kids = [];
  /** @param {string} tag */
  constructor(tag) { this.tag = tag; }
  /** @param {string} k @param {string} v */ setAttribute(k, v) { this.attributes[k] = v; }
  /** @param {...any} kids */ append(...kids) { this.kids.push(...kids); }
  addEventListener() {}
  /** @returns {string} */ get textContent() { return this.kids.map((k) => (typeof k === 'string' ? k : k.textContent)).join(''); }
}
Object.assign(globalThis, { document: { createElement: (/** @type {string} */ t) => new Fake(t), createTextNode: (/** @type {string} */ t) => ({ textContent: t }) } });
const { h, safeURL } = await import('../static/js/ui/h.js');
const { rich } = await import('../static/js/ui/rich.js');
/** @param {Parameters<typeof h>} args */
const made = (...args) => /** @type {Fake} */ (/** @type {unknown} */ (h(...args)));

//control:proves output
test('the element helper refuses whatever could run script', () => {
  for (const props of [{ onclick: 'alert(1)' }, { ONERROR: 'x' }, { innerHTML: '<b>' }, { outerHTML: 'x' }, { srcdoc: 'x' }, { style: 'x' }, { formaction: '/x' }, { nonce: 'x' },
    { href: 'javascript:alert(1)' }, { href: ' java\nscript:alert(1)' }, { href: 'data:text/html,x' }, { href: '//evil.example' }, { src: 'blob:x' }, { 'xlink:href': 'javascript:x' }]) {
    assert.throws(() => h('a', props), /refused|not an http/, JSON.stringify(props));
  }
  for (const tag of ['script', 'IFRAME', 'object', 'embed', 'base', 'link', 'meta', 'style']) assert.throws(() => h(tag), /not made here/, tag);
});

test('the element helper makes text of text', () => {
  const el = made('p', { class: 'x', hidden: true, title: false, 'aria-pressed': false }, '<img src=x onerror=alert(1)>', null, false, 7);
  assert.deepEqual(el.kids, ['<img src=x onerror=alert(1)>', '7']);
  assert.deepEqual(el.attributes, { class: 'x', hidden: '', 'aria-pressed': 'false' });
});

test('addresses: http, https and our own paths', () => {
  for (const good of ['https://example.com/x', 'http://example.com', '/rooms/1', '#top']) assert.ok(safeURL(good), good);
  for (const bad of ['javascript:x', 'JAVASCRIPT:x', '\tjavascript:x', 'vbscript:x', 'data:x', 'file:///x', '//evil.example', '\\\\evil.example', '/\\evil.example', 'https://']) assert.ok(!safeURL(bad), bad);
});

/** @param {string} body */
const parts = (body) => /** @type {any[]} */ (rich(body, 'alice'));

//control:proves output
test('a message becomes text, links and the reader’s name, and nothing else', () => {
  const body = 'see https://example.com/a?b=1. @alice, not @bob, not x@alice.com <b>';
  const nodes = parts(body);
  assert.equal(nodes.map((n) => n.textContent).join(''), body);
  assert.deepEqual(nodes.filter((n) => n instanceof Fake).map((n) => [n.tag, n.textContent, n.attributes.href]), [['a', 'https://example.com/a?b=1', 'https://example.com/a?b=1'], ['span', '@alice', undefined]]);
  assert.equal(nodes.find((n) => n.tag === 'a').attributes.rel, 'noopener noreferrer nofollow ugc');
});

test('javascript: and data: stay text', () => {
  for (const body of ['javascript:alert(1)', 'data:text/html,<script>', 'https://', 'http:// x']) assert.ok(parts(body).every((n) => !(n instanceof Fake)), body);
});

//control:proves output
test('a host that looks like another shows its real name', () => {
  const [, link] = parts('go to https://аррӏе.com/x');
  assert.match(link.textContent, /\[xn--80ak6aa92e\.com\]$/);
  const [, honest] = parts('go to https://apple.com/x');
  assert.equal(honest.textContent, 'https://apple.com/x');
});

//control:proves unicode
test('a hidden character shows its code point, and what people write shows as it is', () => {
  const shown = (/** @type {string} */ s) => parts(s).map((n) => n.textContent).join('');
  assert.equal(shown('pay \u202Ecila'), 'pay U+202Ecila');
  assert.equal(shown('ad\u200Bmin\u2066'), 'adU+200BminU+2066');
  assert.equal(shown('hi\u{E0068}'), 'hiU+E0068');
  for (const s of ['👨‍👩‍👧‍👦 🏳️‍🌈 ❤️', '\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}', 'می\u200Cخواهم', 'שלום \u200Fx', 'क्\u200Dष', 'a\nb\tc']) assert.equal(shown(s), s);
});
