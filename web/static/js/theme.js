// Runs before the first paint, so that a chosen theme does not flash. A classic script, because modules wait for the document.
(() => {
  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch { /* storage is off: the system's theme it is */ }
})();

// What the pages cannot do without, and the style sheets: who lacks it is told (docs/browsers.md).
addEventListener('DOMContentLoaded', () => {
  const able = 'popover' in HTMLElement.prototype && 'noModule' in HTMLScriptElement.prototype && CSS.supports('color', 'light-dark(red, red)')
    && ['WebSocket', 'BroadcastChannel', 'indexedDB'].every((name) => name in window);
  if (!able) document.getElementById('old-browser')?.removeAttribute('hidden');
});
