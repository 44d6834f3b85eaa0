"""Weight inheritance: a trained parent's weights and a child that a morphism made of it go in; weights to start the child from
come out. numpy only.

What the two networks share is copied, what is new in the child keeps its fresh initial values: after "weight inheritance" of
Real et al. 2017, "Large-Scale Evolution of Image Classifiers", section 3.5, and, for slices that overlap, Cai et al. 2018,
"Efficient Architecture Search by Network Transformation". Not function-preserving in general: widened layers start from
partly fresh values, and an inserted layer is wholly fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Dense, Depthwise, Flatten, Shape, WeightedOp, weight_shape
from microzoo.graph.weights import BatchNorm, LayerWeights, Weights

Float32 = NDArray[np.float32]

_SAME_ROLE = 0.2
_SAME_FLAG = 0.05


def inherit(parent: Graph, parent_weights: Weights, child: Graph, fresh: Weights) -> Weights:
    """Weights to start `child` from: the parent's where the two networks correspond, `fresh` elsewhere.

    parent, parent_weights: as `fit` gave them, so possibly shrunk by pruning. fresh: initial weights of `child`; not changed.
    Operators are aligned in order (`aligned`). Of two that correspond the slices that overlap are copied: the first min(K) output
    and min(C) input channels, the smaller kernel in the middle of the larger, bias and BatchNorm with them. A dense layer
    behind Flatten is resampled from the parent's map to the child's, each weight's mass shared out by area, so that a constant
    map gives the same logits. A BatchNorm that the child lacks is folded into what is copied. Both graphs are in the order of
    `space.lowering.lower`.
    """
    places, targets = _weighted(parent), _weighted(child)
    result = dict(fresh)
    for source, target in aligned([place.signature for place in places], [place.signature for place in targets]):
        given = parent_weights[places[source].op.name]
        name = targets[target].op.name
        result[name] = _copied(given, fresh[name], places[source], targets[target])
    return result


@dataclass(frozen=True)
class Signature:
    """What alignment sees of a weighted operator.

    kind: "Conv", "Depthwise" or "Dense"; only equal kinds correspond. role: the last part of the name, without digits
    ("conv", "width"). sizes: of the weights, all positive. flags: stride, padding, BatchNorm, ReLU; of Dense only ReLU.
    """

    kind: str
    role: str
    sizes: Shape
    flags: tuple[object, ...]


def aligned(parent: Sequence[Signature], child: Sequence[Signature]) -> list[tuple[int, int]]:
    """Pairs (index in parent, index in child), both ascending, of the greatest total similarity (Needleman-Wunsch, gaps free).

    The last ones, the classifiers, always correspond. Among equal totals the later operators are paired: which of several
    identical layers went is not known here.
    """
    rows, columns = len(parent) - 1, len(child) - 1
    best = np.zeros((rows + 1, columns + 1))
    for i in range(rows):
        for j in range(columns):
            paired = best[i, j] + _similarity(parent[i], child[j])
            best[i + 1, j + 1] = max(paired, best[i, j + 1], best[i + 1, j])
    pairs = [(rows, columns)]
    i, j = rows, columns
    while i and j:
        similarity = _similarity(parent[i - 1], child[j - 1])
        if similarity and best[i, j] == best[i - 1, j - 1] + similarity:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _similarity(left: Signature, right: Signature) -> float:
    """0 for different kinds; else the share of the larger weights that overlaps, and a little for all else that is equal."""
    if left.kind != right.kind:
        return 0.0
    overlap = 1.0
    for a, b in zip(left.sizes, right.sizes, strict=True):
        overlap *= min(a, b) / max(a, b)
    equal = sum(a == b for a, b in zip(left.flags, right.flags, strict=True))
    return overlap + _SAME_ROLE * (left.role == right.role) + _SAME_FLAG * equal


@dataclass(frozen=True)
class _Place:
    """A weighted operator where it stands. map_shape: (H, W, C) that a Flatten before it read; None for all others."""

    op: WeightedOp
    input_shape: Shape
    map_shape: Shape | None

    @property
    def signature(self) -> Signature:
        op = self.op
        role = op.name.rpartition(".")[2].rstrip("0123456789")
        flags = (op.relu,) if isinstance(op, Dense) else (op.stride, op.padding, op.batch_norm, op.relu)
        return Signature(type(op).__name__, role, weight_shape(op, self.input_shape), flags)


def _weighted(graph: Graph) -> list[_Place]:
    """The weighted operators in the order of the graph."""
    flattened = {op.output: graph.shapes[op.input] for op in graph.ops if isinstance(op, Flatten)}
    ops = [op for op in graph.ops if isinstance(op, Conv | Depthwise | Dense)]
    return [_Place(op, graph.shapes[op.input], flattened.get(op.input)) for op in ops]


def _copied(given: LayerWeights, fresh: LayerWeights, source: _Place, target: _Place) -> LayerWeights:
    """`fresh` with the slices of `given` that overlap."""
    if given.batch_norm is not None and fresh.batch_norm is None:
        given = _folded(given, given.batch_norm, channel_first=isinstance(source.op, Conv))
    if isinstance(target.op, Dense):
        weight = _dense(given.weight, fresh.weight, source.map_shape, target.map_shape)
    elif isinstance(target.op, Depthwise):
        weight = _overlaid(given.weight, fresh.weight, centred=(0, 1))
    else:
        weight = _overlaid(given.weight, fresh.weight, centred=(1, 2))
    norm = fresh.batch_norm
    if norm is not None and given.batch_norm is not None:
        old = given.batch_norm
        norm = BatchNorm(
            _overlaid(old.gamma, norm.gamma),
            _overlaid(old.beta, norm.beta),
            _overlaid(old.mean, norm.mean),
            _overlaid(old.variance, norm.variance),
            old.epsilon,
        )
    # BatchNorm takes any bias out again.
    bias = fresh.bias if norm is not None and given.batch_norm is None else _overlaid(given.bias, fresh.bias)
    return LayerWeights(weight, bias, norm)


def _overlaid(given: Float32, fresh: Float32, centred: tuple[int, ...] = ()) -> Float32:
    """A copy of `fresh` with the part of `given` that overlaps: from 0 on each axis, in the middle on the `centred` ones."""
    taken, written = [], []
    for axis, (old, new) in enumerate(zip(given.shape, fresh.shape, strict=True)):
        common = min(old, new)
        shift = (old - common) // 2, (new - common) // 2
        if axis not in centred:
            shift = 0, 0
        taken.append(slice(shift[0], shift[0] + common))
        written.append(slice(shift[1], shift[1] + common))
    result = fresh.copy()
    result[tuple(written)] = given[tuple(taken)]
    return result


def _dense(given: Float32, fresh: Float32, source: Shape | None, target: Shape | None) -> Float32:
    """Dense weights (units, F). Behind Flatten on both sides F is (h, w, channel), and the map is resampled first."""
    if source is None or target is None:
        # Only one of the two reads a map: the features of one say nothing about those of the other.
        return _overlaid(given, fresh) if source == target else fresh
    height, width, _ = target
    maps = given.reshape(len(given), *source)
    if source[:2] != target[:2]:
        rows, columns = _shares(source[0], height), _shares(source[1], width)
        maps = np.einsum("ih,jw,uhwc->uijc", rows, columns, maps).astype(np.float32)
    return _overlaid(maps, fresh.reshape(len(fresh), *target)).reshape(fresh.shape)


def _shares(old: int, new: int) -> NDArray[np.float64]:
    """(new, old): which share of each old cell lies in each new one when both divide the same length; columns sum to 1."""
    low = np.maximum(np.arange(new)[:, None] / new, np.arange(old) / old)
    high = np.minimum((np.arange(new)[:, None] + 1) / new, (np.arange(old) + 1) / old)
    return np.asarray(np.maximum(high - low, 0.0) * old, np.float64)


def _folded(layer: LayerWeights, norm: BatchNorm, *, channel_first: bool) -> LayerWeights:
    """The same function without BatchNorm: w' = w * s, b' = beta + (b - mean) * s, s = gamma / sqrt(variance + epsilon)."""
    scale = norm.gamma / np.sqrt(norm.variance + np.float32(norm.epsilon))
    weight = layer.weight * (scale[:, None, None, None] if channel_first else scale)
    return replace(layer, weight=weight, bias=norm.beta + (layer.bias - norm.mean) * scale, batch_norm=None)
