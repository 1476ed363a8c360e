// @ts-check
import { files } from './files.js';
import { h, icon } from './h.js';
import { rich } from './rich.js';
import { day, hour, moment, plural } from './time.js';

/** @import { Message, Person } from '../../../types/protocol.d.ts' */
/** @import { Row } from '../state/timeline.js' */
/** @import { Pending } from '../../../types/state.d.ts' */

/** A row as an element. Clicks and keys are handled by the list, by data-act. @param {Row} row @param {Person} me @param {boolean} mayReact */
export function element(row, me, mayReact) {
  if (row.kind === 'day') return h('p', { class: 'day' }, day(row.at));
  if (row.kind === 'away') return h('p', { class: 'new' }, `${row.more ? 'More than ' : ''}${plural(row.count, 'message', 'messages')} while you were away`);
  return row.kind === 'message' ? sent(row, me, mayReact) : pending(row.pending, me);
}

/** Whether two states of a row look the same. @param {Row} a @param {Row} b */
export function same(a, b) {
  if (a.kind === 'message') return b.kind === 'message' && a.message === b.message && a.more === b.more && a.quoted === b.quoted;
  if (a.kind === 'pending') return b.kind === 'pending' && a.pending === b.pending;
  return a.kind === b.kind; // days and the line above what is new have in the key what they say
}

/**
 * The name comes first for those who listen, then the text, then the time.
 * @param {string} key @param {Record<string, any>} data @param {boolean} more
 * @param {Person} author @param {Person} me @param {(Node | string | null)[]} body @param {boolean} gone @param {(Node | null)[]} foot @param {(Node | string | null)[]} meta @param {Node | null} tools
 */
function article(key, data, more, author, me, body, gone, foot, meta, tools) {
  const mine = author.id === me.id;
  return h('article', { class: more ? 'msg more' : 'msg', tabindex: -1, 'aria-labelledby': `w-${key} b-${key} t-${key}`, data },
    h('span', { class: 'av', 'aria-hidden': true }, [...author.display_name][0]?.toUpperCase() ?? '?'),
    h('span', { class: 'who', id: `w-${key}`, dir: 'auto' }, mine ? 'You' : author.display_name, mine ? null : h('span', { class: 'at' }, ` @${author.username}`)),
    h('div', { class: gone ? 'body gone' : 'body', id: `b-${key}` }, ...body),
    h('div', { class: 'foot' }, ...foot),
    h('span', { class: 'meta', id: `t-${key}` }, ...meta),
    tools);
}

/** @param {Extract<Row, {kind: 'message'}>} row @param {Person} me @param {boolean} mayReact */
function sent({ key, message: m, more, quoted }, me, mayReact) {
  const gone = m.deleted_at !== '';
  const body = gone ? ['This message was deleted.'] : [m.reply_to ? quote(m.reply_to, quoted) : null, ...rich(m.body, me.username), files(m.uploads, m.author.display_name)];
  const foot = m.reactions.map((r) => {
    const mine = r.users.includes(me.id), n = r.users.length;
    return h('button', { type: 'button', class: 'react', tabindex: -1, disabled: !mayReact, 'aria-pressed': mine, 'aria-label': `${r.emoji} ${n}${mine ? ', yours too' : ''}`, data: { act: `react ${r.emoji}` } }, r.emoji, h('span', null, String(n)));
  });
  const meta = [m.edited_at && !gone ? h('span', { title: moment(m.edited_at) }, 'edited') : null, h('time', { datetime: m.created_at, title: moment(m.created_at) }, hour(m.created_at))];
  const tools = gone ? null : h('div', { class: 'tools' },
    mayReact ? h('button', { type: 'button', tabindex: -1, 'aria-haspopup': 'menu', data: { act: 'pick' } }, icon('smile'), h('span', { class: 'sr' }, 'React')) : null,
    h('button', { type: 'button', tabindex: -1, 'aria-haspopup': 'menu', data: { act: 'menu' } }, icon('dots'), h('span', { class: 'sr' }, 'What to do with this message')));
  return article(key, { seq: m.seq, id: m.id, status: 'sent' }, more, m.author, me, body, gone, foot, meta, tools);
}

/** @param {string} id @param {Message | undefined} m */
function quote(id, m) {
  const words = !m ? 'an earlier message' : m.deleted_at ? 'a deleted message' : `${m.author.display_name}: ${m.body.slice(0, 120)}`;
  return h('span', { class: 'quote' }, h('span', { class: 'sr' }, 'In reply to '), words, h('span', { class: 'sr' }, '. '));
}

const STATES = { queued: '◌ queued', sending: '◌ sending', sent: '◌ sending', failed: '■ not sent' };

/** @param {Pending} p @param {Person} me */
function pending(p, me) {
  const failed = p.status === 'failed';
  const foot = [
    p.reason ? h('span', { class: failed ? 'failed' : 'soft' }, failed ? `Not sent: ${p.reason}.` : `${p.reason}.`) : null,
    ...(failed ? /** @type {const} */ (['Retry', 'Copy', 'Discard']) : []).map((w) => h('button', { type: 'button', class: 'link', tabindex: -1, data: { act: w.toLowerCase() } }, w)),
  ];
  return article(p.id, { id: p.id, status: p.status }, false, me, me, [p.body], false, foot, [h('span', { class: failed ? 'failed' : null }, STATES[p.status])], null);
}
