// @ts-check
/** @type {Effect | null} */
let running = null;
/** @type {Set<Effect>} */
const due = new Set();

/** Everything due runs once, however many values changed in this turn. */
function flush() {
  for (const e of due) { due.delete(e); e.run(); }
}

class Effect {
  /** @param {() => void} fn */
  constructor(fn) { this.fn = fn; this.run(); }
  run() {
    const outer = running;
    running = this;
    try { this.fn(); } finally { running = outer; }
  }
}

/**
 * A value that those who read it are told about.
 * @template T
 */
export class Signal {
  #value;
  /** @type {Set<Effect>} */ #readers = new Set();
  /** @param {T} value */
  constructor(value) { this.#value = value; }
  get value() {
    if (running) this.#readers.add(running);
    return this.#value;
  }
  set value(v) {
    if (Object.is(v, this.#value)) return;
    this.#value = v;
    this.touch();
  }
  /** The value changed inside. */
  touch() {
    if (due.size === 0 && this.#readers.size > 0) queueMicrotask(flush);
    for (const e of this.#readers) due.add(e);
  }
}

/** Runs fn now, and again in a later microtask when a signal that it has read changes. @param {() => void} fn */
export const effect = (fn) => void new Effect(fn);
