"""The generated C as a runtime: compiled for this machine and run as a program, its warnings being errors."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import which

import numpy as np

from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.c_sources import c_sources
from microzoo.measure.children import DEFAULT_SECONDS, run_together, spread
from microzoo.measure.runtimes import Format, Int8, check_inputs
from microzoo.measure.scratch import scratch_folder, write_scratch

COMPILERS = ("gcc", "clang", "cc")
HOST_FLAGS = ("-O2", "-std=c99", "-Wall", "-Wextra", "-Werror")
FIRMWARE = Path(__file__).parent / "firmware"
COMPILE_SECONDS = 300.0
INSTALL_REMEDY = "install gcc or clang (Debian: apt install gcc)"


@dataclass(frozen=True)
class CRuntime:
    """The generated C, compiled by the host's compiler. compiler: its command; None takes the first of gcc, clang and cc."""

    compiler: str | None = None
    format: Format = "c"

    @cached_property
    def command(self) -> str | None:
        """The compiler's command, None where there is none."""
        return next((name for name in ((self.compiler,) if self.compiler else COMPILERS) if which(name)), None)

    @cached_property
    def name(self) -> str:
        """For instance "generated C, gcc 12.2.0"."""
        return f"generated C, {self.command} {compiler_version(self.command)}" if self.command else "generated C (no compiler)"

    def missing(self) -> str | None:
        """Why it cannot run here: no compiler."""
        return None if self.command else f"no C compiler ({self.compiler or ', '.join(COMPILERS)}) on PATH; {INSTALL_REMEDY}"

    def run(self, path: Path, x: Int8, seconds: float = DEFAULT_SECONDS) -> Int8:
        """See `Runtime.run`; `path` is the folder of the sources. Raises MeasurementError too where they do not compile."""
        check_inputs(x)
        if self.command is None:
            raise ToolMissingError(self.missing() or "")
        input_bytes = str(x[0].size)
        with scratch_folder() as scratch:
            program = build_runner(self.command, path, scratch)
            parts = np.array_split(x, spread(len(x)))
            for i, part in enumerate(parts):
                write_scratch(scratch / f"x{i}", part.tobytes())
            files = [(f"{scratch}/x{i}", f"{scratch}/y{i}") for i in range(len(parts))]
            run_together([(program, *pair, input_bytes) for pair in files], f"{path.name} as {self.name}", seconds)
            flat = np.frombuffer(b"".join(Path(y).read_bytes() for _, y in files), np.int8)
        return flat.reshape(len(x), -1)


def build_runner(compiler: str, folder: Path, scratch: Path) -> Path:
    """Compile the model's sources with `firmware/runner.c` into a program in `scratch`. Returns its path."""
    sources = c_sources(folder)
    program = scratch / "runner"
    units, runner = [], scratch / "runner.o"
    for unit in sources.units:
        units.append(scratch / f"{unit.stem}.unit.o")
        compile_c([compiler, *HOST_FLAGS, "-I", folder, "-c", unit, "-o", units[-1]], unit.name)
    compile_c([compiler, *HOST_FLAGS, "-I", folder, *sources.flags(), "-c", FIRMWARE / "runner.c", "-o", runner], "runner.c")
    compile_c([compiler, runner, *units, "-o", program], "runner")
    return program


def compile_c(command: Sequence[str | Path], what: str) -> None:
    """Run a compiler. Raises MeasurementError with its first complaint."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"{what}: {command[0]} was not done after {COMPILE_SECONDS:g} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no message"]
        raise MeasurementError(f"{what} does not compile with {command[0]}: {lines[0].strip()}")


def compiler_version(command: str) -> str:
    """What the compiler says of its version, for instance "12.2.0"."""
    for flag in ("-dumpfullversion", "-dumpversion"):
        done = subprocess.run([command, flag], capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return "of unknown version"
