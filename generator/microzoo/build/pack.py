"""`zoo pack`: somebody else's int8 model with a memory plan of its own, as C, and in the other format; with what that saves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microzoo.build.inspect import ModelFile, imported, read_model
from microzoo.build.scratch import write_atomically
from microzoo.cost.predict import predict
from microzoo.errors import ExportError, ImportedModelError, MeasurementError, StorageError, ToolMissingError
from microzoo.export.c import c_identifier, c_plan, c_sources
from microzoo.export.onnx import onnx
from microzoo.export.tflite import tflite
from microzoo.graph.integer import IntegerModel
from microzoo.importer.builder import with_pads
from microzoo.importer.place import Placement
from microzoo.importer.repack import repack_with_plan
from microzoo.measure.activations import peak_bytes
from microzoo.measure.arena import measure_arena
from microzoo.measure.scratch import scratch_folder, write_scratch
from microzoo.measure.tflite_file import TfliteModel
from microzoo.spec.cores import Core

FORMATS = ("tflite", "c", "onnx")
CORE: Core = "cortex-m4"


@dataclass(frozen=True)
class Saving:
    """One figure before and after; None where there is none, with the reason in `note`."""

    figure: str
    before: int | None
    after: int | None
    note: str = ""

    @property
    def saved(self) -> str:
        """In per cent of what was."""
        if not self.before or self.after is None:
            return "-"
        return f"{100 * (self.before - self.after) / self.before:.1f} %"


@dataclass(frozen=True)
class Packed:
    """What was written, what it saves, and what its user must know."""

    files: tuple[Path, ...]
    savings: tuple[Saving, ...]
    notes: tuple[str, ...]


def pack(
    path: Path,
    out: Path,
    *,
    name: str | None = None,
    formats: Sequence[str] = (),
    drop_softmax: bool = False,
    force: bool = False,
) -> Packed:
    """Write the file's model into the folder `out` as `formats`; none given: all that it allows, at least one.

    A .tflite in stays the same file with its operators in another order and a memory plan; every other format is exported from
    its integer arithmetic. Nothing is written before all of it has been made.
    Raises MeasurementError on a damaged file, ImportedModelError on what cannot be taken over, StorageError if a file is there.
    """
    file = read_model(path)
    data, before = file.data, file.graph
    stem = _stem(path.stem if name is None else name)
    notes: list[str] = []
    model = _integer(file, formats, drop_softmax, notes)
    made: dict[str, bytes] = {}
    repacked: bytes | None = None
    placement: Placement | None = None
    if _wanted("tflite", formats):
        if path.suffix == ".tflite":
            repacked, placement = repack_with_plan(data, str(path))
        else:
            repacked = _exported("tflite", model, notes)
        made |= {} if repacked is None else {f"{stem}.tflite": repacked}
    if model is not None and _wanted("c", formats):
        made |= {f"c/{file}": text.encode() for file, text in c_sources(model, name=c_identifier(stem)).items()}
    if model is not None and _wanted("onnx", formats) and (content := _exported("onnx", model, notes)) is not None:
        made[f"{stem}.onnx"] = content
    if not made:
        raise ImportedModelError(
            f"{path}: nothing can be written: {notes[-1] if notes else 'no format was asked for'}",
            "ask for another format with --format: c, onnx or tflite",
        )
    files = tuple(out / relative for relative in made)
    _refuse_overwriting(path, files, force=force)
    savings = _tflite_savings(before, data, repacked, placement) if repacked is not None else []
    savings += _c_savings(model, before) if model is not None and _wanted("c", formats) else []
    _make_folder(out)
    for place, content in zip(files, made.values(), strict=True):
        write_atomically(place, content)
    return Packed(files, tuple(savings), tuple(notes))


def as_json(packed: Packed) -> dict[str, Any]:
    """Everything, keys with their units."""
    savings = {each.figure: {"before": each.before, "after": each.after, "note": each.note} for each in packed.savings}
    return {"files": [str(file) for file in packed.files], "savings": savings, "notes": list(packed.notes)}


def _wanted(kind: str, formats: Sequence[str]) -> bool:
    return kind in formats or (not formats and kind != "onnx")


def _integer(file: ModelFile, formats: Sequence[str], drop_softmax: bool, notes: list[str]) -> IntegerModel | None:
    """The model's arithmetic where it is needed. Asked for by name, its refusal is an error; else a note."""
    if file.onnx is None and formats and set(formats) <= {"tflite"}:
        return None
    try:
        model, about = imported(file, drop_softmax=drop_softmax)
    except ImportedModelError as error:
        if formats or file.onnx is not None:
            raise
        notes.append(f"no C: {error}")
        return None
    notes += about
    return model


def _exported(kind: str, model: IntegerModel | None, notes: list[str]) -> bytes | None:
    """A file of our own writing; a note where the format cannot hold it."""
    assert model is not None, kind
    try:
        return tflite(with_pads(model)) if kind == "tflite" else onnx(model)
    except ExportError as error:
        notes.append(f"no .{kind}: {error}")
        return None


def _tflite_savings(before: TfliteModel, data: bytes, content: bytes, placement: Placement | None) -> list[Saving]:
    """placement: where the file was a .tflite already."""
    if placement is None:
        return [Saving("tflite_file_bytes", None, len(content))]
    # Both heads are TFLM's own record; without it, what the plan takes against what is live.
    heads, note = _heads(data, content)
    return [
        Saving("live_peak_bytes", peak_bytes(before), placement.peak_bytes, "file order, nothing in place; best order, in place"),
        Saving("tflm_arena_head_bytes", *heads, note),
        Saving("tflite_file_bytes", len(data), len(content)),
    ]


def _heads(data: bytes, content: bytes) -> tuple[tuple[int | None, int | None], str]:
    with scratch_folder() as scratch:
        found: list[int | None] = []
        for name, each in (("before", data), ("after", content)):
            write_scratch(scratch / f"{name}.tflite", each)
            try:
                found.append(measure_arena(scratch / f"{name}.tflite").head_bytes)
            except (MeasurementError, ToolMissingError) as error:
                return (None, None), f"not measured: {error}"
    return (found[0], found[1]), "measured in TensorFlow Lite Micro"


def _c_savings(model: IntegerModel, before: TfliteModel) -> list[Saving]:
    _, needs = predict(model.graph, "c", CORE)
    return [
        Saving("c_arena_bytes", peak_bytes(before), c_plan(model.graph).total_bytes, "before: live peak of the file"),
        Saving("c_ram_bytes", None, needs.ram_bytes, f"predicted for {CORE}: arena and stack"),
        Saving("c_flash_bytes", None, needs.flash_bytes, f"predicted for {CORE}: code and constants"),
    ]


def _stem(name: str) -> str:
    """A file name from any text."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", name).strip("-")[:64] or "model"


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{out}: cannot be made as a folder: {error.strerror}", "give another one with --out, where you may write"
        ) from error


def _refuse_overwriting(source: Path, files: Sequence[Path], *, force: bool) -> None:
    for file in files:
        if file.exists() and file.resolve() == source.resolve():
            raise StorageError(f"{file}: that is the model itself", "choose another folder with --out, or another --name")
        if file.exists() and not force:
            raise StorageError(f"{file}: exists already", "give --force to write over it, or choose another --out")
