"""Models that the C kernels have a path of their own for: channels of every remainder, maps of one pixel, any multiplier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Conv, Dense, Depthwise

from .networks import Builder, random_model

MULTIPLIERS = (37.5, 1.0, 0.99, 0.5, 0.49, 3e-2, 3e-10, 1e-12, 2e-7, 1e-7)
"""To the left, nowhere, to the right by 1 to 31 bits, zero; some belong to sums of more than 30 bits."""

BIASES = (3, -7, 2_000_000_000, 5, -1, 0, 2**30, 9, 1_900_000_000, -1_500_000_000)


def awkward_models() -> dict[str, IntegerModel]:
    """Name -> model; all small."""
    graphs = {f"{channels} channels": _channels(channels) for channels in (1, 2, 3, 4, 5, 6, 7, 18)}
    graphs |= {"one pixel": _one_pixel(), "added in place": _in_place(), "large windows": _large_windows()}
    models = {name: random_model(graph, seed) for seed, (name, graph) in enumerate(graphs.items())}
    return models | {"all multipliers": _all_multipliers(), "weights of -128": _least_weights()}


def _channels(channels: int) -> Graph:
    """Every kernel on so many channels, padded and not, with strides that do not divide."""
    b = Builder((9, 7, channels))
    x = b.conv("input", channels, 3, 2, same=True)
    x = b.add(b.depthwise(x, 3, same=True), b.conv(x, channels, 1), relu=True)
    x = b.depthwise(b.pad(x, (1, 2, 0, 1)), 3, 2)
    y = b.pool(b.pool(x, "max", 2, 1), "avg", 2, 1)
    b.dense(b.dense(b.flatten(y), channels, relu=True), 3)
    return b.graph()


def _one_pixel() -> Graph:
    b = Builder((1, 1, 5))
    x = b.conv("input", 9, 5, same=True)
    x = b.depthwise(x, 3, same=True)
    b.dense(b.flatten(b.conv(b.pool(x, "max", 1), 2, 1)), 6)
    return b.graph()


def _in_place() -> Graph:
    """Three additions, whose plan writes over the left operand as well as over the right one."""
    b = Builder((5, 5, 3))
    x, y = b.conv("input", 6, 3, same=True), b.conv("input", 6, 1)
    x = b.add(x, y)
    z = b.conv(x, 6, 3, same=True, relu=False)
    x = b.add(x, z, relu=True)
    b.dense(b.flatten(b.add(b.depthwise(x, 3, same=True), x)), 4)
    return b.graph()


def _large_windows() -> Graph:
    """More than 256 values in a window of pooling, rows of weights of more than 16 with a remainder."""
    b = Builder((19, 21, 5))
    x = b.conv(b.pool("input", "avg", 17, 1), 5, 2)
    b.dense(b.dense(b.flatten(x), 37), 4)
    return b.graph()


def _all_multipliers() -> IntegerModel:
    """A convolution and a depthwise layer with MULTIPLIERS for their channels, and a dense layer with 1.3."""
    rng = np.random.default_rng(7)
    channels = len(MULTIPLIERS)
    b = Builder((3, 3, 3))
    x = b.depthwise(b.conv("input", channels, 2, relu=False), 2)
    b.dense(b.flatten(x), 5)
    graph = b.graph()
    weights = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            shape = {Conv: (channels, 2, 2, 3), Depthwise: (2, 2, channels), Dense: (5, channels)}[type(op)]
            scales = (1.3,) if isinstance(op, Dense) else MULTIPLIERS
            biases = (90, -90, 0, 1, 2) if isinstance(op, Dense) else BIASES
            weights[op.name] = IntegerWeights(
                rng.integers(-3, 4, shape).astype(np.int8), np.array(biases, np.int32), np.array(scales, np.float32)
            )
    tensors = {name: Quantisation(1.0, zero_point) for name, zero_point in zip(graph.shapes, (-5, 3, -128, -128, 7), strict=True)}
    return IntegerModel(graph, tensors, weights)


def _least_weights() -> IntegerModel:
    """Weights of -128, which other tools write, in every kernel that has weights."""
    model = random_model(_channels(18), 3)
    rng = np.random.default_rng(8)
    least = {
        name: replace(layer, weight=np.where(rng.random(layer.weight.shape) < 0.5, np.int8(-128), layer.weight))
        for name, layer in model.weights.items()
    }
    return replace(model, weights=least)
