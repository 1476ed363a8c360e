// @ts-check
import { draw, fill } from './ui/bars.js';
import { byID, h, near, text } from './ui/h.js';
import { inSight, reach, Ring, spoken, wanted } from './ui/window.js';

// The security dashboard, live. Without this script the page is a snapshot.

/** @import { SecurityEvent } from './ui/window.js' */

const ROW = 32, HEAD = 34, KEPT = 500, SPEAK = 2000;
const COLUMNS = ['at', 'level', 'control', 'name', 'reason', 'who', 'more'];

const main = byID('main'), scroller = byID('events'), body = /** @type {HTMLTableSectionElement} */ (scroller.querySelector('tbody'));
const table = /** @type {HTMLTableElement} */ (scroller.querySelector('table'));
const sieve = byID('sieve', HTMLFormElement), counted = byID('counted'), said = byID('said'), detail = byID('detail'), pill = byID('stream');
const pause = byID('pause', HTMLButtonElement), asTable = byID('as-table', HTMLButtonElement), chart = byID('chart'), activity = byID('activity');

/** @type {Ring<SecurityEvent>} */ const ring = new Ring(KEPT);
/** @type {SecurityEvent[]} */ let held = []; // arrived while paused
/** @type {SecurityEvent[]} */ let unsaid = [];
/** @type {SecurityEvent[]} */ let rows = [];
/** @type {number | null} */ let chosen = null;
/** @type {import('./ui/bars.js').Activity | null} */ let latest = null;
let paused = false, drawing = 0;
/** @type {number | null} */ let due = null; // how far the next drawing scrolls: rows came in above those that must not move, or one was asked for

const known = Number(main.dataset.after);

const value = (/** @type {string} */ id) => /** @type {HTMLInputElement | HTMLSelectElement} */ (document.getElementById(id)).value;

/** @param {SecurityEvent} e */
const cells = (e) => ({ at: e.at.slice(11, 19), level: e.level, control: e.control, name: e.name, reason: e.reason ?? '', who: [e.username || e.user, e.source_ip].filter(Boolean).join(' '), more: [e.detail, e.origin, e.user_agent].filter(Boolean).join(' · ') });

/** @param {SecurityEvent} e @param {number} index */
function row(e, index) {
  const isChosen = e.id === chosen, facts = { tabindex: isChosen || (chosen === null && index === 0) ? '0' : '-1', 'aria-rowindex': index + 2, 'aria-selected': isChosen };
  if (e.missed) return h('tr', { ...facts, class: 'row gap', data: { id: e.id } }, h('td', { colspan: COLUMNS.length }, `… ${e.missed} events are not shown: they came faster than they could be sent. The log has them.`));
  const c = /** @type {Record<string, string>} */ (cells(e));
  return h('tr', { ...facts, class: 'row', data: { id: e.id, level: e.level } },
    ...COLUMNS.map((name) => h('td', null, name === 'level' ? h('span', { class: 'level' }, c.level) : c[name])));
}

const spacer = (/** @type {number} */ px) => { const tr = h('tr', { class: 'spacer', 'aria-hidden': 'true' }, h('td', { colspan: COLUMNS.length })); /** @type {HTMLElement} */ (tr.firstChild).style.height = `${px}px`; return tr; };

/** The event whose row has the focus. */
function focusedID() {
  const at = document.activeElement;
  return at instanceof HTMLElement && body.contains(at) ? Number(at.dataset.id) : null;
}

/** Where the table is scrolled to, or will be when it is drawn. */
const place = () => due ?? scroller.scrollTop;

function show() {
  const focused = focusedID(), top = place();
  drawing = 0;
  due = null;
  const { first, last, before, after } = inSight(top, scroller.clientHeight, ROW, rows.length);
  table.setAttribute('aria-rowcount', String(rows.length + 1));
  body.replaceChildren(...(before ? [spacer(before)] : []), ...rows.slice(first, last).map((e, i) => row(e, first + i)), ...(after ? [spacer(after)] : []));
  if (!rows.length) body.append(h('tr', null, h('td', { colspan: COLUMNS.length }, 'There is none yet.')));
  if (top !== scroller.scrollTop) scroller.scrollTop = top; // not before there is something to scroll to
  if (focused !== null) (/** @type {HTMLElement | null} */ (body.querySelector(`[data-id="${focused}"]`)) ?? scroller).focus({ preventScroll: true });
}
function soon() { drawing ||= requestAnimationFrame(show); }

/** Sifts again; who has scrolled away from the newest, or is on a row, keeps seeing the same rows. */
function sift() {
  const by = { control: value('control'), level: value('level'), text: value('text') };
  const newest = rows[0], stay = place() > 0 || focusedID() !== null;
  rows = ring.items.filter((e) => wanted(e, by));
  if (stay && newest) due = place() + Math.max(0, rows.indexOf(newest)) * ROW;
  text(counted, `${rows.length} of ${ring.items.length} events${held.length ? `, ${held.length} more wait` : ''}`);
  soon();
}

