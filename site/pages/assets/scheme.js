/* Light or dark for pages outside the theme: what was chosen on the site's other pages, else what the system says. */
function mzScheme() {
  "use strict";
  let scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "slate" : "default";
  try {
    const root = new URL(document.documentElement.dataset.root, location.href);
    const chosen = JSON.parse(localStorage.getItem(root.pathname + ".__palette"));
    if (chosen && chosen.color && chosen.color.scheme) scheme = chosen.color.scheme;
  } catch { /* nothing was kept, or it may not be read */ }
  document.body.dataset.mdColorScheme = scheme;
}
