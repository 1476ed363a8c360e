// @ts-check
import { MAX_BODY, bodyProblem, characters } from '../protocol/frames.js';
import { can } from '../protocol/roles.js';
import { effect } from '../state/signal.js';
import { byID, text } from './h.js';
import { moment } from './time.js';

/** The count appears when this much is left. */
const COUNT_FROM = MAX_BODY - 600;
/** One word about typing in this time is enough: others show it for 5 s. */
const TYPING_EVERY_MS = 3000;

/** @import { Store } from '../state/store.js' */
/** @import { Message } from '../../../types/protocol.d.ts' */
/** @import { Attach, Composer as Actions } from '../../../types/ui.d.ts' */

/** Where messages are written. @param {Store} store @param {Actions} actions */
export function mountComposer(store, actions) {
  const form = byID('composer', HTMLFormElement), box = byID('message', HTMLTextAreaElement), button = byID('send', HTMLButtonElement), file = byID('file', HTMLInputElement);
  const context = byID('context'), contextText = byID('context-text'), count = byID('count'), typing = byID('typing'), bar = byID('join-bar'), join = byID('join'), joinText = byID('join-text');
  /** What was begun in each room. @type {Map<string, string>} */ const drafts = new Map();
  /** @type {{kind: 'edit'|'reply', message: Message} | null} */ let about = null;
  /** @type {Attach | null} */ let attach = null;
  let room = '', told = 0, fetching = 0;

  const fit = () => {
    const n = characters(box.value);
    text(count, n > COUNT_FROM ? `${n.toLocaleString('en')} of ${MAX_BODY.toLocaleString('en')}` : '');
    count.classList.toggle('over', n > MAX_BODY);
    if (CSS.supports('field-sizing', 'content')) return;
    box.style.blockSize = 'auto';
    box.style.blockSize = `${box.scrollHeight + 2}px`;
  };

  /** @param {typeof about} what */
  const set = (what) => {
    const was = about;
    about = what;
    context.hidden = what === null;
    text(contextText, what ? `${what.kind === 'edit' ? 'Editing' : `Reply to ${what.message.author.display_name}`}: ${what.message.body.slice(0, 100)}` : '');
    text(button, what?.kind === 'edit' ? 'Save' : 'Send');
    if (what?.kind === 'edit') box.value = what.message.body;
    else if (was?.kind === 'edit') box.value = '';
    fit();
    if (what) { box.focus(); box.setSelectionRange(box.value.length, box.value.length); }
  };

  const submit = async () => {
    const typed = box.value.replace(/\r\n?/g, '\n').trim(), editing = about?.kind === 'edit';
    // A message has words, also for those who cannot see the picture: without any, the files' names.
    const body = typed === '' && !editing ? attach?.names ?? '' : typed;
    if (body === '') return;
    const problem = bodyProblem(body);
    if (problem) { store.notice.value = `Not sent: ${problem}.`; return; }
    const what = about;
    if (what?.kind === 'edit') {
      button.disabled = true;
      const why = body === what.message.body ? '' : await actions.edit(what.message, body);
      button.disabled = false;
      if (why) { store.notice.value = `Not changed: ${why}.`; box.focus(); return; }
    } else {
      const wait = fetching > 0 ? 'A file is still on its way.' : attach?.problem;
      if (wait) { store.notice.value = wait; return; }
      const why = actions.send(body, what?.message.id ?? '', attach?.ids ?? []);
      if (why) { store.notice.value = why; return; }
      attach?.clear();
    }
    set(null);
    box.value = '';
    drafts.delete(room);
    told = 0;
    fit();
    box.focus();
  };

  form.addEventListener('submit', (e) => { e.preventDefault(); void submit(); });
  byID('context-cancel').addEventListener('click', () => { set(null); box.focus(); });
  join.addEventListener('click', actions.join);
  byID('attach').addEventListener('click', () => { file.click(); });
  file.addEventListener('change', async () => {
    const chosen = [...file.files ?? []], here = room;
    file.value = '';
    fetching++;
    await actions.acts.use((a) => { attach = a.files; attach.add(here, chosen); });
    fetching--;
  });
  box.addEventListener('input', () => {
    fit();
    if (box.value.trim() === '' || about?.kind === 'edit' || Date.now() - told < TYPING_EVERY_MS) return;
    told = Date.now();
    actions.typing();
  });
  box.addEventListener('keydown', (e) => {
    if (e.isComposing || e.keyCode === 229) return; // an input method is still choosing
    if (e.key === 'Enter' && !e.shiftKey && !e.ctrlKey && !e.altKey && !e.metaKey) { e.preventDefault(); void submit(); }
    else if (e.key === 'ArrowUp' && box.value === '' && !e.shiftKey && !e.altKey) {
      const m = actions.lastOwn();
      if (m) { e.preventDefault(); set({ kind: 'edit', message: m }); }
    } else if (e.key === 'Escape') {
      e.stopPropagation();
      if (about) set(null); else actions.idle();
    }
  });

  effect(() => {
    const r = store.room, id = store.current.value, me = store.members.value.find((m) => m.user.id === store.me.id);
    if (id !== room) {
      if (room && about?.kind !== 'edit' && box.value) drafts.set(room, box.value);
      room = id;
      set(null);
      box.value = drafts.get(id) ?? '';
      attach?.draw();
      fit();
    }
    const writes = r ? can(r.role, 'send') : false, muted = me && Date.parse(me.muted_until) > Date.now() ? me.muted_until : '';
    form.hidden = !writes || muted !== '';
    bar.hidden = !r || (writes && !muted);
    join.hidden = !r || r.role !== '';
    if (!r) return;
    const title = store.title(r);
    box.placeholder = `Message ${title}`;
    box.setAttribute('aria-label', `Message ${title}`);
    text(joinText, muted ? `You are muted until ${moment(muted)}.` : r.role ? 'You may read here, not write.' : `You are not in ${title} yet.`);
  });

  const showTyping = () => {
    const names = store.typists();
    text(typing, names.length === 0 ? '' : names.length > 2 ? 'Several people are typing…' : `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} typing…`);
  };
  effect(() => { void store.typing.value; void store.current.value; showTyping(); });
  setInterval(showTyping, 1000);

  return { edit: (/** @type {Message} */ message) => set({ kind: 'edit', message }), reply: (/** @type {Message} */ message) => set({ kind: 'reply', message }) };
}