/** @param {SecurityEvent} e */
function take(e) {
  if (paused) { held.push(e); if (held.length > KEPT) held.shift(); } else ring.add(e);
  if (e.id > known) { unsaid.push(e); if (unsaid.length > KEPT) unsaid.shift(); } // not what the page had already
  sift();
}

/** @param {SecurityEvent} e */
function copier(e) {
  const button = h('button', { type: 'button', class: 'btn' }, 'Copy as JSON');
  button.addEventListener('click', () => navigator.clipboard.writeText(JSON.stringify(e)).then(() => text(button, 'Copied'), () => text(button, 'The browser does not allow it')));
  return button;
}

/** @param {SecurityEvent} e */
function choose(e) {
  chosen = e.id;
  detail.replaceChildren(h('dl', { class: 'facts' }, ...Object.entries(e).map(([k, v]) => h('div', null, h('dt', null, k), h('dd', { class: 'mono' }, String(v))))),
    copier(e));
  detail.hidden = false;
  soon();
}

/** @param {number} index */
function focusRow(index) {
  const i = Math.max(0, Math.min(rows.length - 1, index)), e = rows[i];
  if (!e) return;
  chosen = e.id;
  due = reach(place(), scroller.clientHeight - HEAD, ROW, i);
  cancelAnimationFrame(drawing);
  show();
  /** @type {HTMLElement | null} */ (body.querySelector(`[data-id="${e.id}"]`))?.focus({ preventScroll: true });
}

scroller.addEventListener('scroll', soon, { passive: true });
body.addEventListener('click', (e) => { const tr = near(e, '.row'), found = rows.find((x) => String(x.id) === tr?.dataset.id); if (found) choose(found); });
scroller.addEventListener('keydown', (e) => {
  const on = focusedID() ?? chosen, at = rows.findIndex((x) => x.id === on);
  /** @type {Record<string, number>} */ const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 };
  if (e.key in to) { e.preventDefault(); focusRow(to[e.key]); }
  if (e.key === 'Enter' && rows[at]) { e.preventDefault(); choose(rows[at]); detail.focus(); }
});
sieve.addEventListener('submit', (e) => { e.preventDefault(); sift(); });
sieve.addEventListener('input', () => { sift(); due = 0; });
pause.hidden = false;
pause.addEventListener('click', () => {
  paused = !paused;
  pause.setAttribute('aria-pressed', String(paused));
  if (!paused) { for (const e of held) ring.add(e); held = []; }
  sift();
});
setInterval(() => {
  const words = spoken(unsaid);
  unsaid = [];
  if (words && !paused) said.replaceChildren(h('span', null, words));
}, SPEAK);

asTable.hidden = false;
asTable.addEventListener('click', () => {
  const pressed = asTable.getAttribute('aria-pressed') !== 'true';
  asTable.setAttribute('aria-pressed', String(pressed));
  activity.hidden = !pressed;
  chart.hidden = pressed;
  if (!pressed && latest) draw(chart, latest);
});

const confirmation = byID('confirm', HTMLDialogElement);
/** @type {HTMLFormElement | null} */ let asking = null;
for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll('form[data-confirm]'))) {
  form.addEventListener('submit', (e) => {
    if (form.dataset.sure) return;
    e.preventDefault();
    asking = form;
    byID('confirm-text').textContent = form.dataset.confirm ?? '';
    confirmation.returnValue = '';
    confirmation.showModal();
  });
}
// One listener for all: a dialog's close event comes late, and may meet the next question.
confirmation.addEventListener('close', () => {
  if (confirmation.returnValue !== 'yes' || !asking) return;
  asking.dataset.sure = 'yes';
  asking.requestSubmit();
  asking = null;
});

/** @param {string} state @param {string} words */
function tell(state, words) { pill.hidden = false; pill.dataset.state = state; text(pill, words); }

// The rows of the page come again over the stream, with all that they hold.
const source = new EventSource(`/api/admin/events?after=${Math.max(0, known - 60)}`);
tell('away', 'Connecting');
source.addEventListener('open', () => tell('live', 'Live'));
source.addEventListener('error', () => (source.readyState === EventSource.CLOSED ? tell('ended', 'Ended: load the page again') : tell('away', 'Reconnecting')));
source.addEventListener('message', (e) => take(JSON.parse(e.data)));
source.addEventListener('gap', (e) => take({ id: Number(e.lastEventId), at: '', name: '', level: '', control: '', ...JSON.parse(e.data) }));
source.addEventListener('end', () => { source.close(); tell('ended', 'Your session or your role has ended'); });
source.addEventListener('overview', (e) => {
  const v = latest = JSON.parse(e.data);
  for (const t of v.tiles) { const at = document.querySelector(`[data-tile="${CSS.escape(t.id)}"]`); if (at) text(at, t.value); }
  fill(/** @type {HTMLTableElement} */ (activity.querySelector('table')), v);
  if (asTable.getAttribute('aria-pressed') !== 'true') { chart.hidden = false; activity.hidden = true; draw(chart, v); }
});
addEventListener('pagehide', () => source.close());
sift();
