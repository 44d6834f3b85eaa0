"""Everything that a card says of an entry's files, measured on these files: accuracies, figures, layers, limits.

Enters a folder with one .tflite, one .onnx and the C sources (in `c/` or beside them), and, unless the entry is an older one, a
*_float.onnx, a .wasm and golden vectors; the target, and the test split as int8. Leaves a `Measurement`. The same files and tools
give the same measurement, so that it can be recomputed and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from microzoo.catalog.card import Accuracy, Figure, LayerRow, Limit, Tensor
from microzoo.errors import MeasurementError, ToolMissingError
from microzoo.measure.accuracy import (
    LITERT_MACS_PER_SECOND,
    NOMINAL_SECONDS,
    TFLM_MACS_PER_SECOND,
    Labels,
    accuracy,
    affordable_inputs,
    argmax_disagreements,
    confusion_matrix,
    require_equal,
)
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.c_sources import c_sources
from microzoo.measure.emulate import emulation_figures
from microzoo.measure.ethos_u import ethos_figures
from microzoo.measure.figures import arena_figures, file_figures
from microzoo.measure.footprint import footprint_figures, preparation_figures
from microzoo.measure.golden import golden_figures, read_vectors
from microzoo.measure.layers import layer_rows, mac_count
from microzoo.measure.runtimes import FloatOnnxRuntime, Int8, LiteRtRuntime, OnnxRuntime, Runtime, TflmRuntime, WasmRuntime
from microzoo.measure.tflite_file import TfliteModel, read_tflite
from microzoo.measure.verdict import limits
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
class NotRun:
    """A file that a runtime should have run and could not: why, and what to install."""

    path: str
    runtime: str
    reason: str


@dataclass(frozen=True)
class Measurement:
    """input, output: of the .tflite. accuracies: path in the folder, forward slashes -> one for every runtime that ran it.
    confusion and headline: of `headline_file` in the target's runtime, over all test inputs. not_run: the runtimes that are not
    on this machine.
    """

    input: Tensor
    output: Tensor
    accuracies: dict[str, tuple[Accuracy, ...]]
    figures: dict[str, Figure]
    limits: tuple[Limit, ...]
    layers: tuple[LayerRow, ...]
    confusion: tuple[tuple[int, ...], ...]
    headline: Accuracy
    headline_file: str
    not_run: tuple[NotRun, ...]

    @property
    def known_limits(self) -> tuple[str, ...]:
        """What was not measured here, and why, a sentence each."""
        return tuple(f"{one.path} was not run in {one.runtime}: {one.reason}" for one in self.not_run)


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


def measure_entry(
    folder: Path,
    target: TargetSpec,
    x_test: Int8,
    y_test: Labels,
    *,
    predicted: Mapping[str, Figure] | None = None,
    max_seconds_per_runtime: float | None = None,
) -> Measurement:
    """Measure the files in `folder`.

    x_test: int8 (N, H, W, C), quantised with the model's input parameters. y_test: classes (N,). predicted: figures to stand
    beside the measured ones, and in their place where a tool is missing. max_seconds_per_runtime: nominal time of each slow
    runtime, the reference kernels of TFLM and LiteRT on one core; it runs the first n test inputs that fit, by MACs and a fixed
    speed.

    Raises MeasurementError where a file is damaged, a runtime refuses it, C and TFLM or C and wasm differ in a single output bit,
    or a golden vector does not come out as published, here or on an emulated core.
    """
    assert len(x_test) == len(y_test) >= 1
    files = entry_files(folder)
    model = read_tflite(files.tflite)
    seconds = NOMINAL_SECONDS if max_seconds_per_runtime is None else max_seconds_per_runtime
    ends = end_tensor(model, model.inputs), end_tensor(model, model.outputs)
    vectors = read_vectors(folder, files.c_folder, files.tflite)
    golden = golden_figures(vectors, ends[0].shape, ends[1].shape[-1])
    results = run_all(files, x_test, nominal_inputs(target, mac_count(model), len(x_test), seconds))
    accuracies: dict[str, tuple[Accuracy, ...]] = {}
    for result in results:
        if result.y is not None:
            entry = accuracy(result.runtime, result.y[: result.counted], y_test)
            accuracies[result.path] = (*accuracies.get(result.path, ()), entry)
    figures = dict(predicted or {}) | all_figures(files, model, target, results) | golden
    if vectors is not None:
        figures |= emulation_figures(files.c_folder, target.core, vectors.golden.input, vectors.golden.output)
    best = headline(results, target, len(x_test))
    assert best.y is not None
    return Measurement(
        input=ends[0],
        output=ends[1],
        accuracies=accuracies,
        figures=figures,
        limits=limits(target, figures),
        layers=layer_rows(model),
        confusion=confusion_matrix(best.y, y_test),
        headline=accuracy(best.runtime, best.y, y_test),
        headline_file=best.path,
        not_run=tuple(NotRun(result.path, result.runtime, result.absent) for result in results if result.absent),
    )


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


def all_figures(files: EntryFiles, model: TfliteModel, target: TargetSpec, results: tuple[Outputs, ...]) -> dict[str, Figure]:
    """Figures counted from the files, of the arena, of the linked C, and of the agreement between runtimes."""
    return {
        **file_figures(model, files.tflite, files.onnx),
        **arena_figures(model, files.tflite),
        **footprint_figures(files.c_folder, target.core),
        **preparation_figures(files.c_folder, target.core),
        **(ethos_figures(files.tflite, target.npu) if target.npu else {}),
        **agreement_figures(results),
    }


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


def end_tensor(model: TfliteModel, ends: tuple[int, ...]) -> Tensor:
    """The model's one input or output, without batch. Raises MeasurementError where it is not one int8 tensor with one scale."""
    tensor = model.tensors[ends[0]]
    if len(ends) != 1 or tensor.dtype != "INT8" or len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
        raise MeasurementError(f'"{tensor.name}": models with one int8 input and one int8 output, a scale each, can be measured')
    return Tensor(shape=tensor.shape[1:], scale=tensor.scales[0], zero_point=tensor.zero_points[0])
