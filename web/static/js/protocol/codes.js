// @ts-check
/**
 * What a close code means for the client. It decides by this table and never by
 * the reason's text. retry: `now` and `ticket` dial again at once (a ticket is
 * fetched for every dial anyway), `backoff` waits, `long` waits longer, `sign-in`
 * means that the session is gone, `no` means that dialling again would end the
 * same way and that a person should decide.
 * @typedef {{slug: string, retry: 'now'|'ticket'|'backoff'|'long'|'sign-in'|'no', words: string}} Close
 * @type {Readonly<Record<number, Close>>}
 */
export const CLOSE = Object.freeze({
  1000: { slug: 'bye', retry: 'no', words: 'The server said goodbye.' },
  1001: { slug: 'going_away', retry: 'backoff', words: 'The server is going away.' },
  1002: { slug: 'protocol_error', retry: 'no', words: 'This page broke the protocol.' },
  1003: { slug: 'unsupported_data', retry: 'no', words: 'The server does not take this kind of data.' },
  1006: { slug: 'abnormal', retry: 'backoff', words: 'The connection broke.' },
  1007: { slug: 'invalid_payload', retry: 'no', words: 'The server could not read the text.' },
  1008: { slug: 'policy', retry: 'no', words: 'The server refused this connection.' },
  1009: { slug: 'too_big', retry: 'no', words: 'A message was too big.' },
  1011: { slug: 'internal', retry: 'backoff', words: 'Something broke on the server.' },
  1012: { slug: 'restart', retry: 'backoff', words: 'The server restarts.' },
  1013: { slug: 'try_later', retry: 'long', words: 'The server is overloaded.' },
  4401: { slug: 'auth_required', retry: 'ticket', words: 'The ticket was too old.' },
  4402: { slug: 'session_expired', retry: 'sign-in', words: 'Your session ended: it was not used for too long, or it reached its end.' },
  4403: { slug: 'session_revoked', retry: 'sign-in', words: 'Your session was ended: by signing out, by a new password, or by an administrator.' },
  4406: { slug: 'authz_changed', retry: 'no', words: 'You lost access to this server.' },
  4408: { slug: 'idle', retry: 'no', words: 'The connection was not used for a while.' },
  4409: { slug: 'replaced', retry: 'no', words: 'You have too many connections open; a newer one took this place.' },
  4410: { slug: 'lease_expired', retry: 'ticket', words: 'The connection’s lease ended.' },
  4422: { slug: 'too_many_invalid', retry: 'no', words: 'This page sent too much that the server could not use.' },
  4429: { slug: 'rate_limited', retry: 'long', words: 'Too much was sent too fast.' },
  4430: { slug: 'slow_consumer', retry: 'backoff', words: 'This browser could not keep up.' },
  4431: { slug: 'heartbeat', retry: 'now', words: 'The connection went silent.' },
  4440: { slug: 'tunnel_policy', retry: 'no', words: 'The server ended the tunnel.' },
});

/**
 * The verdict on a close code. What nobody told us about is tried again, slowly.
 * @param {number} code
 * @returns {Close}
 */
export const verdict = (code) => (Object.hasOwn(CLOSE, code) ? CLOSE[code] : { slug: 'unknown', retry: 'long', words: `The connection was closed with code ${code}.` });

/**
 * What the code of an error frame means to the person who caused it. again: trying
 * the same thing again later can help.
 * @type {Readonly<Record<string, {words: string, again: boolean}>>}
 */
export const ERRORS = Object.freeze({
  bad_json: { words: 'the server could not read it', again: false },
  bad_schema: { words: 'it holds something that the server does not take', again: false },
  unknown_type: { words: 'the server does not know this action', again: false },
  bad_state: { words: 'it came at the wrong moment', again: true },
  too_large: { words: 'it is too long', again: false },
  bad_encoding: { words: 'it is not valid text', again: false },
  denied: { words: 'you may not do this here', again: false },
  rate_limited: { words: 'too much in a short time', again: true },
  duplicate: { words: 'its number was used before', again: false },
  quota: { words: 'you reached a limit', again: false },
  upload_rejected: { words: 'the file was refused', again: false },
  upload_infected: { words: 'the file is infected', again: false },
  step_up_required: { words: 'sign in again to do this', again: false },
  busy: { words: 'the server is busy', again: true },
  internal: { words: 'something broke on the server', again: true },
});

/** @param {string} code */
export const meaning = (code) => (Object.hasOwn(ERRORS, code) ? ERRORS[code] : { words: 'it was refused', again: false });

/** Why a room was taken away, in words. @param {string} reason */
export const removal = (reason) => ({ banned: 'You were banned from this room.', removed: 'You were removed from this room.', left: 'You left this room.' })[reason] ?? 'You are no longer in this room.';
