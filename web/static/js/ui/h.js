// @ts-check
/**
 * The only place where elements are made. Text becomes text nodes; there is no way
 * to pass markup. What could run script is refused loudly, because a refusal is a
 * bug of ours and not a message of somebody's.
 *
 * @typedef {string | number | Node | null | undefined | false} Kid
 * @typedef {{[name: string]: string | number | boolean | null | undefined | Record<string, any>}} Props
 *   on: {event: function}; data: {key: text}; class; aria-… with true and false as words; everything
 *   else is an attribute, true an empty one, false, null and undefined none
 */

const SINKS = new Set(['innerhtml', 'outerhtml', 'srcdoc', 'style', 'formaction', 'action', 'nonce']);
const LINKS = new Set(['href', 'src', 'xlink:href']);

/** @param {string} tag @param {Props | null} [props] @param {...Kid} kids @returns {HTMLElement} */
//control:name output
export function h(tag, props, ...kids) {
  if (/^(script|iframe|object|embed|base|link|meta|style)$/i.test(tag)) throw new Error(`h: <${tag}> is not made here`);
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(el, name, value);
  el.append(...kids.filter((k) => k !== null && k !== undefined && k !== false).map((k) => (typeof k === 'number' ? String(k) : /** @type {string | Node} */ (k))));
  return el;
}

/** @param {Element} el @param {string} name @param {any} value */
//control:name output
function set(el, name, value) {
  if (name === 'on') {
    for (const [event, fn] of Object.entries(value)) el.addEventListener(event, fn);
    return;
  }
  if (name === 'data') {
    for (const [k, v] of Object.entries(value)) if (v !== undefined) /** @type {HTMLElement} */ (el).dataset[k] = String(v);
    return;
  }
  const low = name.toLowerCase();
  if (low.startsWith('on') || SINKS.has(low)) throw new Error(`h: ${name} is refused`);
  if (value === null || value === undefined || (value === false && !low.startsWith('aria-'))) return;
  if (LINKS.has(low) && !safeURL(String(value))) throw new Error(`h: ${name} is not an http, https or own address`);
  el.setAttribute(name, value === true && !low.startsWith('aria-') ? '' : String(value));
}

const OWN = 'https://own.invalid';

/** True for http, https and addresses on our own host. Browsers read "//x" and "\\\\x" as another host. @param {string} url */
export function safeURL(url) {
  return /^https?:\/\//i.test(url) ? URL.canParse(url) : URL.canParse(url, OWN) && new URL(url, OWN).origin === OWN;
}

const SPRITE = new URL('../../icons.svg', import.meta.url).pathname;

/** A picture from the sprite; always beside words. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

/**
 * The element with this id, which the template holds.
 * @template {HTMLElement} T
 * @param {string} id @param {new () => T} [kind] @returns {T}
 */
export function byID(id, kind = /** @type {any} */ (HTMLElement)) {
  const el = document.getElementById(id);
  if (!(el instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return el;
}

/** The nearest element around what the event hit that fits. @param {Event} e @param {string} selector */
export const near = (e, selector) => (e.target instanceof Element ? /** @type {HTMLElement | null} */ (e.target.closest(selector)) : null);

/** Sets text only if it differs: a live region speaks at every change. @param {Node} node @param {string} text */
export function text(node, text) { if (node.textContent !== text) node.textContent = text; }

/** @type {WeakMap<Element, Map<string, {el: HTMLElement, item: any}>>} */
const known = new WeakMap();

/**
 * Makes the children of parent show items, in order. Rows that stay are moved and
 * filled again only where something differs, so that focus, selection and what a
 * screen reader was told survive.
 * @template {{key: string}} T
 * @param {Element} parent @param {T[]} items
 * @param {(item: T) => HTMLElement} make
 * @param {(a: T, b: T) => boolean} same
 */
export function patch(parent, items, make, same) {
  const old = known.get(parent) ?? new Map(), next = new Map(), stay = new Set(items.map((i) => i.key));
  for (const [key, { el }] of old) if (!stay.has(key)) el.remove();
  let at = parent.firstElementChild;
  for (const item of items) {
    const was = old.get(item.key), el = was?.el ?? make(item);
    if (was && !same(was.item, item)) refill(el, make(item));
    next.set(item.key, { el, item });
    if (el === at) at = el.nextElementSibling;
    else parent.insertBefore(el, at);
  }
  known.set(parent, next);
}

/** Puts the inside and the attributes of fresh into el, which keeps its place, its tab stop and its focus. @param {HTMLElement} el @param {HTMLElement} fresh */
function refill(el, fresh) {
  const active = document.activeElement, act = active instanceof HTMLElement && active !== el && el.contains(active) ? active.dataset.act : undefined;
  for (const { name } of [...el.attributes]) if (name !== 'tabindex' && !fresh.hasAttribute(name)) el.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (name !== 'tabindex') el.setAttribute(name, value);
  el.replaceChildren(...fresh.childNodes);
  if (act) (/** @type {HTMLElement | null} */ (el.querySelector(`[data-act="${CSS.escape(act)}"]`)) ?? el).focus();
}
