// @ts-check
import { h } from './h.js';

/** @typedef {{controls: string[], minutes: {at: string, refused: number[]}[]}} Activity */
/** @typedef {{x: number, y: number, width: number, height: number, series: number, minute: string, control: string, count: number}} Bar */

const HEIGHT = 200, LABEL = 48, LEFT = 40, BOTTOM = 22, TOP = 8;

/** The least round number that is not below n: 1, 2 or 5 times a power of ten. @param {number} n */
export function roundUp(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, n)));
  return [1, 2, 5, 10].map((k) => k * power).find((k) => k >= n) ?? n;
}

/** Where the parts of the stacked bars are. @param {Activity} a @param {number} width @returns {{bars: Bar[], most: number, step: number}} */
export function place(a, width) {
  const most = roundUp(Math.max(1, ...a.minutes.map((m) => m.refused.reduce((n, x) => n + x, 0))));
  const step = (width - LEFT) / a.minutes.length, room = HEIGHT - BOTTOM - TOP;
  /** @type {Bar[]} */ const bars = [];
  a.minutes.forEach((m, i) => {
    let base = HEIGHT - BOTTOM;
    m.refused.forEach((count, series) => {
      const height = (count / most) * room;
      if (!count) return;
      base -= height;
      bars.push({ x: LEFT + i * step + step * 0.1, y: base, width: step * 0.8, height, series, minute: m.at, control: a.controls[series], count });
    });
  });
  return { bars, most, step };
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} kids */
function svg(tag, attributes, ...kids) {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, String(v));
  el.append(...kids);
  return el;
}

/** One pattern for each control, so that colour is not needed to tell them apart. */
function patterns() {
  const lines = [[], ['M0 8 8 0'], ['M0 4H8'], ['M4 0V8'], ['M0 0 8 8', 'M0 8 8 0'], ['M4 4h.1']];
  return svg('defs', {}, ...lines.map((paths, i) => svg('pattern', { id: `p${i}`, width: 8, height: 8, patternUnits: 'userSpaceOnUse' },
    svg('rect', { width: 8, height: 8, class: `s${i}` }), ...paths.map((d) => svg('path', { d, class: 'mark', 'stroke-linecap': 'round' })))));
}

/** Draws the chart into a figure. @param {HTMLElement} figure @param {Activity} a */
export function draw(figure, a) {
  const width = Math.max(280, figure.clientWidth - 26); // its padding and border
  const { bars, most, step } = place(a, width), every = Math.ceil(LABEL / step), foot = HEIGHT - BOTTOM;
  const total = bars.reduce((n, b) => n + b.count, 0);
  const chart = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-labelledby': 'chart-title' },
    svg('title', { id: 'chart-title' }, total ? `${total} warnings in 15 minutes: ${a.controls.map((c, i) => `${c} ${a.minutes.reduce((n, m) => n + m.refused[i], 0)}`).join(', ')}` : 'No warnings in 15 minutes'),
    patterns(),
    svg('text', { x: LEFT - 6, y: TOP + 8, 'text-anchor': 'end' }, String(most)), svg('text', { x: LEFT - 6, y: foot, 'text-anchor': 'end' }, '0'),
    svg('path', { d: `M${LEFT} ${TOP}V${foot}H${width}`, fill: 'none', class: 'axis' }),
    ...a.minutes.filter((_, i) => i % every === 0).map((m, i) => svg('text', { x: LEFT + (every * i + 0.5) * step, y: HEIGHT - 6, 'text-anchor': 'middle' }, m.at)),
    ...bars.map((b) => svg('rect', { x: b.x, y: b.y, width: b.width, height: b.height, fill: `url(#p${b.series})` }, svg('title', {}, `${b.minute} ${b.control}: ${b.count}`))));
  const legend = h('ul', { class: 'legend' }, ...a.controls.map((c, i) => h('li', null, svg('svg', { viewBox: '0 0 20 14', 'aria-hidden': 'true' }, svg('rect', { width: 20, height: 14, fill: `url(#p${i})` })), c)));
  figure.replaceChildren(chart, legend);
}

/** Fills the table that says the same. @param {HTMLTableElement} table @param {Activity} a */
export function fill(table, a) {
  const head = a.controls.length ? a.controls : ['Nothing'];
  table.replaceChildren(
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Minute (UTC)'), ...head.map((c) => h('th', { scope: 'col' }, c)))),
    h('tbody', null, ...a.minutes.map((m) => h('tr', null, h('th', { scope: 'row' }, m.at), ...(m.refused.length ? m.refused : [0]).map((n) => h('td', null, n))))));
}
