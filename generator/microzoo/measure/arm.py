"""The Arm cross-compiler: sources of a model in, objects and linked images for a Cortex-M out."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from microzoo.errors import MeasurementError
from microzoo.measure.c_runtime import COMPILE_SECONDS, FIRMWARE, compile_c
from microzoo.measure.c_sources import CSources
from microzoo.spec.cores import Core

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
# Nor may they become vector instructions, which fault until main has switched the coprocessor on.
STARTUP_FLAGS = ("-fno-tree-loop-distribute-patterns", "-fno-tree-vectorize")
LINK_FLAGS = ("--specs=nano.specs", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", "-T")


def missing() -> str | None:
    """Why nothing can be compiled for a Cortex-M here, with the remedy; None where it can."""
    if which(COMPILER) is None:
        return f"{COMPILER} is not installed ({INSTALL_REMEDY})"
    done = subprocess.run([COMPILER, "-print-file-name=nano.specs"], capture_output=True, text=True, timeout=60, check=False)
    return None if "/" in done.stdout else f"{COMPILER} has no newlib-nano ({INSTALL_REMEDY})"


def compiler_for(core: Core) -> list[str]:
    """The compiler's command with what decides the code: core, optimisation, warnings as errors."""
    return [COMPILER, *CORE_FLAGS[core], *COMMON_FLAGS]


def compile_startup(compiler: Sequence[str], scratch: Path) -> Path:
    """The object of what runs before main."""
    target = scratch / "startup.o"
    compile_c([*compiler, *STARTUP_FLAGS, "-c", FIRMWARE / "startup.c", "-o", target], "startup.c")
    return target


def compile_units(compiler: Sequence[str], sources: CSources, scratch: Path) -> list[Path]:
    """Object files of the model's sources, each with its call graph (.ci) beside it."""
    objects = []
    for unit in sources.units:
        objects.append(scratch / f"{unit.stem}.unit.o")
        flags = ("-fcallgraph-info=su", "-I", sources.header.parent)
        compile_c([*compiler, *flags, "-c", unit, "-o", objects[-1]], unit.name)
    return objects


def link(compiler: Sequence[str], objects: Sequence[Path], image: Path, flags: Sequence[str] = ()) -> Path:
    """`image`, linked from `objects`. flags: for the linker, for instance symbols that differ from those of image.ld."""
    compile_c([*compiler, *LINK_FLAGS, FIRMWARE / "image.ld", *flags, *objects, "-o", image], image.name)
    return image


def companion(name: str, *arguments: str | Path) -> str:
    """Output of one of the compiler's companions, such as objdump. Raises MeasurementError where it fails."""
    done = subprocess.run([f"{PREFIX}{name}", *arguments], capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
    if done.returncode != 0:
        raise MeasurementError(f"{PREFIX}{name}: {(done.stderr.splitlines() or ['failed'])[0]}")
    return done.stdout


def static_sizes(image: Path) -> tuple[int, int]:
    """Flash (.text + .rodata + .data) and static RAM (.data + .bss) of a linked image in bytes."""
    text, data, bss = (int(field) for field in companion("size", image).splitlines()[1].split()[:3])
    return text + data, data + bss
