// @ts-check
/**
 * MessagePack, as far as portcullis.v1.msgpack has it: maps with text keys, arrays,
 * text, whole numbers, true, false and nil. What arrives is input: a length is compared
 * with what is left before anything is made for it, and every object is made without a
 * prototype, so that no key can be more than a key. Loaded only when it is chosen.
 */

/** The deepest nesting, as on the server. */
const MAX_DEPTH = 8;

/** @param {string} rule @returns {never} */
function refuse(rule) { throw new TypeError(rule); }

/**
 * Reads one value.
 * @param {Uint8Array} bytes
 * @returns {unknown}
 * @throws {TypeError} its message is the rule that is broken
 */
export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;
  const left = () => bytes.length - at;

  /** A number without sign of so many bytes. @param {number} size @returns {number} */
  function uint(size) {
    if (left() < size) refuse('syntax');
    const from = at;
    at += size;
    switch (size) {
      case 1: return view.getUint8(from);
      case 2: return view.getUint16(from);
      case 4: return view.getUint32(from);
      default: return exact(view.getBigUint64(from));
    }
  }
  /** @param {number} size @returns {number} */
  function int(size) {
    if (left() < size) refuse('syntax');
    const from = at;
    at += size;
    switch (size) {
      case 1: return view.getInt8(from);
      case 2: return view.getInt16(from);
      case 4: return view.getInt32(from);
      default: return exact(view.getBigInt64(from));
    }
  }
  /** A length in so many bytes, which must be needed for it. @param {number} size @param {number} above */
  function length(size, above) {
    const n = uint(size);
    if (n <= above && n <= left()) refuse('form');
    return n;
  }
  /** @param {number} n */
  function text(n) {
    if (n > left()) refuse('length');
    at += n;
    try { return utf8.decode(bytes.subarray(at - n, at)); } catch { return refuse('utf8'); }
  }
  /** @param {number} head @returns {number} length of the text, or -1 for another kind */
  function textLength(head) {
    if (head >= 0xa0 && head <= 0xbf) return head & 31;
    try {
      switch (head) {
        case 0xd9: return length(1, 31);
        case 0xda: return length(2, 0xff);
        case 0xdb: return length(4, 0xffff);
      }
    } catch (err) { refuse(/** @type {Error} */ (err).message === 'syntax' ? 'length' : 'form'); }
    return -1;
  }
  /** @param {number} n @param {number} depth */
  function array(n, depth) {
    if (depth < 0) refuse('depth');
    if (n > left()) refuse('length');
    const out = [];
    for (let i = 0; i < n; i++) out.push(value(depth));
    return out;
  }
  /** @param {number} n @param {number} depth */
  function map(n, depth) {
    if (depth < 0) refuse('depth');
    if (2 * n > left()) refuse('length');
    const out = Object.create(null);
    for (let i = 0; i < n; i++) {
      if (left() < 1) refuse('key');
      const size = textLength(bytes[at++]);
      if (size < 0) refuse('key');
      const key = text(size);
      if (key in out) refuse('duplicate');
      out[key] = value(depth);
    }
    return out;
  }
  /** @param {number} depth how many maps and arrays may still be opened @returns {unknown} */
  function value(depth) {
    const head = uint(1);
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head < 0x90) return map(head & 15, depth - 1);
    if (head < 0xa0) return array(head & 15, depth - 1);
    const size = textLength(head);
    if (size >= 0) return text(size);
    switch (head) {
      case 0xc0: return null;
      case 0xc1: return refuse('syntax');
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xcc: return uint(1);
      case 0xcd: return uint(2);
      case 0xce: return uint(4);
      case 0xcf: return uint(8);
      case 0xd0: return int(1);
      case 0xd1: return int(2);
      case 0xd2: return int(4);
      case 0xd3: return int(8);
      case 0xdc: return array(length(2, 15), depth - 1);
      case 0xdd: return array(length(4, 0xffff), depth - 1);
      case 0xde: return map(length(2, 15), depth - 1);
      case 0xdf: return map(length(4, 0xffff), depth - 1);
      default: return refuse('kind'); // binary, floats, extensions
    }
  }
  const out = value(MAX_DEPTH);
  return left() === 0 ? out : refuse('trailing');
}

/** @param {bigint} n */
function exact(n) {
  const v = Number(n);
  return Number.isSafeInteger(v) ? v : refuse('number');
}

/**
 * Writes one value, in the shortest form. Keys whose value is undefined are left out, as in JSON.
 * @param {unknown} value
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {TypeError} for what this format has no place for
 */
export function pack(value) {
  /** @type {number[]} */ const out = [];
  /** @param {number} head @param {number} n @param {number} size */
  const wide = (head, n, size) => {
    out.push(head);
    for (let i = size - 1; i >= 0; i--) out.push(Math.floor(n / 2 ** (8 * i)) & 255);
  };
  /** @param {string} s */
  const text = (s) => {
    if (/\p{Surrogate}/u.test(s)) refuse('surrogate'); // half a pair: what JSON would escape, UTF-8 cannot say
    const b = new TextEncoder().encode(s), n = b.length;
    if (n < 32) out.push(0xa0 | n); else if (n < 0x100) wide(0xd9, n, 1); else if (n < 0x10000) wide(0xda, n, 2); else wide(0xdb, n, 4);
    for (const x of b) out.push(x);
  };
  /** @param {number} n @param {number} fix @param {number} head */
  const header = (n, fix, head) => { if (n < 16) out.push(fix | n); else if (n < 0x10000) wide(head, n, 2); else wide(head + 1, n, 4); };
  /** @param {number} n */
  const number = (n) => {
    if (!Number.isSafeInteger(n)) refuse('number');
    if (n >= 0) { if (n < 0x80) out.push(n); else if (n < 0x100) wide(0xcc, n, 1); else if (n < 0x10000) wide(0xcd, n, 2); else if (n < 2 ** 32) wide(0xce, n, 4); else wide(0xcf, n, 8); }
    else if (n >= -32) out.push(n & 255);
    else if (n >= -0x80) wide(0xd0, n, 1); else if (n >= -0x8000) wide(0xd1, n, 2); else if (n >= -(2 ** 31)) wide(0xd2, n, 4); else wide(0xd3, n, 8);
  };
  /** @param {unknown} v */
  const put = (v) => {
    if (v === null) out.push(0xc0);
    else if (typeof v === 'boolean') out.push(v ? 0xc3 : 0xc2);
    else if (typeof v === 'number') number(v);
    else if (typeof v === 'string') text(v);
    else if (Array.isArray(v)) { header(v.length, 0x90, 0xdc); v.forEach(put); }
    else if (typeof v === 'object') {
      const all = Object.entries(v).filter(([, x]) => x !== undefined);
      header(all.length, 0x80, 0xde);
      for (const [k, x] of all) { text(k); put(x); }
    } else refuse('kind');
  };
  put(value);
  return new Uint8Array(out);
}
