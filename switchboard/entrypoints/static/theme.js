// Runs before the first paint, so that a page never flashes in the wrong theme; app.js changes the choice.
(() => {
  const chosen = /(?:^|; )theme=(light|dark)/.exec(document.cookie);
  if (chosen) document.documentElement.dataset.theme = chosen[1];
  document.documentElement.classList.add("script");
})();
