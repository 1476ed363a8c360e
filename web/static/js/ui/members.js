// @ts-check
import { can } from '../protocol/roles.js';
import { effect } from '../state/signal.js';
import { byID, h, icon, patch, text } from './h.js';
import { moment } from './time.js';

/** @import { Store } from '../state/store.js' */
/** @import { Member } from '../../../types/protocol.d.ts' */
/** @import { Members as Actions } from '../../../types/ui.d.ts' */

/** The members of the room, and what may be done about them. @param {Store} store @param {Actions} actions */
export function mountMembers(store, actions) {
  const form = byID('invite', HTMLFormElement), name = byID('invite-name', HTMLInputElement), error = byID('invite-error');
  const list = byID('members'), heading = byID('members-title'), note = byID('room-note');
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    const why = await actions.invite(name.value.trim().toLowerCase());
    text(error, why);
    if (!why) name.value = '';
    name.focus();
  });
  effect(() => {
    const room = store.room, online = store.online.value, my = room?.role ?? '';
    form.hidden = !room || room.visibility === 'direct' || !can(my, 'invite');
    const items = store.members.value.map((m) => ({ key: m.user.id, m, on: online.has(m.user.id), my, direct: room?.visibility === 'direct' }));
    patch(list, items, (i) => row(i), (a, b) => a.m === b.m && a.on === b.on && a.my === b.my);
    text(heading, items.length > 0 ? `Members (${items.length.toLocaleString('en')})` : 'Members');
    const here = items.filter((i) => i.on).length;
    text(note, items.length > 0 && room && room.visibility !== 'direct' ? `${here} here` : '');
  });

  /** @param {{m: Member, on: boolean, my: string, direct: boolean}} i */
  function row({ m, on, my, direct }) {
    const me = m.user.id === store.me.id, muted = Date.parse(m.muted_until) > Date.now();
    const some = !direct && !(me && my === 'owner'); // an owner can hand a room on, not leave it
    return h('li', null,
      h('span', { class: on ? 'dot on' : 'dot', 'aria-hidden': true }),
      h('span', { class: 't', title: `@${m.user.username}` }, me ? `${m.user.display_name} (you)` : m.user.display_name, h('span', { class: 'sr' }, on ? ', here' : ', away')),
      h('span', { class: 'role' }, muted ? h('span', { title: `until ${moment(m.muted_until)}` }, 'muted') : m.role === 'member' ? '' : m.role),
      some ? h('button', { type: 'button', 'aria-haspopup': 'menu', data: { act: 'menu' }, on: { click: (/** @type {Event} */ e) => {
        const button = /** @type {HTMLElement} */ (e.currentTarget);
        void actions.menus.use((all) => all.memberMenu(button, m, my, me, actions));
      } } }, icon('dots'), h('span', { class: 'sr' }, `What to do about ${m.user.display_name}`)) : null);
  }
}
