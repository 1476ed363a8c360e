// @ts-check
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const date = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** @param {string | number} at */
export const hour = (at) => clock.format(new Date(at));
/** @param {string | number} at */
export const moment = (at) => full.format(new Date(at));

/** @param {string} at */
export function day(at) {
  const d = new Date(at), days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
  return days === 0 ? 'Today' : days === 1 ? 'Yesterday' : date.format(d);
}

/** A time that is left, in words. @param {number} ms */
export function left(ms) {
  const s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), hours = Math.floor(m / 60);
  if (hours > 47) return `in ${Math.floor(hours / 24)} days`;
  if (hours > 0) return `in ${hours} h ${m % 60} min`;
  return m > 4 ? `in ${m} min` : m > 0 ? `in ${m} min ${s % 60} s` : `in ${s} s`;
}

/** @param {number} n @param {string} one @param {string} many */
export const plural = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
