// @ts-check
import { h } from './h.js';
import { plural } from './time.js';

/** Replaces everything that the session showed by one panel that says why it is gone. @param {string} words @param {number} unsent */
export function showEnd(words, unsent) {
  for (const el of document.querySelectorAll('dialog, .menu, .skip, .sr[role=status], .world .btn:not(#theme)')) el.remove();
  const heading = h('h1', { tabindex: -1 }, 'Signed out');
  document.querySelector('main')?.replaceWith(h('main', { id: 'main', class: 'ended', data: { testid: 'signed-out' } },
    heading, h('p', null, words),
    unsent > 0 ? h('p', null, `${plural(unsent, 'message that was', 'messages that were')} not sent yet went with it: nothing of a session stays on this device.`) : null,
    h('a', { class: 'btn primary', href: '/sign-in' }, 'Sign in again')));
  document.title = 'Signed out · Portcullis';
  delete document.body.dataset.csrf;
  delete document.body.dataset.userId;
  heading.focus();
}
