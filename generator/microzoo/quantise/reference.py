"""The golden integer arithmetic in numpy: every export must reproduce these outputs bit for bit.

Source: TFLite's 8-bit quantisation specification, and the reference kernels of TensorFlow Lite Micro for rounding. With q an
int8 activation, w an int8 weight, b an int32 bias, z zero points, M the multiplier of `graph.requantisation`:

operator         int8 output, before clamping to [-128, 127], or to [z_out, 127] under a fused ReLU
Conv, Depthwise  z_out + requantise(b + sum w * (q - z_in), M of the channel); padding adds nothing (q = z_in)
Dense            z_out + requantise(b + sum w * (q - z_in), M)
Add              z_out + requantise(requantise((l - z_l) << 20, M_l) + requantise((r - z_r) << 20, M_r), M_out)
MaxPool          max q
AvgPool          sum q / count, rounded to nearest, halves away from zero
Pad              q, and z_in in the margin
Flatten          q

All sums are exact: they stay under 2**31 (checked by `quantise`), so float64 products hold them, and float32 ones while a layer
cannot exceed 2**24.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from microzoo.graph.fixed_point import Int64, Multiplier, requantise
from microzoo.graph.integer import IntegerModel, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, WeightedOp
from microzoo.graph.requantisation import ADD_LEFT_SHIFT, activation_range, add_multipliers, output_multipliers

Int8 = NDArray[np.int8]

BATCH_BYTES = 4 << 20
"""Bound on the largest temporary (unfolded patches, or 64-bit accumulators) of one batch: what the caches hold."""


def run(model: IntegerModel, inputs: Int8) -> Int8:
    """Logits of `inputs` int8 (N, H, W, C): int8 (N, classes)."""
    parts = [values[model.graph.output] for values in _batches(model, inputs)]
    return np.concatenate(parts) if parts else np.zeros((0, *model.graph.shapes[model.graph.output]), np.int8)


def trace(model: IntegerModel, inputs: Int8) -> dict[str, Int8]:
    """Every tensor for `inputs` int8 (N, H, W, C), N >= 1: tensor name -> int8 (N, H, W, C) or (N, F)."""
    batches = list(_batches(model, inputs))
    return {name: np.concatenate([values[name] for values in batches]) for name in model.graph.shapes}


def evaluate(model: IntegerModel, op: Op, inputs: list[Int8]) -> Int8:
    """One operator of `model`: what it writes, int8 (N, ...), for what it reads, int8 (N, ...) each."""
    low, high = activation_range(model, op)
    clamped: Int8 = np.clip(_evaluate(model, op, inputs), low, high).astype(np.int8)
    return clamped


def requantised(model: IntegerModel, op: WeightedOp, sums: Int64) -> Int8:
    """What `op` writes, int8, for its sums with their bias, int64, both (N, out_h, out_w, K) or (N, units)."""
    low, high = activation_range(model, op)
    clamped: Int8 = np.clip(_requantise(model, op, sums), low, high).astype(np.int8)
    return clamped


def quantise_input(images: NDArray[np.float32], quantisation: Quantisation) -> Int8:
    """Real inputs to int8 of the same shape: round(x / scale), halves to even, + zero point, saturated. As QuantizeLinear."""
    scaled = np.rint(np.asarray(images, np.float32) / np.float32(quantisation.scale))
    quantised: Int8 = np.clip(scaled + quantisation.zero_point, -128, 127).astype(np.int8)
    return quantised


def batch_size(model: IntegerModel) -> int:
    """How many images at once keep the temporaries within BATCH_BYTES."""
    return max(1, BATCH_BYTES // max(_bytes_per_image(model, op) for op in model.graph.ops))


def _batches(model: IntegerModel, inputs: Int8) -> Iterator[dict[str, Int8]]:
    assert inputs.dtype == np.int8 and inputs.shape[1:] == model.graph.input_shape, (inputs.dtype, inputs.shape)
    batch = batch_size(model)
    for start in range(0, len(inputs), batch):
        values: dict[str, Int8] = {model.graph.input: inputs[start : start + batch]}
        for op in model.graph.ops:
            values[op.output] = evaluate(model, op, [values[name] for name in op.inputs])
        yield values


def _bytes_per_image(model: IntegerModel, op: Op) -> int:
    """Largest temporary of `op` for one image, in bytes."""
    shape = model.graph.shapes[op.output]
    patches = prod(shape[:2]) * prod(model.weights[op.name].weight.shape[1:]) if isinstance(op, Conv) else 0
    return 8 * max(prod(shape), patches)


def _evaluate(model: IntegerModel, op: Op, inputs: list[Int8]) -> Int64 | Int8:
    x = inputs[0]
    zero_point = model.tensors[op.inputs[0]].zero_point
    match op:
        case Conv() | Depthwise() | Dense():
            return _requantise(model, op, accumulate(model, op, x) + model.weights[op.name].bias)
        case Add():
            parts = add_multipliers(model, op)
            zero_points = (zero_point, model.tensors[op.right].zero_point)
            total = sum(
                _rescale((value.astype(np.int64) - zero) << ADD_LEFT_SHIFT, (part,))
                for value, zero, part in zip(inputs, zero_points, parts, strict=False)
            )
            return _rescale(np.asarray(total), (parts.output,)) + model.tensors[op.output].zero_point
        case MaxPool():
            return np.asarray(_windows(x, op.kernel, op.stride).max(axis=(-2, -1)))
        case AvgPool():
            total = _windows(x, op.kernel, op.stride).sum(axis=(-2, -1), dtype=np.int64)
            count = prod(op.kernel)
            return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count))
        case Pad():
            return _pad(x, op.padding, zero_point)
        case Flatten():
            return x.reshape(len(x), -1)


def _requantise(model: IntegerModel, op: WeightedOp, sums: Int64) -> Int64:
    return _rescale(sums, output_multipliers(model, op)) + model.tensors[op.output].zero_point


def _rescale(values: Int64, multipliers: tuple[Multiplier, ...]) -> Int64:
    """Requantise with one multiplier for all, or one for each channel of the last axis."""
    mantissa = np.array([m.mantissa for m in multipliers], np.int64)
    shift = np.array([m.shift for m in multipliers], np.int64)
    return requantise(values, mantissa, shift)


def accumulate(model: IntegerModel, op: WeightedOp, x: Int8) -> Int64:
    """The sums of w * (q - z_in) for `x` int8 (N, ...), exactly, without bias: int64 (N, out_h, out_w, K) or (N, units)."""
    weight = model.weights[op.name].weight
    rows = weight.reshape(-1, weight.shape[-1]).T if isinstance(op, Depthwise) else weight.reshape(len(weight), -1)
    largest = 255 * int(np.abs(rows.astype(np.int64)).sum(axis=1).max())
    exact = np.dtype(np.float32 if largest < 1 << 24 else np.float64)
    w: NDArray[Any] = weight.astype(exact)
    centred: NDArray[Any] = x.astype(exact)
    centred -= model.tensors[op.input].zero_point
    if isinstance(op, Dense):
        sums = centred @ w.T
    elif isinstance(op, Depthwise):
        windows = _windows(_pad(centred, op.padding, 0), op.kernel, op.stride)
        sums = np.zeros(windows.shape[:4], exact)
        for row in range(op.kernel[0]):
            for column in range(op.kernel[1]):
                sums += windows[..., row, column] * w[row, column]
    else:
        patches = _windows(_pad(centred, op.padding, 0), op.kernel, op.stride).transpose(0, 1, 2, 4, 5, 3)
        flat = patches.reshape(-1, prod(patches.shape[3:]))
        sums = (flat @ w.reshape(len(w), -1).T).reshape(*patches.shape[:3], len(w))
    exact_sums: Int64 = sums.astype(np.int64)
    return exact_sums


def _pad(x: NDArray[Any], padding: tuple[int, int, int, int], value: int) -> NDArray[Any]:
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value) if any(padding) else x


def _windows(x: NDArray[Any], kernel: tuple[int, int], stride: tuple[int, int]) -> NDArray[Any]:
    """Views of whole windows: (N, out_h, out_w, C, kh, kw)."""
    return sliding_window_view(x, kernel, axis=(1, 2))[:, :: stride[0], :: stride[1]]
