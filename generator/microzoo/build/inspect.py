"""`zoo inspect`: every figure of anybody's .tflite or .onnx, and whether it fits the targets, as plain data and as a picture."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microzoo.build.scratch import write_atomically
from microzoo.catalog.card import Figure
from microzoo.cost.predict import predict
from microzoo.errors import MeasurementError, MicrozooError, SpecError, SpecProblem, ToolMissingError
from microzoo.graph.integer import IntegerModel
from microzoo.importer.order import best_order, reordered
from microzoo.importer.tflite import import_tflite
from microzoo.measure.activations import peak_bytes, planned_bytes
from microzoo.measure.ahead import Ahead
from microzoo.measure.arena import Arena, measure_arena, tail_32bit_bytes, total_32bit_bytes
from microzoo.measure.inspect import InspectedLayer, inspected_layers, uncounted
from microzoo.measure.tflite_file import MAX_FILE_BYTES, TfliteModel, parse_tflite
from microzoo.measure.verdict import limits
from microzoo.spec.load import load_folder
from microzoo.spec.models import TargetSpec

if TYPE_CHECKING:
    from microzoo.measure.onnx_file import OnnxGraph

SUFFIXES = (".tflite", ".onnx")


@dataclass(frozen=True)
class ModelFile:
    """A model file that was read: its bytes, the graph that figures are counted from, and for an .onnx its own graph."""

    path: Path
    data: bytes
    graph: TfliteModel
    onnx: OnnxGraph | None


@dataclass(frozen=True)
class Verdict:
    """One target. fits: None where it cannot be said; runtime: with which it was judged; limits: see `catalog.card.Limit`."""

    fits: bool | None
    runtime: str
    limits: tuple[dict[str, Any], ...]
    note: str


@dataclass(frozen=True)
class Inspection:
    """One file. Bytes of activations are those live at the worst moment, the model's inputs included, nothing in place.

    ops: kind -> how many. macs, other_operations: of what is counted, see uncounted (kind -> how many). parameters, weight_bytes:
    of constants. best_peak_bytes: in the best order of operators. planned_bytes: end of the memory plan that the file carries.
    arena_*: TensorFlow Lite Micro's on 64 bits, None with the reason in arena_note. notes: what else is to be known.
    """

    file: str
    format: str
    file_bytes: int
    sha256: str
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    ops: dict[str, int]
    parameters: int
    weight_bytes: int
    macs: int
    other_operations: int
    uncounted: dict[str, int]
    peak_bytes: int
    best_peak_bytes: int
    planned_bytes: int | None
    arena_head_bytes: int | None
    arena_tail_bytes: int | None
    arena_total_bytes: int | None
    arena_note: str
    layers: tuple[InspectedLayer, ...]
    verdicts: dict[str, Verdict]
    notes: tuple[str, ...]


def load_targets(specs: Path, names: Sequence[str]) -> dict[str, TargetSpec]:
    """The targets called `names` below specs/targets, or all of them. Raises SpecError on a name that is not there."""
    found = load_folder(specs / "targets", TargetSpec)
    missing = [name for name in names if name not in found]
    if missing:
        known = f"{specs / 'targets'} has: {', '.join(found) or 'none'}"
        raise SpecError(tuple(SpecProblem(specs / "targets", f'"{name}"', f"no such target; {known}") for name in missing))
    return {name: found[name] for name in names} if names else found


def inspect_file(path: Path, targets: dict[str, TargetSpec], *, arena: bool = True, ahead: Ahead | None = None) -> Inspection:
    """Every figure of the file. arena: whether to run it in TFLM; ahead: what `measure.ahead.reader` gave for it.

    Raises MeasurementError, one line, where it is no model that can be measured.
    """
    file = read_model(path, ahead)
    data, model = file.data, file.graph
    layers = inspected_layers(model)
    notes: list[str] = []
    plan = _plan(model, notes)
    found, reason = _arena(path, model, ahead) if arena and path.suffix == ".tflite" else (None, "not measured")
    if path.suffix == ".onnx":
        reason = "TensorFlow Lite Micro runs .tflite files only"
    best = peak_bytes(reordered(model, best_order(model, in_place=False)))
    figures, unknown = _figures(path, data, model, layers, found), uncounted(layers)
    arithmetic = _arithmetic(file) if any(target.runtime == "c" for target in targets.values()) else None
    return Inspection(
        file=str(path),
        format=path.suffix[1:],
        file_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        inputs=tuple(_end(model, tensor) for tensor in model.inputs),
        outputs=tuple(_end(model, tensor) for tensor in model.outputs),
        ops=dict(Counter(op.kind for op in model.ops)),
        parameters=sum(layer.parameters for layer in layers),
        weight_bytes=sum(layer.weight_bytes for layer in layers),
        macs=sum(layer.macs or 0 for layer in layers),
        other_operations=sum(layer.other or 0 for layer in layers),
        uncounted=unknown,
        peak_bytes=peak_bytes(model),
        best_peak_bytes=best,
        planned_bytes=plan,
        arena_head_bytes=found.head_bytes if found else None,
        arena_tail_bytes=found.tail_bytes if found else None,
        arena_total_bytes=found.total_bytes if found else None,
        arena_note=reason,
        layers=layers,
        verdicts={name: _verdict(path, target, figures, arithmetic, unknown) for name, target in targets.items()},
        notes=tuple(notes),
    )


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises MeasurementError where it is too large, cannot be read, or has another suffix."""
    if path.suffix not in SUFFIXES:
        raise MeasurementError(f"{path}: not a model file by its name", f"give one that ends in {' or '.join(SUFFIXES)}")
    try:
        if path.is_dir():
            raise MeasurementError(f"{path}: a folder, not a file", "give the model file in it")
        if not path.is_file():
            raise MeasurementError(f"{path}: no such file", "check the path")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise MeasurementError(f"{path}: {size:,} bytes; at most {MAX_FILE_BYTES:,} are read", "give a smaller model")
        return path.read_bytes()
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read ({error.strerror})", "check the path") from error


