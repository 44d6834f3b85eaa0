"""Networks on an emulated Cortex-M: a firmware that holds models, inputs and expected outputs, and counts what differs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ..export.c_program import write_sources  # noqa: TID252  # tests are no package with a name
from .cases import IMAGES, Case

CORES = {
    "cortex-m0plus": ("mps2-an385", ("-mcpu=cortex-m0plus",), ("0", "4M", "0x20000000", "4M")),
    "cortex-m3": ("mps2-an385", ("-mcpu=cortex-m3",), ("0", "4M", "0x20000000", "4M")),
    "cortex-m4": ("mps2-an386", ("-mcpu=cortex-m4",), ("0", "4M", "0x20000000", "4M")),
    "cortex-m55": ("mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), ("0", "512K", "0x21000000", "2M")),
}
"""Core -> machine of QEMU, flags of gcc, and start and length of its flash and its RAM. An M3 runs what is compiled for an
M0+, the path without long multiplications, and its own, the portable one; an M4 the one with DSP instructions, an M55 vectors."""

SMALL = 8_000
"""Elements of a network's weights at most, so that a dozen of them fit into 512 KB."""

MAIN = """
#include <stdint.h>
extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
#define IMAGES %d
%s
typedef struct {
    int8_t *(*input)(void);
    const int8_t *(*output)(void);
    void (*invoke)(void);
    unsigned in_bytes, out_bytes;
    const int8_t *images, *expected;
} network;
static const network networks[] = {%s};
static int differences(void) {
    int different = 0;
    for (unsigned i = 0; i < sizeof networks / sizeof *networks; i++) {
        const network *n = &networks[i];
        for (unsigned image = 0; image < IMAGES; image++) {
            for (unsigned k = 0; k < n->in_bytes; k++) n->input()[k] = n->images[image * n->in_bytes + k];
            n->invoke();
            for (unsigned k = 0; k < n->out_bytes; k++) different += n->output()[k] != n->expected[image * n->out_bytes + k];
        }
    }
    return different;
}
static void leave(int status) { /* semihosting SYS_EXIT_EXTENDED */
    const uint32_t block[2] = {0x20026, (uint32_t)status};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *argument __asm__("r1") = block;
    for (;;) __asm__ volatile("bkpt 0xAB" : "+r"(operation) : "r"(argument) : "memory");
}
static void start(void) {
    for (uint32_t *to = &data_start, *from = &data_load; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    const int different = differences();
    leave(different > 100 ? 100 : different);
}
static void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: floating point and vectors, where the core has them */
    __asm__ volatile("dsb\\n isb");
    start();
}
static void fault(void) { leave(101); }
__attribute__((section(".vectors"), used)) const void *const vectors[] = {&stack_top, reset, fault, fault, fault, fault, fault};
"""

LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = %s, LENGTH = %s  RAM (rwx) : ORIGIN = %s, LENGTH = %s }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(4); } > FLASH
  data_load = LOADADDR(.data);
  .data : { data_start = .; *(.data*) . = ALIGN(4); data_end = .; } > RAM AT > FLASH
  .bss (NOLOAD) : { bss_start = .; *(.bss*) *(COMMON) . = ALIGN(8); bss_end = .; } > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
"""


def fits(case: Case) -> bool:
    """Whether a network is small enough for every core's memory."""
    return sum(layer.weight.size for layer in case.model.weights.values()) <= SMALL


def run_on(core: str, cases: Sequence[Case], folder: Path) -> int:
    """How many logits of `cases` differ on an emulated `core`; 100 stands for as many or more."""
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed (Debian: qemu-system-arm)")
    machine, options, places = CORES[core]
    models = {case.name: case.model for case in cases}
    names = write_sources(models, folder)
    data, entries = [], []
    for name, case in zip(names, cases, strict=True):
        for kind, values in (("images", case.inputs), ("expected", case.expected)):
            data.append(f"static const int8_t {name}_{kind}[] = {{{','.join(map(str, values.ravel().tolist()))}}};\n")
        functions = f"{name}_input,{name}_output,{name}_invoke,{name.upper()}_INPUT_BYTES,{name.upper()}_OUTPUT_BYTES"
        entries.append(f"{{{functions},{name}_images,{name}_expected}}")
    includes = "".join(f'#include "{name}.c"\n' for name in names)
    (folder / "main.c").write_text(includes + MAIN % (IMAGES, "".join(data), ",".join(entries)))
    (folder / "image.ld").write_text(LINKER_SCRIPT % places)
    flags = (*options, "-mthumb", "-O2", "-nostartfiles", "-T", "image.ld", "--specs=nosys.specs", "-Wl,--no-warn-rwx-segments")
    compiler = ("arm-none-eabi-gcc", "-std=gnu99", *flags, "main.c", "microzoo_nn.c", "-o", "image.elf")
    built = subprocess.run(compiler, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stderr[:2000]
    emulator = ("qemu-system-arm", "-M", machine, "-nographic", "-semihosting-config", "enable=on,target=native")
    result = subprocess.run(
        (*emulator, "-kernel", "image.elf"),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert 0 <= result.returncode <= 100, f"{result.returncode} (101: a fault) {result.stderr[:500]}"
    return result.returncode
