// @ts-check
import { PACKED, understand } from '../protocol/frames.js';
import { pack, unpack } from '../protocol/msgpack.js';

/** Frames in MessagePack; fetched when it is chosen. @type {import('../../../types/net.d.ts').Writing} */
export const BINARY = {
  protocol: PACKED,
  write: (id, type, data) => pack({ v: 1, id, type, data }),
  read: (data) => { if (!(data instanceof ArrayBuffer)) throw new RangeError('kind'); return understand(unpack(new Uint8Array(data))); },
};
