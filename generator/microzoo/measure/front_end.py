"""The front end of sound in C, measured: what it takes of flash, RAM and stack, how many instructions a clip costs, and that it
makes of the golden recordings exactly the raw values that the golden vectors have.

It is compiled as a model of its own whose input is the sound and whose output the raw values, so that everything that measures
models measures it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copy

import numpy as np

from microzoo.catalog.card import Figure
from microzoo.catalog.golden import GOLDEN, Golden
from microzoo.errors import MeasurementError
from microzoo.measure import arm
from microzoo.measure.accuracy import require_equal
from microzoo.measure.c_runtime import CRuntime, compiler_version
from microzoo.measure.c_sources import KERNELS
from microzoo.measure.emulate import MAX_INPUTS, BoardTooSmallError, emulate, emulator_version
from microzoo.measure.emulate import missing as emulator_missing
from microzoo.measure.footprint import measure_footprint
from microzoo.measure.runtimes import Int8, Runtime, WasmFrontEnd
from microzoo.measure.scratch import scratch_folder, write_scratch
from microzoo.spec.cores import Core

SUFFIX = "_features.h"


@dataclass(frozen=True)
class FrontEnd:
    """The sources in an entry. prefix: of their names; samples: of a clip; values: raw values of one."""

    header: Path
    prefix: str
    samples: int
    values: int


def find_front_end(folder: Path) -> FrontEnd | None:
    """Those in a folder of C sources; None where there are none. Raises MeasurementError where their header lacks a size."""
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if not found:
        return None
    text, prefix = found[0].read_text(errors="replace"), found[0].name.removesuffix(SUFFIX)
    sizes = []
    for name in ("SAMPLES", "FRAMES", "BANDS"):
        match = re.search(rf"^#define {prefix.upper()}_SOUND_{name} (\d+)$", text, re.MULTILINE)
        if match is None:
            raise MeasurementError(f"{found[0]}: does not define {prefix.upper()}_SOUND_{name}", "export the model again")
        sizes.append(int(match[1]))
    return FrontEnd(found[0], prefix, sizes[0], sizes[1] * sizes[2])


def front_end_figures(folder: Path, core: Core, golden: Golden | None, wasm: Path | None = None) -> dict[str, Figure]:
    """c_features_flash, c_features_ram, c_features_stack, features_instructions and features_differences of the sources in
    `folder`; {} where they have no front end. Without the tools: None, and why. wasm: the module that holds it too.

    Raises MeasurementError where raw values differ from those of the golden vectors, here, in the module or on an emulated core.
    """
    front_end = find_front_end(folder)
    if front_end is None:
        return {}
    if golden is None or golden.sound is None:
        raise MeasurementError(f"{folder}: has a front end of sound, and no recordings to try it with", "build the entry again")
    with _as_model(front_end) as place:
        clips, raw = _int8(golden.sound), _int8(golden.raw).reshape(len(golden), -1)
        figures = _footprint(front_end, place, core)
        figures |= _emulated(place, core, clips, raw)
        return figures | _differences(place, wasm, clips, raw)


def _footprint(front_end: FrontEnd, place: Path, core: Core) -> dict[str, Figure]:
    if reason := arm.missing():
        said = {"value": None, "unit": "bytes", "method": f"not measured: {reason}"}
        return {
            "c_features_flash": Figure(kind="measured", **said),
            "c_features_ram": Figure(kind="measured", **said),
            "c_features_stack": Figure(kind="estimated", **said),
        }
    found = measure_footprint(place, core)
    buffers = 2 * front_end.samples + front_end.values
    compiler = f"{arm.COMPILER} {compiler_version(arm.COMPILER)} {arm.OPTIMISATION} for {core}"
    tool = f"{compiler}, linked, minus an image without it"
    values = {
        "c_features_flash": (found.flash_bytes, "measured", f".text + .rodata + .data, {tool}"),
        "c_features_ram": (found.static_ram_bytes - buffers, "measured", f".data + .bss, {tool}; without stack"),
        "c_features_stack": (found.stack_bytes, "estimated", f"deepest chain of calls by static stack usage, {compiler}"),
    }
    return {
        name: Figure.model_validate({"value": value, "unit": "bytes", "kind": kind, "method": method})
        for name, (value, kind, method) in values.items()
    }


def _emulated(place: Path, core: Core, clips: Int8, raw: Int8) -> dict[str, Figure]:
    reason = emulator_missing()
    if reason is None:
        try:
            found = emulate(place, core, clips[:MAX_INPUTS])
        except BoardTooSmallError as error:
            reason = error.problem
    if reason is not None:
        none = Figure(value=None, unit="instructions", kind="emulated", method=f"not emulated: {reason}")
        return {"features_instructions": none}
    require_equal(found.outputs, f"the front end on an emulated {core}", raw[:MAX_INPUTS], GOLDEN)
    compiler = f"{arm.COMPILER} {compiler_version(arm.COMPILER)} {arm.OPTIMISATION} for {core}"
    method = (
        f"of all frames of a clip, mean over {len(found.outputs)} recordings of {GOLDEN}, whose raw values it gives exactly; "
        f"instructions, not cycles; {compiler}, {emulator_version()}"
    )
    mean = round(float(np.mean(found.instructions)))
    return {"features_instructions": Figure(value=mean, unit="instructions", kind="emulated", method=method)}


def _differences(place: Path, wasm: Path | None, clips: Int8, raw: Int8) -> dict[str, Figure]:
    absent, ran = [], []
    plan: list[tuple[Runtime, Path]] = [(CRuntime(), place)] + ([] if wasm is None else [(WasmFrontEnd(), wasm)])
    for runtime, path in plan:
        if reason := runtime.missing():
            absent.append(reason)
            continue
        require_equal(runtime.run(path, clips), f"the front end, {runtime.name}", raw, GOLDEN)
        ran.append(runtime.name)
    if not ran:
        none = Figure(value=None, unit="count", kind="measured", method=f"not compared: {'; '.join(absent)}")
        return {"features_differences": none}
    method = f"of the {len(clips)} recordings of {GOLDEN}, those with other raw values in {' or '.join(ran)}"
    return {"features_differences": Figure(value=0, unit="count", kind="measured", method=method)}


def _int8(values: np.ndarray[tuple[int, ...], np.dtype[np.int16 | np.uint8 | np.float32]]) -> Int8:
    """The bytes of (n, ...) as int8 (n, bytes)."""
    little = values.astype(values.dtype.newbyteorder("<"))
    found: Int8 = np.ascontiguousarray(little).view(np.int8).reshape(len(values), 1, 1, -1)
    return found


@contextmanager
def _as_model(front_end: FrontEnd) -> Iterator[Path]:
    """A folder with the front end as the sources of a model."""
    with scratch_folder() as place:
        for file in (*front_end.header.parent.glob(f"{KERNELS}*"), front_end.header, front_end.header.with_suffix(".c")):
            if not file.is_file():
                raise MeasurementError(f"{file}: missing", "export the model again")
            copy(file, place / file.name)
        words = {"NAME": front_end.prefix, "UPPER": front_end.prefix.upper()}
        for name, text in (("heard.h", _HEADER), ("heard.c", _SOURCE)):
            for word, value in words.items():
                text = text.replace(f"${word}$", value)
            write_scratch(place / name, text.encode())
        yield place


_HEADER = """#include "$NAME$_features.h"
#define HEARD_INPUT_BYTES (2 * $UPPER$_SOUND_SAMPLES)
#define HEARD_OUTPUT_BYTES ($UPPER$_SOUND_FRAMES * $UPPER$_SOUND_BANDS)
#define HEARD_ARENA_BYTES HEARD_INPUT_BYTES
int8_t *heard_input(void);
const int8_t *heard_output(void);
void heard_invoke(void);
"""

_SOURCE = """#include "heard.h"
#include "$NAME$_features.c"
static int16_t sound[$UPPER$_SOUND_SAMPLES];
static uint8_t raw[HEARD_OUTPUT_BYTES];
int8_t *heard_input(void) { return (int8_t *)sound; }
const int8_t *heard_output(void) { return (const int8_t *)raw; }
void heard_invoke(void) {
    $NAME$_features_reset();
    $NAME$_features_take(sound, $UPPER$_SOUND_SAMPLES);
    $NAME$_features_raw(raw);
}
"""
