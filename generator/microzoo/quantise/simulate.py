"""The integer arithmetic in torch floats, and differentiable, so that a network can be tuned in it.

A tensor is kept as q - zero_point, a float32 that is a whole number, so that padding is zero. A convolution takes the weights
times the multiplier of its channel, and gives the output's steps before rounding; it is rounded once where the integers round
twice, and its sums are float32. So single outputs differ from `reference` where a sum lies within such an error of a tie, by one
step (tests/quantise/test_simulate.py measures how many); pools, paddings and the input do not differ at all.

Gradients pass every rounding unchanged, and a clamp where it does not clip (the straight-through estimator: Bengio et al. 2013,
section 4; Jacob et al. 2018, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.graph.weights import LayerWeights
from microzoo.quantise.forward import channels_last, layer_parameters

Layers = Mapping[str, tuple[Tensor, Tensor]]
"""Operator -> weight and bias in torch's layout, both in steps of the operator's output."""


class _Rounded(torch.autograd.Function):
    """Clamped to [low, high] and rounded, halves away from zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        y = x.clamp(low, high)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(y != x)
        if low >= 0.0:
            return y.add_(0.5).floor_()
        return y.add_(torch.copysign(torch.full((), 0.5, device=y.device), y)).trunc_()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (clipped,) = ctx.saved_tensors
        return gradients[0].masked_fill(clipped, 0.0), None, None


class _OnGrid(torch.autograd.Function):
    """Rounded to multiples of `step`, halves to even, and multiplied with `gain`, a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, gain: float) -> Tensor:
        ctx.gain = gain
        return (x / step).round_().mul_(step * gain)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.gain, None, None


def rounded(x: Tensor, low: float, high: float) -> Tensor:
    """`x` clamped to [low, high], then rounded, halves away from zero. Gradients pass where nothing was clipped."""
    result: Tensor = _Rounded.apply(x, low, high)
    return result


def on_grid(x: Tensor, step: Tensor, gain: float) -> Tensor:
    """round(x / step) * step * gain; step broadcasts over `x`. Gradients pass as if nothing were rounded."""
    result: Tensor = _OnGrid.apply(x, step, gain)
    return result


def read(images: Tensor, quantisation: Quantisation) -> Tensor:
    """Real inputs (N, H, W, C) as the first operator reads them: (N, C, H, W)."""
    low, high = -128 - quantisation.zero_point, 127 - quantisation.zero_point
    return (images / quantisation.scale).round_().clamp_(low, high).permute(0, 3, 1, 2).contiguous()


def simulate(graph: Graph, tensors: Mapping[str, Quantisation], layers: Layers, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Every tensor, name and value, as it is computed from the input `x` (`read`); none is kept longer than it is read."""
    values = {graph.input: x}
    for index, op in enumerate(graph.ops):
        y = apply(op, [values[name] for name in op.inputs], tensors, layers)
        yield op.output, y
        values[op.output] = y
        for name in op.inputs:
            if graph.last_use[name] == index:
                values.pop(name, None)


def apply(op: Op, inputs: list[Tensor], tensors: Mapping[str, Quantisation], layers: Layers) -> Tensor:
    """What one operator writes for what it reads, (N, C, H, W) or (N, F) each, in whole steps from the zero point."""
    x, target = inputs[0], tensors[op.output]
    match op:
        case Conv() | Depthwise():
            weight, bias = layers[op.name]
            top, bottom, left, right = op.padding
            padding = (top, left)
            if top != bottom or left != right:
                x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
            groups = x.shape[1] if isinstance(op, Depthwise) else 1
            y = functional.conv2d(x, weight, bias, op.stride, padding, groups=groups)
        case Dense():
            y = functional.linear(x, *layers[op.name])
        case Add():
            gains = [tensors[name].scale / target.scale for name in op.inputs]
            y = x * gains[0] + inputs[1] * gains[1]
        case MaxPool():
            return functional.max_pool2d(x, op.kernel, op.stride)
        case AvgPool():
            # Halves are rounded away from zero of q, not of q - zero_point.
            count, zero = prod(op.kernel), target.zero_point
            total = functional.avg_pool2d(x, op.kernel, op.stride, divisor_override=1) + count * zero
            return rounded(total / count, -128.0, 127.0) - zero
        case Pad():
            top, bottom, left, right = op.padding
            return functional.pad(x, (left, right, top, bottom))
        case Flatten():
            return channels_last(x).flatten(1)
    return rounded(y, 0.0 if op.relu else -128.0 - target.zero_point, 127.0 - target.zero_point)


def fixed_layers(model: IntegerModel) -> dict[str, tuple[Tensor, Tensor]]:
    """The weights and biases of `model`, each times the multiplier of its channel."""
    scaled: dict[str, tuple[Tensor, Tensor]] = {}
    for op in model.graph.ops:
        if not isinstance(op, Conv | Depthwise | Dense):
            continue
        layer = model.weights[op.name]
        gain = model.tensors[op.input].scale / model.tensors[op.output].scale * layer.scales.astype(np.float64)
        scaled_bias = (layer.bias * gain).astype(np.float32)
        weight, bias = layer_parameters(op, LayerWeights(layer.weight.astype(np.float32), scaled_bias))
        scaled[op.name] = weight * torch.from_numpy(gain.astype(np.float32)).reshape(-1, *[1] * (weight.ndim - 1)), bias
    return scaled
