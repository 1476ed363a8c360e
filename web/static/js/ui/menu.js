// @ts-check
import { byID, h } from './h.js';

/** @typedef {{label: string, act: () => void, key?: string, danger?: boolean}} Item */

/**
 * Opens the one menu of the page beside anchor. Arrow keys walk, Esc closes, and
 * focus goes back to where it came from.
 * @param {HTMLElement} anchor @param {Item[]} items @param {string} label @param {boolean} [grid]
 */
export function openMenu(anchor, items, label, grid = false) {
  const menu = byID('menu'), back = /** @type {HTMLElement | null} */ (document.activeElement);
  menu.classList.toggle('grid', grid);
  menu.setAttribute('aria-label', label);
  const buttons = items.map((i) => h('button', {
    type: 'button', role: 'menuitem', class: i.danger ? 'danger' : null,
    on: { click: () => { close(); i.act(); } },
  }, i.label, i.key ? h('kbd', { 'aria-hidden': true }, i.key) : null));
  menu.replaceChildren(...buttons);
  const close = () => { menu.hidePopover(); (back?.isConnected ? back : anchor).focus(); };
  menu.onkeydown = (e) => {
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement)), row = grid ? 6 : 1;
    const to = { ArrowDown: at + row, ArrowUp: at - row, ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[e.key];
    if (e.key === 'Escape' || e.key === 'Tab') close();
    else if (to === undefined) return;
    else buttons[(to + buttons.length) % buttons.length].focus();
    e.preventDefault();
    e.stopPropagation();
  };
  menu.showPopover();
  const a = anchor.getBoundingClientRect(), m = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(4, Math.min(a.right - m.width, innerWidth - m.width - 4))}px`;
  menu.style.top = `${Math.max(4, a.bottom + m.height + 4 > innerHeight ? Math.max(a.top - m.height - 4, 4) : a.bottom + 4)}px`;
  buttons[0]?.focus();
}
