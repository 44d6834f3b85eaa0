"""Cross-layer equalisation changes weights and no function."""

from __future__ import annotations

import numpy as np
import pytest
from tests.export.networks import random_graph, random_weights

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad
from microzoo.graph.weights import LayerWeights, Weights
from microzoo.quantise.calibrate import channel_reach
from microzoo.quantise.equalise import LARGEST, equalise, incoming_range, outgoing_range, pairs
from microzoo.quantise.forward import logits
from microzoo.quantise.integer import quantise
from microzoo.quantise.reference import quantise_input, run

CHAIN = Graph(
    "x",
    (8, 8, 2),
    (
        Conv("one", "x", "a", 6, (3, 3), relu=True),
        MaxPool("max", "a", "b", (2, 2), (1, 1)),
        Depthwise("two", "b", "c", (3, 3), relu=True),
        Pad("pad", "c", "d", (0, 1, 0, 1)),
        AvgPool("avg", "d", "e", (2, 2), (2, 2)),
        Conv("three", "e", "f", 4, (1, 1)),
        Flatten("flat", "f", "g"),
        Dense("four", "g", "h", 5, relu=True),
        Dense("five", "h", "y", 3),
    ),
    "y",
)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (64, 8, 8, 2)).astype(np.float32)


def _uneven(graph: Graph, seed: int) -> Weights:
    """Weights whose output channels differ in size by up to four powers of two."""
    rng = np.random.default_rng(seed)
    weights = random_weights(graph, seed)
    for op in graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            layer = weights[op.name]
            factor = (2.0 ** rng.uniform(-2, 2, len(layer.bias))).astype(np.float32)
            columns = factor if isinstance(op, Depthwise) else factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
            weights[op.name] = LayerWeights(layer.weight * columns, layer.bias * factor)
    return weights


def test_pairs_by_hand() -> None:
    assert [(a.name, b.name) for a, b in pairs(CHAIN)] == [
        ("one", "two"),
        ("two", "three"),
        ("three", "four"),
        ("four", "five"),
    ]


def test_a_tensor_with_two_readers_or_an_addition_is_no_pair() -> None:
    ops = (
        Conv("one", "x", "a", 2, (1, 1)),
        Conv("two", "a", "b", 2, (1, 1)),
        Add("sum", "a", "b", "c"),
        Flatten("flat", "c", "d"),
        Dense("head", "d", "y", 2),
    )
    assert pairs(Graph("x", (2, 2, 1), ops, "y")) == []


@pytest.mark.parametrize("with_reach", [False, True])
def test_the_function_stays(with_reach: bool) -> None:
    changed = 0
    for seed in range(30):
        graph = CHAIN if seed == 0 else random_graph(seed)
        weights = _uneven(graph, seed)
        images = np.random.default_rng(seed).uniform(-1, 1, (32, *graph.input_shape)).astype(np.float32)
        before = {name: layer.weight.copy() for name, layer in weights.items()}
        equal = equalise(graph, weights, channel_reach(graph, weights, images) if with_reach else None)
        expected = logits(graph, weights, images)
        np.testing.assert_allclose(logits(graph, equal, images), expected, atol=2e-5 * max(1.0, np.abs(expected).max()))
        assert all(np.array_equal(weights[name].weight, before[name]) for name in before)  # the given ones are not touched
        changed += any(not np.array_equal(equal[name].weight, before[name]) for name in before)
    assert changed > 10


def test_ranges_of_weights_match_as_published() -> None:
    equal = equalise(CHAIN, _uneven(CHAIN, 1))
    for first, second in pairs(CHAIN):
        r1 = outgoing_range(first, equal[first.name].weight)
        np.testing.assert_allclose(r1, incoming_range(equal[second.name].weight, len(r1)), rtol=0.02)


def test_channels_before_a_depthwise_layer_become_equal_when_their_reach_is_known() -> None:
    weights = _uneven(CHAIN, 2)
    before = channel_reach(CHAIN, weights, IMAGES)["a"]
    after = channel_reach(CHAIN, equalise(CHAIN, weights, channel_reach(CHAIN, weights, IMAGES)), IMAGES)["a"]
    assert before.max() / before.min() > 4
    np.testing.assert_allclose(after, after.mean(), rtol=1e-3)


@pytest.mark.parametrize("with_reach", [False, True])
def test_channels_that_are_zero_stay_and_a_tiny_one_is_scaled_within_bounds(with_reach: bool) -> None:
    weights = _uneven(CHAIN, 3)
    weights["one"].weight[2] = 0.0
    weights["one"].bias[2] = -0.5  # zero behind its ReLU
    weights["one"].weight[3] = 1e-11
    weights["one"].bias[3] = 0.4
    weights["two"].weight[..., 4] = 0.0
    equal = equalise(CHAIN, weights, channel_reach(CHAIN, weights, IMAGES) if with_reach else None)
    assert (equal["one"].weight[2] == 0.0).all()
    assert equal["one"].bias[2] == np.float32(-0.5)
    assert abs(equal["one"].bias[3]) <= 0.4 * LARGEST * 1.001
    expected = logits(CHAIN, weights, IMAGES)
    np.testing.assert_allclose(logits(CHAIN, equal, IMAGES), expected, atol=2e-5 * max(1.0, np.abs(expected).max()))
    quantise(CHAIN, equal, IMAGES)  # and int8 can hold it


def _int8_error(weights: Weights) -> float:
    """Root mean squared error of the int8 logits, as a share of the deviation of the float ones."""
    model = quantise(CHAIN, weights, IMAGES)
    integers = run(model, quantise_input(IMAGES, model.tensors["x"])).astype(int)
    real = (integers - model.tensors["y"].zero_point) * model.tensors["y"].scale
    expected = logits(CHAIN, weights, IMAGES)
    return float(np.sqrt(np.mean((real - expected) ** 2)) / expected.std())


def test_uneven_channels_lose_less_once_they_are_equal() -> None:
    """Sixteenfold differences between the channels of one tensor, whose int8 has one scale; means over ten networks."""
    errors = []
    for seed in range(10):
        weights = _uneven(CHAIN, seed)
        reach = channel_reach(CHAIN, weights, IMAGES)
        errors.append([_int8_error(w) for w in (weights, equalise(CHAIN, weights), equalise(CHAIN, weights, reach))])
    plain, published, by_reach = np.mean(errors, axis=0)
    # Measured: 3.4 %, 2.1 % and 2.4 % of the deviation of the logits.
    assert max(published, by_reach) < 0.85 * plain
