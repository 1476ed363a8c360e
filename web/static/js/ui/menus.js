// @ts-check
import { EMOJI } from '../protocol/emoji.js';
import { canOn } from '../protocol/roles.js';
import { openMenu } from './menu.js';

// What is in the menus of messages and members. Fetched when somebody begins to use the page.

/** @import { Member } from '../../../types/protocol.d.ts' */
/** @import { Item } from './menu.js' */

/** @param {HTMLElement} anchor @param {(emoji: string) => void} react */
export const pickReaction = (anchor, react) => openMenu(anchor, EMOJI.map((emoji) => ({ label: emoji, act: () => react(emoji) })), 'React with', true);

/**
 * @param {HTMLElement} anchor @param {{react: boolean, send: boolean, edit: boolean, delete: boolean}} may
 * @param {(what: 'reply'|'pick'|'copy'|'edit'|'delete') => void} act
 */
export function messageMenu(anchor, may, act) {
  /** @type {Item[]} */ const items = [];
  if (may.send) items.push({ label: 'Reply', key: 'r', act: () => act('reply') });
  if (may.react) items.push({ label: 'React…', key: '+', act: () => act('pick') });
  items.push({ label: 'Copy the text', act: () => act('copy') });
  if (may.edit) items.push({ label: 'Edit', key: 'e', act: () => act('edit') });
  if (may.delete) items.push({ label: 'Delete', key: 'Del', danger: true, act: () => act('delete') });
  openMenu(anchor, items, 'Message');
}

const MUTES = /** @type {const} */ ([['10 minutes', 10], ['1 hour', 60], ['1 day', 1440]]);

/** @param {HTMLElement} anchor @param {Member} m @param {string} my role @param {boolean} me @param {import('../../../types/ui.d.ts').Members} actions */
export function memberMenu(anchor, m, my, me, actions) {
  /** @type {Item[]} */ const items = [];
  if (me) items.push({ label: 'Leave the room', danger: true, act: () => actions.expel(m, 'leave') });
  else items.push({ label: 'Write directly', act: () => actions.direct(m.user.username) });
  if (canOn(my, 'change_role', m.role)) for (const role of ['reader', 'member', 'moderator']) if (role !== m.role) items.push({ label: `Make ${role}`, act: () => actions.change(m, { role }) });
  if (canOn(my, 'mute', m.role)) {
    if (Date.parse(m.muted_until) > Date.now()) items.push({ label: 'Unmute', act: () => actions.change(m, { muted_until: new Date().toISOString() }) });
    else for (const [words, minutes] of MUTES) items.push({ label: `Mute for ${words}`, act: () => actions.change(m, { muted_until: new Date(Date.now() + minutes * 60_000).toISOString() }) });
  }
  if (canOn(my, 'remove', m.role)) items.push({ label: 'Remove', danger: true, act: () => actions.expel(m, 'remove') });
  if (canOn(my, 'ban', m.role)) items.push({ label: 'Ban', danger: true, act: () => actions.expel(m, 'ban') });
  openMenu(anchor, items, m.user.display_name);
}
