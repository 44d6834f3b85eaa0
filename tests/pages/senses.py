"""Synthetic entries of sensor data: real files of small models, over the specs of real datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microzoo.data.arrays import Labels
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Flatten, MaxPool
from microzoo.sound.logmel import Samples, front_end_of
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


def sound(name: str = "words", *, redistributable: bool = True) -> Synthetic:
    """Clips of spoken digits' length: each class a tone of its own, somewhere in silence."""
    dataset = "fsdd"
    spec = load_folder(SPECS, DatasetSpec)[dataset]
    spec = spec.model_copy(update={"licence": spec.licence.model_copy(update={"redistributable": redistributable})})
    front_end = front_end_of(spec)
    assert front_end is not None and spec.sound is not None
    labels = np.arange(20) % len(spec.classes)
    clips = np.stack([tone(label, front_end.samples, spec.sound.rate_hz, seed) for seed, label in enumerate(labels)])
    raw = front_end.raw(clips)
    return with_files(_base(dataset, name, spec), _nearest(spec, raw, labels), spec, raw, labels, clips)


def tone(label: int, samples: int, rate_hz: int, seed: int) -> Samples:
    """int16 (samples,): 0.3 s of a sine, and of an overtone where the range of spoken digits has room for it, in faint noise. The
    pitch says the class."""
    rng = np.random.default_rng(seed)
    length = int(0.3 * rate_hz)
    time = np.arange(length) / rate_hz
    pitch = 200 * 1.3**label
    pitches = [each for each in (pitch, 2.5 * pitch) if each < 3800]
    heard = rng.normal(0, 20, samples)
    start = int(rng.integers(0, samples - length))
    heard[start : start + length] += 6000 * np.hanning(length) * sum(np.sin(2 * np.pi * each * time) for each in pitches)
    return heard.astype(np.int16)


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


def _nearest(spec: DatasetSpec, raw: NDArray[np.uint8], labels: Labels) -> IntegerModel:
    """The greatest value of each band -> dense: the class whose mean of these is nearest, w.x - |w|^2 / 2 for a mean w."""
    frames, classes = spec.input_shape[0], len(spec.classes)
    graph = Graph(
        "x",
        spec.input_shape,
        (MaxPool("pool", "x", "a", (frames, 1), (frames, 1)), Flatten("flatten", "a", "b"), Dense("dense", "b", "y", classes)),
        "y",
    )
    loudest = raw[..., 0].max(axis=1) * spec.preprocess.scale
    means = np.array([loudest[labels == label].mean(axis=0) for label in range(classes)])
    squares, centre = (means**2).sum(axis=1), means.mean(axis=0)
    bias = (squares.mean() - squares) / 2 - centre @ centre  # the same for all classes besides, so that the mean score is 0
    scale, weight = 1 / 255, float(np.abs(means).max()) / 127
    weights = IntegerWeights(
        np.rint(means / weight).astype(np.int8), np.rint(bias / (scale * weight)).astype(np.int32), np.full(1, weight, np.float32)
    )
    tensors = {name: Quantisation(float(np.float32(scale)), -128) for name in ("x", "a", "b")}
    return IntegerModel(graph, tensors | {"y": Quantisation(float(np.float32(0.03)), 0)}, {"dense": weights})
