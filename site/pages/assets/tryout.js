// Runs the model of an entry in its page: first the C as wasm, and beside it, when asked, the ONNX file in ONNX Runtime. Everything is
// loaded when it is first wanted, by adding a script, which also works from file://; such a script calls mzTryout.receive(name, data).
// How an input is shown and made is the widget's, of which there is one for each kind of data: mzTryout.widgets[kind] in tryout-*.js.
(() => {
  "use strict";

  const BATCHES = 7;
  const BATCH_MS = 25; // clocks of browsers tick in steps of up to 1 ms
  const WARM_MS = 100; // browsers compile wasm twice, the second time for speed while it runs
  const box = document.getElementById("mz-try");
  if (!box) return;

  const received = {};
  window.mzTryout = { widgets: {}, receive: (name, data) => (received[name] = data) };

  const find = (name) => box.querySelector(`.mz-try-${name}`);

  // A button at work does nothing, yet keeps the focus, which a disabled one would lose.
  const occupy = (button, busy) => button.setAttribute("aria-disabled", busy);
  const pressed = (button, work) =>
    button?.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") work();
    });

  const load = (address) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = resolve;
      script.onerror = () => {
        script.remove();
        reject(new Error(`${address} cannot be loaded`));
      };
      document.head.append(script);
    });

  const bytesOf = (base64) => {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };

  const unpacked = (base64) =>
    new Response(new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

  // The C. prepare: raw values -> the int8 input; run: int8 input -> int8 scores; features: int16 samples of a clip -> raw values.
  const wasmModel = async (bytes) => {
    const { exports } = (await WebAssembly.instantiate(bytes, {})).instance;
    const size = exports.input_bytes();
    const Raw = exports.raw_bytes() === 4 * size ? Float32Array : Uint8Array;
    const int8 = (at, count) => new Int8Array(exports.memory.buffer, at, count);
    return {
      features(sound) {
        new Int16Array(exports.memory.buffer, exports.sound(), exports.samples()).set(sound);
        exports.features();
        return new Raw(exports.memory.buffer, exports.raw(), size).slice();
      },
      prepare(raw) {
        new Raw(exports.memory.buffer, exports.raw(), size).set(raw);
        exports.prepare();
        return int8(exports.input(), size).slice();
      },
      run(prepared) {
        int8(exports.input(), size).set(prepared);
        exports.invoke();
        return int8(exports.output(), exports.output_bytes()).slice();
      },
    };
  };

  // The ONNX file in ONNX Runtime on one thread. run: int8 input as above, which this file reads channels first -> int8 scores.
  const onnxModel = async (bytes, packed, [height, width, channels]) => {
    const [module, wasm] = await Promise.all([unpacked(packed.module), unpacked(packed.wasm)]);
    const address = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
    const ort = await import(address).finally(() => URL.revokeObjectURL(address));
    Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: 1, proxy: false });
    ort.env.logLevel = "error";
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return {
      async run(prepared) {
        const planes = new Int8Array(prepared.length);
        for (let at = 0; at < height * width; at++)
          for (let c = 0; c < channels; c++) planes[c * height * width + at] = prepared[at * channels + c];
        const input = new ort.Tensor("int8", planes, [1, channels, height, width]);
        const result = await session.run({ [session.inputNames[0]]: input });
        return Int8Array.from(result[session.outputNames[0]].data);
      },
    };
  };

  // Milliseconds of one run: the median of several batches, each long enough for the clock, after some time to warm up.
  const timed = async (run) => {
    const batch = async (least) => {
      const start = performance.now();
      let [count, ms] = [0, 0];
      while (ms < least) {
        const result = run();
        if (result instanceof Promise) await result;
        count++;
        ms = performance.now() - start;
      }
      await new Promise((resolve) => setTimeout(resolve)); // lets the page draw
      return { ms: ms / count, count };
    };
    await batch(WARM_MS);
    const found = [];
    while (found.length < BATCHES) found.push(await batch(BATCH_MS));
    found.sort((a, b) => a.ms - b.ms);
    return { ms: found[found.length >> 1].ms, runs: found.reduce((sum, { count }) => sum + count, 0) };
  };

  const duration = ({ ms, runs }) => {
    const value = ms < 0.1 ? `${Number((1000 * ms).toPrecision(3))} µs` : `${Number(ms.toPrecision(3))} ms`;
    return `${value}, median of ${BATCHES} batches, ${runs} runs in all`;
  };

  const best = (scores) => scores.reduce((at, score, i) => (score > scores[at] ? i : at), 0);

  const shares = (scores, scale) => {
    const top = Math.max(...scores);
    const powers = Array.from(scores, (score) => Math.exp(scale * (score - top)));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  };

  const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);
  const farthest = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  const percent = (share) => (share > 0 && share < 0.0005 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`);

  const start = async () => {
    const hadFocus = box.contains(document.activeElement);
    await Promise.all([load(box.dataset.widget), load(box.dataset.model)]);
    const given = received.model;
    const c = await wasmModel(bytesOf(given.wasm));
    const Raw = given.rawType === "float32" ? Float32Array : Uint8Array;
    const samples = given.samples.map((sample) => ({
      ...sample,
      raw: new Raw(bytesOf(sample.raw).buffer),
      sound: sample.sound && new Int16Array(bytesOf(sample.sound).buffer),
    }));
    const known = samples.map(({ raw }) => c.prepare(raw));
    let onnx = null;
    let current = null; // { prepared, label }; null while there is no input
    let turn = 0;
    let saying = 0;
    let waiting = ""; // why there are no scores yet, while an input comes in

    const rows = given.classes.map((name) => {
      const row = find("scores").tBodies[0].insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head);
      for (const part of ["mz-number", "", "mz-number", "mz-number", "mz-number"]) row.insertCell().className = part;
      row.cells[2].append(Object.assign(document.createElement("span"), { className: "mz-try-bar" }));
      row.cells[2].setAttribute("aria-hidden", "true");
      row.cells[4].hidden = row.cells[5].hidden = true;
      return row;
    });

    // A little late, so that a screen reader is not told of every step of a drawing.
    const say = (words) => {
      clearTimeout(saying);
      saying = setTimeout(() => (find("verdict").textContent = words), 150);
    };

    const show = async () => {
      const mine = ++turn;
      if (!current || waiting) {
        rows.forEach((row) => {
          row.classList.remove("mz-try-best");
          for (const cell of [1, 3, 4, 5]) row.cells[cell].textContent = "";
          row.cells[2].firstChild.style.width = 0;
        });
        say(waiting || "No input yet: draw one or pick one.");
        return;
      }
      const scores = c.run(current.prepared);
      const parts = shares(scores, given.outputScale);
      const winner = best(scores);
      rows.forEach((row, i) => {
        row.classList.toggle("mz-try-best", i === winner);
        row.cells[1].textContent = percent(parts[i]);
        row.cells[2].firstChild.style.width = `${100 * parts[i]}%`;
        row.cells[3].textContent = scores[i];
      });
      const truth = current.label < 0 ? "" : current.label === winner ? " Right." : ` Wrong: it is ${given.classes[current.label]}.`;
      say(`The model says ${given.classes[winner]}, ${percent(parts[winner])}.${truth}`);
      if (!onnx) return;
      const others = await onnx.run(current.prepared);
      if (mine !== turn) return; // a newer input was shown meanwhile
      rows.forEach((row, i) => {
        row.cells[4].textContent = others[i];
        row.cells[5].textContent = others[i] - scores[i];
      });
    };

    const press = (chosen) => {
      for (const button of find("samples").querySelectorAll("button")) button.setAttribute("aria-pressed", button === chosen);
    };

    // What a widget calls with raw values of its own, or null where there are none.
    const accept = (raw) => {
      press(null);
      waiting = "";
      current = raw && { prepared: c.prepare(raw), label: -1 };
      return show();
    };

    // What a widget calls while an input comes in, with words that stand in place of its scores; "" when it is complete.
    const wait = (words) => {
      waiting = words;
      return show();
    };

    const measure = async () => {
      const button = find("again");
      occupy(button, true);
      find("time").textContent = "being measured";
      const input = (current ?? { prepared: known[0] }).prepared;
      find("time").textContent = duration(await timed(() => c.run(input)));
      if (given.sound) find("heard-time").textContent = duration(await timed(() => c.features(samples[0].sound)));
      if (onnx) find("onnx-time").textContent = `${duration(await timed(() => onnx.run(input)))}, one thread`;
      occupy(button, false);
    };

    const exact = samples.filter(({ output }, i) => same(c.run(known[i]), Int8Array.from(output))).length;
    find("golden").textContent =
      `${exact} of ${samples.length} give the published scores${exact === samples.length ? ", bit for bit" : ""}`;

    if (given.sound) {
      const heard = samples.filter(({ sound, raw }) => same(c.features(sound), raw)).length;
      find("heard").textContent =
        `${heard} of ${samples.length} give the published spectrogram${heard === samples.length ? ", bit for bit" : ""}`;
    }

    const compare = async () => {
      const button = find("compare");
      occupy(button, true);
      const said = find("agreement");
      for (const name of ["onnx-time", "agreement"]) find(name).parentElement.hidden = false;
      said.textContent = "ONNX Runtime is being loaded";
      await Promise.all([received.runtime ? null : load(box.dataset.runtime), received.onnx ? null : load(box.dataset.onnx)]);
      const model = await onnxModel(bytesOf(received.onnx.bytes), received.runtime, given.shape);
      let agree = 0;
      let most = 0;
      for (const prepared of known) {
        const [mine, other] = [c.run(prepared), await model.run(prepared)];
        agree += best(mine) === best(other);
        most = Math.max(most, farthest(mine, other));
      }
      onnx = model;
      delete received.runtime; // 5 MB of text
      for (const cell of box.querySelectorAll(".mz-try-scores :is(th, td):nth-child(n + 5)")) cell.hidden = false;
      await show();
      said.textContent =
        `${agree} of ${known.length} ${given.real ? "inputs of the validation split" : "synthetic inputs"}: the same class; ` +
        `largest difference of a score: ${most} int8 step${most === 1 ? "" : "s"}`;
      if (document.activeElement === button) find("again").focus();
      button.hidden = button.nextElementSibling.hidden = true;
      await measure();
    };

    pressed(find("again"), () => guarded(measure, () => occupy(find("again"), false)));
    pressed(find("compare"), () =>
      guarded(compare, () => {
        occupy(find("compare"), false);
        find("agreement").textContent = "ONNX Runtime could not be run";
      }),
    );
    opening.hidden = true;
    find("stage").hidden = false;
    const widget = window.mzTryout.widgets[given.kind]({ find, given, samples, features: c.features, accept, wait, guarded });
    const buttons = samples.map(({ raw, sound, label }, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "mz-try-sample" });
      button.append(widget.thumbnail(raw), label < 0 ? String(i + 1) : given.classes[label]);
      button.addEventListener("click", () =>
        guarded(() => {
          press(button);
          waiting = "";
          current = { prepared: known[i], label };
          widget.show(raw, sound);
          return show();
        }),
      );
      return button;
    });
    find("samples").append(...buttons);
    find("next")?.addEventListener("click", () => {
      const pressed = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
      buttons[(pressed + 1) % buttons.length].click();
    });
    buttons[0].click();
    if (hadFocus) buttons[0].focus();
    await measure();
  };

  const fault = (error) => {
    find("fault").textContent = error ? `That did not work: ${error.message || error}` : "";
  };

  const guarded = async (work, otherwise = () => {}) => {
    try {
      fault(null);
      await work();
    } catch (error) {
      otherwise();
      fault(error);
    }
  };

  const opening = find("start");
  const begin = () => {
    occupy(find("main"), true);
    return guarded(start, () => occupy(find("main"), false));
  };
  pressed(find("main"), begin);
  if (location.hash === "#try") begin(); // an address can ask for it
})();
