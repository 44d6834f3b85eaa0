"""Fine-tuning trains what the integers compute, gives the same bytes for the same arguments, and leaves dead layers alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.export.networks import random_weights

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten
from microzoo.graph.weights import LayerWeights, Weights
from microzoo.quantise.calibrate import calibrate
from microzoo.quantise.exact import accuracy
from microzoo.quantise.finetune import _Network, _scales, fine_tune
from microzoo.quantise.integer import channel_rows, integer_model, weight_scales
from microzoo.quantise.reference import quantise_input, run

GRAPH = Graph(
    "x",
    (6, 6, 1),
    (
        Conv("stem", "x", "a", 6, (3, 3), relu=True),
        Depthwise("deep", "a", "b", (3, 3), padding=(1, 1, 1, 1), relu=True),
        Conv("point", "b", "c", 6, (1, 1)),
        Add("sum", "a", "c", "d", relu=True),
        AvgPool("pool", "d", "e", (4, 4), (4, 4)),
        Flatten("flat", "e", "f"),
        Dense("head", "f", "y", 3),
    ),
    "y",
)


def _task(seed: int = 0, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] whose class is the third of the rows that is brightest: float32 (N, 6, 6, 1), int64 (N,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    images = rng.uniform(0, 0.7, (count, 6, 6, 1))
    for row in range(6):
        images[labels == row // 2, row] += 0.1
    return images.astype(np.float32), labels


IMAGES, LABELS = _task()


def _batches(images: np.ndarray = IMAGES, labels: np.ndarray = LABELS) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    return lambda step: (x[(step * 50) % 600 :][:50], y[(step * 50) % 600 :][:50])


def _bytes(weights: Weights) -> list[bytes]:
    return [part.tobytes() for layer in weights.values() for part in (layer.weight, layer.bias)]


def test_it_learns_in_the_integers() -> None:
    weights = random_weights(GRAPH, 0)
    ranges = calibrate(GRAPH, weights, IMAGES[:200])
    before = accuracy(integer_model(GRAPH, weights, ranges), IMAGES, LABELS)
    tuned = fine_tune(GRAPH, weights, ranges, _batches(), steps=240, learning_rate=2e-2)
    assert tuned.failure is None
    after = accuracy(integer_model(GRAPH, tuned.weights, ranges), IMAGES, LABELS)
    assert after > before + 0.3


def test_the_network_that_is_trained_is_the_integer_model() -> None:
    """Logits of the training's forward pass against the golden integers, after whole networks and not layer by layer."""
    for seed in range(5):
        weights = random_weights(GRAPH, seed)
        ranges = calibrate(GRAPH, weights, IMAGES[:200], method="mse")
        model = integer_model(GRAPH, weights, ranges)
        network = _Network(model, weights, ranges, torch.device("cpu"))
        with torch.no_grad():
            simulated = network(torch.from_numpy(IMAGES)).numpy() / model.tensors["y"].scale
        golden = run(model, quantise_input(IMAGES, model.tensors["x"])).astype(int) - model.tensors["y"].zero_point
        assert np.abs(simulated - golden).max() < 3.01
        assert (np.abs(simulated - golden) < 0.01).mean() > 0.9
        assert network.weights().keys() == weights.keys()
        assert _bytes(network.weights()) == _bytes(weights)


