// The widget for pictures: a pad to draw on with pen and eraser, by pointer or by keys, a picture of one's own, and beside it the
// pixels that the model gets. Positions on the pad are shares of its width. given.drawing says how the pictures of the dataset came
// to their size; without it there is no pen, and pictures are only scaled.
(() => {
  "use strict";

  const INK = 0.15; // of full brightness: less counts as ground
  const MOST_SCALE = 8; // of a dot

  const canvasOf = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

  const paint = (canvas, raw, given) => {
    const [height, width, channels] = given.shape;
    const image = new ImageData(width, height);
    const span = given.rawMax - given.rawMin || 1;
    for (let at = 0; at < width * height; at++) {
      for (let c = 0; c < 3; c++)
        image.data[4 * at + c] = Math.round((255 * (raw[at * channels + (channels === 3 ? c : 0)] - given.rawMin)) / span);
      image.data[4 * at + 3] = 255;
    }
    Object.assign(canvas, { width, height }).getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
    return canvas;
  };

  // Brightness 0 to 1 of each pixel's red channel.
  const levels = (canvas) => {
    const { data } = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
    return Float32Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] / 255);
  };

  // Left, top, width, height and centre of mass of what is bright; null where nothing is.
  const extent = (grey, width) => {
    let [left, top, right, bottom, sum, x, y] = [Infinity, Infinity, -1, -1, 0, 0, 0];
    grey.forEach((value, at) => {
      if (value < INK) return;
      const [px, py] = [at % width, Math.floor(at / width)];
      [left, top, right, bottom] = [Math.min(left, px), Math.min(top, py), Math.max(right, px), Math.max(bottom, py)];
      [sum, x, y] = [sum + value, x + value * (px + 0.5), y + value * (py + 0.5)];
    });
    if (right < 0) return null;
    return { left, top, width: right + 1 - left, height: bottom + 1 - top, mass: [x / sum, y / sum] };
  };

  // Brightens what strokes enclose: all that cannot be reached from the edge over the ground. Gives whether there is any.
  const fill = (grey, width, level) => {
    const height = grey.length / width;
    const outside = new Uint8Array(grey.length);
    const open = [];
    const visit = (at) => {
      if (outside[at] || grey[at] >= 0.5) return;
      outside[at] = 1;
      open.push(at);
    };
    for (let x = 0; x < width; x++) [x, (height - 1) * width + x].forEach(visit);
    for (let y = 0; y < height; y++) [y * width, y * width + width - 1].forEach(visit);
    while (open.length) {
      const at = open.pop();
      if (at % width) visit(at - 1);
      if ((at + 1) % width) visit(at + 1);
      if (at >= width) visit(at - width);
      if (at + width < grey.length) visit(at + width);
    }
    let enclosed = false;
    grey.forEach((value, at) => {
      if (outside[at]) return;
      if (value < 0.5) enclosed = true;
      grey[at] = level;
    });
    return enclosed;
  };

  window.mzTryout.widgets.image = ({ find, given, accept, guarded }) => {
    const [height, width, channels] = given.shape;
    const how = given.drawing;
    const pad = find("pad");
    const pen = how ? how.pen : 0;
    const fine = Math.max(4, Math.round(128 / Math.max(width, height))); // points a pixel and side, while it is drawn
    let base = null; // a canvas below the strokes
    let placed = true; // whether it is brought to size as the training data was; samples are already
    let untouched = false; // a sample as it came, which the eraser changes and the pen replaces
    let strokes = []; // { erase, points: [[x, y], ...] }
    let stroke = null;
    let cursor = [0.5, (0.5 * height) / width];
    let planned = false;
    pad.height = Math.round((pad.width * height) / width);

    // Base and strokes on black. scale, shift: from the pad's units to pixels.
    const draw = (canvas, scale, shift, thickness) => {
      const to = canvas.getContext("2d", { willReadFrequently: true });
      to.setTransform(1, 0, 0, 1, 0, 0);
      to.fillStyle = "#000";
      to.fillRect(0, 0, canvas.width, canvas.height);
      to.setTransform(scale[0], 0, 0, scale[1], shift[0], shift[1]);
      to.imageSmoothingEnabled = placed;
      if (base) to.drawImage(base, 0, 0, 1, height / width);
      to.lineCap = to.lineJoin = "round";
      for (const { erase, points } of strokes) {
        to.strokeStyle = erase ? "#000" : "#fff";
        to.lineWidth = erase ? 2 * thickness : thickness;
        to.beginPath();
        to.moveTo(...points[0]);
        for (const point of points) to.lineTo(...point);
        to.stroke();
      }
    };

    // The drawing in the size of the model's input, `fine` points to a pixel, and its brightness.
    const sized = () => {
      const canvas = canvasOf(width * fine, height * fine);
      const frame = canvas.width;
      draw(canvas, [frame, frame], [0, 0], pen);
      let grey = levels(canvas);
      const found = extent(grey, frame);
      if (!found) return null;
      if (!how || !placed) return { canvas, grey };
      // Strokes keep their thickness, so what is scaled is the box of their middle lines.
      const thick = base ? 0 : pen * frame;
      const fits = [
        (how.width * frame - thick) / Math.max(found.width - thick, 1),
        (how.height * canvas.height - thick) / Math.max(found.height - thick, 1),
      ];
      const least = Math.min(...fits, MOST_SCALE);
      const scale = fits.map((each) => frame * Math.min(each, least * how.stretch));
      const place = ([x, y]) => {
        draw(canvas, scale, [frame / 2 - (x * scale[0]) / frame, canvas.height / 2 - (y * scale[1]) / frame], pen / least);
        grey = levels(canvas);
      };
      const middle = [found.left + found.width / 2, found.top + found.height / 2];
      place(middle);
      if (how.centre === "mass") {
        const { mass } = extent(grey, frame) ?? { mass: [frame / 2, canvas.height / 2] };
        place([middle[0] + ((mass[0] - frame / 2) * frame) / scale[0], middle[1] + ((mass[1] - canvas.height / 2) * frame) / scale[1]]);
      }
      return { canvas, grey };
    };

    // Raw values, channels last; null for an empty pad.
    const pixels = () => {
      const whole = sized();
      if (!whole) return null;
      const { canvas, grey } = whole;
      if (how?.filling && placed && find("fill").checked) {
        const enclosed = fill(grey, canvas.width, how.filling);
        hint(!enclosed && !base ? "The outline is open, so nothing is filled: close it." : null);
      }
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const span = given.rawMax - given.rawMin;
      return Array.from({ length: width * height * channels }, (_, i) => {
        const [c, x, y] = [i % channels, Math.floor(i / channels) % width, Math.floor(i / channels / width)];
        let sum = 0;
        for (let dy = 0; dy < fine; dy++)
          for (let dx = 0; dx < fine; dx++) {
            const at = (y * fine + dy) * canvas.width + x * fine + dx;
            sum += channels === 1 ? grey[at] : data[4 * at + c] / 255;
          }
        return Math.round(given.rawMin + (span * sum) / (fine * fine));
      });
    };

    const hints = find("hint").textContent;
    const hint = (words) => (find("hint").textContent = words ?? hints);

    const show = () => {
      draw(pad, [pad.width, pad.width], [0, 0], pen);
      if (!how || document.activeElement !== pad || !pad.matches(":focus-visible")) return;
      const to = pad.getContext("2d");
      to.setTransform(1, 0, 0, 1, 0, 0);
      to.strokeStyle = stroke ? "#ffd23f" : "#7fb2ff";
      to.lineWidth = 2;
      to.beginPath();
      to.arc(cursor[0] * pad.width, cursor[1] * pad.width, 9, 0, 7);
      to.stroke();
    };

    const changed = () => {
      if (planned) return;
      planned = true;
      requestAnimationFrame(() => {
        planned = false;
        show();
        hint(null);
        const raw = pixels();
        paint(find("seen"), raw ?? new Array(width * height * channels).fill(given.rawMin), given);
        guarded(() => accept(raw));
      });
    };

    const begin = (point) => {
      const erase = document.querySelector("input[name=mz-try-tool]:checked").value === "eraser";
      if (untouched && !erase) [base, placed] = [null, true];
      untouched = false;
      strokes.push((stroke = { erase, points: [point] }));
      changed();
    };

    const clear = () => {
      [base, placed, untouched, strokes, stroke] = [null, true, false, [], null];
      changed();
    };

    if (how) {
      const at = (event) => {
        const area = pad.getBoundingClientRect();
        return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.width];
      };
      pad.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        pad.setPointerCapture(event.pointerId);
        begin(at(event));
      });
      pad.addEventListener("pointermove", (event) => {
        if (!stroke || !pad.hasPointerCapture(event.pointerId)) return;
        for (const each of event.getCoalescedEvents?.() ?? [event]) stroke.points.push(at(each));
        changed();
      });
      for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, () => (stroke = null));
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      pad.addEventListener("keydown", (event) => {
        const step = steps[event.key];
        if (step) {
          const far = 1 / Math.max(width, 14);
          cursor = [Math.min(1, Math.max(0, cursor[0] + far * step[0])), Math.min(height / width, Math.max(0, cursor[1] + far * step[1]))];
          if (stroke) stroke.points.push(cursor);
        } else if (event.key === " ") {
          if (stroke) stroke = null;
          else begin(cursor);
        } else if (event.key === "Delete") clear();
        else return;
        event.preventDefault();
        if (stroke || event.key === "Delete") changed();
        else show();
      });
      pad.addEventListener("focus", show);
      pad.addEventListener("blur", () => {
        stroke = null;
        show();
      });
      find("clear").addEventListener("click", clear);
      find("fill")?.addEventListener("change", changed);
    }

    // A picture of one's own, the whole of it in the frame; where the data is light on dark, a light ground makes it be negated.
    const opened = (picture) => {
      base = canvasOf(width * fine, height * fine);
      const to = base.getContext("2d", { willReadFrequently: true });
      const scale = Math.min(base.width / picture.naturalWidth, base.height / picture.naturalHeight);
      const [w, h] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
      const box = [Math.round((base.width - w) / 2), Math.round((base.height - h) / 2), Math.round(w), Math.round(h)];
      to.fillStyle = "#fff";
      to.fillRect(...box);
      to.drawImage(picture, ...box);
      if (channels === 1) {
        const image = to.getImageData(...box);
        const grey = Float32Array.from({ length: image.data.length / 4 }, (_, i) => {
          const [r, g, b] = image.data.subarray(4 * i, 4 * i + 3);
          return 0.299 * r + 0.587 * g + 0.114 * b;
        });
        const edge = grey.filter((_, i) => i < box[2] || i >= grey.length - box[2] || i % box[2] === 0 || (i + 1) % box[2] === 0).sort();
        const ground = edge[edge.length >> 1];
        const most = Math.max(1, grey.reduce((far, value) => Math.max(far, Math.abs(value - ground)), 0));
        grey.forEach((value, i) => {
          const level = how ? (255 * Math.max(0, ground > 127 ? ground - value : value - ground)) / most : value;
          image.data.set([level, level, level, 255], 4 * i);
        });
        to.putImageData(image, box[0], box[1]);
      }
      [placed, untouched, strokes, stroke] = [true, false, [], null];
      changed();
    };

    find("open").querySelector("input").addEventListener("change", (event) => {
      const file = event.target.files[0];
      event.target.value = ""; // so that the same file can be opened again
      if (!file) return;
      const picture = new Image();
      picture.src = URL.createObjectURL(file);
      guarded(async () => {
        try {
          await picture.decode();
        } catch {
          throw new Error(`${file.name} is no picture that this browser can read`);
        } finally {
          URL.revokeObjectURL(picture.src);
        }
        opened(picture);
      });
    });

    return {
      thumbnail: (raw) => paint(canvasOf(1, 1), raw, given),
      show(raw) {
        [base, placed, untouched, strokes, stroke] = [paint(canvasOf(1, 1), raw, given), false, true, [], null];
        hint(null);
        paint(find("seen"), raw, given);
        show();
      },
    };
  };
})();
