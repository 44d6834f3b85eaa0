"""Linked sizes and stack of C sources whose sizes are known beforehand, and of an exported model."""

import pytest

from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure import arm
from microzoo.measure.arm import CORE_FLAGS
from microzoo.measure.footprint import footprint_figures, measure_footprint

pytestmark = pytest.mark.arm

HEADER = """#include <stdint.h>
#define MODEL_INPUT_BYTES 1
#define MODEL_OUTPUT_BYTES 1
#define MODEL_ARENA_BYTES {arena}
int8_t *model_input(void);
const int8_t *model_output(void);
void model_invoke(void);
"""
SOURCE = """#include "model.h"
#include "microzoo_nn.h"
static int8_t arena[MODEL_ARENA_BYTES];
static int8_t state[{data}] = {{1}};
static const int8_t table[{table}] = {{1, 2, 3}};
int8_t *model_input(void) {{ return arena; }}
const int8_t *model_output(void) {{ return arena; }}
void model_invoke(void) {{ state[arena[0] & 1] ^= 1; arena[0] = table[(arena[0] & 7) + state[1]] + kernel(arena); }}
"""
KERNEL = """#include "microzoo_nn.h"
__attribute__((noinline)) int8_t kernel(const int8_t *x)
{{
    volatile int8_t scratch[{scratch}];
    int i;
    for (i = 0; i < {scratch}; i++)
        scratch[i] = x[0];
    return scratch[3];
}}
int8_t never_called(void) {{ return 7; }}
"""


def write_sources(folder, arena=512, table=1000, data=8, scratch=64):
    folder.mkdir()
    (folder / "model.h").write_text(HEADER.format(arena=arena))
    (folder / "model.c").write_text(SOURCE.format(table=table, data=data))
    (folder / "microzoo_nn.h").write_text("#include <stdint.h>\nint8_t kernel(const int8_t *x);\nint8_t never_called(void);\n")
    (folder / "microzoo_nn.c").write_text(KERNEL.format(scratch=scratch))
    return folder


def test_each_byte_lands_in_its_figure(tmp_path):
    base = measure_footprint(write_sources(tmp_path / "base"), "cortex-m4")
    assert base.static_ram_bytes == 512 + 8
    assert 1000 + 8 < base.flash_bytes < 1000 + 8 + 200, "the table, the initial values, and a few instructions"
    assert base.stack_chain == ("model_invoke", "kernel")
    table = measure_footprint(write_sources(tmp_path / "table", table=3000), "cortex-m4")
    assert (table.flash_bytes - base.flash_bytes, table.static_ram_bytes) == (2000, base.static_ram_bytes)
    arena = measure_footprint(write_sources(tmp_path / "arena", arena=1512), "cortex-m4")
    assert (arena.flash_bytes, arena.static_ram_bytes - base.static_ram_bytes) == (base.flash_bytes, 1000)
    data = measure_footprint(write_sources(tmp_path / "data", data=108), "cortex-m4")
    assert (data.flash_bytes - base.flash_bytes, data.static_ram_bytes - base.static_ram_bytes) == (100, 100)
    stack = measure_footprint(write_sources(tmp_path / "stack", scratch=128), "cortex-m4")
    assert stack.stack_bytes - base.stack_bytes == 64


@pytest.mark.parametrize("core", CORE_FLAGS)
def test_an_exported_model_on_every_core(entry, core):
    found = measure_footprint(entry / "c", core)
    assert 288 <= found.static_ram_bytes <= 288 + 16, "the arena and nothing else"
    assert 183 + 200 < found.flash_bytes < 6000
    assert 32 <= found.stack_bytes <= 432
    assert found.stack_chain[0] == "model_invoke"
    assert found.stack_chain[1].startswith("microzoo_")
    assert all(name.isidentifier() for name in found.stack_chain), "a path of this machine"


def test_figures_name_tool_core_and_kind(entry):
    figures = footprint_figures(entry / "c", "cortex-m0plus")
    assert set(figures) == {"c_flash", "c_static_ram", "c_stack", "c_ram"}
    assert figures["c_ram"].value == figures["c_static_ram"].value + figures["c_stack"].value
    assert [figures[name].kind for name in ("c_flash", "c_static_ram", "c_stack", "c_ram")] == ["measured"] * 2 + [
        "estimated"
    ] * 2
    assert "arm-none-eabi-gcc" in figures["c_flash"].method and "cortex-m0plus" in figures["c_flash"].method


def test_recursion_has_no_bound(tmp_path):
    folder = write_sources(tmp_path / "e")
    (folder / "microzoo_nn.c").write_text(
        '#include "microzoo_nn.h"\nint8_t kernel(const int8_t *x) { return x[0] > 1 ? kernel(x + 1) + kernel(x + 2) : 1; }\n'
    )
    with pytest.raises(MeasurementError, match="kernel calls itself"):
        measure_footprint(folder, "cortex-m4")


def test_sources_that_do_not_compile(tmp_path):
    folder = write_sources(tmp_path / "e")
    (folder / "microzoo_nn.c").write_text("int broken(\n")
    with pytest.raises(MeasurementError, match=r"microzoo_nn\.c does not compile with arm-none-eabi-gcc"):
        measure_footprint(folder, "cortex-m4")


def test_without_the_compiler_values_are_none_with_the_remedy(entry, monkeypatch):
    monkeypatch.setattr(arm, "COMPILER", "arm-none-eabi-absent")
    figures = footprint_figures(entry / "c", "cortex-m4")
    assert all(figure.value is None and "gcc-arm-none-eabi" in figure.method for figure in figures.values())
    with pytest.raises(ToolMissingError, match="libnewlib-arm-none-eabi"):
        measure_footprint(entry / "c", "cortex-m4")
