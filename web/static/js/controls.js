// @ts-check

// The list of controls narrows while somebody types. Without this script the form
// asks the server, which marks the same rows: both look for every word in data-words.

const form = /** @type {HTMLFormElement} */ (document.getElementById('filter'));
const query = /** @type {HTMLInputElement} */ (document.getElementById('q'));
const layer = /** @type {HTMLSelectElement} */ (document.getElementById('layer'));
const found = /** @type {HTMLElement} */ (document.getElementById('found'));
const none = /** @type {HTMLElement} */ (document.getElementById('none'));
const sections = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('.layer')]);
const total = document.querySelectorAll('.controls li').length;

function narrow() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const section of sections) {
    const wanted = !layer.value || section.dataset.layer === layer.value;
    let here = 0;
    for (const row of /** @type {NodeListOf<HTMLElement>} */ (section.querySelectorAll('.controls > li'))) {
      row.hidden = !wanted || !words.every((w) => (row.dataset.words ?? '').includes(w));
      if (!row.hidden) here++;
    }
    section.hidden = here === 0;
    shown += here;
  }
  none.hidden = shown > 0;
  found.textContent = `${shown} of ${total} controls`;
  const at = new URLSearchParams();
  if (query.value) at.set('q', query.value);
  if (layer.value) at.set('layer', layer.value);
  history.replaceState(null, '', at.size ? `/controls?${at}` : '/controls');
}

form.addEventListener('submit', (e) => { e.preventDefault(); narrow(); });
query.addEventListener('input', narrow);
layer.addEventListener('change', narrow);
