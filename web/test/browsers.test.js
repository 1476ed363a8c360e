// @ts-check
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';

const script = readFileSync(new URL('../static/js/theme.js', import.meta.url), 'utf8');

/** Runs the script in a browser that can do what is given; says whether its user is told. @param {{popover?: boolean, colours?: boolean}} can */
function told(can) {
  let hidden = true, ready = () => {};
  const world = {
    localStorage: { getItem: () => null },
    addEventListener: (/** @type {string} */ _, /** @type {() => void} */ f) => { ready = f; },
    HTMLElement: { prototype: can.popover ? { popover: null } : {} },
    CSS: { supports: () => can.colours },
    document: { documentElement: { dataset: {} }, getElementById: () => ({ removeAttribute: () => { hidden = false; } }) },
  };
  vm.runInNewContext(script, world);
  ready();
  return !hidden;
}

test('who lacks what the pages need is told, and nobody else', () => {
  const all = { popover: true, colours: true };
  assert.equal(told(all), false);
  for (const name of Object.keys(all)) assert.equal(told({ ...all, [name]: false }), true, name);
});

// What Chromium, where the journeys run, does right by itself, and another engine does not.

test('the rows of a popover that is a grid keep their height: WebKit stretches them over the whole page', () => {
  const sheet = readFileSync(new URL('../static/css/controls.css', import.meta.url), 'utf8');
  const grids = sheet.match(/:popover-open \{ display: grid[^}]*\}/g) ?? [];
  assert.equal(grids.length, 1);
  assert.match(grids[0], /align-content: start/);
});

test('Esc closes every dialog: a search field of WebKit keeps that key for itself', () => {
  const dir = new URL('../templates/', import.meta.url), dialogs = readdirSync(dir).flatMap((f) => readFileSync(new URL(f, dir), 'utf8').match(/<dialog[\s\S]*?<\/dialog>/g) ?? []);
  assert.ok(dialogs.length > 3);
  for (const d of dialogs) assert.doesNotMatch(d, /type="search"/);
});
