// Runs before the first paint, so that a chosen theme does not flash. A classic script, because modules wait for the document.
(() => {
  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch { /* storage is off: the system's theme it is */ }
})();
