"""The same integers as `reference`, several times faster, by torch: what variants are scored with on a whole validation split.

Sums of whole numbers are exact in float32 below 2**24 and in float64 below 2**53. A requantised sum is computed in float64: the
product with the mantissa is exact below 2**53, so that its first rounding is, below 2**22; with a right shift of at most 13 what
lies beyond is 512 steps or more, and saturates either way. Where that does not hold, and for additions, `reference` does it.
tests/quantise/test_exact.py compares the two bit for bit.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Op, WeightedOp
from microzoo.graph.requantisation import activation_range, output_multipliers
from microzoo.graph.weights import LayerWeights
from microzoo.quantise.forward import channels_last, layer_parameters
from microzoo.quantise.integer import MAX_OFFSET, channel_rows
from microzoo.quantise.reference import evaluate, quantise_input
from microzoo.quantise.simulate import apply

Float32 = NDArray[np.float32]
Int8 = NDArray[np.int8]

BATCH_BYTES = 8 << 20
"""Bound on the largest float64 temporary of one batch: what the caches hold."""
MOST_RIGHT = 13
"""Largest right shift at which a product that float64 cannot hold is sure to saturate."""


def accuracy(model: IntegerModel, images: Float32, labels: NDArray[np.int64]) -> float:
    """Share of `images` (N, H, W, C), N >= 1, whose largest logit, the first of equal ones, is that of their label (N,)."""
    logits = run(model, quantise_input(images, model.tensors[model.graph.input]))
    return float((logits.argmax(axis=1) == labels).mean())


def run(model: IntegerModel, inputs: Int8) -> Int8:
    """Logits of `inputs` int8 (N, H, W, C), N >= 1: int8 (N, classes), those of `reference.run`."""
    graph = model.graph
    layers = {op.name: _Layer(model, op) for op in graph.ops if isinstance(op, Conv | Depthwise | Dense)}
    batch = max(1, BATCH_BYTES // (8 * max(prod(shape) for shape in graph.shapes.values())))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(inputs), batch):
            values = {graph.input: _centred(inputs[start : start + batch], model.tensors[graph.input].zero_point)}
            for index, op in enumerate(graph.ops):
                values[op.output] = _step(model, op, [values[name] for name in op.inputs], layers)
                for name in op.inputs:
                    if graph.last_use[name] == index:
                        values.pop(name, None)
            parts.append(_int8(values[graph.output], model.tensors[graph.output].zero_point))
    return np.concatenate(parts)


class _Layer:
    """Constants of a weighted operator. factor: float64, of the product before the first rounding; right: 2**-shift after it."""

    def __init__(self, model: IntegerModel, op: WeightedOp) -> None:
        layer = model.weights[op.name]
        multipliers = output_multipliers(model, op)
        self.fits = all(multiplier.shift >= -MOST_RIGHT for multiplier in multipliers if multiplier.mantissa)
        rows = channel_rows(op, layer.weight.astype(np.float64))
        largest = (MAX_OFFSET * np.abs(rows).sum(axis=1) + np.abs(layer.bias.astype(np.float64))).max()
        self.dtype = torch.float32 if largest < 1 << 24 else torch.float64
        weight, _ = layer_parameters(op, LayerWeights(layer.weight.astype(np.float32), np.zeros(0, np.float32)))
        self.weight, self.bias = weight.to(self.dtype), torch.from_numpy(layer.bias).to(self.dtype)
        shape = (-1, 1, 1) if weight.ndim == 4 else (-1,)
        factors = [multiplier.mantissa * 2.0 ** (max(multiplier.shift, 0) - 31) for multiplier in multipliers]
        self.factor = torch.tensor(factors, dtype=torch.float64).reshape(shape)
        rights = [2.0 ** min(multiplier.shift, 0) for multiplier in multipliers]
        self.right = torch.tensor(rights, dtype=torch.float64).reshape(shape)


def _step(model: IntegerModel, op: Op, inputs: list[Tensor], layers: dict[str, _Layer]) -> Tensor:
    """What `op` writes, as q - zero_point in float32, (N, C, H, W) or (N, F), for what it reads in the same form."""
    zero_point = model.tensors[op.output].zero_point
    if isinstance(op, Add) or (isinstance(op, Conv | Depthwise | Dense) and not layers[op.name].fits):
        read = [_int8(value, model.tensors[name].zero_point) for value, name in zip(inputs, op.inputs, strict=True)]
        return _centred(evaluate(model, op, read), zero_point)
    if not isinstance(op, Conv | Depthwise | Dense):
        return apply(op, inputs, model.tensors, {})
    layer = layers[op.name]
    x = inputs[0].to(layer.dtype)
    if isinstance(op, Dense):
        sums = functional.linear(x, layer.weight, layer.bias)
    else:
        top, bottom, left, right = op.padding
        padding = (top, left)
        if top != bottom or left != right:
            x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
        groups = x.shape[1] if isinstance(op, Depthwise) else 1
        sums = functional.conv2d(x, layer.weight, layer.bias, op.stride, padding, groups=groups)
    low, high = activation_range(model, op)
    # Halves up first, then halves away from zero: see `graph.fixed_point`.
    scaled = sums.double().mul_(layer.factor).add_(0.5).floor_().mul_(layer.right)
    scaled.add_(torch.copysign(torch.tensor(0.5, dtype=torch.float64), scaled)).trunc_()
    return scaled.clamp_(low - zero_point, high - zero_point).float()


def _centred(values: Int8, zero_point: int) -> Tensor:
    """int8 (N, H, W, C) or (N, F) as q - zero_point in float32, channels first."""
    value = torch.from_numpy(np.ascontiguousarray(values)).float().sub_(zero_point)
    return value.permute(0, 3, 1, 2).contiguous() if value.ndim == 4 else value


def _int8(value: Tensor, zero_point: int) -> Int8:
    """The inverse of `_centred`."""
    result: Int8 = channels_last(value + zero_point).numpy().astype(np.int8)
    return result
