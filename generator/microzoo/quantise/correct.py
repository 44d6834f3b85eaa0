"""Bias correction: enters an IntegerModel with the float network it stands for, leaves one whose layers have the float means.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2 and its
appendix on empirical bias correction. Rounding the weights of a channel, and clipping what it reads, moves the mean of its sums;
that mean is measured on images, and what is missing is added to the channel's bias. Layer after layer, each one behind those
that are already corrected.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microzoo.errors import QuantisationError
from microzoo.graph.integer import IntegerModel, IntegerWeights
from microzoo.graph.ops import Conv, Dense, Depthwise, WeightedOp
from microzoo.graph.weights import Weights
from microzoo.quantise.forward import channels_first, evaluate, parameters
from microzoo.quantise.integer import check_headroom, largest_biases
from microzoo.quantise.reference import accumulate, batch_size, quantise_input, requantised
from microzoo.quantise.reference import evaluate as evaluate_int8

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]


def correct_biases(model: IntegerModel, weights: Weights, images: Float32) -> IntegerModel:
    """`model` with every int32 bias moved by the mean difference, over `images` and positions, of the float sums to its own.

    weights: of the folded float network. images: float32 (N, H, W, C), N >= 1. Sums are taken before the ReLU. A bias goes no
    farther than int32 allows (`largest_biases`), and a layer that is zero on all images keeps its own: its sums say nothing.
    Raises QuantisationError on float sums that are not finite.
    """
    assert len(images) > 0
    size = batch_size(model)
    chunks = [images[start : start + size] for start in range(0, len(images), size)]
    layers = parameters(model.graph, weights)
    real: dict[str, list[Tensor]] = {model.graph.input: [channels_first(chunk) for chunk in chunks]}
    read = model.tensors[model.graph.input]
    integer: dict[str, list[Int8]] = {model.graph.input: [quantise_input(chunk, read) for chunk in chunks]}
    corrected = dict(model.weights)
    for index, op in enumerate(model.graph.ops):
        inputs = list(zip(*(real[name] for name in op.inputs), strict=True))
        int8_inputs = list(zip(*(integer[name] for name in op.inputs), strict=True))
        with torch.inference_mode():
            if isinstance(op, Conv | Depthwise | Dense):
                before = [evaluate(replace(op, relu=False), list(chunk), layers) for chunk in inputs]
                real[op.output] = [value.relu() if op.relu else value for value in before]
                sums = [(accumulate(model, op, x) + model.weights[op.name].bias).astype(np.int32) for (x,) in int8_inputs]
                if any(bool(value.any()) for value in real[op.output]):
                    corrected[op.name] = _corrected(model, op, before, sums)
                moved = corrected[op.name].bias.astype(np.int64) - model.weights[op.name].bias
                integer[op.output] = [requantised(model, op, chunk + moved) for chunk in sums]
            else:
                real[op.output] = [evaluate(op, list(chunk), layers) for chunk in inputs]
                integer[op.output] = [evaluate_int8(model, op, list(chunk)) for chunk in int8_inputs]
        for name in op.inputs:
            if model.graph.last_use[name] == index:
                real.pop(name, None)
                integer.pop(name, None)
    result = replace(model, weights=corrected)
    check_headroom(result)
    return result


def _corrected(model: IntegerModel, op: WeightedOp, before: list[Tensor], sums: list[Int32]) -> IntegerWeights:
    """The weights of `op` with another bias. before: float sums, channels first. sums: int32, channels last, with the bias."""
    layer = model.weights[op.name]
    wanted = _mean([value.double().sum(dim=[0, *range(2, value.ndim)]).numpy() for value in before], sums)
    have = _mean([chunk.reshape(-1, chunk.shape[-1]).sum(axis=0, dtype=np.float64) for chunk in sums], sums)
    if not np.isfinite(wanted).all():
        raise QuantisationError(f"layer {op.name}: its float sums overflow on the calibration images")
    step = model.tensors[op.input].scale * layer.scales.astype(np.float64)
    most = np.maximum(largest_biases(model, op), np.abs(layer.bias.astype(np.float64)))
    bias = np.clip(np.rint(layer.bias + (wanted / step - have)), -most, most)
    return replace(layer, bias=bias.astype(np.int32))


def _mean(totals: list[Float64], sums: list[Int32]) -> Float64:
    """Mean of each channel over images and positions, from the totals of the chunks."""
    count = sum(chunk.size // chunk.shape[-1] for chunk in sums)
    mean: Float64 = np.sum(totals, axis=0) / count
    return mean
