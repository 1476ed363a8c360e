// @ts-check
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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
