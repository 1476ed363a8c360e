import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, assertion, bytes, creation, reason, text } from '../static/js/net/webauthn.js';

test('bytes and base64url are each other, also where the alphabets differ', () => {
  for (const list of [[], [0], [255, 254, 253], [251, 239, 190], Array.from({ length: 256 }, (_, i) => i)]) {
    const b = Uint8Array.from(list);
    const t = text(b.buffer);
    assert.match(t, /^[A-Za-z0-9_-]*$/);
    assert.deepEqual(bytes(t), b);
  }
  assert.equal(text(null), '');
});

test('options become what the browser wants, and keep what is no bytes', () => {
  const o = creation({ challenge: 'AQI', user: { id: 'AwQ', name: 'ada' }, excludeCredentials: [{ id: 'BQ', type: 'public-key' }], attestation: 'none' });
  assert.deepEqual([...o.challenge, ...o.user.id, ...o.excludeCredentials[0].id], [1, 2, 3, 4, 5]);
  assert.equal(o.user.name + o.attestation, 'adanone');
  assert.equal(assertion({ challenge: 'AQ' }).allowCredentials, undefined);
});

test('an answer holds what the device said, and nothing that it did not', () => {
  const buffer = Uint8Array.from([1]).buffer;
  const a = answer({ id: 'AQ', rawId: buffer, type: 'public-key', response: { clientDataJSON: buffer, signature: buffer, authenticatorData: buffer, userHandle: null } });
  assert.deepEqual(a.response, { clientDataJSON: 'AQ', authenticatorData: 'AQ', signature: 'AQ' });
  assert.deepEqual(a.clientExtensionResults, {});
});

test('a person who changed their mind is not blamed', () => {
  assert.match(reason({ name: 'NotAllowedError', message: 'See: https://www.w3.org/…' }), /^Nothing was signed/);
  assert.equal(reason(new Error('Too many tries.')), 'Too many tries.');
});
