// @ts-check
import { h } from './h.js';

/** @import { Upload } from '../../../types/protocol.d.ts' */

/** What people call the kinds of files. @type {Readonly<Record<string, string>>} */
const KINDS = { 'image/png': 'PNG picture', 'image/jpeg': 'JPEG picture', 'text/plain': 'Text', 'application/pdf': 'PDF' };

/** @param {number} bytes */
export const size = (bytes) => (bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${Math.round(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** A picture in a conversation is at most this wide and high. */
const WIDE = 320, HIGH = 240;

/**
 * The files of a message. A picture has its size from the start, so that nothing
 * moves when it comes; everything else is a link that saves.
 * @param {Upload[]} uploads @param {string} author
 */
export function files(uploads, author) {
  if (uploads.length === 0) return null;
  return h('div', { class: 'attached' }, ...uploads.map((u) => {
    const kind = KINDS[u.mime] ?? 'File', href = `/uploads/${u.id}`;
    const part = Math.min(1, WIDE / u.width, HIGH / u.height);
    if (u.width > 0) return h('a', { href, target: '_blank', rel: 'noopener', tabindex: -1 }, h('img', { src: href, width: Math.round(u.width * part), height: Math.round(u.height * part), alt: `${kind} from ${author}: ${u.name}`, loading: 'lazy', decoding: 'async' }));
    return h('a', { class: 'file', href, download: u.name, tabindex: -1 }, h('span', { class: 'name', dir: 'auto' }, u.name), h('span', { class: 'soft' }, ` ${kind}, ${size(u.size)}`));
  }));
}
