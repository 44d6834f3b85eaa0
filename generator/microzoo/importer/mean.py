"""A MEAN over height and width as TFLM computes it, and which of this project's operators gives the same for every input.

TFLM folds 1 / count into the multiplier of the scales without normalising it again (`QuantizedMeanOrSum`), so its rounding is
that of AvgPool or of a depthwise convolution of ones for some counts and scales only. A mean depends on the sum alone, and there
are only 255 * count + 1 sums: all are tried.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from microzoo.graph.fixed_point import Int64, Multiplier, quantise_multiplier, requantise
from microzoo.graph.integer import Quantisation

MOST_VALUES = 1 << 14
"""Values of a map up to which all sums are tried."""


def same_mean(count: int, source: Quantisation, to: Quantisation) -> Literal["pool", "ones"] | None:
    """What is the same: AvgPool ("pool"), a depthwise convolution of ones with the weight scale 1 / count ("ones"), or None."""
    if count > MOST_VALUES:
        return None
    total = np.arange(-128 * count, 127 * count + 1, dtype=np.int64)
    expected = _mean(total, count, source, to, source.scale / to.scale)
    # Whether TFLM divides the scales in double or in single precision must not matter.
    if not np.array_equal(expected, _mean(total, count, source, to, float(np.float32(source.scale) / np.float32(to.scale)))):
        return None
    pooled = np.sign(total) * ((np.abs(total) + count // 2) // count)
    if source == to and np.array_equal(expected, pooled):
        return "pool"
    factor = source.scale * float(np.float32(1.0 / count)) / to.scale
    summed = _requantised(total - count * source.zero_point, quantise_multiplier(factor), to)
    return "ones" if np.array_equal(expected, summed) else None


def _mean(total: Int64, count: int, source: Quantisation, to: Quantisation, ratio: float) -> Int64:
    scaled = quantise_multiplier(ratio)
    shift = min(count.bit_length() - 1, 32, 31 + scaled.shift)
    folded = Multiplier((scaled.mantissa << shift) // count, scaled.shift - shift)
    return _requantised(total - count * source.zero_point, folded, to)


def _requantised(values: Int64, multiplier: Multiplier, to: Quantisation) -> Int64:
    return np.clip(requantise(values, multiplier.mantissa, multiplier.shift) + to.zero_point, -128, 127)
