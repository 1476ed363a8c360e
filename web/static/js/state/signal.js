// @ts-check
/** @type {Effect | null} */
let running = null;
/** @type {Set<Effect>} */
const due = new Set();

let schedule = queueMicrotask;

/** Sets when effects run after a change. A page draws once per frame, however much arrives in it. @param {typeof schedule} when */
export const drawOn = (when) => { schedule = when; };

/** Runs everything that is due, once, however many values changed. */
export function flush() {
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
    if (due.size === 0 && this.#readers.size > 0) schedule(flush);
    for (const e of this.#readers) due.add(e);
  }
}

/** Runs fn now, and again when a signal that it has read has changed. @param {() => void} fn */
export const effect = (fn) => void new Effect(fn);
