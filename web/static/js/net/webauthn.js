// @ts-check
/** @typedef {Record<string, any>} Json as the server writes options and reads answers: bytes are base64url text */

/** @param {string} text base64url @returns {Uint8Array<ArrayBuffer>} */
export function bytes(text) {
  const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

/** @param {ArrayBuffer | null | undefined} buffer @returns {string} base64url */
export function text(buffer) {
  let raw = '';
  for (const b of new Uint8Array(buffer ?? new ArrayBuffer(0))) raw += String.fromCharCode(b);
  return btoa(raw).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** @param {Json[] | undefined} list */
const ids = (list) => list?.map((c) => ({ ...c, id: bytes(c.id) }));

/** What the browser wants, of what the server sent. @param {Json} o @returns {any} */
export const creation = (o) => ({ ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: ids(o.excludeCredentials) });
/** @param {Json} o @returns {any} */
export const assertion = (o) => ({ ...o, challenge: bytes(o.challenge), allowCredentials: ids(o.allowCredentials) });

/**
 * What the server wants, of what the device said. Not credential.toJSON(), which
 * browsers have had for two years only.
 * @param {any} c a PublicKeyCredential
 * @returns {Json}
 */
export function answer(c) {
  const r = c.response;
  /** @type {Json} */
  const response = { clientDataJSON: text(r.clientDataJSON) };
  for (const name of ['attestationObject', 'authenticatorData', 'signature', 'userHandle']) if (r[name]) response[name] = text(r[name]);
  return { id: c.id, rawId: text(c.rawId), type: c.type, response, clientExtensionResults: {} };
}

/** Whether this browser has passkeys at all. */
export const supported = () => 'PublicKeyCredential' in globalThis && !!navigator.credentials;

/** Why it did not work, in words; empty when the person only changed their mind. @param {any} err */
export function reason(err) {
  switch (err?.name) {
    case 'NotAllowedError': case 'AbortError': return 'Nothing was signed. Try again, or use your password.';
    case 'InvalidStateError': return 'This device has a passkey for you already.';
    case 'SecurityError': return 'Passkeys do not work at this address.';
  }
  return String(err?.message || 'That did not work.');
}
