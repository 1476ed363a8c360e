import assert from 'node:assert/strict';
import test from 'node:test';

Object.assign(globalThis, { document: { createElement: () => { throw new Error('nothing is drawn here'); } } });
const { inSight, reach, Ring, spoken, wanted } = await import('../static/js/ui/window.js');
const { place, roundUp } = await import('../static/js/ui/bars.js');

/** @param {Partial<import('../static/js/ui/window.js').SecurityEvent>} e */
const event = (e) => ({ id: 1, at: '2026-01-02T03:04:05.000Z', name: 'malicious_cors', level: 'WARN', control: 'origin', ...e });

test('only the rows in sight are in the document, and they fill it to the pixel', () => {
  for (const total of [0, 1, 5, 500]) {
    for (const top of [0, 1, 31, 32, 1000, 15_999, 40_000]) {
      const { first, last, before, after } = inSight(top, 420, 32, total);
      assert.ok(last - first <= Math.ceil(420 / 32) + 1 + 2 * 6, `${last - first} rows of ${total}`);
      assert.equal(before + (last - first) * 32 + after, total * 32);
      assert.ok(first >= 0 && last <= total && first <= last);
      for (let y = top; y < Math.min(top + 420, total * 32); y += 16) assert.ok(Math.floor(y / 32) >= first && Math.floor(y / 32) < last, `the row at ${y} of ${total} is missing`);
    }
  }
});

test('a row that is gone to is whole in sight, and the table moves no farther than it must', () => {
  for (const top of [0, 31, 1000, 15_999]) {
    for (const index of [0, 1, 12, 13, 61, 499]) {
      const to = reach(top, 386, 32, index);
      assert.ok(to <= index * 32 && (index + 1) * 32 <= to + 386, `row ${index} from ${top}: ${to}`);
      if (top <= index * 32 && (index + 1) * 32 <= top + 386) assert.equal(to, top);
    }
  }
});

test('a flood of events costs the page what it keeps and no more', () => {
  const ring = new Ring(500);
  for (let id = 1; id <= 10_000; id++) ring.add(event({ id }));
  assert.equal(ring.items.length, 500);
  assert.deepEqual([ring.items[0].id, ring.items[499].id], [10_000, 9_501]);
});

test('the filter looks at control, level and every text, and never hides a gap', () => {
  const all = { control: '', level: '', text: '' };
  assert.ok(wanted(event({}), all));
  assert.ok(wanted(event({ user_agent: 'Curl/8' }), { ...all, text: 'cURL' }));
  assert.ok(!wanted(event({}), { ...all, text: 'curl' }));
  assert.ok(!wanted(event({}), { ...all, control: 'ticket' }));
  assert.ok(!wanted(event({}), { ...all, level: 'CRITICAL' }));
  assert.ok(wanted(event({ missed: 3 }), { control: 'ticket', level: 'INFO', text: 'x' }));
});

test('a screen reader hears one sentence of a burst, and nothing of what is only information', () => {
  assert.equal(spoken([event({ level: 'INFO' })]), '');
  assert.equal(spoken([event({})]), 'origin: malicious_cors');
  assert.equal(spoken([event({}), event({ control: 'ticket' }), event({})]), '3 refusals: origin, ticket');
  assert.equal(spoken([event({ missed: 12, level: '' })]), '12 events were not shown');
});

test('bars stack without gaps, stay inside and name what they are', () => {
  const a = { controls: ['origin', 'ticket', 'other'], minutes: Array.from({ length: 15 }, (_, i) => ({ at: `10:${10 + i}`, refused: [i, 2 * i, i === 14 ? 958 : 0] })) };
  const { bars, most } = place(a, 760);
  assert.equal(most, 1000);
  const last = bars.filter((b) => b.minute === '10:24');
  assert.deepEqual(last.map((b) => [b.control, b.count]), [['origin', 14], ['ticket', 28], ['other', 958]]);
  for (let i = 1; i < last.length; i++) assert.ok(Math.abs(last[i].y + last[i].height - last[i - 1].y) < 1e-9);
  assert.ok(bars.every((b) => b.y >= 0 && b.x >= 40 && b.x + b.width <= 760 && b.height > 0));
  assert.deepEqual(place({ controls: [], minutes: [{ at: '10:00', refused: [] }] }, 300).bars, []);
});

test('the axis ends at a round number that is not below', () => {
  for (const [n, want] of [[0, 1], [1, 1], [2, 2], [3, 5], [7, 10], [11, 20], [99, 100], [101, 200], [499, 500]]) assert.equal(roundUp(n), want);
});
