// Sorts the tables that the server rendered; without this script they are complete, in their own order.
// A cell's value stands in data-value; an empty one is missing and comes last, whichever way one sorts.
window.microzoo = {};
(() => {
  "use strict";

  const value = (row, column) => {
    const text = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const number = Number(text);
    return text === "" ? null : Number.isFinite(number) ? number : text;
  };

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

  const heads = (table) => [...table.tHead.rows[0].cells];

  const served = new Map();

  // key: data-key of a column, with "-" before it where it falls; one that the table lacks gives the order of the server.
  const sort = (table, key) => {
    const descending = key.startsWith("-");
    const column = heads(table).findIndex((cell) => cell.dataset.key === key.slice(descending));
    const body = table.tBodies[0];
    const rows = column < 0 ? served.get(table).map((row) => [0, row]) : [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : (descending ? -1 : 1) * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
    heads(table).forEach((cell, index) => {
      if (index === column) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };

  const sorted = (table) => {
    const cell = table.tHead.querySelector("[aria-sort]");
    return cell ? (cell.getAttribute("aria-sort") === "descending" ? "-" : "") + cell.dataset.key : "";
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    served.set(table, [...table.tBodies[0].rows]);
    for (const cell of heads(table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "mz-sort";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const now = cell.getAttribute("aria-sort");
        const descending = now ? now === "ascending" : cell.dataset.first === "descending";
        sort(table, (descending ? "-" : "") + cell.dataset.key);
        table.dispatchEvent(new Event("mz-sorted"));
      });
    }
  }

  Object.assign(window.microzoo, { sort, sorted });
})();
