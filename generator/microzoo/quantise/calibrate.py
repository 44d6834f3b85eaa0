"""Calibration: enters a folded Graph and sample images, leaves the real range that each tensor's int8 must cover."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.ops import AvgPool, Flatten, MaxPool, Pad
from microzoo.graph.weights import Weights
from microzoo.quantise.forward import activations

Float32 = NDArray[np.float32]
Range = tuple[float, float]
Method = Literal["minmax", "percentile"]

BINS = 4096
"""Bins of the histogram from which percentiles are read, between a tensor's smallest and largest value."""


def sources(graph: Graph) -> dict[str, str]:
    """Tensor -> the tensor whose quantisation it shares. MaxPool, AvgPool, Pad and Flatten keep that of their input."""
    source = {graph.input: graph.input}
    for op in graph.ops:
        source[op.output] = source[op.inputs[0]] if isinstance(op, MaxPool | AvgPool | Pad | Flatten) else op.output
    return source


def calibrate(
    graph: Graph, weights: Weights, images: Float32, *, method: Method = "minmax", percentile: float = 99.99
) -> dict[str, Range]:
    """Tensor -> (low, high) of its real values over `images` (N, H, W, C), for every tensor that has its own quantisation.

    "minmax" is the smallest and the largest value seen. "percentile" leaves out the (100 - percentile) % of values that lie
    farthest out, half of them on each side, read off a histogram of BINS bins (two passes over the images).
    Raises QuantisationError on an empty or non-finite calibration set, on NaN, or on an unknown method.
    """
    if len(images) == 0 or not np.isfinite(images).all():
        raise QuantisationError(
            f"calibration: {len(images)} images, {int(np.count_nonzero(~np.isfinite(images)))} values NaN or infinite",
            "calibrate on real, normalised training images",
        )
    if method not in ("minmax", "percentile") or not 50.0 < percentile <= 100.0:
        raise QuantisationError(
            f'calibration: method = "{method}", percentile = {percentile}',
            'method is "minmax" or "percentile", percentile (50, 100]',
        )
    source = sources(graph)
    owners = [name for name in graph.shapes if source[name] == name]
    ranges = _extremes(graph, weights, images, owners)
    return _percentiles(graph, weights, images, ranges, percentile) if method == "percentile" else ranges


def _extremes(graph: Graph, weights: Weights, images: Float32, owners: list[str]) -> dict[str, Range]:
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


def _percentiles(
    graph: Graph, weights: Weights, images: Float32, ranges: dict[str, Range], percentile: float
) -> dict[str, Range]:
    counts = {name: np.zeros(BINS, np.int64) for name in ranges}
    spread = {name: bounds for name, bounds in ranges.items() if bounds[0] < bounds[1]}
    for values in activations(graph, weights, images):
        for name, bounds in spread.items():
            counts[name] += np.histogram(values[name].astype(np.float64), BINS, bounds)[0]
    tail = (100.0 - percentile) / 200.0
    clipped = dict(ranges)
    for name, (low, high) in spread.items():
        share = np.cumsum(counts[name]) / counts[name].sum()
        first, last = int(np.searchsorted(share, tail, "right")), int(np.searchsorted(share, 1.0 - tail))
        step = (high - low) / BINS
        clipped[name] = (low + first * step, low + (last + 1) * step)
    return clipped
