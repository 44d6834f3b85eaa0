"""What the front end of sound costs on a Cortex-M: instructions of a frame, flash and RAM, beside two others of the same shape.

    python benchmarks/front_end.py      (needs arm-none-eabi-gcc and qemu-system-arm)

Peers, measured in the same run: the same integers with long multiplications on every core, and the same spectrogram in single
precision as a program would write it, its tables constant, its logarithm a cubic. Instructions are emulated; they are no cycles.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from microzoo.export.c import KERNEL_FILES
from microzoo.export.features import features_sources
from microzoo.export.literals import float_literal, wrapped
from microzoo.measure.arm import COMPILER
from microzoo.measure.c_runtime import compiler_version
from microzoo.measure.emulate import emulate, emulator_version
from microzoo.measure.footprint import measure_footprint
from microzoo.sound.logmel import LogMel, Samples
from microzoo.spec.cores import Core
from microzoo.spec.dataset import SoundSpec

CORES: tuple[Core, ...] = ("cortex-m0plus", "cortex-m4", "cortex-m55")
FRONT_ENDS = {
    "8 kHz, 256 samples, 49 x 20": LogMel(SoundSpec(rate_hz=8000, window=256, hop=160, low_hz=80, high_hz=3800), 49, 20),
    "16 kHz, 512 samples, 49 x 40": LogMel(SoundSpec(rate_hz=16000, window=512, hop=320, low_hz=20, high_hz=8000), 49, 40),
}
CLIPS = 2
SHORT = "#ifdef __ARM_ARCH_6M__"


def main() -> None:
    print(f"{platform.machine()}, {COMPILER} {compiler_version(COMPILER)} -O2, {emulator_version()}, {CLIPS} clips of noise")
    for title, front_end in FRONT_ENDS.items():
        print(f"\n{title}\n{'':16}{'':>20}{'instructions':>14}{'ratio':>8}{'flash':>8}{'static RAM':>12}")
        rng = np.random.default_rng(0)
        clips = np.clip(rng.normal(size=(CLIPS, front_end.samples)) * 3000, -32768, 32767).astype(np.int16)
        for core in CORES:
            ours = 0.0
            for name, sources in variants(front_end).items():
                instructions, flash, ram, same = measured(front_end, sources, core, clips)
                each = instructions / front_end.frames
                ours = ours or each
                assert same or name == "single precision", f"{title}, {core}: {name} gives other values"
                print(f"{core:16}{name:>20}{each:14,.0f}{each / ours:8.2f}{flash:8,}{ram:12,}")


def variants(front_end: LogMel) -> dict[str, dict[str, str]]:
    """Name -> sources with the functions of a front end called "net"."""
    own = features_sources("net", front_end)
    assert SHORT in own["net_features.c"]
    long = {name: text.replace(SHORT, "#if 0") for name, text in own.items()}
    return {"ours": own, "long products": long, "single precision": own | {"net_features.c": single_precision(front_end)}}


def measured(front_end: LogMel, sources: Mapping[str, str], core: Core, clips: Samples) -> tuple[float, int, int, bool]:
    """Instructions of a clip, flash, static RAM without the buffers of the program around it, and whether the values are ours."""
    library = resources.files("microzoo.export") / "runtime"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = {**sources, "heard.h": HEADER, "heard.c": PROGRAM} | {name: (library / name).read_text() for name in KERNEL_FILES}
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        found = emulate(folder, core, clips.view(np.int8).reshape(len(clips), 1, 1, -1))
        footprint = measure_footprint(folder, core)
    raw = front_end.raw(clips).reshape(len(clips), -1)
    buffers = 2 * front_end.samples + raw.shape[1]
    same = np.array_equal(found.outputs.view(np.uint8), raw)
    return float(np.mean(found.instructions)), footprint.flash_bytes, footprint.static_ram_bytes - buffers, same


def single_precision(front_end: LogMel) -> str:
    """The same spectrogram in float, with the interface of the generated source."""
    bands, shares = front_end.bins
    tables = {
        "hann": front_end.window / np.float32(32767),
        "sine": front_end.sine / np.float32(32767),
        "share": shares / np.float32(256),
    }
    text = "".join(
        f"static const float {name}[{len(values)}] = {{\n{wrapped(map(float_literal, values.tolist()))}\n}};\n"
        for name, values in tables.items()
    )
    text += f"static const uint8_t band_of[{len(bands)}] = {{\n{wrapped(map(str, bands.tolist()))}\n}};\n"
    return FLOAT.replace("$TABLES$", text).replace("$STEPS$", str(front_end.spec.steps))


HEADER = """#include "net_features.h"
#define HEARD_INPUT_BYTES (2 * NET_SOUND_SAMPLES)
#define HEARD_OUTPUT_BYTES (NET_SOUND_FRAMES * NET_SOUND_BANDS)
#define HEARD_ARENA_BYTES HEARD_INPUT_BYTES
int8_t *heard_input(void);
const int8_t *heard_output(void);
void heard_invoke(void);
"""
PROGRAM = """#include "heard.h"
#include "net_features.c"
static int16_t sound[NET_SOUND_SAMPLES];
static uint8_t raw[HEARD_OUTPUT_BYTES];
int8_t *heard_input(void) { return (int8_t *)sound; }
const int8_t *heard_output(void) { return (const int8_t *)raw; }
void heard_invoke(void) {
    net_features_reset();
    net_features_take(sound, NET_SOUND_SAMPLES);
    net_features_raw(raw);
}
"""
FLOAT = """#include "net_features.h"
#include <string.h>
#define WINDOW NET_SOUND_WINDOW
#define HALF (WINDOW / 2)
#define BANDS NET_SOUND_BANDS
#define VALUES (NET_SOUND_FRAMES * BANDS)
$TABLES$
static int16_t held[WINDOW];
static float levels[VALUES], re[HALF], im[HALF], energy[BANDS + 1];
static uint32_t held_samples, held_frames, next_frame;
static float logarithm(float value) { /* base two; a cubic in the mantissa, within 0.001 */
    union { float real; uint32_t bits; } as = {value};
    float exponent = (float)(int32_t)(as.bits >> 23) - 127.0f, m;
    as.bits = (as.bits & 0x7FFFFFu) | 0x3F800000u;
    m = as.real;
    return exponent + ((0.15824871f * m - 1.05187502f) * m + 3.04788415f) * m - 2.15362069f;
}
static void frame(void) {
    uint32_t i, k, span, bit, at = 0;
    for (i = 0; i < HALF; i++) {
        uint32_t even = 2 * i, odd = even + 1;
        re[at] = held[even] * hann[even <= HALF ? even : WINDOW - even];
        im[at] = held[odd] * hann[odd <= HALF ? odd : WINDOW - odd];
        for (bit = HALF >> 1; at & bit; bit >>= 1) at ^= bit;
        at |= bit;
    }
    for (span = 1; span < HALF; span *= 2)
        for (k = 0; k < span; k++) {
            float s = sine[k * HALF / span], c = sine[k * HALF / span + WINDOW / 4];
            for (i = k; i < HALF; i += 2 * span) {
                uint32_t j = i + span;
                float x = re[j] * c + im[j] * s, y = im[j] * c - re[j] * s;
                re[j] = re[i] - x;
                im[j] = im[i] - y;
                re[i] += x;
                im[i] += y;
            }
        }
    memset(energy, 0, sizeof energy);
    for (k = 1; k < HALF; k++)
        if (band_of[k] <= BANDS) {
            uint32_t j = HALF - k, band = band_of[k];
            float s = sine[k], c = sine[k + WINDOW / 4], a = im[k] + im[j], b = re[j] - re[k];
            float x = re[k] + re[j] + a * c + b * s, y = im[k] - im[j] + b * c - a * s, power = x * x + y * y;
            energy[band] += power * share[k];
            if (band) energy[band - 1] += power * (1.0f - share[k]);
        }
    for (i = 0; i < BANDS; i++)
        levels[next_frame * BANDS + i] = 4.0f * (8.0f + logarithm(energy[i] + 1.0f));
    next_frame = (next_frame + 1) % NET_SOUND_FRAMES;
    if (held_frames < NET_SOUND_FRAMES) held_frames++;
}
void net_features_reset(void) {
    memset(levels, 0, sizeof levels);
    held_samples = held_frames = next_frame = 0;
}
uint32_t net_features_take(const int16_t *samples, uint32_t count) {
    while (count--) {
        held[held_samples++] = *samples++;
        if (held_samples == WINDOW) {
            frame();
            held_samples = WINDOW - NET_SOUND_HOP;
            memmove(held, held + NET_SOUND_HOP, held_samples * sizeof *held);
        }
    }
    return held_frames;
}
void net_features_raw(uint8_t *raw) {
    uint32_t i;
    float loudest = 120;
    for (i = 0; i < VALUES; i++) if (levels[i] > loudest) loudest = levels[i];
    for (i = 0; i < VALUES; i++) {
        float value = levels[(next_frame * BANDS + i) % VALUES] - loudest + $STEPS$;
        raw[i] = (uint8_t)(value < 0 ? 0 : value);
    }
}
"""

if __name__ == "__main__":
    main()
