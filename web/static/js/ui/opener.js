// @ts-check
import { byID, near } from './h.js';

/** Wires what all dialogs share: buttons that only close. */
export function mountDialogs() {
  for (const d of document.querySelectorAll('dialog')) {
    d.addEventListener('click', (e) => { if (e.target === d || near(e, '[data-close]')) d.close(); });
  }
}

/**
 * Opens a dialog at once, and fetches what it does when it is opened for the first time.
 * What is typed meanwhile stays, and sending it waits.
 * @template T
 * @param {string} id @param {import('./later.js').Later<T>} parts @param {(parts: T) => void} begin
 */
export function opener(id, parts, begin) {
  const d = byID(id, HTMLDialogElement), form = /** @type {HTMLFormElement} */ (d.querySelector('form'));
  let ready = false;
  form.addEventListener('submit', (e) => { if (!ready) { e.preventDefault(); void parts.use(() => form.requestSubmit()); } });
  return () => {
    if (d.open) return;
    form.reset();
    d.showModal();
    void parts.use((p) => { ready = true; begin(p); }).then(() => { if (!ready) d.close(); });
  };
}
