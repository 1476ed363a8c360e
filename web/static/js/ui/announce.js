// @ts-check
import { byID } from './h.js';

/** @type {ReturnType<typeof setTimeout> | undefined} */
let clear;

/** Says something to those who listen. @param {string} words */
export function announce(words) {
  const el = byID('announce');
  el.textContent = '';
  clearTimeout(clear);
  // A change that follows an empty text is spoken even if the words are the same.
  setTimeout(() => { el.textContent = words; }, 50);
  clear = setTimeout(() => { el.textContent = ''; }, 8000);
}
