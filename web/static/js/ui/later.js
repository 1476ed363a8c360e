// @ts-check
/** Said when the file of a part did not come, also at the second try. */
export const UNLOADED = 'That part of the page could not be loaded. Try again, or reload it.';

/**
 * A part of the page that most visits do not need. Its file is fetched when it is first
 * asked for; what failed is fetched once more at once, and again at the next asking.
 * @template T
 * @param {() => Promise<T>} load @param {(words: string) => void} tell
 */
export function later(load, tell) {
  /** @type {Promise<T> | undefined} */ let part;
  const fetched = () => (part ??= load().catch((err) => { part = undefined; throw err; }));
  return {
    /** Fetches it before it is needed. */
    warm: () => void fetched().catch(() => {}),
    /** Does something with it; undefined, and words to the person, if it cannot be had. @template R @param {(part: T) => R | Promise<R>} fn @returns {Promise<R | undefined>} */
    use: (fn) => fetched().catch(fetched).then(fn, () => void tell(UNLOADED)),
  };
}

/** @template T @typedef {{warm: () => void, use: <R>(fn: (part: T) => R | Promise<R>) => Promise<R | undefined>}} Later */
