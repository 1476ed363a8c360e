import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

// WCAG 2.2: text 4.5 (1.4.3), parts of controls and the focus ring 3 (1.4.11), recomputed from the style sheet itself.

const css = readFileSync(new URL('../static/css/tokens.css', import.meta.url), 'utf8');
/** @type {Record<string, [string, string]>} */
const tokens = Object.fromEntries([...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map((m) => [m[1], [m[2], m[3]]]));

/** @param {string} hex */
function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
/** @param {string} a @param {string} b */
function ratio(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}

const grounds = ['paper', 'surface', 'sunken'];
/** @type {[string, string[], number][]} */
const pairs = [
  ...['ink', 'ink-2', 'accent', 'ok', 'warn', 'danger'].map((t) => /** @type {[string, string[], number]} */ ([t, grounds, 4.5])),
  ['ink', ['accent-soft'], 4.5],
  ['ink-2', ['accent-soft'], 4.5],
  ['accent', ['accent-soft'], 4.5],
  ['on-accent', ['accent'], 4.5],
  ['edge', grounds, 3],
  ['focus', [...grounds, 'accent-soft'], 3],
];

test('the computation is right', () => {
  assert.equal(ratio('#000000', '#ffffff'), 21);
  assert.ok(Math.abs(ratio('#767676', '#ffffff') - 4.54) < 0.01);
});

for (const [theme, i] of /** @type {[string, 0 | 1][]} */ ([['light', 0], ['dark', 1]])) {
  test(`every pair of colours can be read in the ${theme} theme`, () => {
    for (const [front, backs, least] of pairs) {
      for (const back of backs) {
        assert.ok(tokens[front] && tokens[back], `${front} or ${back} is not a colour token`);
        const got = ratio(tokens[front][i], tokens[back][i]);
        assert.ok(got >= least, `${front} on ${back}: ${got.toFixed(2)} < ${least}`);
      }
    }
  });
}
