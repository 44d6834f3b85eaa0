"""The pre-processing in C against the Python path: every byte, and floats at and around every rounding boundary."""

import subprocess

import numpy as np
import pytest

from microzoo.data.load import prepare
from microzoo.errors import ExportError
from microzoo.export.prepare import Line, line_of, prepare_bytes, prepare_reals
from microzoo.graph.integer import Quantisation
from microzoo.quantise.reference import quantise_input
from microzoo.spec.dataset import Preprocess

from .c_program import WARNINGS

MODEL = "#include <stdint.h>\n#define NET_INPUT_BYTES 256\n"
PROGRAM = """
#include <stdio.h>
#include "net_prepare.h"
int main(void) {
    static net_raw raw[NET_INPUT_BYTES];
    static int8_t input[NET_INPUT_BYTES];
    while (fread(raw, sizeof *raw, NET_INPUT_BYTES, stdin) == NET_INPUT_BYTES) {
        net_prepare(raw, input);
        fwrite(input, 1, NET_INPUT_BYTES, stdout);
    }
    return 0;
}
"""
BYTES = [
    pytest.param(Preprocess(raw_min=0, raw_max=255, scale=1 / 255), Quantisation(1 / 255, -128), id="pixels"),
    pytest.param(Preprocess(raw_min=0, raw_max=16, scale=1 / 16), Quantisation(1 / 255, -128), id="digits, mostly saturated"),
    pytest.param(Preprocess(raw_min=0, raw_max=255, scale=1 / 255, mean=0.2860, std=0.3530), Quantisation(0.0111, -55), id="std"),
    pytest.param(Preprocess(raw_min=0, raw_max=255, scale=1.0, mean=127.5, std=64.0), Quantisation(0.0157, 0), id="centred"),
    pytest.param(Preprocess(raw_min=0, raw_max=255, scale=0.5), Quantisation(1.0, 0), id="every other value is a tie"),
    pytest.param(
        Preprocess(raw_min=0, raw_max=255, scale=40.0, mean=2000.0), Quantisation(1.0, 3), id="steep, both ends saturate"
    ),
    pytest.param(Preprocess(raw_min=0, raw_max=255, scale=1e-3), Quantisation(1.0, 7), id="all the same"),
]


