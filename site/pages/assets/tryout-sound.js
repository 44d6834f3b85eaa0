// The widget for sound: clips to hear with their waveform and the spectrogram that the model gets, a recorder, and sound files. What is
// recorded or chosen is cut to a clip as the training data was; the C of the model, here as wasm, makes the spectrogram of it.
(() => {
  "use strict";

  const RECORD_S = 2; // or a second more than a clip, where that is longer
  const MOST_S = 60; // of a file, as for the training data
  const TICK_MS = 50;
  const LEAST_DRAWN = 300; // of 32,768: what is quieter is drawn as quiet
  const SVG = "http://www.w3.org/2000/svg";
  const [WIDTH, MIDDLE, REACH] = [420, 40, 38]; // of the waveform
  // Viridis (van der Walt, Smith 2015) at five places: lightness alone tells the values apart.
  const COLOURS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const REFUSALS = {
    NotAllowedError: "the microphone was refused; allow it for this page in the browser's settings",
    SecurityError: "the browser lets this page have no microphone",
    NotFoundError: "no microphone was found",
    OverconstrainedError: "no microphone was found",
    NotReadableError: "the microphone cannot be read; maybe another program uses it",
  };

  // Of a longer recording the part with the greatest energy, the first of equal ones; a shorter one in the middle of silence. start: where
  // the clip begins in the recording. The same as `fitted` of microzoo.data.wav; sums stay below 2 ** 53, so they are exact.
  const fitted = (recording, samples) => {
    const spare = recording.length - samples;
    const clip = new Int16Array(samples);
    if (spare <= 0) {
      const before = Math.floor(-spare / 2);
      clip.set(recording, before);
      return { clip, start: 0 - before };
    }
    let energy = 0;
    for (let at = 0; at < samples; at++) energy += recording[at] ** 2;
    let [start, most] = [0, energy];
    for (let at = 1; at <= spare; at++) {
      energy += recording[at + samples - 1] ** 2 - recording[at - 1] ** 2;
      if (energy > most) [start, most] = [at, energy];
    }
    clip.set(recording.subarray(start, start + samples));
    return { clip, start };
  };

  const colour = (share) => {
    const at = Math.min(share * (COLOURS.length - 1), COLOURS.length - 1 - 1e-9);
    const [low, high] = [COLOURS[Math.floor(at)], COLOURS[Math.floor(at) + 1]];
    return low.map((value, i) => Math.round(value + (at % 1) * (high[i] - value)));
  };

  // Time to the right, low bands at the bottom.
  const paint = (canvas, raw, { shape: [frames, bands], rawMin, rawMax }) => {
    const image = new ImageData(frames, bands);
    for (let frame = 0; frame < frames; frame++)
      for (let band = 0; band < bands; band++) {
        const share = (raw[frame * bands + band] - rawMin) / (rawMax - rawMin || 1);
        image.data.set([...colour(share), 255], 4 * ((bands - 1 - band) * frames + frame));
      }
    Object.assign(canvas, { width: frames, height: bands }).getContext("2d", { willReadFrequently: true }).putImageData(image, 0, 0);
    return canvas;
  };

  const element = (name, attributes, ...children) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // The least and the greatest sample of each column. The model hears the same at any gain, so quiet clips are drawn larger.
  const wave = (clip) => {
    const loudest = clip.reduce((most, value) => Math.max(most, Math.abs(value)), LEAST_DRAWN);
    let d = "";
    for (let column = 0; column < WIDTH; column++) {
      const [from, to] = [column, column + 1].map((each) => Math.floor((each * clip.length) / WIDTH));
      let [low, high] = [clip[from], clip[from]];
      for (let at = from; at < to; at++) [low, high] = [Math.min(low, clip[at]), Math.max(high, clip[at])];
      const [top, bottom] = [high, low].map((value) => (MIDDLE - (REACH * value) / loudest).toFixed(1));
      d += `M${column + 0.5} ${top}V${Number(bottom) - top < 1 ? (Number(top) + 1).toFixed(1) : bottom}`;
    }
    return d;
  };

  const microphone = async () => {
    const elsewhere = "; a sound file works as well";
    if (!navigator.mediaDevices?.getUserMedia)
      throw new Error(
        (isSecureContext
          ? "this browser gives pages no microphone"
          : "browsers give a microphone only to pages over https or from your own computer") + elsewhere,
      );
    if (!window.MediaRecorder) throw new Error(`this browser cannot record, as it has no MediaRecorder${elsewhere}`);
    try {
      // As a bare microphone on a chip hears.
      const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      return await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new Error((REFUSALS[error.name] ?? (error.message || error.name)) + elsewhere);
    }
  };

  window.mzTryout.widgets.sound = ({ find, given, features, accept, wait, guarded }) => {
    const { rateHz, samples } = given.sound;
    const seconds = samples / rateHz;
    const most = Math.max(RECORD_S, Math.ceil(seconds + 1));
    const [play, record] = [find("play"), find("record")];
    const moments = (time) => `${time.toFixed(2)} s`;
    let heard = null; // the samples of the clip that is shown
    let audio = null; // made when it is first wanted: browsers let no page begin with sound
    let source = null; // what plays now
    let busy = false; // from Record until there is a recording, or none will come
    let finish = null; // ends what is being recorded
    let turn = 0; // of what was wanted last: an answer to anything before it is dropped

    const draw = (raw, clip, words) => {
      heard = clip;
      const cursor = element("path", { class: "mz-try-cursor", d: "" });
      const step = [0.05, 0.1, 0.25, 0.5, 1, 2, 5].find((each) => seconds / each <= 5) ?? 10;
      const marks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
      find("wave").replaceChildren(
        element("path", { class: "mz-try-sound", d: wave(clip) }),
        ...marks.map((time) => element("path", { class: "mz-axis", d: `M${(WIDTH * time) / seconds} 80v4` })),
        ...marks.map((time) => element("text", { x: (WIDTH * time) / seconds + 3, y: 92 }, `${Number(time.toFixed(2))} s`)),
        cursor,
      );
      paint(find("seen"), raw, given);
      find("caption").textContent = words;
    };

    const silence = () => {
      source?.stop();
      source = null;
      play.textContent = "Play";
      find("wave").querySelector(".mz-try-cursor")?.setAttribute("d", "");
    };

    const follow = (playing, begun) => {
      if (source !== playing) return;
      const at = (WIDTH * Math.min(audio.currentTime - begun, seconds)) / seconds;
      find("wave").querySelector(".mz-try-cursor").setAttribute("d", `M${at.toFixed(1)} 2V78`);
      requestAnimationFrame(() => follow(playing, begun));
    };

    const sounded = async () => {
      if (source) return silence();
      audio ??= new AudioContext();
      await audio.resume();
      const buffer = audio.createBuffer(1, samples, rateHz);
      buffer.copyToChannel(Float32Array.from(heard, (value) => value / 32768), 0);
      const playing = (source = audio.createBufferSource());
      Object.assign(playing, { buffer, onended: () => source === playing && silence() }).connect(audio.destination);
      playing.start();
      play.textContent = "Stop";
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) follow(playing, audio.currentTime);
    };

    // Any format that the browser knows -> int16 at the model's rate, one channel. An offline context decodes without a sound card and
    // without a gesture, and brings what it decodes to its own rate through a low-pass filter, which playing into it does not do everywhere.
    const decoded = async (bytes, complaint) => {
      const context = new OfflineAudioContext(1, 1, rateHz);
      let buffer;
      try {
        buffer = await context.decodeAudioData(bytes);
      } catch {
        throw new Error(complaint);
      }
      const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
      return Int16Array.from({ length: buffer.length }, (_, at) => {
        const value = channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length;
        return Math.max(-32768, Math.min(32767, Math.round(32768 * value)));
      });
    };

    const taken = (recording, name) => {
      const { clip, start } = fitted(recording, samples);
      const raw = features(clip);
      const length = moments(recording.length / rateHz);
      const part = start > 0 ? `, of which the model gets ${moments(seconds)} from ${moments(start / rateHz)} on` : "";
      // The loudest value of a clip is rawMax, unless all of it is too quiet to be made louder.
      const quiet = raw.every((value) => value < given.rawMax) ? " There is hardly any sound in it: is the microphone muted?" : "";
      draw(raw, clip, `${name}: ${length}${part}.${quiet}`);
      return accept(raw);
    };

    // The sound of a stream until it is finished, in the browser's own format. MediaRecorder and decodeAudioData are what Chromium, Firefox
    // and Safari all have, and what needs no file of its own beside the page, so that it works from file:// too.
    const captured = (stream) =>
      new Promise((resolve, reject) => {
        const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 128_000 });
        const parts = [];
        const levels = new AudioContext();
        const analyser = levels.createAnalyser();
        const now = new Float32Array(analyser.fftSize);
        let ticking = 0;
        let begun = 0;
        levels.createMediaStreamSource(stream).connect(analyser);
        finish = () => recorder.state !== "inactive" && recorder.stop();
        const tick = () => {
          const left = most - (performance.now() - begun) / 1000;
          analyser.getFloatTimeDomainData(now);
          const peak = now.reduce((high, value) => Math.max(high, Math.abs(value)), 1e-3);
          find("level").value = 1 + Math.log10(peak) / 3; // 60 dB
          find("clock").textContent = `${Math.max(0, left).toFixed(1)} s left`;
          if (left <= 0) finish();
        };
        recorder.ondataavailable = ({ data }) => parts.push(data);
        const end = () => {
          clearInterval(ticking);
          levels.close();
        };
        recorder.onerror = ({ error }) => {
          end();
          reject(error ?? new Error("the recorder failed"));
        };
        recorder.onstart = () => {
          begun = performance.now();
          ticking = setInterval(tick, TICK_MS);
          tick();
          find("recording").hidden = false;
          wait(`Speak now: ${most} seconds are recorded.`);
        };
        recorder.onstop = () => {
          end();
          resolve(new Blob(parts).arrayBuffer());
        };
        recorder.start();
      });

    const recorded = async () => {
      const mine = ++turn;
      silence();
      occupy(true);
      try {
        await wait("The browser asks whether this page may use the microphone.");
        const stream = await microphone();
        try {
          if (mine !== turn) return;
          const bytes = await captured(stream);
          if (mine !== turn) return;
          await taken(await decoded(bytes, "this browser cannot read its own recording"), "Your recording");
        } finally {
          stream.getTracks().forEach((track) => track.stop());
        }
      } finally {
        if (mine === turn) occupy(false);
      }
    };

    // What plays now would be recorded, so nothing does meanwhile.
    const occupy = (now) => {
      busy = now;
      finish = null;
      record.textContent = now ? "Stop" : "Record";
      play.setAttribute("aria-disabled", now);
      find("recording").hidden = true;
    };

    // Drops whatever is being recorded or decoded.
    const drop = () => {
      turn++;
      finish?.();
      occupy(false);
      silence();
    };

    play.addEventListener("click", () => busy || guarded(sounded));
    record.addEventListener("click", () => {
      if (finish) finish();
      else if (busy) {
        drop(); // while the browser still asks
        guarded(() => wait(""));
      } else guarded(recorded, () => wait(""));
    });
    find("open").querySelector("input").addEventListener("change", (event) => {
      const file = event.target.files[0];
      event.target.value = ""; // so that the same file can be chosen again
      if (!file) return;
      drop();
      const mine = turn;
      guarded(
        async () => {
          const recording = await decoded(await file.arrayBuffer(), `${file.name} is no sound that this browser can read`);
          if (recording.length > MOST_S * rateHz) throw new Error(`${file.name} is longer than ${MOST_S} s`);
          if (mine === turn) await taken(recording, file.name);
        },
        () => wait(""),
      );
    });

    return {
      thumbnail: (raw) => paint(document.createElement("canvas"), raw, given),
      show(raw, clip) {
        drop();
        draw(raw, clip, `A clip of ${moments(seconds)}, ${samples} samples`);
      },
    };
  };
  window.mzTryout.widgets.sound.fitted = fitted; // for a test that holds it to Python's
})();
