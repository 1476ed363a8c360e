// @ts-check
import { id, number, object, string } from '../protocol/frames.js';
import { ApiError } from './api.js';

/**
 * Sends one file. Not by fetch, which does not tell how far it is.
 * @param {import('./api.js').Api} api @param {string} path @param {File} file @param {(part: number) => void} progress @param {AbortSignal} stop
 * @returns {Promise<unknown>}
 * @throws {ApiError}
 */
export const upload = (api, path, file, progress, stop) => api.withToken((csrf) => new Promise((resolve, reject) => {
  const x = new XMLHttpRequest(), form = new FormData(), offline = () => reject(new ApiError(0, 'offline', 'The server cannot be reached.'));
  form.append('file', file);
  x.open('POST', path);
  x.setRequestHeader('Accept', 'application/json');
  x.setRequestHeader('X-CSRF-Token', csrf);
  x.responseType = 'json';
  x.upload.onprogress = (e) => { if (e.lengthComputable) progress(e.loaded / e.total); };
  x.onerror = x.ontimeout = x.onabort = offline;
  x.onload = () => (x.status === 201 ? resolve(x.response) : reject(new ApiError(x.status, String(x.response?.code ?? ''), String(x.response?.message || `The server answered with status ${x.status}.`))));
  stop.addEventListener('abort', () => x.abort(), { once: true });
  x.send(form);
}));

/** What became of a file, as the API tells its uploader. @param {unknown} v @returns {import('../../../types/protocol.d.ts').Stored} */
export function stored(v) {
  const o = object(v, 'answer');
  return { upload_id: id(o, 'upload_id'), size: number(o, 'size'), status: string(o, 'status') };
}
