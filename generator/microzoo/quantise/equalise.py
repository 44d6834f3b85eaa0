"""Cross-layer equalisation: enters a folded network, leaves one that computes the same with channels of like ranges.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1, equations 9 to
11: with f(s x) = s f(x) for s > 0, channel c between two layers may be divided by s_c on its way out of the first and multiplied
on its way into the second; s_c = sqrt(r1_c r2_c) / r2_c makes the two ranges equal, where r1_c and r2_c are the largest absolute
weights of the channel in the first and the second layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.graph import Graph
from microzoo.graph.ops import AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad, WeightedOp
from microzoo.graph.weights import LayerWeights, Weights

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

SWEEPS = 20
"""Most passes over all pairs: a layer between two others is part of two pairs, and one undoes a little of the other."""
TOLERANCE = 1e-4
"""A pass that changes no channel by more than this share is the last one."""
LARGEST = 2.0**10
"""No channel is scaled by more than this factor, nor by less than its inverse, in all: a bias is scaled with the weights, and
the one of a channel that is all but switched off would otherwise fill the range of the whole tensor."""


def pairs(graph: Graph) -> list[tuple[WeightedOp, WeightedOp]]:
    """Consecutive weighted layers between which a channel may be scaled: one reader all the way, and only operators with
    f(s x) = s f(x) for s > 0 between them, which ReLU, MaxPool, AvgPool, Pad and Flatten are.
    """
    found: list[tuple[WeightedOp, WeightedOp]] = []
    for op in graph.ops:
        if not isinstance(op, Conv | Depthwise | Dense):
            continue
        tensor = op.output
        while tensor != graph.output and len(readers := graph.consumers(tensor)) == 1:
            (reader,) = readers
            if isinstance(reader, Conv | Depthwise | Dense):
                found.append((op, reader))
            if not isinstance(reader, MaxPool | AvgPool | Pad | Flatten):
                break
            tensor = reader.output
    return found


def equalise(graph: Graph, weights: Weights, reach: Mapping[str, Float32] | None = None) -> Weights:
    """The same float function with other weights. `graph` must be folded.

    reach: tensor -> the largest absolute value of each of its channels, float32 (K,), where known (`calibrate.channel_reach`).
    Without it the ranges are those of the weights, as published. With it, the first layer's range is that of its output: our
    convolutions have a scale for each output channel, so that it is the one scale of the tensor between them which is to gain,
    and a depthwise second layer, whose channels have their own scales too, lets the channels of the tensor become equal outright.
    A channel that is zero on either side stays as it is.
    """
    scaled = {name: LayerWeights(layer.weight.copy(), layer.bias.copy()) for name, layer in weights.items()}
    found = pairs(graph)
    factors = {first.name: np.ones(len(weights[first.name].bias)) for first, _ in found}
    for _ in range(SWEEPS):
        largest = 0.0
        for first, second in found:
            outgoing, incoming = scaled[first.name], scaled[second.name]
            if reach is None:
                r1 = outgoing_range(first, outgoing.weight)
            else:
                r1 = reach[first.output].astype(np.float64) / factors[first.name]
            wanted = _factor(r1, incoming_range(incoming.weight, len(r1)), free=reach is not None and second)
            total = np.clip(factors[first.name] * wanted, 1.0 / LARGEST, LARGEST)
            factor = total / factors[first.name]
            factors[first.name] = total
            largest = max(largest, float(np.abs(np.log(factor)).max()))
            scaled[first.name] = _divided(first, outgoing, factor)
            scaled[second.name] = _multiplied(incoming, factor)
        if largest < TOLERANCE:
            break
    return scaled


def outgoing_range(op: WeightedOp, weight: Float32) -> Float64:
    """The largest absolute weight of every output channel: float64 (K,)."""
    rows = weight.reshape(-1, weight.shape[-1]).T if isinstance(op, Depthwise) else weight.reshape(len(weight), -1)
    largest: Float64 = np.abs(rows).max(axis=1).astype(np.float64)
    return largest


def incoming_range(weight: Float32, channels: int) -> Float64:
    """The largest absolute weight on every input channel: float64 (channels,). Features of Dense are in (H, W, C) order."""
    largest: Float64 = np.abs(weight.reshape(-1, channels)).max(axis=0).astype(np.float64)
    return largest


def _factor(r1: Float64, r2: Float64, *, free: WeightedOp | bool) -> Float64:
    """Equation 11; 1 for a channel that is zero on one side. free: a depthwise layer whose own range does not count."""
    alive = (r1 > 0.0) & (r2 > 0.0)
    if isinstance(free, Depthwise):
        middle = np.exp(np.log(r1[alive]).mean()) if alive.any() else 1.0
        return np.where(alive, r1 / middle, 1.0)
    factor = np.ones_like(r1)
    factor[alive] = np.sqrt(r1[alive] / r2[alive])
    return factor


def _divided(op: WeightedOp, layer: LayerWeights, factor: Float64) -> LayerWeights:
    """The layer with every output channel divided by its factor, float64 inside."""
    shape = (-1,) if isinstance(op, Depthwise) else (-1, *[1] * (layer.weight.ndim - 1))
    return LayerWeights((layer.weight / factor.reshape(shape)).astype(np.float32), (layer.bias / factor).astype(np.float32))


def _multiplied(layer: LayerWeights, factor: Float64) -> LayerWeights:
    """The layer with the weights on every input channel multiplied by its factor, float64 inside."""
    columns = layer.weight.reshape(-1, len(factor)) * factor
    return LayerWeights(columns.reshape(layer.weight.shape).astype(np.float32), layer.bias)
