// @ts-check
import { can } from '../protocol/roles.js';
import { effect } from '../state/signal.js';
import { HELD, MOST, rows, span as windowOf } from '../state/timeline.js';
import { byID, near, patch, text } from './h.js';
import { element, same } from './message.js';
import { singleKeys } from './shortcuts.js';
import { plural } from './time.js';

/** @import { Store } from '../state/store.js' */
/** @import { Message } from '../../../types/protocol.d.ts' */
/** @import { Timeline as Actions } from '../../../types/ui.d.ts' */

/** Messages drawn at first, and added at a time. */
const FIRST = 100, STEP = 100;
/** Closer to the end than this counts as being there. */
const NEAR = 60;
/** More new messages per second than this are announced as a number. */
const BURST = 5;

/** The conversation. @param {Store} store @param {Actions} actions */
export function mountTimeline(store, actions) {
  const scroll = byID('scroll'), log = byID('log'), start = byID('log-start'), newest = byID('newest'), empty = byID('empty');
  let room = '', count = FIRST, lastShown = 0, stick = true, loading = false, failed = false, unseen = 0, head = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let quiet;
  /** @type {number[]} */ let arrivals = [];

  const timeline = () => store.timeline(room);
  /** The window of messages on the page: from, to. */
  const span = () => windowOf(timeline().messages, lastShown, count);

  /** Draws without a word to screen readers: what appears now was there before. */
  const silently = () => {
    log.setAttribute('aria-live', 'off');
    clearTimeout(quiet);
    quiet = setTimeout(() => log.setAttribute('aria-live', 'polite'), 700);
  };

  /** Keeps what is being read where it is while fn changes what is above. @param {() => void} fn */
  const steady = (fn) => {
    const top = scroll.getBoundingClientRect().top;
    const anchor = articles().find((el) => el.getBoundingClientRect().bottom > top), before = anchor?.getBoundingClientRect().top ?? 0;
    fn();
    if (anchor?.isConnected) scroll.scrollTop += anchor.getBoundingClientRect().top - before;
  };

  const draw = () => {
    // A room that is written into for days must not fill the page's memory while nobody scrolls.
    if (stick && lastShown === 0 && timeline().messages.length > HELD) timeline().trim();
    const { from, to, length } = span(), t = timeline(), role = store.room?.role ?? '';
    const items = rows(t, actions.pending(room), store.me.id, from, to);
    const mayReact = can(role, 'react');
    patch(log, items, (row) => element(row, store.me, mayReact), same);
    tabStop(null);
    empty.hidden = items.length > 0 || loading || !t.loaded;
    text(empty, 'No messages yet. Say something.');
    start.hidden = !(loading || failed || (t.complete && from === 0 && items.length > 0));
    text(start, loading ? 'Loading…' : failed ? 'Earlier messages could not be loaded. Scroll to try again.' : 'This is where the room begins.');
    newest.hidden = stick && to === length;
    text(newest, unseen > 0 ? `${plural(unseen, 'new message', 'new messages')} ↓` : 'Newest messages ↓');
    if (stick && to === length) {
      scroll.scrollTop = scroll.scrollHeight;
      if (!document.hidden) actions.read();
    }
  };

  const redraw = () => { if (stick) draw(); else steady(draw); };

  const older = async () => {
    const t = timeline(), here = room;
    if (loading || t.complete) return;
    loading = true;
    failed = false;
    redraw();
    const n = await actions.older(here).catch(() => -1);
    loading = false;
    if (here !== room) return;
    failed = n < 0;
    const first = head === 0;
    count = Math.min(MOST, count + Math.max(0, n));
    silently();
    redraw();
    if (n > 0 && !first && !stick) announce(`${plural(n, 'earlier message', 'earlier messages')}`);
    head = timeline().head;
  };

  effect(() => {
    const id = store.current.value;
    void store.rooms.value; // the role decides what may be done
    void store.shown.value;
    const known = store.rooms.value.get(id);
    if (id !== room) {
      room = id;
      count = FIRST;
      lastShown = 0;
      stick = true;
      unseen = 0;
      arrivals = [];
      head = 0;
      silently();
      log.setAttribute('aria-label', known ? `Messages in ${store.title(known)}` : 'Messages');
    }
    log.hidden = !known?.role;
    if (!known || !known.role) {
      log.replaceChildren(); // at first this is what the server drew
      empty.hidden = false;
      start.hidden = newest.hidden = true;
      text(empty, known ? '' : 'Choose a room, or make one.');
      return;
    }
    const t = timeline();
    arrived(t);
    redraw();
    if (!t.loaded && !loading && !failed) void older();
  });

  /** Counts what came since the last look. @param {import('../state/timeline.js').Timeline} t */
  function arrived(t) {
    if (head > 0 && t.head > head) {
      const n = t.messages.filter((m) => m.seq > head && m.author.id !== store.me.id).length, now = Date.now();
      if (!stick) unseen += n;
      arrivals = [...arrivals.filter((at) => at > now - 1000), ...Array(n).fill(now)];
      if (arrivals.length > BURST) { silently(); announce(plural(arrivals.length, 'new message', 'new messages')); }
    }
    if (t.loaded) head = t.head;
  }

  scroll.addEventListener('scroll', () => {
    if (!room || log.hidden) return;
    const { from, to, length } = span(), bottom = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight;
    stick = bottom < NEAR && to === length;
    if (stick && unseen > 0) { unseen = 0; draw(); }
    newest.hidden = stick;
    if (scroll.scrollTop < 200 && from === 0) { failed = false; void older(); return; }
    if (scroll.scrollTop < 200) {
      if (count < MOST) count = Math.min(MOST, count + STEP);
      else lastShown = timeline().messages[Math.max(STEP, to - STEP) - 1].seq;
    } else if (bottom < 200 && to < length) {
      const next = Math.min(length, to + STEP);
      lastShown = next === length ? 0 : timeline().messages[next - 1].seq;
    } else return;
    silently();
    steady(draw);
  }, { passive: true });

  const toEnd = () => {
    lastShown = 0;
    unseen = 0;
    stick = true;
    silently();
    draw();
  };
  newest.addEventListener('click', () => { toEnd(); byID('message').focus(); });
  document.addEventListener('visibilitychange', () => { if (!document.hidden && stick && room) actions.read(); });
  const end = new ResizeObserver(() => { if (stick) scroll.scrollTop = scroll.scrollHeight; });
  end.observe(scroll);
  end.observe(log); // a line may grow after it was drawn

  // One tab stop for the whole list; arrows walk through it.
  const articles = () => /** @type {HTMLElement[]} */ ([...log.querySelectorAll('article')]);
  const stop = () => /** @type {HTMLElement | null} */ (log.querySelector('article[tabindex="0"]'));
  /** @param {HTMLElement | null} row the new stop; null: keep, or choose the newest */
  function tabStop(row) {
    const old = stop();
    const now = row ?? old ?? articles().at(-1);
    if (old && old !== now) { old.tabIndex = -1; inner(old, -1); }
    if (now) { now.tabIndex = 0; inner(now, now.contains(document.activeElement) ? 0 : -1); }
  }
  /** @param {HTMLElement} row @param {number} to */
  const inner = (row, to) => { for (const el of row.querySelectorAll('button, a')) /** @type {HTMLElement} */ (el).tabIndex = to; };
  log.addEventListener('focusin', (e) => { const row = rowOf(e); if (row) tabStop(row); });
  log.addEventListener('focusout', (e) => { const row = rowOf(e); if (row && !row.contains(/** @type {Node | null} */ (e.relatedTarget))) inner(row, -1); });
  // A keyboard that reaches the empty edge of the list goes on to its message.
  log.addEventListener('focus', () => stop()?.focus());

  /** @param {Event} e */
  const rowOf = (e) => near(e, 'article');
  /** @param {HTMLElement} row */
  const messageOf = (row) => timeline().find(row.dataset.id ?? '');

  log.addEventListener('keydown', (e) => {
    const row = rowOf(e);
    if (!row || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const all = articles(), at = all.indexOf(row);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      all[Math.max(0, Math.min(all.length - 1, to))].focus();
      return;
    }
    if (e.target !== row) return;
    if (act(row, { Enter: 'menu', e: 'edit', r: 'reply', '+': 'pick', Delete: 'delete' }[e.key] ?? '', e.key === 'Enter' || singleKeys())) e.preventDefault();
  });
  log.addEventListener('click', (e) => {
    const row = rowOf(e), button = near(e, 'button');
    if (row && button) act(row, button.dataset.act ?? '', true, button);
  });

  /** Does what was asked for a row; false if it cannot be done. @param {HTMLElement} row @param {string} what @param {boolean} allowed @param {HTMLElement} [from] */
  function act(row, what, allowed, from = row) {
    const id = row.dataset.id ?? '', m = messageOf(row);
    if (!allowed || what === '') return false;
    if (!m) return pendingAct(id, what);
    if (m.deleted_at) return false;
    const role = store.room?.role ?? '', mine = m.author.id === store.me.id;
    const may = { react: can(role, 'react'), send: can(role, 'send'), edit: mine && can(role, 'send'), delete: mine ? can(role, 'send') : can(role, 'delete_any') };
    const at = () => (from.isConnected ? from : row); // a row may be drawn anew while its menu is fetched
    if (what.startsWith('react ') && may.react) {
      const emoji = what.slice(6);
      actions.react(m, emoji, !m.reactions.some((r) => r.emoji === emoji && r.users.includes(store.me.id)));
    } else if (what === 'pick' && may.react) {
      void actions.menus.use((all) => all.pickReaction(at(), (emoji) => actions.react(m, emoji, true)));
    } else if (what === 'reply' && may.send) actions.reply(m);
    else if (what === 'edit' && may.edit) actions.edit(m);
    else if (what === 'delete' && may.delete) actions.remove(m);
    else if (what === 'copy') copy(m.body);
    else if (what === 'menu') void actions.menus.use((all) => all.messageMenu(at(), may, (then) => act(row, then, true)));
    else return false;
    return true;
  }

  /** @param {string} id @param {string} what */
  function pendingAct(id, what) {
    const p = actions.pending(room).find((x) => x.id === id);
    if (p?.status !== 'failed') return false;
    if (what === 'copy') copy(p.body);
    else if (what === 'retry') actions.retry(id);
    else if (what === 'discard' || what === 'delete') { actions.discard(id); byID('message').focus(); } else return false;
    return true;
  }

  return {
    toEnd,
    /** Shows and focuses a message, reading back as far as needed; false if it is too far. @param {number} seq */
    async reveal(seq) {
      for (let i = 0; i < 10 && timeline().oldest > seq && !timeline().complete; i++) await older();
      const all = timeline().messages, at = all.findIndex((m) => m.seq === seq);
      if (at < 0) return false;
      stick = false;
      lastShown = at + STEP >= all.length ? 0 : all[at + STEP].seq;
      count = Math.min(MOST, Math.max(count, STEP * 2));
      silently();
      draw();
      const row = /** @type {HTMLElement | null} */ (log.querySelector(`article[data-seq="${seq}"]`));
      row?.scrollIntoView({ block: 'center' });
      row?.focus();
      return row !== null;
    },
  };
}

/** Says something to those who listen. @param {string} words */
function announce(words) {
  const el = byID('announce');
  el.textContent = '';
  // A change that follows an empty text is spoken even if the words are the same.
  setTimeout(() => { el.textContent = words; }, 50);
}

/** @param {string} words */
function copy(words) {
  navigator.clipboard.writeText(words).then(() => announce('Copied.'), () => announce('The browser did not allow copying.'));
}
