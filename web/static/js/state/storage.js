// @ts-check
/** @import { Pending } from '../../../types/state.d.ts' */

/** @template T @param {IDBRequest<T>} r @returns {Promise<T>} */
const done = (r) => new Promise((resolve, reject) => { r.onsuccess = () => resolve(r.result); r.onerror = () => reject(r.error); });

/**
 * The outbox on disk: one IndexedDB store, each row with the id of its user. Rows
 * are text as it was typed, readable by whoever can read this browser's profile;
 * that is why they live only while the session does.
 * @returns {import('../../../types/state.d.ts').Storage}
 */
export function storage() {
  /** @type {Promise<IDBDatabase> | undefined} */
  let db;
  const open = () => (db ??= new Promise((resolve, reject) => {
    const r = indexedDB.open('portcullis', 1);
    r.onupgradeneeded = () => r.result.createObjectStore('outbox', { keyPath: 'id' });
    r.onsuccess = () => resolve(r.result);
    r.onerror = () => reject(r.error);
  }));
  /** @template T @param {IDBTransactionMode} mode @param {(s: IDBObjectStore) => IDBRequest<T>} f */
  const run = async (mode, f) => done(f((await open()).transaction('outbox', mode).objectStore('outbox')));
  return {
    async load(user) {
      const all = /** @type {Pending[]} */ (await run('readonly', (s) => s.getAll()));
      for (const p of all) if (p.user !== user) await run('readwrite', (s) => s.delete(p.id));
      return all.filter((p) => p.user === user);
    },
    async put(p) { await run('readwrite', (s) => s.put(p)); },
    async delete(id) { await run('readwrite', (s) => s.delete(id)); },
    async clear() { await run('readwrite', (s) => s.clear()); },
  };
}
