"""Removing channels for real: (Graph, Weights, channels to keep) -> a smaller Graph with smaller Weights. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Flatten, Op
from microzoo.graph.weights import BatchNorm, LayerWeights, Weights
from microzoo.prune.groups import ChannelGroup, channel_groups

Indices = NDArray[np.int64]
Keep = Mapping[str, Indices]
"""Group name -> indices of the channels to keep, ascending and not empty. A group that is not named keeps all of its channels."""


def shrink(graph: Graph, weights: Weights, keep: Keep) -> tuple[Graph, Weights]:
    """The network without the channels that `keep` leaves out: the same logits as `masked(graph, weights, keep)`.

    Writers lose output channels (weights, bias, BatchNorm), readers the input channels that went; a dense layer behind Flatten
    loses the features of those channels at every pixel, features being in (h, w, channel) order. Names and the order of the
    operators stay.
    """
    kept_by_writer = _kept_by_writer(graph, keep)
    kept: dict[str, Indices] = {graph.input: np.arange(graph.input_shape[-1])}
    ops: list[Op] = []
    smaller: Weights = {}
    for op in graph.ops:
        source = kept[op.inputs[0]]
        match op:
            case Conv():
                kept[op.output] = target = kept_by_writer.get(op.name, np.arange(op.filters))
                ops.append(replace(op, filters=len(target)))
                smaller[op.name] = _take(weights[op.name], weights[op.name].weight[target][..., source], target)
            case Dense():
                kept[op.output] = target = kept_by_writer.get(op.name, np.arange(op.units))
                ops.append(replace(op, units=len(target)))
                smaller[op.name] = _take(weights[op.name], weights[op.name].weight[target][:, source], target)
            case Depthwise():
                kept[op.output] = source
                ops.append(op)
                smaller[op.name] = _take(weights[op.name], weights[op.name].weight[..., source], source)
            case Flatten():
                *pixels, channels = graph.shapes[op.input]
                kept[op.output] = (np.arange(prod(pixels))[:, None] * channels + source).ravel()
                ops.append(op)
            case _:
                assert not isinstance(op, Add) or np.array_equal(source, kept[op.right]), op.name
                kept[op.output] = source
                ops.append(op)
    return replace(graph, ops=tuple(ops)), smaller


def masked(graph: Graph, weights: Weights, keep: Keep) -> Weights:
    """The same network with the left-out channels exactly zero: their weights, biases, gammas and betas are zeroed."""
    result = dict(weights)
    for name, indices in _kept_by_writer(graph, keep).items():
        layer = weights[name]
        mask = np.zeros(len(layer.bias), np.float32)
        mask[indices] = 1.0
        depthwise = layer.weight.ndim == 3
        weight = layer.weight * (mask if depthwise else mask.reshape(-1, *(1,) * (layer.weight.ndim - 1)))
        norm = layer.batch_norm
        norm = None if norm is None else replace(norm, gamma=norm.gamma * mask, beta=norm.beta * mask)
        result[name] = LayerWeights(weight, layer.bias * mask, norm)
    return result


def _kept_by_writer(graph: Graph, keep: Keep) -> dict[str, Indices]:
    """Writer -> the output channels that stay, for the groups that `keep` names; checks the indices."""
    groups: dict[str, ChannelGroup] = {group.name: group for group in channel_groups(graph)}
    result: dict[str, Indices] = {}
    for name, indices in keep.items():
        assert name in groups, f"{name} is no prunable group of this graph: {sorted(groups)}"
        assert len(indices) >= 1 and np.all(np.diff(indices) > 0), (name, indices)
        assert indices[0] >= 0 and indices[-1] < groups[name].channels, (name, indices)
        result.update(dict.fromkeys(groups[name].writers, indices))
    return result


def _take(layer: LayerWeights, weight: NDArray[np.float32], target: Indices) -> LayerWeights:
    """`layer` with `weight`, already reduced, and the channels `target` of everything that has one value a channel."""
    norm = layer.batch_norm
    if norm is not None:
        norm = BatchNorm(norm.gamma[target], norm.beta[target], norm.mean[target], norm.variance[target], norm.epsilon)
    return LayerWeights(np.ascontiguousarray(weight), layer.bias[target], norm)
