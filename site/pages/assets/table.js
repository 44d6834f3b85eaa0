// Sorts and filters the tables that the server rendered; without this script they are complete, in their own order.
// The state stands in the address (#?dataset=digits&ram=8&sort=-accuracy), so that a view can be shared.
(() => {
  "use strict";

  const KB = 1024;
  const LIMITS = ["ram", "flash"];

  const value = (row, column) => {
    const text = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? number : text;
  };

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

  const sortRows = (table, column, descending) => {
    const body = table.tBodies[0];
    const sign = descending ? -1 : 1;
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort((a, b) => sign * compare(a[0], b[0]));
    body.append(...rows.map(([, row]) => row));
    [...table.tHead.rows[0].cells].forEach((cell, index) => {
      if (index === column) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };

  const makeSortable = (table, changed) => {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "mz-sort";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const now = cell.getAttribute("aria-sort");
        const descending = now ? now === "ascending" : cell.dataset.first === "descending";
        sortRows(table, column, descending);
        changed();
      });
    });
  };

  const matches = (row, wanted) => {
    const has = row.dataset;
    if (wanted.dataset && has.dataset !== wanted.dataset) return false;
    if (wanted.target && has.target !== wanted.target) return false;
    if (LIMITS.some((key) => wanted[key] !== "" && Number(has[key]) > Number(wanted[key]) * KB)) return false;
    const text = row.textContent.toLowerCase();
    return wanted.q.toLowerCase().split(/\s+/).every((word) => text.includes(word));
  };

  const filterRows = (table, form) => {
    const wanted = Object.fromEntries(new FormData(form));
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) row.hidden = !matches(row, wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${rows.length} models`;
  };

  const readAddress = (table, form) => {
    if (!location.hash.startsWith("#?")) return;
    const state = new URLSearchParams(location.hash.slice(2));
    if (form) for (const [key, text] of state) if (key !== "sort" && form.elements[key]) form.elements[key].value = text;
    const sort = state.get("sort") ?? "";
    const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.dataset.key === sort.replace(/^-/, ""));
    if (column >= 0) sortRows(table, column, sort.startsWith("-"));
  };

  const writeAddress = (table, form) => {
    const state = new URLSearchParams();
    if (form) for (const [key, text] of new FormData(form)) if (text) state.set(key, text);
    const sorted = table.tHead.querySelector("[aria-sort]");
    if (sorted) state.set("sort", (sorted.getAttribute("aria-sort") === "descending" ? "-" : "") + sorted.dataset.key);
    history.replaceState(null, "", state.size ? `#?${state}` : "#");
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const form = table.closest(".mz-finder").querySelector("form");
    makeSortable(table, () => writeAddress(table, form));
    readAddress(table, form);
    if (!form) continue;
    const refresh = () => {
      filterRows(table, form);
      writeAddress(table, form);
    };
    form.hidden = false;
    form.addEventListener("input", refresh);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(refresh));
    window.addEventListener("hashchange", () => {
      readAddress(table, form);
      filterRows(table, form);
    });
    filterRows(table, form);
  }
})();
