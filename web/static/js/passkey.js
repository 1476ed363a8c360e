// @ts-check
import { Api, ApiError } from './net/api.js';
import { answer, assertion, creation, reason, supported } from './net/webauthn.js';

const api = () => new Api(document.body.dataset.csrf ?? '', document.body.dataset.userId ?? '');

/** @param {Element} where @param {string} words empty: none */
function say(where, words) {
  const note = /** @type {HTMLElement | null} */ (where.querySelector('.note'));
  if (!note) return;
  note.textContent = words;
  note.hidden = words === '';
}

/** Asks a device for a proof. @param {string} path of the call that begins */
async function prove(path) {
  const begun = /** @type {any} */ (await api().call('POST', path));
  return answer(await navigator.credentials.get({ publicKey: assertion(begun.options) }));
}

/** The page after this one: an address of our own and nothing else. @param {string | undefined} next */
function go(next) {
  const to = new URL(next || '/', location.origin);
  location.assign(to.origin === location.origin ? to.href : '/');
}

/** A button that proves who is there, and then goes on to a page. @param {HTMLElement} box */
function button(box) {
  const [begin, end] = box.dataset.passkey === 'sign-in' ? ['/api/passkeys/sign-in/begin', '/api/passkeys/sign-in'] : ['/api/step-up/begin', '/api/step-up'];
  const press = /** @type {HTMLButtonElement} */ (box.querySelector('button'));
  press.addEventListener('click', async () => {
    press.disabled = true;
    say(box, '');
    try {
      await api().call('POST', end, { credential: await prove(begin) });
      go(box.dataset.next);
    } catch (err) {
      say(box, reason(err));
      press.disabled = false;
    }
  });
  box.hidden = false;
}

/** Asks in a dialog for a fresh proof. @returns {Promise<boolean>} false: the person does not want to */
function stepUp() {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('step-up'));
  const password = /** @type {HTMLInputElement} */ (document.getElementById('step-up-password'));
  return new Promise((resolve) => {
    /** @param {() => Promise<unknown>} f */
    const attempt = async (f) => {
      say(dialog, '');
      try {
        const s = /** @type {any} */ (await api().call('POST', '/api/step-up', await f()));
        document.body.dataset.csrf = s.csrf_token; // the session has another secret now
        for (const field of document.querySelectorAll('input[name=csrf_token]')) /** @type {HTMLInputElement} */ (field).value = s.csrf_token;
        dialog.close('proven');
      } catch (err) {
        say(dialog, reason(err));
      }
    };
    const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
    form.onsubmit = (e) => { e.preventDefault(); void attempt(async () => ({ password: password.value })); };
    for (const b of dialog.querySelectorAll('button')) {
      if (b.dataset.with === 'passkey') b.onclick = () => { void attempt(async () => ({ credential: await prove('/api/step-up/begin') })); };
      if (b.dataset.with === 'nothing') b.onclick = () => dialog.close('');
    }
    dialog.onclose = () => { password.value = ''; resolve(dialog.returnValue === 'proven'); };
    dialog.returnValue = '';
    dialog.showModal();
  });
}

/** Calls, and once more after a step-up if that is what is missing. @param {string} path @param {unknown} [body] */
async function fresh(path, body) {
  try {
    return await api().call('POST', path, body);
  } catch (err) {
    if (!(err instanceof ApiError) || err.code !== 'step_up_required' || !(await stepUp())) throw err;
    return api().call('POST', path, body);
  }
}

/** @param {HTMLFormElement} form */
function register(form) {
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    say(form, '');
    const name = /** @type {HTMLInputElement} */ (form.querySelector('input')).value;
    try {
      const begun = /** @type {any} */ (await fresh('/api/passkeys/begin'));
      const made = await navigator.credentials.create({ publicKey: creation(begun.options) });
      await fresh('/api/passkeys', { name, credential: answer(made) });
      location.reload();
    } catch (err) {
      say(form, reason(err));
    }
  });
  form.hidden = false;
}

if (supported()) {
  for (const el of document.querySelectorAll('[data-passkey]')) {
    if (el instanceof HTMLFormElement) register(el);
    else if (el instanceof HTMLElement) button(el);
  }
}
