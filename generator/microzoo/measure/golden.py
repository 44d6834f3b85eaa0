"""The golden vectors of an entry, checked: C and TFLM give exactly the published outputs, and the shipped self test says PASS.

Enters an entry's folder with golden.npz; leaves a figure, or a MeasurementError that names the first difference.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microzoo.catalog.card import Figure
from microzoo.catalog.golden import GOLDEN, Golden, read_golden
from microzoo.errors import MeasurementError
from microzoo.measure.accuracy import require_equal
from microzoo.measure.c_runtime import HOST_FLAGS, CRuntime, compile_c
from microzoo.measure.c_sources import c_sources
from microzoo.measure.children import DEFAULT_SECONDS
from microzoo.measure.runtimes import Int8, Runtime, TflmRuntime
from microzoo.measure.scratch import scratch_folder

SELFTEST = "selftest"
"""The folder of the self test in an entry."""


@dataclass(frozen=True)
class Vectors:
    """golden.npz of an entry, and what its self test needs. selftest: the program's source, None where the entry has none."""

    golden: Golden
    folder: Path
    c_folder: Path
    tflite: Path
    selftest: Path | None


def read_vectors(folder: Path, c_folder: Path, tflite: Path) -> Vectors | None:
    """What `folder` holds; None where it has no golden vectors. Raises CatalogError where golden.npz is damaged."""
    path = folder / GOLDEN
    if not path.is_file():
        return None
    found = sorted((folder / SELFTEST).glob("*_selftest.c"))
    return Vectors(read_golden(path), folder, c_folder, tflite, found[0] if found else None)


def golden_figures(vectors: Vectors | None, shape: tuple[int, ...], classes: int) -> dict[str, Figure]:
    """golden_differences: 0, or an error; nothing where there are no vectors. shape, classes: of the model.

    Raises MeasurementError where the vectors are of another shape, a runtime gives other outputs, or the self test fails.
    """
    if vectors is None:
        return {}
    golden = vectors.golden
    if golden.input.shape[1:] != shape or golden.output.shape[1:] != (classes,):
        problem = f"{GOLDEN}: inputs {golden.input.shape[1:]} and {golden.output.shape[1]} outputs"
        raise MeasurementError(f"{problem}, the model has {shape} and {classes}", "build the entry again")
    c, tflm = CRuntime(), TflmRuntime()
    ran, absent = [], []
    source = c_sources(vectors.c_folder).units[0].relative_to(vectors.folder).as_posix()
    for runtime, place, path in ((c, vectors.c_folder, source), (tflm, vectors.tflite, vectors.tflite.name)):
        if reason := runtime.missing():
            absent.append(reason)
            continue
        _check(runtime, place, golden)
        ran.append(f"{path} in {runtime.name}")
    if not ran:
        return {"golden_differences": _figure(None, f"not compared: {'; '.join(absent)}")}
    method = (
        f"of the {len(golden)} inputs of {GOLDEN}, those for which an output of {' or '.join(ran)} is not the one given there"
    )
    if vectors.selftest is not None and c.command is not None:
        _selftest(vectors.selftest, vectors.c_folder, c.command)
        method += f"; {vectors.selftest.name} says PASS"
    return {"golden_differences": _figure(0, method)}


def _check(runtime: Runtime, place: Path, golden: Golden) -> None:
    y: Int8 = runtime.run(place, golden.input)
    require_equal(y, runtime.name, golden.output, GOLDEN)


def _selftest(program: Path, c_folder: Path, compiler: str) -> None:
    """Compile the self test with the model and the preparation, and run it."""
    sources = c_sources(c_folder)
    others = [*sorted(c_folder.glob("*_prepare.c")), *sorted(c_folder.glob("*_features.c"))]
    with scratch_folder() as scratch:
        command: list[str | Path] = [
            compiler,
            *HOST_FLAGS,
            "-I",
            c_folder,
            program,
            *sources.units,
            *others,
            "-o",
            scratch / "selftest",
        ]
        compile_c(command, program.name)
        try:
            done = subprocess.run([scratch / "selftest"], capture_output=True, text=True, timeout=DEFAULT_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"{program.name}: no result after {DEFAULT_SECONDS:g} s") from error
    if done.returncode != 0 or not done.stdout.startswith("PASS"):
        said = done.stdout.strip() or f"exit code {done.returncode}"
        raise MeasurementError(f"{program.name}: {said}", "do not publish: the files are not one model")


def _figure(value: int | None, method: str) -> Figure:
    return Figure(value=value, unit="count", kind="measured", method=method)


def differing_inputs(golden: Golden, prepared: Int8) -> int:
    """Vectors whose int8 input is not `prepared`, which the preprocessing makes of their raw input."""
    return int(np.count_nonzero((golden.input != prepared).reshape(len(golden), -1).any(axis=1)))
