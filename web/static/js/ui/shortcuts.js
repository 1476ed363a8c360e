// @ts-check
import { near } from './h.js';

/** Shortcuts of one letter can be turned off (WCAG 2.1.4): speech input triggers them by accident. */
export const singleKeys = () => { try { return localStorage.getItem('single-keys') !== 'off'; } catch { return true; } };

/**
 * Keys that work everywhere on the page.
 * @param {{switcher: () => void, search: () => void, sheet: () => void, step: (by: number, unread: boolean) => void, idle: () => void}} o
 */
export function mountShortcuts({ switcher, search, sheet, step, idle }) {
  document.addEventListener('keydown', (e) => {
    if (e.isComposing || document.querySelector('dialog[open]')) return;
    if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && e.key.toLowerCase() === 'k') { e.preventDefault(); switcher(); return; }
    if (e.altKey && !e.ctrlKey && !e.metaKey && (e.key === 'ArrowUp' || e.key === 'ArrowDown')) { e.preventDefault(); step(e.key === 'ArrowUp' ? -1 : 1, e.shiftKey); return; }
    if (near(e, 'input, textarea') || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'Escape') idle();
    else if (singleKeys() && e.key === '?') { e.preventDefault(); sheet(); }
    else if (singleKeys() && e.key === '/') { e.preventDefault(); search(); }
  });
}
