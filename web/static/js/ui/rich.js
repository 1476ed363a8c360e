// @ts-check
import { h } from './h.js';

/** Addresses and names in a message; everything else stays text. */
const PARTS = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}])|(?<![\w@])@([a-z0-9][a-z0-9._-]{0,31})/gi;

/**
 * Characters that nobody sees and that the server takes in no message any more; tags
 * are part of three flags and hidden text everywhere else.
 */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|(?<!\u{1f3f4}[\u{e0061}-\u{e007a}]*)[\u{e0000}-\u{e007f}]/gu;

/** Text as nodes, with what is hidden in it shown as its code point. @param {string} s @returns {Node[]} */
function seen(s) {
  const out = [];
  let from = 0;
  for (const m of s.matchAll(HIDDEN)) {
    out.push(document.createTextNode(s.slice(from, m.index)), h('span', { class: 'host', title: 'a hidden character' }, `U+${/** @type {number} */ (m[0].codePointAt(0)).toString(16).toUpperCase().padStart(4, '0')}`));
    from = m.index + m[0].length;
  }
  return [...out, document.createTextNode(s.slice(from))];
}

/**
 * A message body as nodes: text, links to http and https, and the reader's own name.
 * A link whose host is not what it looks like (a letter of another alphabet) shows
 * its real name in punycode beside it.
 * @param {string} body @param {string} me username
 * @returns {Node[]}
 */
export function rich(body, me) {
  const out = [];
  let from = 0;
  for (const m of body.matchAll(PARTS)) {
    const node = m[1] ? link(m[1]) : m[2].toLowerCase() === me ? h('span', { class: 'mention' }, m[0]) : null;
    if (!node) continue;
    out.push(...seen(body.slice(from, m.index)), node);
    from = m.index + m[0].length;
  }
  return [...out, ...seen(body.slice(from))];
}

/** @param {string} address */
function link(address) {
  let url;
  try { url = new URL(address); } catch { return null; }
  const a = h('a', { href: url.href, rel: 'noopener noreferrer nofollow ugc', target: '_blank' }, address);
  const says = /^https?:\/\/([^/?#]*)/i.exec(address)?.[1].toLowerCase() ?? '';
  if (says === url.host || says === `${url.host}:${url.protocol === 'https:' ? 443 : 80}`) return a;
  return h('span', null, a, h('span', { class: 'host' }, ` [${url.host}]`));
}
