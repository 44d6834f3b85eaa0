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
from microzoo.errors import MeasurementError
from microzoo.measure.accuracy import NOMINAL_SECONDS, Labels, accuracy, confusion_matrix
from microzoo.measure.c_runtime import CRuntime
from microzoo.measure.emulate import emulated_ram, emulation_figures, latency
from microzoo.measure.ethos_u import ethos_figures
from microzoo.measure.figures import arena_figures, file_figures
from microzoo.measure.footprint import c_arena_figure, footprint_figures, preparation_figures
from microzoo.measure.front_end import front_end_figures
from microzoo.measure.golden import Vectors, golden_figures, read_vectors
from microzoo.measure.layers import layer_rows, mac_count
from microzoo.measure.runs import EntryFiles, agreement_figures, entry_files, headline, nominal_inputs, run_all
from microzoo.measure.runtimes import Int8, Runtime, TflmRuntime
from microzoo.measure.tflite_file import TfliteModel, read_tflite
from microzoo.measure.verdict import limits
from microzoo.spec.models import TargetSpec


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
class FileMeasurement:
    """What needs no test split; the fields are those of `Measurement`. runtimes: names of those that ran the golden vectors."""

    input: Tensor
    output: Tensor
    figures: dict[str, Figure]
    limits: tuple[Limit, ...]
    layers: tuple[LayerRow, ...]
    runtimes: tuple[str, ...]
    not_run: tuple[NotRun, ...]


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
    ends, vectors, golden = _golden(files, model)
    results = run_all(files, x_test, nominal_inputs(target, mac_count(model), len(x_test), seconds))
    accuracies: dict[str, tuple[Accuracy, ...]] = {}
    for result in results:
        if result.y is not None:
            entry = accuracy(result.runtime, result.y[: result.counted], y_test)
            accuracies[result.path] = (*accuracies.get(result.path, ()), entry)
    figures = {
        **(predicted or {}),
        **_static_figures(files, model, target),
        **agreement_figures(results),
        **golden,
        **_front_end(files, target, vectors),
    }
    figures |= _emulated(files, target, vectors, figures)
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


def measure_files(folder: Path, target: TargetSpec, *, predicted: Mapping[str, Figure] | None = None) -> FileMeasurement:
    """`measure_entry` without the test split: no accuracies, and none of the figures AGREEMENT. Raises as that does."""
    files = entry_files(folder)
    model = read_tflite(files.tflite)
    ends, vectors, golden = _golden(files, model)
    figures = {**(predicted or {}), **_static_figures(files, model, target), **golden}
    figures |= _front_end(files, target, vectors)
    figures |= _emulated(files, target, vectors, figures)
    both: tuple[tuple[Runtime, Path], ...] = ((CRuntime(), files.c_source), (TflmRuntime(), files.tflite))
    reasons = [(runtime.name, path.relative_to(folder).as_posix(), runtime.missing()) for runtime, path in both]
    return FileMeasurement(
        input=ends[0],
        output=ends[1],
        figures=figures,
        limits=limits(target, figures),
        layers=layer_rows(model),
        runtimes=tuple(name for name, _, reason in reasons if not reason),
        not_run=tuple(NotRun(path, name, reason) for name, path, reason in reasons if reason),
    )


def _golden(files: EntryFiles, model: TfliteModel) -> tuple[tuple[Tensor, Tensor], Vectors | None, dict[str, Figure]]:
    """The model's two ends, the golden vectors where there are any, and the figures about them."""
    ends = end_tensor(model, model.inputs), end_tensor(model, model.outputs)
    vectors = read_vectors(files.folder, files.c_folder, files.tflite)
    return ends, vectors, golden_figures(vectors, ends[0].shape, ends[1].shape[-1])


def _static_figures(files: EntryFiles, model: TfliteModel, target: TargetSpec) -> dict[str, Figure]:
    """Figures counted from the files, of the arenas, of the linked C and of the NPU."""
    return {
        **file_figures(model, files.tflite, files.onnx),
        **arena_figures(model, files.tflite),
        **c_arena_figure(files.c_folder),
        **footprint_figures(files.c_folder, target.core),
        **preparation_figures(files.c_folder, target.core),
        **(ethos_figures(files.tflite, target.npu) if target.npu else {}),
    }


def _front_end(files: EntryFiles, target: TargetSpec, vectors: Vectors | None) -> dict[str, Figure]:
    """Figures of the front end of sound; none where an entry has none."""
    return front_end_figures(files.c_folder, target.core, None if vectors is None else vectors.golden, files.wasm)


def _emulated(files: EntryFiles, target: TargetSpec, vectors: Vectors | None, figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Figures of the emulated core, which runs the golden vectors; none where an entry has no such vectors."""
    if vectors is None:
        return {}
    found = emulation_figures(files.c_folder, target.core, vectors.golden.input, vectors.golden.output)
    return {
        **found,
        "emulated_ram": emulated_ram(figures["c_static_ram"], found["emulated_stack"]),
        "latency": latency(found["instructions"], target.clock_mhz, target.assumed_cycles),
    }


def end_tensor(model: TfliteModel, ends: tuple[int, ...]) -> Tensor:
    """The model's one input or output, without batch. Raises MeasurementError where it is not one int8 tensor with one scale."""
    tensor = model.tensors[ends[0]]
    if len(ends) != 1 or tensor.dtype != "INT8" or len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
        raise MeasurementError(f'"{tensor.name}": models with one int8 input and one int8 output, a scale each, can be measured')
    return Tensor(shape=tensor.shape[1:], scale=tensor.scales[0], zero_point=tensor.zero_points[0])