def run_c(files, folder, raw, *flags, compiler="gcc"):
    for name, text in {**files, "net.h": MODEL, "main.c": PROGRAM}.items():
        (folder / name).write_text(text)
    command = [compiler, *WARNINGS, "-Wconversion", *flags, "main.c", "net_prepare.c", "-o", "program"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert built.returncode == 0, built.stderr[:2000]
    padded = np.concatenate([raw, np.zeros(-len(raw) % 256, raw.dtype)])
    done = subprocess.run([folder / "program"], input=padded.tobytes(), capture_output=True, check=True, timeout=60)
    return np.frombuffer(done.stdout, np.int8)[: len(raw)]


@pytest.mark.parametrize(("how", "quantisation"), BYTES)
def test_every_byte_becomes_what_python_makes_of_it(how, quantisation, tmp_path):
    raw = np.arange(256, dtype=np.uint8)
    table = quantise_input(prepare(raw, how), quantisation)
    files = prepare_bytes("net", table)
    assert list(files) == ["net_prepare.c", "net_prepare.h"]
    assert "float" not in files["net_prepare.c"]
    assert np.array_equal(run_c(files, tmp_path, raw, "-fsanitize=undefined", "-fno-sanitize-recover"), table)


def test_pixels_need_one_subtraction_and_a_table_is_the_last_resort():
    raw = np.arange(256)
    assert line_of((raw - 128).astype(np.int8)) == Line(1, 0, 0)
    assert "(int8_t)(raw - 128)" in prepare_bytes("net", (raw - 128).astype(np.int8))["net_prepare.c"]
    half = np.clip(np.rint(raw * 0.5), -128, 127).astype(np.int8)  # 0, 0, 1, 2, 2: halves to even are on no line
    assert line_of(half) is None
    assert "net_prepared[256]" in prepare_bytes("net", half)["net_prepare.c"]


def test_a_line_is_found_for_most_scales():
    """Seeded: random scales, means and input scales, as calibration would give them."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        how = Preprocess(raw_min=0, raw_max=255, scale=1 / 255, mean=rng.uniform(0, 0.6), std=rng.uniform(0.1, 1))
        low, high = how.real_range
        scale = float(np.float32((high - low) / 255))
        table = quantise_input(prepare(np.arange(256, dtype=np.uint8), how), Quantisation(scale, round(-128 - low / scale)))
        line = line_of(table)
        found += line is not None
        assert line is None or np.array_equal(line.values(), table)
    assert found > 150, found


REALS = [
    (Preprocess(raw_min=-1, raw_max=1), Quantisation(float(np.float32(2 / 255)), -1)),
    (
        Preprocess(raw_min=-32768, raw_max=32767, scale=1 / 32768, mean=0.013, std=0.21),
        Quantisation(float(np.float32(0.0371)), 11),
    ),
    (Preprocess(raw_min=0, raw_max=60, scale=0.1, mean=3.3, std=1.7), Quantisation(0.5, 127)),
    (Preprocess(raw_min=0, raw_max=60, scale=2.0, std=4.0), Quantisation(0.25, -128)),
]


def floats(how, quantisation):
    """1e5 random values, the boundary between every two outputs with its four neighbours, and what has no neighbours."""
    rng = np.random.default_rng(0)
    low, high = how.raw_min, how.raw_max
    steps = (np.arange(-130, 130) + 0.5 - quantisation.zero_point) * quantisation.scale
    edges = ((steps * how.std + how.mean) / how.scale).astype(np.float32)
    near = [edges]
    for towards in (-np.inf, np.inf):
        side = edges
        for _ in range(4):
            side = np.nextafter(side, np.float32(towards))
            near.append(side)
    strange = np.array([0.0, -0.0, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -1e-45], np.float32)
    spread = rng.uniform(low - (high - low) / 2, high + (high - low) / 2, 100_000).astype(np.float32)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    return np.concatenate([spread, *near, strange, bits[np.isfinite(bits)]])


@pytest.mark.parametrize(("how", "quantisation"), REALS)
@pytest.mark.parametrize("flags", [("-O2", "-march=haswell", "-ffp-contract=fast"), ("-O0",), ("-O2", "-mfpmath=387")])
def test_floats_become_what_python_makes_of_them(how, quantisation, flags, tmp_path):
    raw = floats(how, quantisation)
    with np.errstate(over="ignore"):
        expected = quantise_input(prepare(raw, how), quantisation)
    assert len(np.unique(expected)) == 256
    files = prepare_reals("net", how, quantisation)
    found = run_c(files, tmp_path, raw, *flags)
    wrong = np.flatnonzero(found != expected)
    assert len(wrong) == 0, (len(wrong), raw[wrong[:3]], found[wrong[:3]], expected[wrong[:3]])


@pytest.mark.arm
def test_neither_needs_a_library_on_arm(tmp_path):
    how, quantisation = REALS[1]
    table = np.arange(-128, 128).astype(np.int8)
    for kind, files in {"bytes": prepare_bytes("net", table), "reals": prepare_reals("net", how, quantisation)}.items():
        for name, text in {**files, "net.h": MODEL}.items():
            (tmp_path / name).write_text(text)
        core = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-Os")
        subprocess.run(["arm-none-eabi-gcc", *WARNINGS, *core, "-c", "net_prepare.c"], cwd=tmp_path, check=True, timeout=60)
        command = ["arm-none-eabi-nm", "-u", "net_prepare.o"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "", kind


def test_what_is_no_float32_is_named():
    with pytest.raises(ExportError, match="preprocess: scale = 1e-60 is not a positive float32"):
        prepare_reals("net", Preprocess(raw_min=0, raw_max=1, scale=1e-60), Quantisation(1.0, 0))
    with pytest.raises(ExportError, match=r"preprocess: mean = 1e\+60 is not a float32"), np.errstate(over="ignore"):
        prepare_reals("net", Preprocess(raw_min=0, raw_max=1, mean=1e60), Quantisation(1.0, 0))
