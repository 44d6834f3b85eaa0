// Draws the scatter plots again when the axis, the filter or the unit changes: the same arithmetic as pages/plot.py, svg.py and chart.py.
(() => {
  "use strict";

  const LEFT = 64, TOP = 34, RIGHT = 20, BOTTOM = 52;

  const round = (value) => String(Number(value.toFixed(1)));

  const octaves = (low, high) => {
    const first = Math.floor(Math.log2(low) + 1e-9), last = Math.max(Math.ceil(Math.log2(high) - 1e-9), first + 1);
    return Array.from({ length: last - first + 1 }, (_, index) => 2 ** (first + index));
  };

  const logTicks = (low, high) => {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power < Math.ceil(Math.log10(high)) + 2; power++)
      for (const factor of [1, 2, 5]) ticks.push(Number((factor * 10 ** power).toPrecision(9)));
    const first = ticks.findLastIndex((tick) => tick <= low * (1 + 1e-9));
    const last = ticks.findIndex((tick, index) => index > first && tick >= high * (1 - 1e-9));
    return ticks.slice(first, last + 1);
  };

  const linearTicks = (low, high) => {
    const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw * (1 - 1e-9));
    const ticks = [];
    for (let index = Math.floor(low / step + 1e-9); index <= Math.ceil(high / step - 1e-9); index++) ticks.push(Number((index * step).toFixed(12)));
    return ticks;
  };

  const shareTicks = (low, high) => {
    const room = Math.max(0.06 * (high - low), 0.004);
    const ticks = linearTicks(Math.max(low - room, 0), Math.min(high + room, 1));
    return ticks.length > 2 ? ticks.filter((tick) => tick >= 0 && tick <= 1) : ticks;
  };

  const scale = (low, high, start, end, log) => (value) => {
    const clipped = Math.min(Math.max(value, low), high);
    return start + (end - start) * (log ? Math.log(clipped / low) / Math.log(high / low) : (clipped - low) / (high - low));
  };

  // Indices of the points that no other beats, by rising x.
  const pareto = (points) => {
    const order = points.map((_, index) => index).sort((a, b) => points[a].x - points[b].x || points[b].y - points[a].y);
    const front = [];
    for (const index of order) if (!front.length || points[index].y > points[front[front.length - 1]].y) front.push(index);
    return front;
  };

  const count = (value) => {
    for (const [factor, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "K"]]) if (value >= factor) return `${value / factor} ${suffix}`;
    return String(value);
  };

  const line = (x1, y1, x2, y2, name) => `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${name}"/>`;

  const text = (x, y, words, name, anchor) => `<text x="${round(x)}" y="${round(y)}" class="${name}" text-anchor="${anchor}">${words}</text>`;

  const frame = (x, y, xTicks, yTicks, written, label, width, height) => {
    const right = width - RIGHT, bottom = height - BOTTOM;
    let drawn = "", free = -Infinity;
    for (const tick of yTicks) drawn += line(LEFT, y(tick), right, y(tick), "mz-grid") + text(LEFT - 8, y(tick) + 4, `${Number((100 * tick).toFixed(3))} %`, "mz-tick", "end");
    for (const tick of xTicks) {
      const words = written(tick), half = 3.6 * words.length;
      drawn += line(x(tick), bottom, x(tick), bottom + 5, "mz-axis");
      if (x(tick) - half <= free) continue;
      drawn += text(x(tick), bottom + 19, words, "mz-tick", "middle");
      free = x(tick) + half + 4;
    }
    drawn += line(LEFT, bottom, right, bottom, "mz-axis") + text((LEFT + right) / 2, bottom + 38, label, "mz-label", "middle");
    return drawn + text(LEFT - 56, TOP - 18, "accuracy on the test split, int8", "mz-label", "start");
  };

  const move = (mark, x, y) => mark.setAttribute("transform", `translate(${round(x)} ${round(y)})`);

  // svg: a scatter; axis: {key, title, label, written}; costs: id -> {x, y} of the models to show; unit: how bytes are written.
  // Gives how many models lie on the axis.
  const draw = (svg, axis, costs, rivals, unit) => {
    const { width, height } = svg.viewBox.baseVal;
    const marks = [...svg.querySelectorAll("a[data-entry]")].map((link) => ({ link, ...costs.get(link.dataset.entry) }));
    const others = [...svg.querySelectorAll(".mz-rival")].map((link) => {
      const [x, same] = JSON.parse(link.dataset.costs)[axis.key] ?? [null, true];
      return { link, x: rivals ? x : null, y: Number(link.dataset.share), name: link.dataset.name + (same ? "" : "*") };
    });
    for (const each of [...marks, ...others]) {
      each.shown = each.x > 0;
      each.link.setAttribute("display", each.shown ? "inline" : "none");
    }
    const shown = marks.filter((each) => each.shown), hollow = others.filter((each) => each.shown);
    if (!shown.length) return 0;
    const all = [...shown, ...hollow], xs = all.map((each) => each.x), ys = all.map((each) => each.y);
    const octave = axis.written === "bytes" && unit.factor === 1024;
    const xTicks = (octave ? octaves : logTicks)(Math.min(...xs) * 0.94, Math.max(...xs) * 1.06);
    const yTicks = shareTicks(Math.min(...ys), Math.max(...ys));
    const x = scale(xTicks[0], xTicks[xTicks.length - 1], LEFT, width - RIGHT, true);
    const y = scale(yTicks[0], yTicks[yTicks.length - 1], height - BOTTOM, TOP, false);
    svg.querySelector(".mz-frame").innerHTML = frame(x, y, xTicks, yTicks, axis.written === "bytes" ? unit.tick : count, axis.label, width, height);
    const front = pareto(shown);
    let stairs = "";
    for (const index of front) {
      const px = round(x(shown[index].x)), py = round(y(shown[index].y));
      stairs += stairs ? `H${px}V${py}` : `M${px} ${py}`;
    }
    svg.querySelector("path.mz-front").setAttribute("d", `${stairs}H${round(width - RIGHT)}`);
    shown.forEach((each, index) => {
      move(each.link, x(each.x), y(each.y));
      each.link.querySelector("path").classList.toggle("mz-on-front", front.includes(index));
    });
    for (const each of hollow) {
      move(each.link, x(each.x), y(each.y));
      const name = each.link.querySelector("text"), left = x(each.x) > 0.75 * (width - RIGHT);
      name.textContent = each.name;
      name.setAttribute("x", left ? -9 : 9);
      name.setAttribute("text-anchor", left ? "end" : "start");
    }
    const [title, description] = [svg.querySelector("title"), svg.querySelector("desc")];
    title.textContent = title.textContent.replace(/against .*/, `against ${axis.title}`);
    description.textContent = `${shown.length} models, ${front.length} of them on the Pareto front. The table of models holds the same numbers.`;
    return shown.length;
  };

  window.microzoo.draw = draw;
})();
