"""Synthetic entries of sensor data: real files of small models with random weights, over the specs of real datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Flatten
from microzoo.spec.dataset import DatasetSpec
from microzoo.spec.load import load_folder

from .cards import Synthetic, synthetic, with_files

SPECS = Path(__file__).parents[2] / "specs" / "datasets"
TARGET = "cortex-m4-64k"


def motion(name: str = "steps") -> Synthetic:
    """Windows of acceleration and rotation: waves that differ by class."""
    dataset = "geotec-har"
    spec = load_folder(SPECS, DatasetSpec)[dataset]
    length, _, channels = spec.input_shape
    rng = np.random.default_rng(11)
    labels = np.arange(20) % len(spec.classes)
    time = np.arange(length)[None, :, None, None]
    beat = (0.02 + 0.03 * labels)[:, None, None, None]
    phase = rng.uniform(0, 6, (1, 1, 1, channels))
    raw = (0.5 * labels[:, None, None, None] + 0.3) * np.sin(beat * time + phase) + rng.normal(0, 0.05, (20, length, 1, channels))
    return with_files(_base(dataset, name, spec), _model(spec, (5, 1), 0.03, 0), spec, raw.astype(np.float32), labels)


def _base(dataset: str, name: str, spec: DatasetSpec) -> Synthetic:
    made = synthetic("digits", TARGET, name)
    record = made.card.dataset.model_copy(update={"name": dataset, "title": spec.title})
    changes = {"id": f"{dataset}/{TARGET}/{name}", "dataset": record, "known_limits": spec.known_limits}
    return replace(made, card=made.card.model_copy(update=changes))


def _model(spec: DatasetSpec, kernel: tuple[int, int], scale: float, zero_point: int) -> IntegerModel:
    """(H, W, C) -> convolution, stride of its kernel -> dense. Seeded weights; scale and zero point of the input."""
    (height, width, channels), filters = spec.input_shape, 3
    graph = Graph(
        "x",
        spec.input_shape,
        (
            Conv("conv", "x", "a", filters, kernel, stride=kernel, relu=True),
            Flatten("flatten", "a", "b"),
            Dense("dense", "b", "y", len(spec.classes)),
        ),
        "y",
    )
    features = filters * (height // kernel[0]) * (width // kernel[1])
    rng = np.random.default_rng(3)
    weights = {
        "conv": IntegerWeights(
            rng.integers(-127, 128, (filters, *kernel, channels), dtype=np.int8),
            rng.integers(-200, 200, filters, dtype=np.int32),
            np.full(filters, 0.004, np.float32),
        ),
        "dense": IntegerWeights(
            rng.integers(-127, 128, (len(spec.classes), features), dtype=np.int8),
            rng.integers(-200, 200, len(spec.classes), dtype=np.int32),
            np.full(1, 0.004, np.float32),
        ),
    }
    tensors = {"x": (scale, zero_point), "a": (0.03, -128), "b": (0.03, -128), "y": (0.08, 0)}
    return IntegerModel(graph, {name: Quantisation(float(np.float32(s)), z) for name, (s, z) in tensors.items()}, weights)
