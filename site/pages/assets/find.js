// Finds what fits: reads the forms of a page, narrows its table and plots, writes the view into the address, exports what is shown.
// The table holds all numbers; where there are no scripts it is whole, and no form is shown.
(() => {
  "use strict";

  const { sort, sorted, draw } = window.microzoo;
  const table = document.querySelector("table[data-sortable]");
  if (!table) return;

  const KIB = 1024;
  const grouped = (value) => value.toLocaleString("en-US");
  const binary = (k, m) => ({
    factor: KIB,
    size: (value) => (value < KIB ? `${Math.round(value)} B` : value < KIB * KIB ? `${(value / KIB).toFixed(1)} ${k}` : `${(value / KIB / KIB).toFixed(2)} ${m}`),
    tick: (value) => (value < KIB ? `${value} B` : value < KIB * KIB ? `${value / KIB} ${k}` : `${value / KIB / KIB} ${m}`),
  });
  const UNITS = {
    "": binary("KB", "MB"),
    KiB: binary("KiB", "MiB"),
    kB: {
      factor: 1000,
      size: (value) => (value < 1e3 ? `${Math.round(value)} B` : value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(2)} MB`),
      tick: (value) => (value < 1e3 ? `${value} B` : value < 1e6 ? `${value / 1e3} kB` : `${value / 1e6} MB`),
    },
    B: { factor: 1, size: (value) => `${grouped(value)} B`, tick: (value) => grouped(value) },
  };
  const CHIP = ["ram", "flash", "clock", "core"];

  const heads = [...table.tHead.rows[0].cells];
  const column = Object.fromEntries(heads.map((cell, index) => [cell.dataset.key, index]));
  const number = (text) => (text === undefined || text === "" ? null : Number(text));

  const records = new Map();
  for (const row of table.tBodies[0].rows) {
    const cell = (key) => (key in column ? row.cells[column[key]] : null);
    const record = { row, ms: null, id: row.dataset.entry, words: `${row.dataset.entry} ${row.dataset.core} ${cell("dataset")?.textContent ?? ""}`.toLowerCase() };
    for (const key of ["accuracy", "validation", "ram", "flash", "macs", "instructions", "bytes"]) record[key] = number(cell(key)?.dataset.value);
    for (const key of ["paper_ram", "paper_size", "n", "seeds", "sd"]) record[key] = number(row.dataset[key]);
    record.date = cell("date").dataset.value || null;
    records.set(record.id, record);
  }

  const forms = [...document.querySelectorAll("form.mz-find, form.mz-axis")];
  const finder = document.querySelector("form.mz-find");
  const fields = Object.fromEntries(forms.flatMap((form) => [...form.elements]).filter((each) => each.name).map((each) => [each.name, each]));
  const output = finder?.querySelector("output");
  const figures = [...document.querySelectorAll("figure[data-plot]")];
  const chosen = (name) => fields[name]?.selectedOptions[0];
  const unit = () => UNITS[fields.unit?.value ?? ""];

  const state = () => {
    const found = {};
    for (const [name, field] of Object.entries(fields)) {
      const value = field.type === "checkbox" ? (field.checked ? field.value : "") : field.value;
      if (value !== "") found[name] = value;
    }
    if (found.board) for (const name of CHIP) delete found[name];
    return found;
  };

  // What the chip has, in bytes, MHz and milliseconds; null where it does not matter.
  const chip = () => {
    const bytes = (name) => (fields[name]?.value ? Number(fields[name].value) * unit().factor : null);
    const core = fields.core?.value || null;
    return {
      ram: bytes("ram"),
      flash: bytes("flash"),
      clock: Number(fields.clock?.value) || null,
      core,
      ms: number(fields.ms?.value),
      npu: core === null || chosen("board")?.dataset.npu !== undefined,
    };
  };

  // Estimated milliseconds: instructions emulated on the model's own core, at cycles that are assumed. null where that says nothing.
  const time = (record, has) => {
    const own = record.row.dataset.core;
    if ((has.clock ?? has.ms) === null || record.instructions === null || (has.core && has.core !== own)) return null;
    const option = [...fields.core.options].find((each) => each.value === own);
    if (!option) return null;
    // Without a clock it is the model's target that is meant, with a board that board: either may say what it takes.
    const said = has.clock === null ? record.row.dataset.cpi : chosen("board")?.dataset.cpi;
    return (record.instructions * Number(said ?? option.dataset.cpi)) / ((has.clock ?? Number(record.row.dataset.clock)) * 1e3);
  };

  const within = (value, most) => most === null || (value !== null && value <= most);

  const matches = (record, has, wanted) =>
    within(record.ram, has.ram) &&
    within(record.flash, has.flash) &&
    within(record.ms, has.ms) &&
    (has.npu || record.row.dataset.npu === undefined) &&
    (!wanted.dataset || record.row.dataset.dataset === wanted.dataset) &&
    (!wanted.target || record.row.dataset.target === wanted.target) &&
    (wanted.q ?? "").toLowerCase().split(/\s+/).every((word) => record.words.includes(word));

  const fillTimes = (has) => {
    const timed = (has.clock ?? has.ms) !== null;
    if (!timed && !table.classList.contains("mz-timed")) return;
    table.classList.toggle("mz-timed", timed);
    const note = document.getElementById("mz-time-note");
    if (note) note.hidden = !timed;
    for (const record of records.values()) {
      record.ms = time(record, has);
      const cell = record.row.cells[column.time];
      cell.dataset.value = record.ms ?? "";
      cell.textContent = record.ms === null ? "–" : `~${Number(record.ms.toPrecision(3))} ms`;
      cell.title = record.ms === null ? "not emulated on this core, or not counted" : "estimated; nothing was timed";
    }
  };

  let written = "";
  const writeSizes = () => {
    const name = fields.unit?.value ?? "";
    if (name === written) return;
    written = name;
    for (const head of heads.filter((cell) => cell.dataset.bytes !== undefined))
      for (const record of records.values()) {
        const cell = record.row.cells[column[head.dataset.key]], place = cell.querySelector("a") ?? cell;
        place.dataset.served ??= place.textContent;
        place.textContent = name === "" ? place.dataset.served : UNITS[name].size(Number(cell.dataset.value));
      }
  };

  const redraw = (shown) => {
    const option = chosen("x");
    if (!option) return;
    const key = option.dataset.key, axis = { key, title: option.dataset.title, label: option.dataset.label, written: option.dataset.written };
    const costs = new Map(shown.map((record) => [record.id, { x: record[key], y: record.accuracy }]));
    for (const figure of figures) {
      const drawn = draw(figure.querySelector("svg"), axis, costs, !fields.rivals?.checked, unit());
      figure.classList.toggle("mz-nothing", drawn === 0);
      const rival = figure.querySelector(".mz-rival-key");
      if (rival) rival.hidden = !figure.querySelector('.mz-rival[display="inline"]');
    }
    if (!fields.rivals) return;
    const rivals = [...document.querySelectorAll("[data-plot]:not(.mz-nothing) .mz-rival")];
    fields.rivals.closest("label").hidden = !rivals.some((each) => key in JSON.parse(each.dataset.costs));
  };

  const shownRecords = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => records.get(row.dataset.entry));

  let touched = false;
  const refresh = () => {
    const has = chip(), wanted = state();
    fillTimes(has);
    for (const record of records.values()) record.row.hidden = !matches(record, has, wanted);
    if (sorted(table).endsWith("time")) sort(table, sorted(table));
    writeSizes();
    const shown = shownRecords();
    if (output) output.textContent = `${shown.length} of ${records.size} models`;
    // The server drew the first view.
    if (touched || Object.keys(wanted).length) redraw(shown);
    touched = true;
  };

  const view = () => {
    const wanted = new URLSearchParams(Object.entries(state()).sort());
    if (sorted(table)) wanted.set("sort", sorted(table));
    return wanted;
  };

  const writeAddress = () => {
    const text = view().toString();
    history.replaceState(null, "", text ? `#?${text}` : "#");
  };

  const takeBoard = () => {
    const option = chosen("board");
    if (!option?.value) return;
    for (const name of ["ram", "flash"]) fields[name].value = Number(option.dataset[name]) / unit().factor;
    fields.clock.value = option.dataset.clock;
    fields.core.value = option.dataset.core;
  };

  const readAddress = () => {
    if (location.hash.length > 1 && !location.hash.startsWith("#?")) return;
    const wanted = new URLSearchParams(location.hash.slice(2));
    for (const [name, field] of Object.entries(fields)) {
      const value = wanted.get(name) ?? "";
      if (field.type === "checkbox") field.checked = value === field.value;
      else if (field.tagName === "SELECT") field.value = [...field.options].some((each) => each.value === value) ? value : "";
      else field.value = value;
    }
    takeBoard();
    remembered = unit();
    if ((wanted.get("sort") ?? "") !== sorted(table)) sort(table, wanted.get("sort") ?? "");
  };

  let remembered = UNITS[""];
  const changed = (event) => {
    const name = event.target.name;
    if (name === "board") {
      if (event.target.value) takeBoard();
      else for (const each of CHIP) fields[each].value = "";
    } else if (CHIP.includes(name)) fields.board.value = "";
    else if (name === "unit") {
      for (const each of ["ram", "flash"]) if (fields[each].value) fields[each].value = Number(((Number(fields[each].value) * remembered.factor) / unit().factor).toFixed(6));
      remembered = unit();
    }
    refresh();
    writeAddress();
  };

  const described = (record) => {
    const { row } = record, kind = (key) => /mz-is-(\w+)/.exec(row.cells[column[key]].className)?.[1] ?? null;
    return {
      id: record.id, dataset: row.dataset.dataset, target: row.dataset.target, core: row.dataset.core,
      accuracy_int8_test: record.accuracy, test_inputs: record.n,
      accuracy_int8_validation_mean: record.validation, accuracy_int8_validation_sd: record.sd, seeds: record.seeds,
      ram_bytes: record.ram, ram_kind: kind("ram"), flash_bytes: record.flash, flash_kind: kind("flash"),
      macs: record.macs, instructions_emulated: record.instructions,
      ...(table.classList.contains("mz-timed") ? { milliseconds_estimated: record.ms } : {}),
      munas_ram_bytes: record.paper_ram, munas_size_bytes: record.paper_size, tflite_bytes: record.bytes, built: record.date,
      page: new URL(row.querySelector("th a").getAttribute("href"), location.href.split("#")[0]).href,
    };
  };
  const exported = () => shownRecords().map(described);

  // RFC 4180; a text that a spreadsheet would take for a formula keeps an apostrophe before it.
  const csvCell = (value) => {
    if (value === null) return "";
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (rows) => {
    const names = Object.keys(described([...records.values()][0]));
    return [names, ...rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(csvCell).join(",") + "\r\n").join("");
  };

  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  const exporter = document.querySelector(".mz-export");
  exporter.addEventListener("click", (event) => {
    const format = event.target.dataset.export;
    if (format === "csv") save("microzoo.csv", "text/csv;charset=utf-8", csv(exported()));
    if (format === "json") save("microzoo.json", "application/json", `${JSON.stringify({ view: Object.fromEntries(view()), models: exported() }, null, 1)}\n`);
  });

  for (const form of forms) {
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  finder?.addEventListener("reset", () =>
    setTimeout(() => {
      remembered = unit();
      refresh();
      writeAddress();
    }),
  );
  table.addEventListener("mz-sorted", writeAddress);
  window.addEventListener("hashchange", () => {
    readAddress();
    refresh();
  });
  readAddress();
  refresh();
})();
