// Light or dark, before anything is painted: what a visitor chose on any page of the site, else what the system says, also later on.
// Pages of the theme hold this text right after the switch; the page of a card, which has none, loads it at the start of its body.
(() => {
  "use strict";

  const page = document.documentElement, button = document.querySelector(".mz-scheme"), dark = matchMedia("(prefers-color-scheme: dark)");
  // The theme's own key and form, so that what was chosen with its switch still holds.
  const key = (window.__md_scope ?? new URL(page.dataset.root, location.href)).pathname + ".__palette";
  let chosen = null;

  const read = () => {
    try {
      chosen = JSON.parse(localStorage.getItem(key))?.color?.scheme ?? chosen;
    } catch { /* it may not be read, or is no JSON: what was chosen on this page holds */ }
  };

  const show = () => {
    const scheme = ["default", "slate"].includes(chosen) ? chosen : dark.matches ? "slate" : "default";
    document.body.dataset.mdColorScheme = scheme;
    document.querySelector("meta[name=color-scheme]").content = scheme === "slate" ? "dark" : "light";
    if (button) button.title = button.ariaLabel = `Switch to ${scheme === "slate" ? "light" : "dark"} mode`;
  };

  button?.addEventListener("click", () => {
    chosen = document.body.dataset.mdColorScheme === "slate" ? "default" : "slate";
    try {
      localStorage.setItem(key, JSON.stringify({ index: Number(chosen === "slate"), color: { scheme: chosen } }));
    } catch { /* nothing may be kept */ }
    show();
  });
  dark.addEventListener("change", show);
  // A page that the browser kept while its visitor chose on another one.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    read();
    show();
  });

  read();
  show();
})();
