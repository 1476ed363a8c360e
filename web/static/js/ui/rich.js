// @ts-check
import { h } from './h.js';

/** Addresses and names in a message; everything else stays text. */
const PARTS = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}])|(?<![\w@])@([a-z0-9][a-z0-9._-]{0,31})/gi;

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
    out.push(document.createTextNode(body.slice(from, m.index)), node);
    from = m.index + m[0].length;
  }
  out.push(document.createTextNode(body.slice(from)));
  return out;
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
