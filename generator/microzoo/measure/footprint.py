"""Flash, static RAM and stack of the generated C on a Cortex-M: compiled and linked, minus an image without a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure import arm
from microzoo.measure.c_runtime import FIRMWARE, compile_c, compiler_version
from microzoo.measure.c_sources import c_sources
from microzoo.measure.scratch import scratch_folder
from microzoo.measure.stack import deepest, frames_of_call_graph, frames_of_disassembly, with_aliases
from microzoo.spec.cores import Core

PREPARATION = "_prepare.c"
"""How the source of the pre-processing is named; an entry's other sources do not need it."""


@dataclass(frozen=True)
class Footprint:
    """flash_bytes: .text + .rodata + .data; static_ram_bytes: .data + .bss, arena included; stack_bytes: deepest chain of calls
    from model_invoke, by static analysis; stack_chain: its functions.
    """

    flash_bytes: int
    static_ram_bytes: int
    stack_bytes: int
    stack_chain: tuple[str, ...]


def measure_footprint(folder: Path, core: Core) -> Footprint:
    """Compile and link the sources in `folder` for `core`.

    Raises ToolMissingError where `arm.missing()` says why, MeasurementError where the sources do not compile or their stack has
    no static bound.
    """
    if reason := arm.missing():
        raise ToolMissingError(reason)
    sources = c_sources(folder)
    compiler = arm.compiler_for(core)
    with scratch_folder() as scratch:
        startup = arm.compile_startup(compiler, scratch)
        empty = arm.link(compiler, [startup, _main(compiler, scratch, ("-DEMPTY_IMAGE",))], scratch / "empty.elf")
        units = arm.compile_units(compiler, sources, scratch)
        full = arm.link(compiler, [startup, _main(compiler, scratch, sources.flags()), *units], scratch / "model.elf")
        sizes = zip(arm.static_sizes(full), arm.static_sizes(empty), strict=True)
        flash, ram = (model - none for model, none in sizes)
        library = with_aliases(frames_of_disassembly(arm.companion("objdump", "-d", full)), arm.companion("nm", full))
        own = frames_of_call_graph(path.read_text(errors="replace") for path in sorted(scratch.glob("*.ci")))
        stack, chain = deepest(f"{sources.prefix}_invoke", library | own)
    # gcc writes the path of the source before the name of a static function.
    return Footprint(flash, ram, stack, tuple(name.rpartition(":")[2] for name in chain))


def footprint_figures(folder: Path, core: Core) -> dict[str, Figure]:
    """c_flash, c_static_ram, c_stack and c_ram (the last two together). Without the compiler: None, and why."""
    if reason := arm.missing():
        none = {"value": None, "unit": "bytes", "method": f"not measured: {reason}"}
        return {
            "c_flash": Figure(kind="measured", **none),
            "c_static_ram": Figure(kind="measured", **none),
            "c_stack": Figure(kind="estimated", **none),
            "c_ram": Figure(kind="estimated", **none),
        }
    found = measure_footprint(folder, core)
    compiler = f"{arm.COMPILER} {compiler_version(arm.COMPILER)} {arm.OPTIMISATION} for {core}"
    tool = f"{compiler}, linked, minus an image without a model"
    chain = " > ".join(found.stack_chain)
    stack = f"deepest chain of calls by static stack usage, {compiler}: {chain}"
    return {
        "c_flash": Figure(value=found.flash_bytes, unit="bytes", kind="measured", method=f".text + .rodata + .data, {tool}"),
        "c_static_ram": Figure(value=found.static_ram_bytes, unit="bytes", kind="measured", method=f".data + .bss, {tool}"),
        "c_stack": Figure(value=found.stack_bytes, unit="bytes", kind="estimated", method=f"{stack}; without interrupts"),
        "c_ram": Figure(
            value=found.static_ram_bytes + found.stack_bytes,
            unit="bytes",
            kind="estimated",
            method=f"c_static_ram + c_stack, {compiler}",
        ),
    }


def c_arena_figure(folder: Path) -> dict[str, Figure]:
    """c_arena: the array for activations that the sources declare. Raises MeasurementError where their header does not say it."""
    sources = c_sources(folder)
    name = f"{sources.prefix.upper()}_ARENA_BYTES"
    found = re.search(rf"^\s*#define\s+{name}\s+(\d+)\s*$", sources.header.read_text(errors="replace"), re.MULTILINE)
    if found is None:
        raise MeasurementError(f"{sources.header}: does not define {name} as a number", "export the model again")
    method = f"{name} of {sources.header.name}: the array for activations, input included, add in place"
    return {"c_arena": Figure(value=int(found[1]), unit="bytes", kind="measured", method=method)}


def preparation_figures(folder: Path, core: Core) -> dict[str, Figure]:
    """c_prepare_flash: what the pre-processing adds where a program uses it; c_flash is without. {} where `folder` has none."""
    found = sorted(folder.glob(f"*{PREPARATION}"))
    if not found:
        return {}
    if reason := arm.missing():
        none = Figure(value=None, unit="bytes", kind="measured", method=f"not measured: {reason}")
        return {"c_prepare_flash": none}
    tool = f"{arm.COMPILER} {compiler_version(arm.COMPILER)} {arm.OPTIMISATION} for {core}"
    method = f".text + .rodata + .data that {found[0].name} adds to the linked image, {tool}; not part of c_flash"
    return {
        "c_prepare_flash": Figure(value=_preparation_flash(folder, found[0], core), unit="bytes", kind="measured", method=method)
    }


def _preparation_flash(folder: Path, unit: Path, core: Core) -> int:
    """Flash of an image that prepares an input and runs the model, less that of one that only runs it."""
    sources = c_sources(folder)
    compiler = arm.compiler_for(core)
    names = [f"-Dmodel_{name}={sources.prefix}_{name}" for name in ("prepare", "raw") if sources.prefix != "model"]
    flags = (*sources.flags(), "-include", str(unit.with_suffix(".h")), "-I", str(folder), *names)
    with scratch_folder() as scratch:
        startup, prepare = arm.compile_startup(compiler, scratch), scratch / "prepare.o"
        compile_c([*compiler, "-I", folder, "-c", unit, "-o", prepare], unit.name)
        units = [startup, prepare, *arm.compile_units(compiler, sources, scratch)]
        without, with_it = (
            arm.static_sizes(arm.link(compiler, [*units, _main(compiler, scratch, some)], scratch / "image.elf"))[0]
            for some in (flags, (*flags, "-DPREPARE"))
        )
    return with_it - without


def _main(compiler: list[str], scratch: Path, flags: tuple[str, ...]) -> Path:
    target = scratch / ("empty_main.o" if "-DEMPTY_IMAGE" in flags else "main.o")
    compile_c([*compiler, *flags, "-c", FIRMWARE / "main.c", "-o", target], "main.c")
    return target
