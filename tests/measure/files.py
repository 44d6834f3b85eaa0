"""A small integer model drawn by hand, its exported files, and a way to rewrite a .tflite field by field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from microzoo.build.exports import export_files
from microzoo.build.golden import golden_vectors
from microzoo.data.readers import READERS
from microzoo.export.c import c_sources
from microzoo.export.onnx import onnx
from microzoo.export.tflite import tflite
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Flatten, MaxPool, weight_shape
from microzoo.spec.dataset import DatasetSpec

from ..data.recordings import beeps, sound_spec, tar  # noqa: TID252


def residual_model(filters: int = 4, channels: int = 1) -> IntegerModel:
    """(6, 6, channels) -> conv 3x3 same -> depthwise 3x3 same -> add of both -> max pool 2x2 -> dense 3. Seeded weights."""
    graph = Graph(
        "x",
        (6, 6, channels),
        (
            Conv("conv", "x", "a", filters, (3, 3), padding=(1, 1, 1, 1), relu=True),
            Depthwise("depthwise", "a", "b", (3, 3), padding=(1, 1, 1, 1)),
            Add("add", "a", "b", "c", relu=True),
            MaxPool("pool", "c", "d", (2, 2), (2, 2)),
            Flatten("flatten", "d", "e"),
            Dense("dense", "e", "y", 3),
        ),
        "y",
    )
    rng = np.random.default_rng(5)
    tensors = {"x": (0.02, 3), "a": (0.03, -128), "b": (0.05, -7), "c": (0.06, -128), "d": (0.06, -128), "e": (0.06, -128)}
    weights = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            shape = weight_shape(op, graph.shapes[op.input])
            outputs = shape[-1] if isinstance(op, Depthwise) else shape[0]
            weights[op.name] = IntegerWeights(
                rng.integers(-127, 128, shape, dtype=np.int8),
                rng.integers(-900, 900, outputs, dtype=np.int32),
                rng.uniform(0.004, 0.009, 1 if isinstance(op, Dense) else outputs).astype(np.float32),
            )
    scales = tensors | {"y": (0.3, 11)}
    return IntegerModel(graph, {name: Quantisation(float(np.float32(s)), z) for name, (s, z) in scales.items()}, weights)


def dataset_spec(redistributable: bool = True, channels: int = 1, **preprocess: float) -> DatasetSpec:
    """What the residual model could have been trained on: 6x6 pixels, three classes."""
    return DatasetSpec.model_validate(
        {
            "title": "squares",
            "reader": "idx",
            "input_shape": (6, 6, channels),
            "classes": ("a", "b", "c"),
            "split": {"validation": 0.2},
            "preprocess": {"raw_min": 0, "raw_max": 255, "scale": 0.02, "mean": 2.6, **preprocess},
            "licence": {"name": "none", "redistributable": redistributable},
            "citation": "none",
        }
    )


def raw_validation(kind: str = "uint8", channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Raw inputs of the validation split (50, 6, 6, channels), and their classes."""
    rng = np.random.default_rng(7)
    return rng.integers(0, 256, (50, 6, 6, channels)).astype(kind), rng.integers(0, 3, 50)


def write_full_entry(folder: Path, model: IntegerModel, kind: str = "uint8") -> Path:
    """All that is published today: also a file with float ends, wasm, pre-processing, golden vectors, a self test."""
    spec = dataset_spec()
    golden = golden_vectors(spec, *raw_validation(kind), model, seed=0)
    exported = export_files(model, spec, golden)
    assert exported.left_out == ()
    for path, content in exported.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def write_sound_entry(folder: Path, model: IntegerModel, *, redistributable: bool = True) -> Path:
    """All that is published of a model of sound."""
    spec = sound_spec(licence={"name": "CC0-1.0", "redistributable": redistributable})
    raw = READERS["wav"].read("beeps", spec, {"archive": tar(beeps(count=4))})
    golden = golden_vectors(spec, raw.x, raw.y, model, 0, raw.sound)
    exported = export_files(model, spec, golden)
    assert exported.left_out == ()
    for path, content in exported.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def write_entry(folder: Path, model: IntegerModel) -> Path:
    """The files of an entry as they were before there were golden vectors; such entries stay valid."""
    (folder / "c").mkdir(parents=True)
    (folder / "model.tflite").write_bytes(tflite(model))
    (folder / "model.onnx").write_bytes(onnx(model))
    for name, text in c_sources(model).items():
        (folder / "c" / name).write_text(text)
    return folder


def images(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (count, 6, 6, 1), dtype=np.int8)


def rewritten(data: bytes, change: Callable[[Any], None]) -> bytes:
    """The .tflite with its object tree changed in place by `change`."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    change(model)
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
