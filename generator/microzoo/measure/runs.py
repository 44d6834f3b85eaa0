"""The test split through every runtime that an entry has a file for, and how far these agree.

Enter the entry's files and inputs, leave `Outputs`, one for each file and runtime, and figures on their agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from microzoo.catalog.card import Figure
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.accuracy import (
    LITERT_MACS_PER_SECOND,
    TFLM_MACS_PER_SECOND,
    affordable_inputs,
    argmax_disagreements,
    require_equal,
)
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.c_sources import c_sources
from microzoo.measure.runtimes import FloatOnnxRuntime, Int8, LiteRtRuntime, OnnxRuntime, Runtime, TflmRuntime, WasmRuntime
from microzoo.spec.models import TargetSpec

FLOAT_ENDS = "_float.onnx"
"""How the file with float input and output is named; every other .onnx takes int8."""


@dataclass(frozen=True)
class EntryFiles:
    """The files of one entry. `folder`: what the paths of `accuracies` are relative to."""

    folder: Path
    tflite: Path
    onnx: Path
    c_folder: Path
    c_source: Path
    float_onnx: Path | None = None
    wasm: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """What one runtime made of one file. y: int8 (n, classes) for the first n test inputs, None where it cannot run here.
    counted: of how many of these its accuracy is given.
    """

    path: str
    runtime: str
    y: Int8 | None
    counted: int
    absent: str = ""


def entry_files(folder: Path) -> EntryFiles:
    """Find the files of an entry. Raises MeasurementError where one is missing or there are two of a kind.

    The .onnx with float ends and the .wasm may be missing: older entries do not have them.
    """
    float_ends = sorted(folder.glob(f"*{FLOAT_ENDS}"))
    tflite = _one(folder, ".tflite", sorted(folder.glob("*.tflite")))
    onnx = _one(folder, ".onnx", sorted(set(folder.glob("*.onnx")) - set(float_ends)))
    wasm = sorted(folder.glob("*.wasm"))
    c_folder = folder / "c" if (folder / "c").is_dir() else folder
    return EntryFiles(
        folder,
        tflite,
        onnx,
        c_folder,
        c_sources(c_folder).units[0],
        float_onnx=_one(folder, FLOAT_ENDS, float_ends) if float_ends else None,
        wasm=_one(folder, ".wasm", wasm) if wasm else None,
    )


def _one(folder: Path, suffix: str, found: list[Path]) -> Path:
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise MeasurementError(f"{folder}: needs exactly one {suffix} file, has {names}", "export the model again")
    return found[0]


def nominal_inputs(target: TargetSpec, macs: int, available: int, seconds: float) -> tuple[int, int]:
    """How many inputs the accuracies of TFLM and of LiteRT are given for, by MACs and target alone.

    Runtime tflm: where TFLM does not get through all of them, LiteRT runs them all, since the headline needs a runtime that does.
    """
    tflm = affordable_inputs(macs, available, seconds, TFLM_MACS_PER_SECOND)
    litert = affordable_inputs(macs, available, seconds, LITERT_MACS_PER_SECOND)
    return tflm, available if target.runtime == "tflm" and tflm < available else litert


def run_all(files: EntryFiles, x_test: Int8, counted: tuple[int, int]) -> tuple[Outputs, ...]:
    """Outputs of C, TFLM, LiteRT and onnxruntime, in this order, then of the file with float ends and of the wasm where there are
    such; absent ones say why.

    counted: for TFLM and LiteRT, see `nominal_inputs`. They run that many of the first inputs; LiteRT all of them where no C
    compiler is here, because it then stands in for the headline. The wasm runs as many as TFLM.
    """
    c, tflm, litert, onnx = CRuntime(), TflmRuntime(), LiteRtRuntime(), OnnxRuntime()
    c_path = files.c_source.relative_to(files.folder).as_posix()
    everything = len(x_test)
    litert_runs = counted[1] if c.missing() is None else everything
    plan: list[tuple[Runtime, Path, str, int, int]] = [
        (c, files.c_folder, c_path, everything, everything),
        (tflm, files.tflite, files.tflite.name, counted[0], counted[0]),
        (litert, files.tflite, files.tflite.name, litert_runs, counted[1]),
        (onnx, files.onnx, files.onnx.name, everything, everything),
    ]
    if files.float_onnx is not None:
        plan.append((FloatOnnxRuntime(), files.float_onnx, files.float_onnx.name, everything, everything))
    if files.wasm is not None:
        plan.append((WasmRuntime(), files.wasm, files.wasm.name, counted[0], counted[0]))
    results = []
    for runtime, place, path, runs, accounted in plan:
        reason = runtime.missing()
        y = None if reason else runtime.run(place, x_test[:runs])
        results.append(Outputs(path, runtime.name, y, accounted, reason or ""))
    return tuple(results)


AGREEMENT = (
    "c_tflm_differences",
    "litert_argmax_disagreements",
    "onnx_argmax_disagreements",
    "onnx_float_argmax_disagreements",
    "c_wasm_differences",
)
"""All figures that need the test split; the last two only where an entry has these files."""


def agreement_figures(results: tuple[Outputs, ...]) -> dict[str, Figure]:
    """c_tflm_differences (zero, or MeasurementError), and argmax disagreements of LiteRT and onnxruntime with C, else TFLM.

    Where the entry has these files: onnx_float_argmax_disagreements, and c_wasm_differences (zero, or MeasurementError).
    """
    c, tflm, litert, onnx, *more = results
    golden = c if c.y is not None else tflm
    figures = {
        "c_tflm_differences": _equal(c, tflm),
        "litert_argmax_disagreements": _disagreements(litert, golden),
        "onnx_argmax_disagreements": _disagreements(onnx, golden),
    }
    for result in more:
        if result.path.endswith(FLOAT_ENDS):
            figures["onnx_float_argmax_disagreements"] = _disagreements(result, golden)
        else:
            figures["c_wasm_differences"] = _equal(c, result)
    return figures


def _equal(c: Outputs, other: Outputs) -> Figure:
    """Zero, or MeasurementError; no value where one of the two did not run."""
    if c.y is None or other.y is None:
        return Figure(value=None, unit="count", kind="measured", method=f"not compared: {c.absent or other.absent}")
    common = require_equal(c.y, c.runtime, other.y, other.runtime)
    method = f"inputs of {common} on which the outputs of {c.path} in {c.runtime} and {other.path} in {other.runtime} differ"
    return Figure(value=0, unit="count", kind="measured", method=method)


def _disagreements(result: Outputs, golden: Outputs) -> Figure:
    if result.y is None or golden.y is None:
        absent = result.absent or golden.absent
        return Figure(value=None, unit="count", kind="measured", method=f"not compared: {absent}")
    common = min(len(result.y), len(golden.y))
    method = (
        f"inputs of {common} that {result.path} in {result.runtime} classifies otherwise than {golden.path} in {golden.runtime}"
    )
    return Figure(value=argmax_disagreements(result.y, golden.y), unit="count", kind="measured", method=method)


def headline(results: tuple[Outputs, ...], target: TargetSpec, inputs: int) -> Outputs:
    """The run that the headline stands for: the file of the target's runtime, over all `inputs`.

    Runtime c: the generated C, else the .tflite. Runtime tflm: the .tflite in TFLM where it ran all inputs, else in LiteRT.
    Raises ToolMissingError where nothing ran them all.
    """
    c, tflm, litert, *_ = results
    for result in (c, tflm, litert) if target.runtime == "c" else (tflm, litert):
        if result.y is not None and len(result.y) == inputs:
            return result
    reasons = "; ".join(result.absent for result in results if result.absent)
    raise ToolMissingError(f"no runtime for a headline accuracy over all {inputs} test inputs: {reasons}")
