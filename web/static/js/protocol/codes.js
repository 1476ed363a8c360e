// @ts-check
/**
 * What a close code means for the client. It decides by this table and never by
 * the reason's text. retry: `now` and `ticket` dial again at once (a ticket is
 * fetched for every dial anyway), `backoff` waits, `long` waits longer, `sign-in`
 * means that the session is gone, `no` means that dialling again would end the
 * same way and that a person should decide. Behind each: its name in the protocol.
 * @typedef {{retry: 'now'|'ticket'|'backoff'|'long'|'sign-in'|'no', words: string}} Close
 * @type {Readonly<Record<number, Close>>}
 */
export const CLOSE = {
  1000: { retry: 'no', words: 'The server said goodbye.' }, // bye
  1001: { retry: 'backoff', words: 'The server restarts.' }, // going_away
  1002: { retry: 'no', words: 'This page broke the protocol.' }, // protocol_error
  1003: { retry: 'no', words: 'This page broke the protocol.' }, // unsupported_data
  1006: { retry: 'backoff', words: 'The connection broke.' }, // abnormal
  1007: { retry: 'no', words: 'This page broke the protocol.' }, // invalid_payload
  1008: { retry: 'no', words: 'The server refused this connection.' }, // policy
  1009: { retry: 'no', words: 'A message was too big.' }, // too_big
  1011: { retry: 'backoff', words: 'Something broke on the server.' }, // internal
  1012: { retry: 'backoff', words: 'The server restarts.' }, // restart
  1013: { retry: 'long', words: 'The server is overloaded.' }, // try_later
  4401: { retry: 'ticket', words: 'The ticket was too old.' }, // auth_required
  4402: { retry: 'sign-in', words: 'Your session ended: it was too old, or not used for too long.' }, // session_expired
  4403: { retry: 'sign-in', words: 'Your session was ended: by signing out, a new password, or an administrator.' }, // session_revoked
  4405: { retry: 'sign-in', words: 'Your session was ended: your account was signed in at more places than the limit allows. If that was not you, change the password.' }, // session_limit
  4406: { retry: 'no', words: 'You lost access to this server.' }, // authz_changed
  4408: { retry: 'no', words: 'The connection was not used for a while.' }, // idle
  4409: { retry: 'no', words: 'You have too many connections open; a newer one took this place.' }, // replaced
  4410: { retry: 'ticket', words: 'The ticket was too old.' }, // lease_expired
  4422: { retry: 'no', words: 'This page broke the protocol.' }, // too_many_invalid
  4429: { retry: 'long', words: 'Too much was sent too fast.' }, // rate_limited
  4430: { retry: 'backoff', words: 'This browser could not keep up.' }, // slow_consumer
  4431: { retry: 'now', words: 'The connection went silent.' }, // heartbeat
  4440: { retry: 'no', words: 'The server refused this connection.' }, // tunnel_policy
};

/**
 * The verdict on a close code. What nobody told us about is tried again, slowly.
 * @param {number} code
 * @returns {Close}
 */
export const verdict = (code) => CLOSE[code] ?? { retry: 'long', words: `The connection was closed with code ${code}.` };

/**
 * What the code of an error frame means to the person who caused it. again: trying
 * the same thing again later can help. What is not here was refused, and that is all.
 * @type {Readonly<Record<string, {words: string, again: boolean}>>}
 */
export const ERRORS = {
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
  busy: { words: 'the server is busy', again: true },
  internal: { words: 'something broke on the server', again: true },
};

/** @param {string} code */
export const meaning = (code) => (Object.hasOwn(ERRORS, code) ? ERRORS[code] : { words: 'it was refused', again: false });

/** What a notice means, in words; empty: nothing to tell, as of a restart, which the close code tells. @param {string} slug */
export const notified = (slug) => ({ session_limit: 'Your oldest session was ended: your account was signed in at more places than the limit allows. If that was not you, change the password.' })[slug] ?? '';

/** Why a room was taken away, in words. @param {string} reason */
export const removal = (reason) => ({ banned: 'You were banned from this room.', removed: 'You were removed from this room.', left: 'You left this room.' })[reason] ?? 'You are no longer in this room.';
