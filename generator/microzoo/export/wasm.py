"""WebAssembly: enters the C of a model, leaves model.wasm, compiled by the C compiler of the Python package ziglang.

The module imports nothing. It exports `memory` and functions: raw() and input() give the addresses of the raw values and of the
int8 input, prepare() turns the first into the second, invoke() runs the model, output() gives the address of the int8 outputs;
raw_bytes(), input_bytes(), output_bytes() their sizes. Raw values are uint8, or float32 where raw_bytes() is 4 * input_bytes().
Models of sound export besides: sound() gives the address of samples() int16 values, and features() turns these into raw values.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from microzoo.catalog.files import writing
from microzoo.errors import ExportError
from microzoo.export.c import c_identifier

COMPILE_SECONDS = 120.0
STACK_BYTES = 16384
FLAGS = (
    "-target",
    "wasm32-freestanding",
    "-std=c99",
    "-O2",
    "-g0",
    "-nostdlib",
    "-I.",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
    f"-Wl,-z,stack-size={STACK_BYTES}",
)


def missing() -> str | None:
    """Why nothing can be compiled to wasm here, with the remedy; None where it can."""
    if find_spec("ziglang") is not None:
        return None
    return "the Python package ziglang is not installed; pip install 'microzoo[wasm]'"


def wasm(sources: Mapping[str, str], *, name: str = "model") -> bytes:
    """The module. sources: file name -> text, as `c_sources` and `prepare_*` give them for the same `name`.

    The same sources and version of ziglang give the same bytes. Raises ExportError where the compiler is missing or fails,
    StorageError where there is no room for its files.
    """
    if reason := missing():
        raise ExportError(f"no wasm: {reason}")
    identifier = c_identifier(name)
    exports = _EXPORTS + (_SOUND_EXPORTS if f"{identifier}_features.h" in sources else "")
    files = {
        **sources,
        "string.h": _STRING,
        "exports.c": exports.replace("NAME", identifier).replace("UPPER", identifier.upper()),
    }
    with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="microzoo-") as temporary:
        folder = Path(temporary)
        work = folder / "work"
        work.mkdir()
        for file, text in files.items():
            (work / file).write_text(text, "utf-8")
        return _compiled(work, sorted(file for file in files if file.endswith(".c")), folder / "cache")


def _compiled(work: Path, units: list[str], cache: Path) -> bytes:
    """Relative names only, so that no path of this machine gets into the module; the compiler's cache lies beside the work."""
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *units, "-o", "model.wasm"]
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    try:
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"ziglang was not done after {COMPILE_SECONDS:g} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no message"]
        raise ExportError(f"the C does not compile to wasm: {lines[0].strip()}")
    return (work / "model.wasm").read_bytes()


# The kernels include string.h, and -nostdlib brings nothing of it.
_STRING = """#include <stddef.h>
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
void *memmove(void *to, const void *from, size_t count);
"""

_EXPORTS = """#include "NAME.h"
#include "NAME_prepare.h"
#include <stddef.h>
#define EXPORTED(name) __attribute__((export_name(name)))
__attribute__((no_builtin("memcpy"))) void *memcpy(void *to, const void *from, size_t count) {
    for (size_t i = 0; i < count; i++) ((char *)to)[i] = ((const char *)from)[i];
    return to;
}
__attribute__((no_builtin("memset"))) void *memset(void *to, int value, size_t count) {
    for (size_t i = 0; i < count; i++) ((char *)to)[i] = (char)value;
    return to;
}
typedef NAME_raw raw_value;
static raw_value raw_values[UPPER_INPUT_BYTES];
EXPORTED("raw") raw_value *exported_raw(void) { return raw_values; }
EXPORTED("input") int8_t *exported_input(void) { return NAME_input(); }
EXPORTED("output") const int8_t *exported_output(void) { return NAME_output(); }
EXPORTED("raw_bytes") int exported_raw_bytes(void) { return (int)sizeof raw_values; }
EXPORTED("input_bytes") int exported_input_bytes(void) { return UPPER_INPUT_BYTES; }
EXPORTED("output_bytes") int exported_output_bytes(void) { return UPPER_OUTPUT_BYTES; }
EXPORTED("prepare") void exported_prepare(void) { NAME_prepare(raw_values, NAME_input()); }
EXPORTED("invoke") void exported_invoke(void) { NAME_invoke(); }
"""

_SOUND_EXPORTS = """#include "NAME_features.h"
__attribute__((no_builtin("memmove"))) void *memmove(void *to, const void *from, size_t count) {
    char *left = to;
    const char *right = from;
    if (left < right)
        for (size_t i = 0; i < count; i++) left[i] = right[i];
    else
        while (count--) left[count] = right[count];
    return to;
}
static int16_t sound[UPPER_SOUND_SAMPLES];
EXPORTED("sound") int16_t *exported_sound(void) { return sound; }
EXPORTED("samples") int exported_samples(void) { return UPPER_SOUND_SAMPLES; }
EXPORTED("features") void exported_features(void) {
    NAME_features_reset();
    NAME_features_take(sound, UPPER_SOUND_SAMPLES);
    NAME_features_raw(raw_values);
}
"""