def test_the_same_arguments_give_the_same_bytes() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        weights = random_weights(GRAPH, 1)
        ranges = calibrate(GRAPH, weights, IMAGES[:200])
        first, second = (fine_tune(GRAPH, weights, ranges, _batches(), steps=40, label_smoothing=0.1) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    assert _bytes(first.weights) == _bytes(second.weights) != _bytes(weights)
    assert _bytes(weights) == _bytes(random_weights(GRAPH, 1))  # what was given is not touched


def test_scales_are_those_of_the_integers() -> None:
    rng = np.random.default_rng(0)
    source, target = Quantisation(float(np.float32(0.013)), -128), Quantisation(float(np.float32(0.05)), -7)
    for op, shape in ((Conv("c", "a", "b", 8, (3, 3)), (8, 3, 3, 5)), (Depthwise("d", "a", "b", (3, 3)), (3, 3, 8))):
        weight = (rng.normal(0, 1, shape)).astype(np.float32)
        rows = channel_rows(op, weight.astype(np.float64)).copy()
        bias = rng.normal(0, 1, 8)
        rows[2] = 0.0  # all zero
        rows[3] *= 1e-11  # all but switched off: its bias needs a coarser scale
        _same_scales(op, rows, bias, source, target)
    _same_scales(Dense("e", "a", "b", 8), rng.normal(0, 1, (8, 20)), rng.normal(0, 1, 8), source, target)


def _same_scales(op: Conv | Depthwise | Dense, rows: np.ndarray, bias: np.ndarray, *ends: Quantisation) -> None:
    rows, bias = rows.astype(np.float32), bias.astype(np.float32)
    expected = weight_scales(op, rows.astype(np.float64), bias.astype(np.float64), *ends)
    found = _scales(op, torch.from_numpy(rows), torch.from_numpy(bias), *ends)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-7)


@pytest.mark.parametrize("weight", [0.0, 1e-12, -1e20])
def test_a_dead_layer_stays_and_what_is_around_it_learns(weight: float) -> None:
    weights = random_weights(GRAPH, 0)
    weights["deep"] = LayerWeights(np.full_like(weights["deep"].weight, weight), np.full(6, -1.0 - abs(weight), np.float32))
    ranges = calibrate(GRAPH, weights, IMAGES[:200])
    assert ranges["b"] == (0.0, 0.0)
    tuned = fine_tune(GRAPH, weights, ranges, _batches(), steps=20)
    assert tuned.failure is None
    assert _bytes({"deep": tuned.weights["deep"]}) == _bytes({"deep": weights["deep"]})
    assert _bytes({"head": tuned.weights["head"]}) != _bytes({"head": weights["head"]})
    accuracy(integer_model(GRAPH, tuned.weights, ranges), IMAGES, LABELS)


def test_an_all_zero_channel_and_a_constant_tensor_pass() -> None:
    weights = random_weights(GRAPH, 0)
    weights["stem"].weight[2] = 0.0
    weights["point"].weight[:] = 0.0  # its output is its bias everywhere
    ranges = calibrate(GRAPH, weights, IMAGES[:200])
    assert ranges["c"][0] == weights["point"].bias.min()
    tuned = fine_tune(GRAPH, weights, ranges, _batches(), steps=20)
    assert tuned.failure is None
    accuracy(integer_model(GRAPH, tuned.weights, ranges), IMAGES, LABELS)


def test_it_can_be_stopped_and_says_when_it_diverged() -> None:
    weights = random_weights(GRAPH, 0)
    ranges = calibrate(GRAPH, weights, IMAGES[:200])
    asked = []
    stopped = fine_tune(
        GRAPH, weights, ranges, _batches(), steps=100, should_stop=lambda: bool(asked.append(0)) or len(asked) > 2
    )
    assert (stopped.failure, stopped.weights, len(asked)) == ("stopped", {}, 3)
    diverged = fine_tune(GRAPH, weights, ranges, _batches(IMAGES * np.float32(np.nan)), steps=40)
    assert (diverged.failure, diverged.weights) == ("diverged", {})


def test_weights_that_int32_cannot_hold_are_named_before_any_training() -> None:
    graph = Graph("x", (1, 70000, 1), (Flatten("flat", "x", "f"), Dense("head", "f", "y", 1)), "y")
    weights = {"head": LayerWeights(np.ones((1, 70000), np.float32), np.zeros(1, np.float32))}
    with pytest.raises(QuantisationError, match="layer head, channel 0: its sum can reach"):
        fine_tune(graph, weights, {"x": (0.0, 1.0), "y": (0.0, 7e4)}, _batches(), steps=1)
