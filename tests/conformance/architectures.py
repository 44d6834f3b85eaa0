"""Random networks of the search space as integer models: the same number gives the same network everywhere.

Half come from the paper's space, half from ours, over images, a spectrogram and a signal; every third is pruned. What is too
large for a test is narrowed, which keeps its structure, and stays a point of the space.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from microzoo.cost.flash import parameters
from microzoo.cost.macs import macs
from microzoo.cost.memory import best_order
from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Conv, Dense, Depthwise, WeightedOp, weight_shape
from microzoo.graph.weights import BatchNorm, LayerWeights, Weights
from microzoo.prune.groups import channel_groups
from microzoo.prune.shrink import shrink
from microzoo.quantise.integer import quantise
from microzoo.space.architecture import MIN_UNITS, Architecture, Block
from microzoo.space.lowering import lower
from microzoo.space.sampling import MICROZOO_SPACE, MUNAS_SPACE, sample

SHAPES = ((28, 28, 1), (16, 16, 1), (32, 32, 3), (49, 10, 1), (8, 8, 1), (1, 64, 6), (15, 17, 2))
MAX_MACS = 400_000
MAX_PARAMETERS = 24_000


def architecture_graph(seed: int) -> Graph:
    """A random architecture of the space on one of SHAPES, its operators in the order with the least memory."""
    rng = np.random.default_rng([seed, 4])
    rules = (MICROZOO_SPACE, MUNAS_SPACE)[seed % 2]
    shape, classes = SHAPES[seed // 2 % len(SHAPES)], int(rng.integers(2, 13))
    while True:
        architecture = sample(rng, rules)
        while (graph := lower(architecture, shape, classes)) and not _small(graph):
            narrower = _narrowed(architecture)
            if narrower == architecture:
                break
            architecture = narrower
        if _small(graph):
            return graph.reordered(best_order(graph)[0])


def _small(graph: Graph) -> bool:
    return macs(graph) <= MAX_MACS and parameters(graph) <= MAX_PARAMETERS


def _narrowed(architecture: Architecture) -> Architecture:
    """Filters and units times two thirds, where the space allows it."""
    blocks = tuple(
        Block(tuple(replace(layer, filters=max(layer.filters * 2 // 3, 1)) for layer in block.layers), block.parallel)
        for block in architecture.blocks
    )
    return replace(architecture, blocks=blocks, dense=tuple(max(units * 2 // 3, MIN_UNITS) for units in architecture.dense))


def trained_like_weights(graph: Graph, seed: int) -> Weights:
    """Weights with what training leaves: channels of very different size, BatchNorm statistics, a few dead channels."""
    rng = np.random.default_rng([seed, 5])
    weights: Weights = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            weights[op.name] = _layer(op, weight_shape(op, graph.shapes[op.input]), rng)
    return weights


def _layer(op: WeightedOp, shape: tuple[int, ...], rng: np.random.Generator) -> LayerWeights:
    axis = -1 if isinstance(op, Depthwise) else 0
    channels, fan_in = shape[axis], np.prod(shape) / shape[axis]
    spread = np.exp(rng.normal(0.0, 0.0 if isinstance(op, Dense) else 0.7, channels)) * (rng.random(channels) > 0.03)
    values = rng.standard_t(5, shape) * np.sqrt(2.0 / fan_in)
    values = values * (spread if axis == -1 else spread.reshape(-1, *(1,) * (len(shape) - 1)))
    norm = None
    if not isinstance(op, Dense) and op.batch_norm:
        gamma, beta, mean = rng.normal(1.0, 0.3, channels), rng.normal(0.0, 0.3, channels), rng.normal(0.0, 0.3, channels)
        variance = np.exp(rng.normal(0.0, 1.0, channels))
        norm = BatchNorm(*(part.astype(np.float32) for part in (gamma, beta, mean, variance)), epsilon=1e-3)
    return LayerWeights(values.astype(np.float32), rng.normal(0.0, 0.1, channels).astype(np.float32), norm)


def pruned(graph: Graph, weights: Weights, seed: int) -> tuple[Graph, Weights]:
    """Without a random part of the channels of each group, at least one left."""
    rng = np.random.default_rng([seed, 6])
    keep = {}
    for group in channel_groups(graph):
        count = int(rng.integers(1, group.channels + 1))
        keep[group.name] = np.sort(rng.permutation(group.channels)[:count])
    return shrink(graph, weights, keep)


@lru_cache(maxsize=128)
def space_model(seed: int) -> IntegerModel:
    """The integer model of `architecture_graph(seed)`, pruned where seed % 3 is 2, calibrated on random images.

    Weights that make a layer all but dead, and so cannot be quantised (some two in a thousand), are drawn again.
    """
    for draw in range(10):
        try:
            return _space_model(seed, draw * 1_000_003)
        except QuantisationError as error:
            refused = error
    raise refused


def _space_model(seed: int, draw: int) -> IntegerModel:
    graph = architecture_graph(seed)
    weights = trained_like_weights(graph, seed + draw)
    if seed % 3 == 2:
        graph, weights = pruned(graph, weights, seed)
    rng = np.random.default_rng([seed, 7])
    low = float(rng.choice([0.0, -1.0]))
    images = rng.uniform(low, 1.0, (12, *graph.input_shape)).astype(np.float32)
    method, bounds = ("minmax", "percentile")[seed % 5 == 0], (low, 1.0) if rng.random() < 0.7 else None
    return quantise(graph, weights, images, input_range=bounds, method=method)  # type: ignore[arg-type]
