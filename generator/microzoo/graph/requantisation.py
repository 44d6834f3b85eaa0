"""The integer constants of every operator: what the reference, the generated C and any check of overflow must agree on.

Enters an IntegerModel and one of its operators; leaves multipliers and clamping bounds, computed from float32 scales in float64
exactly as TensorFlow Lite Micro's `Prepare` functions do (PopulateConvolutionQuantizationParams, CalculateOpData of ADD,
CalculateActivationRangeQuantized).
"""

from __future__ import annotations

from typing import NamedTuple

from microzoo.graph.fixed_point import Multiplier, quantise_multiplier
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Add, AvgPool, Flatten, MaxPool, Op, Pad, WeightedOp

ADD_LEFT_SHIFT = 20
"""Both operands of an Add are scaled by 2**20 before they are brought to one scale."""

INT8_MIN, INT8_MAX = -128, 127


class AddMultipliers(NamedTuple):
    """output = zp + requantise(requantise((l - zl) << 20, left) + requantise((r - zr) << 20, right), output)."""

    left: Multiplier
    right: Multiplier
    output: Multiplier


def output_multipliers(model: IntegerModel, op: WeightedOp) -> tuple[Multiplier, ...]:
    """Input scale * weight scale / output scale for each channel of Conv and Depthwise, one for Dense."""
    input_scale, output_scale = model.tensors[op.input].scale, model.tensors[op.output].scale
    return tuple(quantise_multiplier(input_scale * float(scale) / output_scale) for scale in model.weights[op.name].scales)


def add_multipliers(model: IntegerModel, op: Add) -> AddMultipliers:
    """TFLite's common scale for an addition: twice the larger of the two input scales."""
    left, right, output = (model.tensors[name].scale for name in (op.left, op.right, op.output))
    common = 2.0 * max(left, right)
    return AddMultipliers(
        quantise_multiplier(left / common),
        quantise_multiplier(right / common),
        quantise_multiplier(common / ((1 << ADD_LEFT_SHIFT) * output)),
    )


def activation_range(model: IntegerModel, op: Op) -> tuple[int, int]:
    """Lowest and highest int8 value that `op` writes. A fused ReLU starts at the zero point of the output."""
    if isinstance(op, MaxPool | AvgPool | Pad | Flatten) or not op.relu:
        return INT8_MIN, INT8_MAX
    return max(INT8_MIN, model.tensors[op.output].zero_point), INT8_MAX
