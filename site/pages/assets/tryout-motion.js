// The widget for sensor values: a plot against time for each unit, a line for each channel, and a replay in the time that the recording
// took. While it runs there are no scores: a chip has none either before the window is complete.
(() => {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "5 2 1 2 1 2", "1 2", "15 3 3 3"]; // as the charts of the site have them
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [420, 156, 34, 412, 24, 136];
  const STEP_S = 0.25; // how often a replay is drawn for whoever wants nothing to move

  const drawn = (name, attributes = {}, ...children) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  const line = (series, d) => drawn("path", { class: `mz-line mz-c${series % 8}`, "stroke-dasharray": DASHES[series % 8], d });

  // Round numbers from at most low to at least high, about five steps of 1, 2 or 5.
  const ticks = (low, high) => {
    const rough = (high - low || 1) / 5;
    const ten = 10 ** Math.floor(Math.log10(rough));
    const step = ten * [1, 2, 5, 10].find((each) => each * ten >= rough * 0.999);
    const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
    return Array.from({ length: Math.max(last - first, 1) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
  };

  // Channels of one unit share a plot: [unit, indices of its channels] each.
  const groupsOf = ({ units }) => [...new Set(units)].map((unit) => [unit, units.flatMap((each, c) => (each === unit ? [c] : []))]);

  window.mzTryout.widgets.motion = ({ find, given, samples, wait, guarded }) => {
    const [length, , channels] = given.shape;
    const { rateHz, channels: names } = given.signal;
    const seconds = length / rateHz;
    const groups = groupsOf(given.signal);

    const extent = (raws, members) => {
      let [low, high] = [Infinity, -Infinity];
      for (const raw of raws)
        for (let at = 0; at < length; at++)
          for (const c of members) [low, high] = [Math.min(low, raw[at * channels + c]), Math.max(high, raw[at * channels + c])];
      return [low, high];
    };

    // The first `count` values of a channel as a path; x and y give points.
    const course = (raw, c, count, x, y) => {
      const points = Array.from({ length: count }, (_, at) => `${x(at).toFixed(1)} ${y(raw[at * channels + c]).toFixed(1)}`);
      return `M${points.join("L")}`;
    };

    const x = (time) => LEFT + ((RIGHT - LEFT) * time) / seconds;
    const text = (at, y, anchor, words) => drawn("text", { x: at, y, "text-anchor": anchor }, words);

    // All samples share the scale of a plot, so that what is still looks still.
    const plots = groups.map(([unit, members]) => {
      const [least, most] = extent(samples.map((sample) => sample.raw), members);
      const marks = ticks(Math.min(least, 0), Math.max(most, 0));
      const [low, high] = [marks[0], marks[marks.length - 1]];
      const y = (value) => BOTTOM - ((BOTTOM - TOP) * (Math.min(Math.max(value, low), high) - low)) / (high - low);
      const frame = drawn("g", {}, text(LEFT, TOP - 9, "start", unit));
      for (const mark of marks)
        frame.append(
          drawn("path", { class: "mz-grid", d: `M${LEFT} ${y(mark)}H${RIGHT}` }),
          text(LEFT - 5, y(mark) + 4, "end", String(mark).replace("-", "−")),
        );
      for (const mark of ticks(0, seconds).filter((each) => each <= seconds))
        frame.append(
          drawn("path", { class: "mz-axis", d: `M${x(mark)} ${BOTTOM}v4` }),
          text(x(mark), HEIGHT - 4, mark ? "middle" : "start", `${mark} s`),
        );
      const lines = members.map((_, i) => line(i, ""));
      const cursor = drawn("path", { class: "mz-try-cursor", d: "" });
      const svg = drawn("svg", { class: "mz-svg mz-try-plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, frame, ...lines, cursor);
      const legend = Object.assign(document.createElement("ul"), { className: "mz-legend" });
      members.forEach((c, i) => {
        const swatch = drawn("svg", { class: "mz-try-swatch", viewBox: "0 0 32 8", "aria-hidden": "true" }, line(i, "M0 4H32"));
        const item = document.createElement("li");
        item.append(swatch, names[c]);
        legend.append(item);
      });
      const figure = document.createElement("figure");
      figure.append(document.createElement("figcaption"), svg);
      figure.firstChild.append(legend);
      find("plots").append(figure);
      return { unit, members, y, svg, lines, cursor };
    });

    const play = find("play");
    let raw = null;
    let [elapsed, last, frame] = [0, 0, 0]; // seconds shown, the clock's last time, the request that is out: 0 at rest

    // The plots at a moment of the window: what was recorded by then, with a cursor until it is complete.
    const draw = (time) => {
      const count = Math.min(length, Math.floor(time * rateHz + 1e-6) + 1);
      for (const { members, y, lines, cursor } of plots) {
        members.forEach((c, i) => lines[i].setAttribute("d", course(raw, c, count, (at) => x(at / rateHz), y)));
        cursor.setAttribute("d", time < seconds ? `M${x(time)} ${TOP}V${BOTTOM}` : "");
      }
      find("clock").textContent = `${Math.min(time, seconds).toFixed(2)} of ${seconds.toFixed(2)} s`;
    };

    const stop = () => {
      cancelAnimationFrame(frame);
      frame = 0;
    };

    const whole = () => {
      stop();
      elapsed = 0;
      play.textContent = "Play";
      draw(seconds);
    };

    const step = (now) => {
      elapsed += Math.max(0, now - last) / 1000;
      last = now;
      if (elapsed >= seconds) {
        whole();
        guarded(() => wait(""));
        return;
      }
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      draw(still ? Math.floor(elapsed / STEP_S) * STEP_S : elapsed);
      frame = requestAnimationFrame(step);
    };

    play.addEventListener("click", () => {
      if (frame) {
        stop();
        play.textContent = "Go on";
        return;
      }
      if (!elapsed) guarded(() => wait("The window is coming in: the model answers when it is complete."));
      play.textContent = "Pause";
      last = performance.now();
      frame = requestAnimationFrame(step);
    });

    return {
      thumbnail(values) {
        const picture = drawn("svg", { class: "mz-svg", viewBox: `0 0 60 ${16 * plots.length}`, "aria-hidden": "true" });
        plots.forEach(({ members, y }, row) => {
          const place = (value) => 16 * row + (14 * (y(value) - TOP)) / (BOTTOM - TOP) + 1;
          members.forEach((c, i) => {
            const d = course(values, c, length, (at) => (60 * at) / length, place);
            picture.append(drawn("path", { class: `mz-line mz-c${i % 8}`, d }));
          });
        });
        return picture;
      },
      show(values) {
        raw = values;
        for (const { unit, members, svg } of plots) {
          const [low, high] = extent([raw], members).map((value) => Number(value.toPrecision(3)));
          const words = `from ${low} to ${high} ${unit} over ${seconds.toFixed(2)} s`;
          svg.setAttribute("aria-label", `${members.map((c) => names[c]).join(", ")}: ${words}`);
        }
        whole();
      },
    };
  };
})();
