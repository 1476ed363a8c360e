// @ts-check
/**
 * Which rows of a long table are in sight. All rows are equally high, so that this is
 * arithmetic and the document holds only what can be seen.
 * @param {number} top how far it is scrolled @param {number} height of what is seen
 * @param {number} row height of one @param {number} total rows
 * @returns {{first: number, last: number, before: number, after: number}} rows [first, last) and the empty space around them
 */
export function inSight(top, height, row, total) {
  const spare = 6; // above and below, so that scrolling shows no blank
  const first = Math.max(0, Math.min(Math.floor(top / row) - spare, Math.max(0, total - Math.ceil(height / row) - spare)));
  const last = Math.min(total, Math.ceil((top + height) / row) + spare);
  return { first, last: Math.max(first, last), before: first * row, after: (total - Math.max(first, last)) * row };
}

/**
 * How far to scroll so that a row is whole in sight, and no farther.
 * @param {number} top how far it is scrolled now @param {number} height of what is seen
 * @param {number} row height of one @param {number} index of the row
 */
export const reach = (top, height, row, index) => Math.min(index * row, Math.max(top, (index + 1) * row - height));

/** The newest items first, and no more than there is room for. @template T */
export class Ring {
  /** @type {T[]} */ items = [];
  /** @param {number} most */
  constructor(most) { this.most = most; }
  /** @param {T} item */
  add(item) { this.items.unshift(item); if (this.items.length > this.most) this.items.length = this.most; }
}

/** @typedef {{id: number, at: string, name: string, level: string, control: string, missed?: number} & Record<string, any>} SecurityEvent */

const SEARCHED = ['name', 'control', 'reason', 'user', 'username', 'conn', 'source_ip', 'origin', 'user_agent', 'detail', 'request_id', 'session'];

/** Whether an event passes the filter. A gap always does: what is missing might. @param {SecurityEvent} e @param {{control: string, level: string, text: string}} by */
export function wanted(e, by) {
  if (e.missed) return true;
  if ((by.control && e.control !== by.control) || (by.level && e.level !== by.level)) return false;
  return SEARCHED.map((k) => e[k] ?? '').join(' ').toLowerCase().includes(by.text.toLowerCase());
}

/** What a screen reader is told of a burst. @param {SecurityEvent[]} events */
export function spoken(events) {
  const refused = events.filter((e) => !e.missed && e.level !== 'INFO');
  const missed = events.reduce((n, e) => n + (e.missed ?? 0), 0);
  const words = [];
  if (refused.length === 1) words.push(`${refused[0].control}: ${refused[0].name}`);
  else if (refused.length) words.push(`${refused.length} refusals: ${[...new Set(refused.map((e) => e.control))].join(', ')}`);
  if (missed) words.push(`${missed} events were not shown`);
  return words.join('. ');
}
