// @ts-check
import { stored, upload } from './net/upload.js';
import { listOf, message } from './protocol/frames.js';
import { mountAttach } from './ui/attach.js';
import { confirm, mountAsk, mountSearch, mountSwitcher } from './ui/dialogs.js';
import { openSheet } from './ui/sheet.js';

/** @import { Member, Message } from '../../types/protocol.d.ts' */

/** Messages found at most. */
const FOUND = 50;

/**
 * What people do beside reading and writing: make rooms, send files, look for something,
 * decide about others. Fetched when somebody begins to use the page.
 * @param {object} o
 * @param {import('./net/api.js').Api} o.api
 * @param {import('./state/store.js').Store} o.store
 * @param {(answer: unknown) => void} o.enter @param {(id: string) => void} o.open @param {(m: Message) => void} o.reveal
 * @param {(room: string) => Promise<void>} o.readMembers
 * @param {(err: unknown) => string} o.why @param {(err: unknown) => void} o.report
 * @param {(room: string, m: Message) => Promise<void>} o.erase
 */
export function mountActs({ api, store, enter, open, reveal, readMembers, why, report, erase }) {
  /** @param {string} username */
  const ask = (username) => api.call('POST', '/api/direct', { username: username.trim().toLowerCase() });
  /** @param {string} username */
  const write = (username) => void ask(username).then(enter, report);

  return {
    write, sheet: openSheet,
    newRoom: mountAsk('new-room', (form) => api.call('POST', '/api/rooms', { title: String(form.get('title')).trim(), visibility: form.get('visibility') }), enter, why),
    direct: mountAsk('direct-dialog', (form) => ask(String(form.get('username'))), enter, why),
    search: mountSearch(store, async (q) => listOf(await api.call('GET', `/api/rooms/${store.current.value}/search?q=${encodeURIComponent(q)}&limit=${FOUND}`), 'messages', message), reveal),
    switcher: mountSwitcher(store, open, write),
    files: mountAttach(store, {
      upload: async (room, file, progress, stop) => stored(await upload(api, `/api/rooms/${room}/uploads`, file, progress, stop)),
      status: async (id) => stored(await api.call('GET', `/api/uploads/${id}`)),
    }),

    /** @param {Message} m */
    async remove(m) {
      const room = store.current.value;
      if (await confirm('Delete this message?', 'Its text goes for everybody. A line stays that says so.', 'Delete')) await erase(room, m);
    },

    /** @param {string} username @returns {Promise<string>} '' or why not */
    invite: (username) => api.call('POST', `/api/rooms/${store.current.value}/members`, { username }).then(() => readMembers(store.current.value)).then(() => '', why),

    /** @param {Member} m @param {{role?: string, muted_until?: string}} change */
    async change(m, change) {
      const id = store.current.value;
      await api.call('PATCH', `/api/rooms/${id}/members/${m.user.id}`, change).catch(report);
      void readMembers(id);
    },

    /** @param {Member} m @param {'remove'|'ban'|'leave'} way */
    async expel(m, way) {
      const id = store.current.value, name = m.user.display_name;
      const words = { remove: ['Remove', `${name} loses this room at once, on every device.`], ban: ['Ban', `${name} loses this room at once and cannot come back.`], leave: ['Leave', 'You can come back to an open room; to a closed one somebody has to add you.'] }[way];
      if (!(await confirm(way === 'leave' ? 'Leave the room?' : `${words[0]} ${name}?`, words[1], words[0]))) return;
      await (way === 'ban' ? api.call('PUT', `/api/rooms/${id}/bans/${m.user.id}`) : api.call('DELETE', `/api/rooms/${id}/members/${m.user.id}`)).catch(report);
      if (way !== 'leave') void readMembers(id);
    },
  };
}
