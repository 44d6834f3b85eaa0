"""Post-training quantisation: enters a trained Graph with its weights and sample images, leaves an IntegerModel.

Source: TFLite's 8-bit quantisation specification: activations int8 per tensor with a zero point; weights int8 symmetric in
[-127, 127], per output channel for Conv and Depthwise, per tensor for Dense; biases int32 at scale input * weight.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import QuantisationError
from microzoo.graph.fixed_point import Multiplier
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Op, WeightedOp
from microzoo.graph.requantisation import ADD_LEFT_SHIFT, add_multipliers, output_multipliers
from microzoo.graph.weights import LayerWeights, Weights
from microzoo.quantise.calibrate import Method, Range, Ranges, activation, calibrate, sources
from microzoo.quantise.fold import fold

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

INT32_MAX = 2**31 - 1
MAX_OFFSET = 255
"""Largest |q - zero_point| of an int8 activation."""


def quantise(
    graph: Graph,
    weights: Weights,
    calibration: Float32,
    *,
    input_range: Range | None = None,
    method: Method = "minmax",
    percentile: float = 99.99,
) -> IntegerModel:
    """The int8 form of a trained network, by calibration alone. `variants.best_variant` tries more.

    calibration: float32 (N, H, W, C), the network's real inputs. input_range: smallest and largest real value that an input can
    take, when known, so that quantising raw data loses nothing ([0, 1] from bytes gives scale 1/255, zero point -128);
    otherwise observed. method, percentile: see `calibrate`.
    Raises QuantisationError: see `integer_model`; NaN or infinite parameters, calibration images that are all zero.
    """
    graph, weights = fold(graph, weights)
    ranges = calibrate(graph, weights, calibration, method=method, percentile=percentile)
    return integer_model(graph, weights, with_input(graph, ranges, input_range))


def with_input(graph: Graph, ranges: Ranges, input_range: Range | None) -> Ranges:
    """`ranges` with that of the input replaced where it is known."""
    if input_range is None:
        return ranges
    if not all(map(math.isfinite, input_range)) or input_range[0] >= input_range[1]:
        raise QuantisationError(f"input_range = {input_range}", "give the smallest, then the largest real input value")
    return ranges | {graph.input: input_range}


def integer_model(graph: Graph, weights: Weights, ranges: Ranges) -> IntegerModel:
    """The int8 form of a folded network whose tensors have these ranges (`calibrate`).

    A tensor that is zero on every calibration image, as a dead layer's is, keeps its exact zero.
    Raises QuantisationError, naming layer and cause: an input that is all zero, a bias or an accumulator beyond int32, scales so
    far apart that requantisation would overflow.
    """
    tensors = _tensors(graph, weights, ranges)
    integer: dict[str, IntegerWeights] = {}
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            layer, ends = weights[op.name], (tensors[op.input], tensors[op.output])
            integer[op.name] = _weights(op, layer if activation(ranges[op.output]) else _awake(op, layer, *ends), *ends)
    model = IntegerModel(graph, tensors, integer)
    check_headroom(model)
    return model


def _tensors(graph: Graph, weights: Weights, ranges: Ranges) -> dict[str, Quantisation]:
    """The quantisation of every tensor of `graph`, in the order in which they are computed.

    No step is finer than what an operator's inputs can tell (`_finest`): a layer that hardly says anything on the calibration
    images would otherwise ask for a requantisation that multiplies, which some runtimes refuse and int32 may not hold.
    A tensor that is zero on every calibration image gets the scale of its input, or the larger one. Any scale holds zero exactly;
    this one lets a layer that wakes up on another image say something of that order, and what lies beyond saturates.
    """
    image = activation(ranges[graph.input])
    if image is None:
        raise QuantisationError(
            f"tensor {graph.input}: zero on every calibration image, so it has no scale",
            "calibrate on images that are not all zero, or give the input's range",
        )
    source = sources(graph)
    tensors = {graph.input: image}
    for op in graph.ops:
        if source[op.output] != op.output:
            tensors[op.output] = tensors[source[op.output]]
            continue
        owned = activation(ranges[op.output])
        if owned is None:
            assert isinstance(op, Conv | Depthwise | Dense | Add), op
            owned = Quantisation(max(tensors[name].scale for name in op.inputs), -128 if op.relu else 0)
        elif owned.scale < (finest := _finest(op, weights, tensors)):
            low, high = ranges[op.output]
            room = (255.0 * finest - (high - low)) / 2.0
            owned = activation((low, low + 255.0 * finest) if low >= 0.0 else (low - room, high + room)) or owned
        tensors[op.output] = owned
    return tensors


def _finest(op: Op, weights: Weights, tensors: dict[str, Quantisation]) -> float:
    """The step below which the output of `op` has nothing to say: one of its accumulator, of its coarser input for an Add."""
    if isinstance(op, Conv | Depthwise | Dense):
        largest = float(np.abs(weights[op.name].weight).max(initial=0.0))
        return tensors[op.input].scale * largest / 127.0
    return max(tensors[name].scale for name in op.inputs) / FINER_SUM


FINER_SUM = 16
"""How much finer than the coarser operand an Add may write: its operands have 20 bits to spare, but not their values."""


def _awake(op: WeightedOp, layer: LayerWeights, source: Quantisation, target: Quantisation) -> LayerWeights:
    """`layer`, whose output was zero on every calibration image, or zeros where int32 cannot hold its sums at the output's scale.

    A requantised sum must stay below 2**28 steps of the output, and weights that must be coarse for the sake of a large bias
    (`_bias_floor`) may err by half a step together.
    """
    rows, bias = np.abs(channel_rows(op, layer.weight.astype(np.float64))), np.abs(layer.bias.astype(np.float64))
    reach = (rows.sum(axis=1) * MAX_OFFSET * source.scale + bias).max()
    rounding = bias.max() / 2.0**30 * rows.shape[1] * MAX_OFFSET
    if max(reach * 2.0**-28, rounding) <= target.scale:
        return layer
    return LayerWeights(np.zeros_like(layer.weight), np.zeros_like(layer.bias))


def _weights(op: WeightedOp, layer: LayerWeights, source: Quantisation, target: Quantisation) -> IntegerWeights:
    """Quantise one layer. Rows are output channels; a Dense layer shares one scale among them."""
    rows, bias = channel_rows(op, layer.weight.astype(np.float64)), layer.bias.astype(np.float64)
    scales = weight_scales(op, rows, bias, source, target)
    divisor = np.broadcast_to(scales.astype(np.float64), bias.shape)
    quantised = np.clip(np.rint(rows / divisor[:, None]), -127, 127)
    integer_bias = np.rint(bias / (source.scale * divisor))
    reach = np.abs(integer_bias) + MAX_OFFSET * np.abs(quantised).sum(axis=1)
    if (reach > INT32_MAX).any():
        channel = int(reach.argmax())
        raise QuantisationError(f"layer {op.name}, channel {channel}: its sum can reach {reach[channel]:.3g}, beyond int32")
    return IntegerWeights(_from_rows(op, quantised, layer.weight.shape), integer_bias.astype(np.int32), scales)


def weight_scales(op: WeightedOp, rows: Float64, bias: Float64, source: Quantisation, target: Quantisation) -> Float32:
    """Scale of the weights of each channel, float32 (K,), (1,) for Dense: the largest is 127 steps, unless the bias needs more.

    rows: `channel_rows`, (K, F). bias: (K,). source, target: quantisation of the layer's input and output.
    """
    natural = np.abs(rows).max(axis=1) / 127.0
    if isinstance(op, Dense):
        natural = natural.max(keepdims=True)
    scales: Float32 = np.maximum(natural, _bias_floor(op, rows, bias, natural, source, target)).astype(np.float32)
    return scales


def _bias_floor(
    op: WeightedOp, rows: Float64, bias: Float64, natural: Float64, source: Quantisation, target: Quantisation
) -> Float64:
    """Smallest weight scale of each channel at which its bias stays under 2**30 and the scale is a normal float32.

    A channel that pruning or BatchNorm has all but switched off has weights too small for its bias, or all zero. Its weights may
    be rounded coarsely, since they hardly count: at most half a scale each, together less than one step of the output.
    """
    needed = np.abs(bias) / (source.scale * 2.0**30)
    if isinstance(op, Dense):
        needed = needed.max(keepdims=True)
    # The scale of an all-zero channel is free: a multiplier of 2**-16 holds its bias to 2**-16 of an output step.
    neutral = target.scale / source.scale * 2.0**-16
    floor = np.where(natural > 0.0, np.maximum(needed, np.finfo(np.float32).tiny), np.maximum(needed, neutral))
    error = floor / 2.0 * rows.shape[1] * MAX_OFFSET * source.scale
    lost = (floor > natural) & (natural > 0.0) & (error > target.scale)
    if lost.any():
        channel = int(lost.argmax())
        largest = needed[channel] * source.scale * 2.0**30
        raise QuantisationError(
            f"layer {op.name}, channel {channel}: bias {largest:.3g} against "
            f"weights up to {natural[channel] * 127:.3g} overflows int32",
            "train with weight decay on the biases, or with BatchNorm",
        )
    return floor


def channel_rows(op: WeightedOp, weight: Float64) -> Float64:
    """(K, everything that one output channel sums over)."""
    if isinstance(op, Depthwise):
        return weight.reshape(-1, weight.shape[-1]).T
    return weight.reshape(weight.shape[0], -1)


def _from_rows(op: WeightedOp, rows: Float64, shape: tuple[int, ...]) -> NDArray[np.int8]:
    return np.ascontiguousarray((rows.T if isinstance(op, Depthwise) else rows).reshape(shape)).astype(np.int8)


def largest_biases(model: IntegerModel, op: WeightedOp) -> Float64:
    """Largest absolute bias of each channel, float64 (K,), at which no sum leaves int32, before or after its left shift."""
    rows = channel_rows(op, model.weights[op.name].weight.astype(np.float64))
    shifts = np.array([max(multiplier.shift, 0) for multiplier in output_multipliers(model, op)])
    largest: Float64 = np.floor(INT32_MAX * 2.0**-shifts) - MAX_OFFSET * np.abs(rows).sum(axis=1)
    return largest


def check_headroom(model: IntegerModel) -> None:
    """No requantisation may leave int32, whatever the input: the runtimes shift left before they multiply."""
    for op in model.graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            layer = model.weights[op.name]
            rows = channel_rows(op, layer.weight.astype(np.float64))
            reach = np.abs(layer.bias.astype(np.float64)) + MAX_OFFSET * np.abs(rows).sum(axis=1)
            multipliers = output_multipliers(model, op)
            for channel, largest in enumerate(reach):
                _check_shift(op.name, largest, multipliers[channel if len(multipliers) > 1 else 0])
        elif isinstance(op, Add):
            parts = add_multipliers(model, op)
            operand = float(MAX_OFFSET << ADD_LEFT_SHIFT)
            largest = sum(operand * part.mantissa * 2.0 ** (part.shift - 31) + 1 for part in parts[:2])
            _check_shift(op.name, largest, parts.output)


def _check_shift(name: str, largest: float, multiplier: Multiplier) -> None:
    if largest * 2.0 ** max(multiplier.shift, 0) > INT32_MAX:
        raise QuantisationError(
            f"layer {name}: its output is so small beside its inputs that requantisation (left shift {multiplier.shift}) "
            "overflows int32",
            "calibrate on images on which the layer is active, or train again",
        )
