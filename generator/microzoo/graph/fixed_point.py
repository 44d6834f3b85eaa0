"""Fixed-point scaling as TensorFlow Lite Micro does it: the golden arithmetic of this project.

Source: TFLite's quantisation specification and gemmlowp's fixed point ("Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", Jacob et al. 2018, section 2.2). Requantisation rounds twice: once in the doubling
high multiply, once in the right shift. Single rounding moves a third of the outputs by one step and is not used anywhere here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Multiplier:
    """A positive real factor as `mantissa / 2**31 * 2**shift`, mantissa in [2**30, 2**31) or 0."""

    mantissa: int
    shift: int


def quantise_multiplier(factor: float) -> Multiplier:
    """TFLite's QuantizeMultiplier: nearest mantissa, halves away from zero; factors under 2**-32 become 0."""
    assert factor >= 0 and math.isfinite(factor), factor
    if factor == 0.0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(factor)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)
    if mantissa == 1 << 31:
        mantissa //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(mantissa, shift)


def requantise(values: Int64, mantissa: Int64 | int, shift: Int64 | int) -> Int64:
    """MultiplyByQuantizedMultiplier with double rounding. int32 range in and out, held in int64; broadcasts over channels."""
    m = np.asarray(mantissa, np.int64)
    s = np.asarray(shift, np.int64)
    left, right = np.maximum(s, 0), np.maximum(-s, 0)
    return _rounding_right_shift(_doubling_high_multiply(values << left, m), right)


def _doubling_high_multiply(a: Int64, b: Int64) -> Int64:
    """round(a * b / 2**31): nudged, then truncated toward zero, as gemmlowp's SaturatingRoundingDoublingHighMul."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    return np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))


def _rounding_right_shift(values: Int64, exponent: Int64) -> Int64:
    """round(values / 2**exponent), halves away from zero, as gemmlowp's RoundingDivideByPOT."""
    mask = (np.int64(1) << exponent) - 1
    remainder = values & mask
    threshold = (mask >> 1) + (values < 0)
    result: Int64 = (values >> exponent) + (remainder > threshold)
    return result
