"""Ranges of least squared error against a search over all of them."""

from __future__ import annotations

import numpy as np
import pytest

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Conv, Dense, Flatten
from microzoo.graph.weights import LayerWeights
from microzoo.quantise.calibrate import Observed, activation, calibrate, channel_reach, observe, ranges_by

GRAPH = Graph("x", (4, 4, 1), (Flatten("flat", "x", "f"), Dense("head", "f", "y", 2)), "y")
WEIGHTS = {"head": LayerWeights(np.eye(2, 16, dtype=np.float32), np.zeros(2, np.float32))}


def _error(values: np.ndarray, low: float, high: float) -> float:
    """Mean squared error of int8 over [low, high], written again from the definition."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255))
    zero = int(np.clip(np.floor(-128 - low / scale + 0.5), -128, 127))
    q = np.clip(np.rint(values / scale) + zero, -128, 127)
    return float(np.mean((values - (q - zero) * scale) ** 2))


SAMPLES = {
    "normal": lambda rng: rng.normal(0.3, 1.0, 4800),
    "after a ReLU": lambda rng: np.maximum(rng.normal(-0.2, 1.0, 4800), 0.0),
    "heavy tails": lambda rng: rng.standard_t(2, 4800),
    "heavy tail on one side": lambda rng: rng.lognormal(0.0, 1.5, 4800),
    "one outlier": lambda rng: np.r_[rng.uniform(0, 1, 4799), 50.0],
    "negative only": lambda rng: -rng.lognormal(0.0, 1.0, 4800),
    "uniform, where nothing is to be clipped": lambda rng: rng.uniform(-1.0, 1.0, 4800),
    "two values": lambda rng: rng.choice([0.0, 0.7], 4800),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_range_of_least_error_is_as_good_as_the_best_of_a_search_over_all(name: str) -> None:
    values = SAMPLES[name](np.random.default_rng(0)).astype(np.float32)
    found = calibrate(GRAPH, WEIGHTS, values.reshape(-1, 4, 4, 1), method="mse")["x"]
    lows = np.linspace(0.0, min(values.min(), 0.0), 61)
    highs = np.linspace(0.0, max(values.max(), 0.0), 61)
    best = min(_error(values, low, high) for low in lows for high in highs if high - low > 1e-6)
    everything = _error(values, values.min(), values.max())
    assert _error(values, *found) <= best * 1.03 + 1e-12
    assert _error(values, *found) <= everything * (1 + 1e-3) + 1e-12


def test_an_outlier_is_clipped_and_a_uniform_tensor_is_not() -> None:
    outlier = SAMPLES["one outlier"](np.random.default_rng(0)).astype(np.float32).reshape(-1, 4, 4, 1)
    assert calibrate(GRAPH, WEIGHTS, outlier, method="minmax")["x"][1] == 50.0
    # One value of 4,800 clipped to h costs (50 - h)**2 / 4800, rounding the others (h / 255)**2 / 12: least where
    # (50 - h) / 4800 = h / (12 * 255**2), h = 50 / (1 + 4800 / 780300) = 49.69.
    assert calibrate(GRAPH, WEIGHTS, outlier, method="mse")["x"][1] == pytest.approx(49.69, abs=0.15)
    uniform = SAMPLES["uniform, where nothing is to be clipped"](np.random.default_rng(0)).astype(np.float32)
    low, high = calibrate(GRAPH, WEIGHTS, uniform.reshape(-1, 4, 4, 1), method="mse")["x"]
    assert low == pytest.approx(-1.0, abs=0.02) and high == pytest.approx(1.0, abs=0.02)


def test_zero_is_exact_in_a_range_of_least_error() -> None:
    values = np.random.default_rng(1).normal(5.0, 0.5, (300, 4, 4, 1)).astype(np.float32)
    quantisation = activation(calibrate(GRAPH, WEIGHTS, values, method="mse")["x"])
    assert quantisation is not None
    assert quantisation.zero_point == -128  # zero is the lowest step, though no value comes near it


def test_constant_tensors_and_tensors_that_are_all_zero_keep_their_value() -> None:
    weights = {"head": LayerWeights(np.zeros((2, 16), np.float32), np.array([0.5, 0.5], np.float32))}
    images = np.random.default_rng(0).uniform(0, 1, (20, 4, 4, 1)).astype(np.float32)
    for method in ("minmax", "percentile", "mse"):
        assert calibrate(GRAPH, weights, images, method=method)["y"] == (0.5, 0.5)
        weights_zero = {"head": LayerWeights(np.zeros((2, 16), np.float32), np.zeros(2, np.float32))}
        assert calibrate(GRAPH, weights_zero, images, method=method)["y"] == (0.0, 0.0)
        assert calibrate(GRAPH, WEIGHTS, images * 0, method=method)["x"] == (0.0, 0.0)


def test_the_histogram_holds_every_value_once() -> None:
    images = np.random.default_rng(0).normal(0, 1, (50, 4, 4, 1)).astype(np.float32)
    images[:10] = 0.0
    observed = observe(GRAPH, WEIGHTS, images)
    assert observed.counts["x"].sum() == images.size and observed.zeros["x"] == 160
    edges = np.linspace(images.min(), images.max(), len(observed.counts["x"]) + 1)
    expected = np.histogram(images.astype(np.float64), edges)[0]
    assert np.abs(observed.counts["x"] - expected).sum() <= 4  # values that lie on an edge
    assert ranges_by("minmax", observed) == observe(GRAPH, WEIGHTS, images, histograms=False).ranges


def test_a_tensor_with_a_single_value_needs_no_histogram() -> None:
    assert ranges_by("mse", Observed({"x": (0.25, 0.25)})) == {"x": (0.25, 0.25)}


def test_the_reach_of_channels_by_hand() -> None:
    graph = Graph("x", (1, 2, 1), (Conv("c", "x", "a", 2, (1, 1)), Flatten("f", "a", "b"), Dense("d", "b", "y", 1)), "y")
    weights = {
        "c": LayerWeights(np.array([[[[2.0]]], [[[-3.0]]]], np.float32), np.array([0.5, 0.0], np.float32)),
        "d": LayerWeights(np.ones((1, 4), np.float32), np.zeros(1, np.float32)),
    }
    reach = channel_reach(graph, weights, np.array([[[[1.0], [-2.0]]]], np.float32))
    assert reach["a"].tolist() == [3.5, 6.0]  # 2 * -2 + 0.5 and -3 * -2
