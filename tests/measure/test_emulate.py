"""The emulated Cortex-M against programs whose instructions and stack are known, and against the C on this machine."""

import numpy as np
import pytest

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure import arm, emulate
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.emulate import BOARDS, emulation_figures
from microzoo.measure.footprint import measure_footprint

from .files import images

pytestmark = pytest.mark.arm
if emulate.missing():
    pytest.skip(emulate.missing() or "", allow_module_level=True)

HEADER = """#include <stdint.h>
#define MODEL_INPUT_BYTES 2
#define MODEL_OUTPUT_BYTES 3
#define MODEL_ARENA_BYTES 4
int8_t *model_input(void);
const int8_t *model_output(void);
void model_invoke(void);
"""
SOURCE = """#include "model.h"
static int8_t arena[4];
int8_t *model_input(void) {{ return arena; }}
const int8_t *model_output(void) {{ return arena + 1; }}
void model_invoke(void) {{ {body} }}
"""


def write_program(folder, body):
    """A model of two bytes in and three out: the second input byte, and what `body` writes to arena[2] and [3]."""
    folder.mkdir()
    (folder / "model.h").write_text(HEADER)
    (folder / "model.c").write_text(SOURCE.format(body=body))
    (folder / "microzoo_nn.c").write_text("typedef int nothing_here;\n")
    return folder


def nops(count):
    return f'__asm__ volatile(".rept {count}\\n\\tnop\\n\\t.endr");'


TWO = np.array([[[[1], [-2]]], [[[3], [127]]]], np.int8)


@pytest.mark.parametrize("core", BOARDS)
def test_a_thousand_more_instructions_count_as_a_thousand_more(tmp_path, core):
    short, long = write_program(tmp_path / "short", nops(50)), write_program(tmp_path / "long", nops(1050))
    few, many = emulate.emulate(short, core, TWO), emulate.emulate(long, core, TWO)
    assert [abs(b - a - 1000) <= 1 for a, b in zip(few.instructions, many.instructions, strict=True)] == [True, True]
    assert abs(few.instructions[0] - 50) <= 1, "the call itself is subtracted"
    assert emulate.emulate(long, core, TWO).instructions == many.instructions, "the same in every run"
    assert few.outputs.tolist() == [[-2, 0, 0], [127, 0, 0]]


def test_counts_beyond_one_round_of_the_timer(tmp_path):
    # 24 bits of a 25 MHz timer at 64 ns an instruction last for 10,485,760 instructions. Four a round: nop, subs, bne, and a nop.
    loop = '__asm__ volatile("1: nop\\n\\tnop\\n\\tsubs %0, #1\\n\\tbne 1b" : "+r"(n) :: "cc");'
    folder = write_program(tmp_path / "loop", f"uint32_t n = 10000000; {loop}")
    (taken,) = emulate.emulate(folder, "cortex-m4", TWO[:1]).instructions
    assert 40_000_000 <= taken <= 40_000_200, "the loop, and a handler of a few instructions every ten million"


@pytest.mark.parametrize("size", [64, 1024])
def test_the_painted_stack_is_what_the_program_writes(tmp_path, size):
    body = f"volatile int8_t s[{size}]; for (int i = 0; i < {size}; i++) s[i] = arena[0]; arena[2] = s[5];"
    found = emulate.emulate(write_program(tmp_path / "stack", body), "cortex-m4", TWO)
    assert size <= found.stack_bytes <= size + 32
    assert found.outputs[:, 1].tolist() == [1, 3]


@pytest.mark.parametrize("core", BOARDS)
def test_an_exported_model_gives_the_same_outputs_as_on_this_machine(entry, core):
    x = images(4)
    found = emulate.emulate(entry / "c", core, x)
    assert np.array_equal(found.outputs, CRuntime().run(entry / "c", x))
    static = measure_footprint(entry / "c", core).stack_bytes
    assert static - 24 <= found.stack_bytes <= static, "no call may take more than the static bound"


