"""Small graphs drawn by hand, and small data that can be learned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad, same_padding
from microzoo.train.data import TrainingData


@pytest.fixture
def every_operator() -> Graph:
    """Each operator at least once: odd sizes, uneven strides and paddings, with and without BatchNorm and ReLU."""
    return Graph(
        "x",
        (9, 8, 2),
        (
            Conv("stem", "x", "a", 5, (3, 3), (2, 1), (0, 1, 2, 0), batch_norm=True, relu=True),
            Depthwise("depthwise", "a", "b", (3, 1), (1, 1), (1, 1, 0, 0), batch_norm=True),
            Conv("pointwise", "b", "c", 5, (1, 1)),
            Depthwise("plain", "a", "d", (3, 3), (1, 1), (1, 1, 1, 1), relu=True),
            Add("add", "c", "d", "e", relu=True),
            MaxPool("max", "e", "f", (2, 3), (1, 2)),
            Pad("pad", "f", "g", (1, 0, 0, 2)),
            AvgPool("avg", "g", "h", (2, 2), (2, 1)),
            Flatten("flatten", "h", "i"),
            Dense("hidden", "i", "j", 6, relu=True),
            Dense("classifier", "j", "y", 3),
        ),
        "y",
    )


@pytest.fixture
def convolutional() -> Callable[..., Graph]:
    """(shape, classes, layers of (filters, stride)) -> 3x3 convolutions in a row, global average, classifier."""

    def make(shape: tuple[int, int, int], classes: int, layers: tuple[tuple[int, int], ...], *, batch_norm: bool = True) -> Graph:
        height, width, _ = shape
        ops: list[Conv | AvgPool | Flatten | Dense] = []
        tensor = "x"
        for index, (filters, stride) in enumerate(layers):
            padding = same_padding(height, width, (3, 3), (stride, stride))
            out = f"map{index}"
            ops.append(Conv(f"conv{index}", tensor, out, filters, (3, 3), (stride, stride), padding, batch_norm, True))
            tensor, height, width = out, -(-height // stride), -(-width // stride)
        ops.append(AvgPool("average", tensor, "mean", (height, width), (height, width)))
        ops.append(Flatten("flatten", "mean", "features"))
        ops.append(Dense("classifier", "features", "logits", classes))
        return Graph("x", shape, tuple(ops), "logits")

    return make


@pytest.fixture(scope="session")
def digits() -> TrainingData:
    """scikit-learn's bundled 8x8 digits: 1,200 to train on, 597 to validate on."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    x = (bunch.images[order, :, :, None] / 16.0).astype(np.float32)
    x = (x - x[:1200].mean()) / x[:1200].std()
    y = bunch.target[order].astype(np.int64)
    return TrainingData(x[:1200], y[:1200], x[1200:], y[1200:])


@pytest.fixture(scope="session")
def stripes() -> TrainingData:
    """Three classes of 6x6 noise: plain, with a bright row, with a bright column."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 400)
    x = generator.standard_normal((400, 6, 6, 1)).astype(np.float32)
    for sample, label in enumerate(y):
        place = generator.integers(0, 6)
        if label == 1:
            x[sample, place] += 3.0
        elif label == 2:
            x[sample, :, place] += 3.0
    return TrainingData(x[:300], y[:300], x[300:], y[300:])
