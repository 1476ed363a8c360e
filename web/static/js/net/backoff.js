// @ts-check
/** The first wait is at most this; it doubles with every failure. */
const BASE_MS = 500;
/** No wait is longer, so that a server that came back is found. */
const CAP_MS = 30_000;

/**
 * How long to wait before the next dial. Full jitter: anything between 0 and the
 * bound, so that a thousand clients that lost the same server do not come back in
 * the same instant. A hint of the server wins, with a tenth of it more as jitter.
 * @param {number} failures how many dials failed in a row, from 1
 * @param {number} hint what the server asked for in ms, 0 for nothing
 * @param {() => number} [random] in [0, 1)
 */
export function backoff(failures, hint, random = Math.random) {
  if (hint > 0) return Math.round(hint * (1 + random() / 10));
  return Math.round(random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures, 10)));
}
