// Puts the address that this page was loaded from into the commands that download a model, so that they can be copied as they stand.
(() => {
  "use strict";

  for (const place of document.querySelectorAll(".mz-base")) {
    const root = new URL(place.dataset.root, location.href);
    root.search = root.hash = "";
    place.textContent = root.href.replaceAll("'", "%27"); // it stands between single quotes of a shell
  }
})();
