// The widget for data that is no picture: a plot of the values of the samples along the longer side, a line for each of the other side
// and channel. Nothing can be recorded.
(() => {
  "use strict";

  const MOST = 8; // lines
  const SVG = "http://www.w3.org/2000/svg";

  const plot = (svg, raw, given) => {
    const [height, width, channels] = given.shape;
    const along = height >= width;
    const [length, across] = along ? [height, width] : [width, height];
    const count = across * channels;
    let [low, high] = [Infinity, -Infinity];
    for (const value of raw) [low, high] = [Math.min(low, value), Math.max(high, value)];
    const [, , right, bottom] = svg.getAttribute("viewBox").split(" ").map(Number);
    const span = high - low || 1;
    svg.replaceChildren();
    for (let line = 0; line < Math.min(count, MOST); line++) {
      const path = document.createElementNS(SVG, "path");
      const [other, c] = [Math.floor(line / channels), line % channels];
      const points = Array.from({ length }, (_, i) => {
        const at = along ? i * width + other : other * width + i;
        const y = 2 + (bottom - 4) * (1 - (raw[at * channels + c] - low) / span);
        return `${((right * i) / Math.max(length - 1, 1)).toFixed(1)} ${y.toFixed(1)}`;
      });
      path.setAttribute("d", `M${points.join("L")}`);
      path.setAttribute("class", `mz-line mz-c${line}`);
      svg.append(path);
    }
    return { low, high, length, count };
  };

  window.mzTryout.widgets.values = ({ find, given }) => ({
    thumbnail(raw) {
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", "0 0 60 30");
      svg.setAttribute("class", "mz-svg");
      plot(svg, raw, given);
      return svg;
    },
    show(raw) {
      const { low, high, length, count } = plot(find("plot"), raw, given);
      const digits = (value) => Number(value.toPrecision(4));
      find("caption").textContent =
        `Raw values from ${digits(low)} to ${digits(high)} over ${length} steps, ` +
        (count > MOST ? `the first ${MOST} of ${count} lines` : `${count} line${count === 1 ? "" : "s"}`);
    },
  });
})();
