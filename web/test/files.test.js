import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { gzipSync } from 'node:zlib';

const root = new URL('../', import.meta.url);
/** @param {string} dir @param {string} ending @returns {string[]} */
const files = (dir, ending) => readdirSync(new URL(dir, root), { recursive: true }).map((f) => `${dir}/${f}`).filter((f) => f.endsWith(ending)).sort();
/** @param {string} file */
const read = (file) => readFileSync(new URL(file, root), 'utf8');
/** @param {string} text */
const gz = (text) => gzipSync(text, { level: 9 }).length;

const js = files('static/js', '.js'), css = files('static/css', '.css');

/** What only the other pages load, the chat having a head of its own. */
const ELSEWHERE = ['static/css/pages.css', 'static/css/catalogue.css', 'static/css/security.css', 'static/js/controls.js', 'static/js/security.js', 'static/js/ui/bars.js', 'static/js/ui/window.js', 'static/js/passkey.js', 'static/js/password.js', 'static/js/net/webauthn.js'];
/** What the chat loads only when somebody begins to use it, or chooses it. */
const LATER = ['static/js/acts.js', 'static/js/net/packed.js', 'static/js/ui/attach.js', 'static/js/net/upload.js', 'static/js/ui/dialogs.js', 'static/js/ui/menus.js', 'static/js/ui/sheet.js', 'static/js/ui/menu.js', 'static/js/protocol/emoji.js', 'static/js/protocol/msgpack.js'];

/** A source file without comments and indentation. @param {string} s */
const code = (s) => s.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '').replace(/ \/\/ [^'"`\n]*$/gm, '').replace(/^\s+/gm, '');

test('the chat stays small enough to read and to load', () => {
  const page = read('templates/layout.html') + read('templates/chat.html');
  const linked = css.filter((f) => page.includes(f.slice('static/'.length)) && !ELSEWHERE.includes(f)), run = js.filter((f) => !ELSEWHERE.includes(f) && !LATER.includes(f));
  assert.deepEqual(linked, css.filter((f) => !ELSEWHERE.includes(f)), 'all but the sheets of the other pages');
  const whole = [...run, ...linked, 'static/icons.svg', 'static/icon.svg'].reduce((n, f) => n + gz(read(f)), 0) + gz(page);
  const scripts = gz(run.map((f) => code(read(f))).join('\n'));
  // All that a first visit of the chat transfers, comments included, each file compressed by itself.
  assert.ok(whole <= 60 * 1024, `the whole page is ${whole} bytes: fetch late what is not needed at once (ui/later.js, LATER above), or decide that it may be larger`);
  // What a browser has to understand: the scripts without comments, as one stream.
  assert.ok(scripts <= 25 * 1024, `the scripts are ${scripts} bytes: fetch late what is not needed at once (ui/later.js, LATER above), or decide that they may be larger`);
});

test('no file is too long to read', () => {
  for (const f of [...js, ...css]) assert.ok(read(f).split('\n').length < 500, f);
});

//control:proves output
test('no script has a way from text to markup or to code', () => {
  for (const f of js) {
    const s = code(read(f));
    for (const sink of [/\binnerHTML\b/, /\bouterHTML\b/, /insertAdjacentHTML/, /document\.write/, /\beval\(/, /new Function/, /DOMParser/, /setHTML/, /createContextualFragment/, /\.srcdoc/, /cssText/, /setAttribute\('(on|style)/]) {
      assert.doesNotMatch(s, sink, `${f}: ${sink}`);
    }
    assert.doesNotMatch(s, /['"`](https?|wss?):\/\/(?!own\.invalid|www\.w3\.org\/2000\/svg)/, `${f} names another host`);
  }
});

test('only ui/ and the two entry points touch the document', () => {
  for (const f of js.filter((f) => /js\/(net|protocol|state)\//.test(f))) assert.doesNotMatch(code(read(f)), /\b(document|window)\b/, f);
});

test('imports point down: ui → state → protocol, net → protocol', () => {
  const may = { protocol: ['protocol'], net: ['net', 'protocol'], state: ['state', 'protocol'], ui: ['ui', 'state', 'protocol'] };
  for (const f of js) {
    const from = /js\/(\w+)\//.exec(f)?.[1];
    if (!from) continue;
    for (const [, to] of code(read(f)).matchAll(/from '\.\.\/(\w+)\//g)) assert.ok(may[/** @type {keyof typeof may} */ (from)].includes(to), `${f} imports ${to}`);
  }
});

test('scripts are checked by types', () => {
  for (const f of js.filter((f) => !f.endsWith('theme.js'))) assert.match(read(f), /^\/\/ @ts-check\n/, f);
});

test('every style is in a layer', () => {
  for (const f of css) {
    const rest = read(f).replace(/\/\*[\s\S]*?\*\//g, '').trim();
    let depth = 0, start = 0;
    for (let i = 0; i < rest.length; i++) {
      if (rest[i] === '{') depth++;
      if ((rest[i] === '}' && --depth === 0) || (rest[i] === ';' && depth === 0)) {
        assert.match(rest.slice(start, i).trim(), /^@layer /, f);
        start = i + 1;
      }
    }
    assert.equal(depth, 0, `${f}: braces`);
    assert.doesNotMatch(rest, /@import|url\(/, f);
  }
});
