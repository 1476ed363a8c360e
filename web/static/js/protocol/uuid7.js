// @ts-check
/**
 * A UUIDv7 (RFC 9562 §5.7): 48 bits of time, then 74 random ones from the
 * platform's generator, so that nobody can guess the id of another's message.
 * @param {number} [now] milliseconds since 1970
 */
export function uuid7(now = Date.now()) {
  const b = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0, t = now; i < 6; i++, t = Math.floor(t / 256)) b[5 - i] = t % 256;
  b[6] = 0x70 | (b[6] & 0x0f);
  b[8] = 0x80 | (b[8] & 0x3f);
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
