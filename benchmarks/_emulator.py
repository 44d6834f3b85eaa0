"""Instructions of C code on an emulated Cortex-M: compiled, linked, run by QEMU.

QEMU runs with `-icount shift=6`: every instruction takes 64 ns of the machine's time, and a timer of the board ticks every 40 ns.
So the figures are exact numbers of instructions, the same in every run. They are no cycles: a load and a division cost one each.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from microzoo.measure.arm import COMPILER, CORE_FLAGS
from microzoo.spec.cores import Core

MACHINES: dict[Core, str] = {"cortex-m0plus": "mps2-an385", "cortex-m3": "mps2-an385", "cortex-m4": "mps2-an386"}
"""Boards whose timer lies where the harness looks for it. A Cortex-M3 runs all that is compiled for a Cortex-M0+."""
TICK_NS, INSTRUCTION_NS = 40, 64

HARNESS = """
#include <stdint.h>
#define TIMER ((volatile uint32_t *)0x40000000)
extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
extern const int8_t image[];
extern const unsigned image_bytes, output_bytes;
int8_t *peer_input(void);
const int8_t *peer_output(void);
void peer_invoke(void);
static volatile uint32_t marks[256];
static volatile unsigned marked;
void mark(void) { marks[marked++] = ~TIMER[1]; }
static long call(int operation, const void *argument) {
    register long r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
static void print(char kind, int32_t value) {
    char text[16];
    int at = 15;
    uint32_t digits = value < 0 ? -(uint32_t)value : (uint32_t)value;
    text[at] = 0;
    text[--at] = '\\n';
    do text[--at] = (char)('0' + digits % 10); while (digits /= 10);
    if (value < 0) text[--at] = '-';
    text[--at] = kind;
    call(4, text + at);
}
static void leave(int status) {
    const uint32_t block[2] = {0x20026, (uint32_t)status};
    for (;;) call(0x20, block);
}
static void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    for (uint32_t *to = &data_start, *from = &data_load; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    for (unsigned i = 0; i < image_bytes; i++) peer_input()[i] = image[i];
    TIMER[2] = TIMER[1] = 0xFFFFFFFF;
    TIMER[0] = 1;
    mark();
    mark(); /* what a mark itself takes */
    peer_invoke();
    mark();
    for (unsigned i = 0; i < marked; i++) print('T', (int32_t)marks[i]);
    for (unsigned i = 0; i < output_bytes; i++) print('O', peer_output()[i]);
    leave(0);
}
static void fault(void) { leave(101); }
__attribute__((section(".vectors"), used)) const void *const vectors[] = {&stack_top, reset, fault, fault, fault, fault, fault};
"""

LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(4); } > FLASH
  data_load = LOADADDR(.data);
  .data : { data_start = .; *(.data*) . = ALIGN(4); data_end = .; } > RAM AT > FLASH
  .bss (NOLOAD) : { bss_start = .; *(.bss*) *(COMMON) . = ALIGN(8); bss_end = .; } > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
"""


def marked(source: str, function: str) -> str:
    """`source` with a mark after each statement of the C function whose declaration `function` matches."""
    found = re.search(function + r"[^;{]*\{\n", source)
    assert found, function
    end = source.index("\n}\n", found.end())
    body = re.sub(r"\);", "); mark();", source[found.end() : end])
    return "void mark(void);\n" + source[: found.end()] + body + source[end:]


def emulate(
    folder: Path,
    sources: Sequence[str | Path],
    flags: Sequence[str],
    image: Sequence[int],
    output_bytes: int,
    core: Core = "cortex-m4",
) -> tuple[list[int], list[int]]:
    """Instructions between each two marks of `peer_invoke`, the last entry the rest, and the output."""
    (folder / "harness.c").write_text(HARNESS)
    (folder / "image.c").write_text(
        "#include <stdint.h>\nextern const int8_t image[];\nextern const unsigned image_bytes, output_bytes;\n"
        f"const int8_t image[] = {{{','.join(map(str, image))}}};\n"
        f"const unsigned image_bytes = {len(image)}, output_bytes = {output_bytes};\n"
    )
    (folder / "image.ld").write_text(LINKER_SCRIPT)
    linking = ("-nostartfiles", "-T", "image.ld", "--specs=nosys.specs", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")
    command = [
        COMPILER,
        *CORE_FLAGS[core],
        "-mthumb",
        "-O2",
        "-ffunction-sections",
        *flags,
        *linking,
        "harness.c",
        "image.c",
        *map(str, sources),
    ]
    subprocess.run([*command, "-o", "image.elf"], cwd=folder, check=True, timeout=300)
    options = ("-nographic", "-icount", "shift=6", "-semihosting-config", "enable=on,target=native")
    done = subprocess.run(
        ["qemu-system-arm", "-M", MACHINES[core], *options, "-kernel", "image.elf"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"status {done.returncode} (101: a fault) {done.stderr[:500]}"
    lines = (done.stdout + done.stderr).split()
    ticks = [int(line[1:]) & 0xFFFFFFFF for line in lines if line.startswith("T")]
    times = [tick * TICK_NS / INSTRUCTION_NS for tick in ticks]
    own = times[1] - times[0]
    spans = [after - before - own for before, after in pairwise(times[1:])]
    return [max(0, round(span)) for span in spans], [int(line[1:]) for line in lines if line.startswith("O")]
