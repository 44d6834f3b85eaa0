"""Calibration: enters a folded Graph and sample images, leaves the real range that each tensor's int8 must cover."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import Quantisation
from microzoo.graph.ops import AvgPool, Flatten, MaxPool, Pad
from microzoo.graph.weights import Weights
from microzoo.quantise.forward import activations

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Range = tuple[float, float]
Ranges = dict[str, Range]
Method = Literal["minmax", "percentile", "mse"]

BINS = 4096
"""Bins of the histograms from which percentiles and errors are read, between a tensor's smallest and largest value."""
SHARES = tuple(np.geomspace(1.0 / 64.0, 1.0, 25))
"""What "mse" tries first: these shares of the smallest value with these shares of the largest one."""


@dataclass(frozen=True)
class Observed:
    """What the tensors of a network were on the calibration images, for every tensor that has its own quantisation.

    ranges: smallest and largest value. counts: int64 (BINS,), how many values lay in each bin between them; nothing for a tensor
    that has a single value. zeros: how many were exactly zero.
    """

    ranges: Ranges
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    zeros: dict[str, int] = field(default_factory=dict)


def sources(graph: Graph) -> dict[str, str]:
    """Tensor -> the tensor whose quantisation it shares. MaxPool, AvgPool, Pad and Flatten keep that of their input."""
    source = {graph.input: graph.input}
    for op in graph.ops:
        source[op.output] = source[op.inputs[0]] if isinstance(op, MaxPool | AvgPool | Pad | Flatten) else op.output
    return source


def calibrate(graph: Graph, weights: Weights, images: Float32, *, method: Method = "minmax", percentile: float = 99.99) -> Ranges:
    """Tensor -> (low, high) of its real values over `images` (N, H, W, C), for every tensor that has its own quantisation.

    "minmax" is the smallest and the largest value seen. "percentile" leaves out the (100 - percentile) % of values that lie
    farthest out, half of them on each side. "mse" is the range at whose 255 steps, with an exact zero, the mean squared error
    over all values is smallest: clipping and rounding weighed against each other. The last two are read off a histogram of BINS
    bins (two passes over the images).
    Raises QuantisationError on an empty or non-finite calibration set, on NaN, or on an unknown method.
    """
    return ranges_by(method, observe(graph, weights, images, histograms=method != "minmax"), percentile)


def observe(graph: Graph, weights: Weights, images: Float32, *, histograms: bool = True) -> Observed:
    """Extremes of every tensor over `images` (N, H, W, C), and with a second pass their histograms. Errors: see `calibrate`."""
    if len(images) == 0 or not np.isfinite(images).all():
        raise QuantisationError(
            f"calibration: {len(images)} images, {int(np.count_nonzero(~np.isfinite(images)))} values NaN or infinite",
            "calibrate on real, normalised training images",
        )
    source = sources(graph)
    ranges = _extremes(graph, weights, images, [name for name in graph.shapes if source[name] == name])
    return _histograms(graph, weights, images, ranges) if histograms else Observed(ranges)


def ranges_by(method: Method, observed: Observed, percentile: float = 99.99) -> Ranges:
    """The ranges that `method` makes of what was observed; all but "minmax" need histograms. See `calibrate`."""
    if method not in get_args(Method) or not 50.0 < percentile <= 100.0:
        raise QuantisationError(
            f'calibration: method = "{method}", percentile = {percentile}',
            'method is "minmax", "percentile" or "mse", percentile (50, 100]',
        )
    ranges = dict(observed.ranges)
    for name in observed.counts if method != "minmax" else ():
        ranges[name] = _percentile(observed, name, percentile) if method == "percentile" else _least_error(observed, name)
    return ranges


def activation(bounds: Range) -> Quantisation | None:
    """Scale and zero point that map [low, high], widened to hold zero, onto [-128, 127]; zero is exact. None for zero alone."""
    low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
    scale = float(np.float32((high - low) / 255.0))
    if scale < float(np.finfo(np.float32).tiny):
        return None
    zero_point = math.floor(-128.0 - low / scale + 0.5)
    return Quantisation(scale, min(max(zero_point, -128), 127))


