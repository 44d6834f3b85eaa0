"""The generated C on an emulated Cortex-M: instructions of one inference, the stack that it writes to, its outputs.

In QEMU every instruction takes the same virtual time (`-icount`), so the system timer counts instructions, the same in every run.
They are instructions, not cycles: QEMU models neither pipelines nor wait states of flash.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from shutil import which
from statistics import mean

import numpy as np

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure import arm
from microzoo.measure.c_runtime import FIRMWARE, compile_c, compiler_version
from microzoo.measure.c_sources import c_sources
from microzoo.measure.children import run_together
from microzoo.measure.runtimes import Int8
from microzoo.measure.scratch import scratch_folder, write_scratch
from microzoo.spec.cores import Core, milliseconds

EMULATOR = "qemu-system-arm"
INSTALL_REMEDY = "Debian: apt install qemu-system-arm"
SHIFT = 6
TIMER_BITS = 24
"""Of the system timer: after 2**24 ticks an interrupt counts a round."""
NANOSECONDS = 1 << SHIFT
"""Of virtual time that one instruction takes."""
EMULATION_SECONDS = 300.0
MAX_INPUTS = 8
"""Inputs of an entry that are run: the count hardly depends on them."""


@dataclass(frozen=True)
class Board:
    """One machine of QEMU. clock_mhz: of its system timer. flash_bytes, ram_bytes: at 0 and at 0x20000000."""

    machine: str
    core: Core
    clock_mhz: int
    flash_bytes: int
    ram_bytes: int

    @property
    def ticks_per_instruction(self) -> Fraction:
        """Of the system timer."""
        return Fraction(NANOSECONDS * self.clock_mhz, 1000)


AN385 = Board("mps2-an385", "cortex-m3", 25, 4 << 20, 4 << 20)
AN386 = Board("mps2-an386", "cortex-m4", 25, 4 << 20, 4 << 20)
AN500 = Board("mps2-an500", "cortex-m7", 25, 4 << 20, 4 << 20)
AN547 = Board("mps3-an547", "cortex-m55", 32, 512 << 10, 512 << 10)
BOARDS: dict[Core, Board] = {
    "cortex-m0": AN385,
    "cortex-m0plus": AN385,
    "cortex-m3": AN385,
    "cortex-m4": AN386,
    "cortex-m7": AN500,
    "cortex-m33": AN547,
    "cortex-m55": AN547,
}
"""Core -> the board that runs its code. An M3 executes all that is compiled for an M0 or M0+, an M55 all that is for an M33, one
instruction for one, so that the counts hold; QEMU has no board with these that suits."""


class BoardTooSmallError(MeasurementError):
    """The image does not fit into the emulated board: no fault of the model, whose own chip may be larger."""


@dataclass(frozen=True)
class Emulation:
    """instructions: of each inference, to the nearest tick of the board's timer (at most one off). stack_bytes: below the caller
    of model_invoke, as far as it is written to. outputs: int8 (n, classes).
    """

    instructions: tuple[int, ...]
    stack_bytes: int
    outputs: Int8


def missing() -> str | None:
    """Why nothing can be emulated here, with the remedy; None where it can."""
    return arm.missing() or (None if which(EMULATOR) else f"{EMULATOR} is not installed ({INSTALL_REMEDY})")


@cache
def emulator_version() -> str:
    """For instance "qemu-system-arm 7.2.22"."""
    done = subprocess.run([EMULATOR, "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"version (\S+)", done.stdout)
    return f"{EMULATOR} {found[1] if found else 'of unknown version'}"


def emulate(folder: Path, core: Core, x: Int8) -> Emulation:
    """Compile the sources in `folder` for `core` and run them over `x`, int8 (n, H, W, C), n >= 1.

    Raises ToolMissingError where `missing()` says why, MeasurementError where they do not compile, are too large for the board,
    crash or hang.
    """
    assert x.dtype == np.int8 and len(x) >= 1, (x.dtype, x.shape)
    if reason := missing():
        raise ToolMissingError(reason)
    board = BOARDS[core]
    with scratch_folder() as scratch:
        image = _build(folder, core, x, board, scratch)
        report = _run(board, image)
    return _parse(report, board, len(x), f"{folder.name} on {board.machine}")


def emulation_figures(folder: Path, core: Core, x: Int8, expected: Int8) -> dict[str, Figure]:
    """instructions, emulated_stack and emulated_differences of the sources in `folder`. Without the tools: None, and why.

    x: int8 (n, H, W, C), of which the first MAX_INPUTS are run; expected: their outputs in another runtime. Nor is there a value
    where the board is too small. Raises
    MeasurementError where one output differs: such C must not be published.
    """
    units = {"instructions": "instructions", "emulated_stack": "bytes", "emulated_differences": "count"}
    reason = missing()
    if reason is None:
        try:
            found = emulate(folder, core, x[:MAX_INPUTS])
        except BoardTooSmallError as error:
            reason = error.problem
    if reason is not None:
        absent = {"value": None, "kind": "emulated", "method": f"not emulated: {reason}"}
        return {name: Figure.model_validate({**absent, "unit": unit}) for name, unit in units.items()}
    different = int(np.count_nonzero((found.outputs != expected[:MAX_INPUTS]).any(axis=1)))
    if different:
        raise MeasurementError(
            f"{folder}: on an emulated {core} {different} of {len(found.outputs)} inputs give other outputs than on this machine",
            "do not publish: a kernel is wrong",
        )
    compiler = f"{arm.COMPILER} {compiler_version(arm.COMPILER)} {arm.OPTIMISATION} for {core}"
    tool = f"{compiler}, {emulator_version()}, {_machine(core)}"
    counts, inputs = found.instructions, len(found.outputs)
    values: dict[str, tuple[int, str]] = {
        "instructions": (round(mean(counts)), f"of one inference, mean over {inputs} inputs; instructions, not cycles; {tool}"),
        "emulated_stack": (found.stack_bytes, f"painted, looked at after one inference; without interrupts; {tool}"),
        "emulated_differences": (different, f"inputs of {inputs} with other outputs than on this machine; {tool}"),
    }
    return {
        name: Figure.model_validate({"value": value, "unit": units[name], "kind": "emulated", "method": method})
        for name, (value, method) in values.items()
    }


def emulated_ram(static: Figure, stack: Figure) -> Figure:
    """c_static_ram + emulated_stack: what one inference was seen to need. A bound is c_ram, by static analysis of the stack."""
    if static.value is None or stack.value is None:
        reason = static.method if static.value is None else stack.method
        return Figure(value=None, unit="bytes", kind="emulated", method=reason)
    method = f"c_static_ram + emulated_stack: {stack.method}"
    return Figure(value=static.value + stack.value, unit="bytes", kind="emulated", method=method)


def latency(instructions: Figure, clock_mhz: float, cycles: float) -> Figure:
    """The time that so many `instructions` are estimated to take, `cycles` each on average; no value where they have none."""
    if instructions.value is None:
        return Figure(value=None, unit="ms", kind="estimated", method=instructions.method)
    found = milliseconds(instructions.value, clock_mhz, cycles)
    method = f"instructions of one inference at {clock_mhz:g} MHz, {cycles:g} cycles each on average assumed; nothing was timed"
    return Figure(value=float(f"{found:.3g}"), unit="ms", kind="estimated", method=method)


def _machine(core: Core) -> str:
    board = BOARDS[core]
    return board.machine if board.core == core else f"{board.machine}, a {board.core} that executes this core's code"


def _build(folder: Path, core: Core, x: Int8, board: Board, scratch: Path) -> Path:
    sources = c_sources(folder)
    compiler = arm.compiler_for(core)
    write_scratch(scratch / "inputs.bin", np.ascontiguousarray(x).tobytes())
    write_scratch(
        scratch / "inputs.S",
        b'.section .rodata.emulated_inputs, "a"\n.balign 4\n.global emulated_inputs\nemulated_inputs:\n.incbin "inputs.bin"\n',
    )
    # A firmware file is ours, not the user's: its casts of addresses are meant, and strict C99 has no asm.
    own = ["-std=gnu99", *arm.STARTUP_FLAGS, f"-DEMULATED_INPUTS={len(x)}"]
    main, inputs = scratch / "emulated.o", scratch / "inputs.o"
    compile_c([*compiler, *own, *sources.flags(), "-c", FIRMWARE / "emulated.c", "-o", main], "emulated.c")
    compile_c([*compiler, "-I", scratch, "-c", scratch / "inputs.S", "-o", inputs], "inputs.S")
    objects = [arm.compile_startup(compiler, scratch), main, inputs, *arm.compile_units(compiler, sources, scratch)]
    top = f"-Wl,--defsym=image_stack_top={0x20000000 + board.ram_bytes:#x}"
    image = arm.link(compiler, objects, scratch / "emulated.elf", [top])
    flash, ram = arm.static_sizes(image)
    if flash > board.flash_bytes or ram > board.ram_bytes - PAINTED_BYTES:
        problem = f"an image of {flash:,} bytes with {ram:,} bytes of RAM is too large for {board.machine}"
        raise BoardTooSmallError(problem, f"it has {board.flash_bytes:,} and {board.ram_bytes:,} bytes")
    return image


PAINTED_BYTES = 8192 * 4 + 4096
"""RAM that emulated.c wants for the stack: what it paints, and its own."""


def _run(board: Board, image: Path) -> str:
    command: Sequence[str | Path] = [
        EMULATOR, "-M", board.machine, "-nographic", "-monitor", "none", "-serial", "none", "-icount", f"shift={SHIFT}",
        "-semihosting-config", "enable=on,target=native", "-kernel", image,
    ]  # fmt: skip
    (report,) = run_together([command], f"{image.name} on {board.machine}", EMULATION_SECONDS)
    return report


def _parse(report: str, board: Board, inputs: int, what: str) -> Emulation:
    rounds = re.findall(r"^ticks (\d+) (\d+)$", report, re.MULTILINE)
    ticks = [(int(whole) << TIMER_BITS) + int(rest) for whole, rest in rounds]
    outputs = [[int(value) for value in line.split()] for line in re.findall(r"^output ([-\d ]+)$", report, re.MULTILINE)]
    stack = re.search(r"^stack (\d+)$", report, re.MULTILINE)
    if stack is None or len(ticks) != inputs or len(outputs) != inputs or not report.rstrip().endswith("done"):
        said = (report.strip().splitlines() or ["nothing"])[-1]
        raise MeasurementError(f"{what}: the emulated program stopped early, it last said {said!r}")
    instructions = tuple(round(count / board.ticks_per_instruction) for count in ticks)
    return Emulation(instructions, int(stack[1]), np.array(outputs, np.int8))