def read_model(path: Path, ahead: Ahead | None = None) -> ModelFile:
    """The file, read once. ahead: see `inspect_file`.

    Raises MeasurementError, one line, where it is no model that can be measured.
    """
    data = read_bytes(path)
    if path.suffix == ".tflite":
        return ModelFile(path, data, parse_tflite(data, str(path)), None)
    from microzoo.measure.onnx_file import fused, read_onnx

    graph = read_onnx(path, values=True, ahead=ahead)
    return ModelFile(path, data, fused(graph), graph)


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Everything, keys with their units."""
    return asdict(inspection)


def draw(inspection: Inspection, to: Path) -> None:
    """Write the picture of live bytes over the operators."""
    from microzoo.pages.memory import memory_picture

    lines = [
        f"peak {inspection.peak_bytes:,} B of activations in file order, {inspection.best_peak_bytes:,} B in the best order",
        f"{inspection.file_bytes:,} B file, {inspection.parameters:,} parameters, {inspection.macs:,} multiply-accumulates",
    ]
    bars = [(f"{layer.kind} {layer.name}", layer.live_bytes) for layer in inspection.layers]
    write_atomically(to, memory_picture(Path(inspection.file).name, lines, bars).encode())


def imported(file: ModelFile, *, drop_softmax: bool) -> tuple[IntegerModel, tuple[str, ...]]:
    """The file as an IntegerModel, with what its user must know. Raises ImportedModelError, naming what it does not hold."""
    if file.onnx is not None:
        from microzoo.importer.onnx import import_graph

        found = import_graph(file.onnx, str(file.path), drop_softmax=drop_softmax)
    else:
        found = import_tflite(file.data, str(file.path), drop_softmax=drop_softmax)
    return found.model, found.notes


def _end(model: TfliteModel, index: int) -> dict[str, Any]:
    tensor = model.tensors[index]
    single = len(tensor.scales) == len(tensor.zero_points) == 1
    quantised = (
        {"scale": tensor.scales[0], "zero_point": tensor.zero_points[0]} if single else {"scale": None, "zero_point": None}
    )
    return {"name": tensor.name, "shape": tensor.shape, "dtype": tensor.dtype, **quantised}


def _plan(model: TfliteModel, notes: list[str]) -> int | None:
    try:
        return planned_bytes(model)
    except MeasurementError as error:
        notes.append(error.problem)
        return None


def _arena(path: Path, model: TfliteModel, ahead: Ahead | None) -> tuple[Arena | None, str]:
    try:
        return measure_arena(path, model, ahead), ""
    except (MeasurementError, ToolMissingError) as error:
        return None, str(error)


def _figures(
    path: Path, data: bytes, model: TfliteModel, layers: tuple[InspectedLayer, ...], arena: Arena | None
) -> dict[str, Figure]:
    """What `measure.verdict` reads, for TFLM; for C the prediction comes on top, per core."""
    macs = sum(layer.macs or 0 for layer in layers)
    figures = {
        "macs": Figure(value=macs, unit="macs", kind="measured", method=f"counted from the {path.suffix}"),
        "tflite_bytes": Figure(value=len(data), unit="bytes", kind="measured", method="the file"),
    }
    if path.suffix == ".tflite":
        head = arena.head_bytes if arena else None
        try:
            total = total_32bit_bytes(model, head)
        except MeasurementError:
            total = None
        least = peak_bytes(model) + tail_32bit_bytes(model)
        figures["arena_total_32bit"] = Figure(value=total, unit="bytes", kind="estimated", method="head + tail of 32 bits")
        figures["predicted_ram"] = Figure(value=least, unit="bytes", kind="predicted", method="live peak + tail of 32 bits")
    return figures


def _arithmetic(file: ModelFile) -> IntegerModel | str:
    """The file as an IntegerModel, a softmax at its end left out, or why it is none."""
    try:
        return imported(file, drop_softmax=True)[0]
    except MicrozooError as error:
        return error.problem.removeprefix(f"{file.path}: ")


def _verdict(
    path: Path, target: TargetSpec, figures: dict[str, Figure], arithmetic: IntegerModel | str | None, unknown: dict[str, int]
) -> Verdict:
    notes = [f"no rule counts the operations of {', '.join(unknown)}"] if unknown else []
    if target.runtime == "c":
        if not isinstance(arithmetic, IntegerModel):
            notes.append(f"not as C: {arithmetic}")
            if target.budget.latency_ms is not None:
                notes.append("the time of TensorFlow Lite Micro is unknown")
                unknown = unknown or {"time": 1}
            budget = target.budget.model_copy(update={"latency_ms": None})
            target = target.model_copy(update={"runtime": "tflm", "budget": budget})
        else:
            _, needs = predict(arithmetic.graph, "c", target.core)
            figures = figures | {
                "predicted_ram": Figure(value=needs.ram_bytes, unit="bytes", kind="predicted", method="of the C export"),
                "predicted_flash": Figure(value=needs.flash_bytes, unit="bytes", kind="predicted", method="of the C export"),
                "predicted_instructions": Figure(
                    value=needs.instructions, unit="instructions", kind="predicted", method="of the C export"
                ),
            }
    if target.runtime == "tflm" and path.suffix == ".onnx":
        return Verdict(None, "none", (), "; ".join([*notes, "TensorFlow Lite Micro runs no .onnx"]))
    found = limits(target, figures, path.suffix)
    within = all(limit.fits for limit in found)
    rows = tuple({**limit.model_dump(), "fits": limit.fits} for limit in found)
    return Verdict(None if within and unknown else within, target.runtime, rows, "; ".join(notes))