def test_figures_are_emulated_and_name_board_core_and_emulator(entry):
    x = images(3)
    figures = emulation_figures(entry / "c", "cortex-m0plus", x, CRuntime().run(entry / "c", x))
    assert set(figures) == {"instructions", "emulated_stack", "emulated_differences"}
    assert {figure.kind for figure in figures.values()} == {"emulated"}
    assert figures["emulated_differences"].value == 0
    assert figures["instructions"].value > 5000
    for part in ("instructions, not cycles", "mps2-an385, a cortex-m3 that executes", "qemu-system-arm", "3 inputs"):
        assert part in figures["instructions"].method


def test_other_outputs_are_an_error(entry):
    x = images(3)
    wrong = CRuntime().run(entry / "c", x).copy()
    wrong[1, 0] ^= 1
    with pytest.raises(MeasurementError, match="1 of 3 inputs give other outputs"):
        emulation_figures(entry / "c", "cortex-m4", x, wrong)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_a_crash_is_an_error_with_its_cause(tmp_path, core):
    folder = write_program(tmp_path / "crash", '__asm__ volatile("udf #0");')
    with pytest.raises(MeasurementError, match=r"(?s)emulated\.elf on mps.*fault"):
        emulate.emulate(folder, core, TWO)


def test_a_program_without_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(emulate, "EMULATION_SECONDS", 2.0)
    with pytest.raises(MeasurementError, match="2 s"):
        emulate.emulate(write_program(tmp_path / "hang", "for (;;) { }"), "cortex-m4", TWO)


def test_counts_beyond_32_bits_are_read_as_they_are():
    report = "stack 8\nticks 640 5\noutput 1 -2 3\ndone\n"
    found = emulate._parse(report, BOARDS["cortex-m4"], 1, "a program")
    assert found.instructions == (round((640 * 2**24 + 5) * 40 / 64),) == (6_710_886_403,)


def test_an_image_too_large_for_the_board_is_an_error_and_no_figure(tmp_path):
    folder = write_program(tmp_path / "large", "")
    (folder / "model.c").write_text((folder / "model.c").read_text().replace("arena[4]", "arena[500 * 1024]"))
    with pytest.raises(MeasurementError, match=r"too large for mps3-an547"):
        emulate.emulate(folder, "cortex-m55", TWO)
    figures = emulation_figures(folder, "cortex-m55", TWO, TWO)
    assert {figure.value for figure in figures.values()} == {None}, "the chip may be larger than the board: publish all the same"
    assert figures["instructions"].method.startswith("not emulated: an image of 892 bytes with 512,008 bytes of RAM")
    assert emulate.emulate(folder, "cortex-m7", TWO).outputs.tolist() == [[-2, 0, 0], [127, 0, 0]]


def test_without_a_tool_values_are_none_with_the_remedy(entry, monkeypatch):
    x = images(1)
    for module, name, remedy in ((emulate, "EMULATOR", "apt install qemu-system-arm"), (arm, "COMPILER", "gcc-arm-none-eabi")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, "absent-tool")
            figures = emulation_figures(entry / "c", "cortex-m4", x, x)
            assert all(figure.value is None and remedy in figure.method for figure in figures.values())
            with pytest.raises(ToolMissingError, match=remedy):
                emulate.emulate(entry / "c", "cortex-m4", x)


def test_latency_by_hand():
    counted = Figure(value=1_234_567, unit="instructions", kind="emulated", method="counted")
    # 1,234,567 * 1.3 / 64,000 a millisecond = 25.08.
    found = emulate.latency(counted, 64.0, 1.3)
    assert (found.value, found.unit, found.kind) == (25.1, "ms", "estimated")
    assert "at 64 MHz, 1.3 cycles each on average assumed; nothing was timed" in found.method
    absent = counted.model_copy(update={"value": None, "method": "not emulated: no qemu"})
    assert emulate.latency(absent, 64.0, 1.3).value is None
