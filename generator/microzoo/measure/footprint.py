"""Flash, static RAM and stack of the generated C on a Cortex-M: compiled and linked, minus an image without a model."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.c_runtime import COMPILE_SECONDS, FIRMWARE, compile_c, compiler_version
from microzoo.measure.c_sources import CSources, c_sources
from microzoo.measure.scratch import scratch_folder
from microzoo.measure.stack import deepest, frames_of_call_graph, frames_of_disassembly, with_aliases
from microzoo.spec.models import Core

PREFIX = "arm-none-eabi-"
COMPILER = f"{PREFIX}gcc"
INSTALL_REMEDY = "Debian: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi"
OPTIMISATION = "-O2"
CORE_FLAGS: dict[Core, tuple[str, ...]] = {
    "cortex-m0": ("-mcpu=cortex-m0", "-mfloat-abi=soft"),
    "cortex-m0plus": ("-mcpu=cortex-m0plus", "-mfloat-abi=soft"),
    "cortex-m3": ("-mcpu=cortex-m3", "-mfloat-abi=soft"),
    "cortex-m4": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
    "cortex-m7": ("-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"),
    "cortex-m33": ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
    "cortex-m55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}
COMMON_FLAGS = ("-mthumb", OPTIMISATION, "-std=c99", "-Wall", "-Wextra", "-Werror", "-ffunction-sections", "-fdata-sections")
# Without this gcc turns the loops of startup.c into calls of memcpy and memset, and the empty image would carry them too.
STARTUP_FLAGS = ("-fno-tree-loop-distribute-patterns",)
LINK_FLAGS = ("--specs=nano.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", "-T")


@dataclass(frozen=True)
class Footprint:
    """flash_bytes: .text + .rodata + .data; static_ram_bytes: .data + .bss, arena included; stack_bytes: deepest chain of calls
    from model_invoke, by static analysis; stack_chain: its functions.
    """

    flash_bytes: int
    static_ram_bytes: int
    stack_bytes: int
    stack_chain: tuple[str, ...]


def missing() -> str | None:
    """Why nothing can be compiled for a Cortex-M here, with the remedy; None where it can."""
    if which(COMPILER) is None:
        return f"{COMPILER} is not installed ({INSTALL_REMEDY})"
    done = subprocess.run([COMPILER, "-print-file-name=nano.specs"], capture_output=True, text=True, timeout=60, check=False)
    return None if "/" in done.stdout else f"{COMPILER} has no newlib-nano ({INSTALL_REMEDY})"


def measure_footprint(folder: Path, core: Core) -> Footprint:
    """Compile and link the sources in `folder` for `core`.

    Raises ToolMissingError where `missing()` says why, MeasurementError where the sources do not compile or their stack has no
    static bound.
    """
    if reason := missing():
        raise ToolMissingError(reason)
    sources = c_sources(folder)
    compiler = [COMPILER, *CORE_FLAGS[core], *COMMON_FLAGS]
    with scratch_folder() as scratch:
        startup = scratch / "startup.o"
        compile_c([*compiler, *STARTUP_FLAGS, "-c", FIRMWARE / "startup.c", "-o", startup], "startup.c")
        empty = _link(compiler, [startup, _main(compiler, scratch, ("-DEMPTY_IMAGE",))], scratch / "empty.elf")
        units = _compile_units(compiler, sources, scratch)
        full = _link(compiler, [startup, _main(compiler, scratch, sources.flags()), *units], scratch / "model.elf")
        flash, ram = (model - none for model, none in zip(_sizes(full), _sizes(empty), strict=True))
        library = with_aliases(frames_of_disassembly(_tool("objdump", "-d", full)), _tool("nm", full))
        own = frames_of_call_graph(path.read_text(errors="replace") for path in sorted(scratch.glob("*.ci")))
        stack, chain = deepest(f"{sources.prefix}_invoke", library | own)
    return Footprint(flash, ram, stack, chain)


def footprint_figures(folder: Path, core: Core) -> dict[str, Figure]:
    """c_flash, c_static_ram, c_stack and c_ram (the last two together). Without the compiler: None, and why."""
    if reason := missing():
        none = {"value": None, "unit": "bytes", "method": f"not measured: {reason}"}
        return {
            "c_flash": Figure(kind="measured", **none),
            "c_static_ram": Figure(kind="measured", **none),
            "c_stack": Figure(kind="estimated", **none),
            "c_ram": Figure(kind="estimated", **none),
        }
    found = measure_footprint(folder, core)
    compiler = f"{COMPILER} {compiler_version(COMPILER)} {OPTIMISATION} for {core}"
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


def _main(compiler: list[str], scratch: Path, flags: tuple[str, ...]) -> Path:
    target = scratch / ("empty_main.o" if "-DEMPTY_IMAGE" in flags else "main.o")
    compile_c([*compiler, *flags, "-c", FIRMWARE / "main.c", "-o", target], "main.c")
    return target


def _compile_units(compiler: list[str], sources: CSources, scratch: Path) -> list[Path]:
    """Object files of the model's sources, each with its call graph (.ci) beside it."""
    objects = []
    for unit in sources.units:
        objects.append(scratch / f"{unit.stem}.unit.o")
        flags = ("-fcallgraph-info=su", "-I", sources.header.parent)
        compile_c([*compiler, *flags, "-c", unit, "-o", objects[-1]], unit.name)
    return objects


def _link(compiler: list[str], objects: list[Path], image: Path) -> Path:
    compile_c([*compiler, *LINK_FLAGS, FIRMWARE / "image.ld", *objects, "-o", image], image.name)
    return image


def _sizes(image: Path) -> tuple[int, int]:
    """Flash and static RAM of a linked image in bytes."""
    text, data, bss = (int(field) for field in _tool("size", image).splitlines()[1].split()[:3])
    return text + data, data + bss


def _tool(name: str, *arguments: str | Path) -> str:
    """Output of one of the compiler's companions."""
    done = subprocess.run([f"{PREFIX}{name}", *arguments], capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
    if done.returncode != 0:
        raise MeasurementError(f"{PREFIX}{name}: {(done.stderr.splitlines() or ['failed'])[0]}")
    return done.stdout
