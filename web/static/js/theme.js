// Runs before the first paint, so that a chosen theme does not flash. A classic script, because modules wait for the document.
(() => {
  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch { /* storage is off: the system's theme it is */ }
})();

// What the pages cannot do without, and the style sheets: who lacks it is told (docs/browsers.md).
addEventListener('DOMContentLoaded', () => {
  // The two newest: who has them has modules, sockets, channels and a database for long.
  const able = 'popover' in HTMLElement.prototype && CSS.supports('color', 'light-dark(red, red)');
  if (!able) document.getElementById('old-browser')?.removeAttribute('hidden');
});