def channel_reach(graph: Graph, weights: Weights, images: Float32) -> dict[str, Float32]:
    """Tensor -> the largest absolute value of each channel over `images` (N, H, W, C): float32 (K,), for every tensor."""
    reach: dict[str, Float32] = {}
    for values in activations(graph, weights, images):
        for name, value in values.items():
            largest: Float32 = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            reach[name] = np.maximum(reach[name], largest) if name in reach else largest
    return reach


def _extremes(graph: Graph, weights: Weights, images: Float32, owners: list[str]) -> Ranges:
    low, high = dict.fromkeys(owners, np.inf), dict.fromkeys(owners, -np.inf)
    for values in activations(graph, weights, images):
        for name in owners:
            smallest, largest = float(values[name].min()), float(values[name].max())
            if not (np.isfinite(smallest) and np.isfinite(largest)):
                raise QuantisationError(
                    f"tensor {name}: its float values overflow on the calibration images",
                    "the training diverged: lower its learning rate and train again",
                )
            low[name], high[name] = min(low[name], smallest), max(high[name], largest)
    return {name: (low[name], high[name]) for name in owners}


def _histograms(graph: Graph, weights: Weights, images: Float32, ranges: Mapping[str, Range]) -> Observed:
    spread = {name: bounds for name, bounds in ranges.items() if bounds[0] < bounds[1]}
    counts = {name: np.zeros(BINS, np.int64) for name in spread}
    zeros = dict.fromkeys(spread, 0)
    for values in activations(graph, weights, images):
        for name, (low, high) in spread.items():
            value = values[name].ravel().astype(np.float64)
            value -= low
            value *= BINS / (high - low)
            # The largest value itself belongs to the last bin.
            counts[name] += np.bincount(np.minimum(value.astype(np.int64), BINS - 1), minlength=BINS)
            zeros[name] += values[name].size - int(np.count_nonzero(values[name]))
    return Observed(dict(ranges), counts, zeros)


def _percentile(observed: Observed, name: str, percentile: float) -> Range:
    (low, high), counts = observed.ranges[name], observed.counts[name]
    tail = (100.0 - percentile) / 200.0
    share = np.cumsum(counts) / counts.sum()
    first, last = int(np.searchsorted(share, tail, "right")), int(np.searchsorted(share, 1.0 - tail))
    step = (high - low) / BINS
    return low + first * step, low + (last + 1) * step


def _least_error(observed: Observed, name: str) -> Range:
    """The range of least mean squared error: a coarse grid over both ends, then two finer ones around the best."""
    low, high = observed.ranges[name]
    centres: Float64 = low + (np.arange(BINS, dtype=np.float64) + 0.5) * ((high - low) / BINS)
    counts = observed.counts[name].astype(np.float64)
    if low <= 0.0 <= high:
        # Zero is exact whatever the range; its bin's middle would not be.
        counts[min(int(-low * (BINS / (high - low))), BINS - 1)] -= observed.zeros[name]
    used = counts > 0.0
    lows: Float64 = np.array(SHARES) * min(low, 0.0) if low < 0.0 else np.zeros(1)
    highs: Float64 = np.array(SHARES) * max(high, 0.0) if high > 0.0 else np.zeros(1)
    best = (min(low, 0.0), max(high, 0.0))
    for _ in range(3):
        errors = [(_squared_error(centres[used], counts[used], (a, b)), b - a, (float(a), float(b))) for a in lows for b in highs]
        # Of equal errors the wider range: it leaves more room for what was not seen.
        best = min(errors, key=lambda found: (found[0], -found[1]))[2]
        lows, highs = _around(lows, best[0]), _around(highs, best[1])
    return best


def _around(grid: Float64, chosen: float) -> Float64:
    """Nine values between the neighbours of `chosen` in a grid of one sign; the grid itself where it has one value."""
    if len(grid) == 1:
        return grid
    ordered = np.sort(grid)
    place = int(np.searchsorted(ordered, chosen))
    return np.linspace(ordered[max(0, place - 1)], ordered[min(len(ordered) - 1, place + 1)], 9)


def _squared_error(values: Float64, counts: Float64, bounds: Range) -> float:
    """Sum over `values`, each `counts` times, of (value - its int8 form over `bounds`) squared; infinite without a scale."""
    quantisation = activation(bounds)
    if quantisation is None:
        return math.inf
    scale, zero_point = quantisation.scale, quantisation.zero_point
    real = np.clip(np.rint(values / scale), -128 - zero_point, 127 - zero_point) * scale
    return float(counts @ np.square(values - real))
