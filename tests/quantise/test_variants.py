"""The ladder: what is tried, what is kept, and what bad networks give."""

from __future__ import annotations

import numpy as np
import pytest
from tests.export.networks import random_weights

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Conv, Dense, Depthwise, Flatten
from microzoo.graph.weights import LayerWeights, Weights
from microzoo.quantise.calibrate import Ranges
from microzoo.quantise.forward import logits
from microzoo.quantise.reference import quantise_input, trace
from microzoo.quantise.variants import Score, Steps, best_variant

GRAPH = Graph(
    "x",
    (4, 4, 1),
    (
        Conv("conv", "x", "a", 3, (3, 3), relu=True),
        Depthwise("deep", "a", "b", (2, 2), relu=True),
        Flatten("flat", "b", "f"),
        Dense("head", "f", "y", 2),
    ),
    "y",
)
IMAGES = np.random.default_rng(0).uniform(0, 1, (50, 4, 4, 1)).astype(np.float32)


def _tune(_: Graph, weights: Weights, __: Ranges) -> Weights:
    return weights | {"head": LayerWeights(weights["head"].weight * np.float32(0.5), weights["head"].bias)}


EVERY = Steps(("minmax", "percentile", "mse"), equalise=True, bias_correction=True, tune=_tune, tuned="fine-tuned 2 epochs")


def _scores(*values: float) -> tuple[Score, list[IntegerModel]]:
    """A score that gives these values, one after the other, and the models that it was asked about."""
    asked: list[IntegerModel] = []

    def score(model: IntegerModel) -> float:
        asked.append(model)
        return values[len(asked) - 1]

    return score, asked


def _kept(values: tuple[float, ...], goal: float = 1.0, steps: Steps = EVERY) -> tuple[str, float, int]:
    score, asked = _scores(*values)
    best = best_variant(GRAPH, random_weights(GRAPH, 0), IMAGES, score, steps, goal=goal)
    assert any(best.model is model for model in asked)
    return best.words, best.score, len(asked)


def test_of_equal_ones_the_first_is_kept() -> None:
    assert _kept((0.5, 0.5, 0.5, 0.5, 0.5, 0.5)) == ("minmax", 0.5, 6)


def test_every_step_stands_on_the_best_before_it() -> None:
    assert _kept((0.5, 0.5, 0.6, 0.61, 0.62, 0.63)) == ("mse, equalised, fine-tuned 2 epochs", 0.63, 6)
    assert _kept((0.5, 0.6, 0.6, 0.59, 0.62, 0.61)) == ("percentile, bias corrected", 0.62, 6)
    assert _kept((0.5, 0.6, 0.6, 0.61, 0.60, 0.61)) == ("percentile, equalised", 0.61, 6)


def test_where_nothing_is_lost_nothing_is_repaired() -> None:
    assert _kept((0.5, 0.9, 0.8), goal=0.9) == ("percentile", 0.9, 3)
    assert _kept((0.5, 0.9, 0.8, 0.95), goal=0.94) == ("percentile, equalised", 0.95, 4)
    # 0.2 points are not worth a training; 0.4 are.
    assert _kept((0.5, 0.9, 0.8, 0.8, 0.8), goal=0.902) == ("percentile", 0.9, 5)
    assert _kept((0.5, 0.9, 0.8, 0.8, 0.8, 0.8), goal=0.904) == ("percentile", 0.9, 6)


def test_only_what_is_asked_for_is_tried() -> None:
    assert _kept((0.5,), steps=Steps(("mse",))) == ("mse", 0.5, 1)
    assert _kept((0.5, 0.6), steps=Steps(("mse",), bias_correction=True)) == ("mse, bias corrected", 0.6, 2)


def test_fine_tuning_that_failed_is_passed_over() -> None:
    def overflowing(_: Graph, weights: Weights, __: Ranges) -> Weights:
        return weights | {
            "head": LayerWeights(weights["head"].weight * np.float32(1e-12), weights["head"].bias + np.float32(1e9))
        }

    for tune in (lambda *_: None, overflowing):
        assert _kept((0.5, 0.6), steps=Steps(("minmax",), bias_correction=True, tune=tune))[:2] == ("minmax, bias corrected", 0.6)


def test_parameters_that_are_not_finite_are_named() -> None:
    for name in ("conv", "deep", "head"):
        weights = random_weights(GRAPH, 0)
        weights[name].weight.flat[1] = np.nan
        with pytest.raises(QuantisationError, match=rf"layer {name}: 1 of \d+ weights are NaN or infinite"):
            best_variant(GRAPH, weights, IMAGES, lambda _: 0.0, EVERY)


def test_where_no_calibration_gives_a_model_the_first_error_is_told() -> None:
    ops = (Flatten("flat", "x", "f"), Dense("head", "f", "y", 1))
    graph = Graph("x", (1, 70000, 1), ops, "y")
    weights = {"head": LayerWeights(np.ones((1, 70000), np.float32), np.zeros(1, np.float32))}
    images = np.random.default_rng(0).uniform(0, 1, (2, 1, 70000, 1)).astype(np.float32)
    with pytest.raises(QuantisationError, match="layer head, channel 0: its sum can reach"):
        best_variant(graph, weights, images, lambda _: 0.0, EVERY)


@pytest.mark.parametrize("kind", ["zero channel", "dead layer", "constant", "tiny channel"])
def test_odd_networks_give_correct_models_whatever_is_tried(kind: str) -> None:
    """Every model on the way is within two steps of the float network's logits, or it is not on the way."""
    weights = random_weights(GRAPH, 0)
    match kind:
        case "zero channel":
            weights["conv"].weight[1] = 0.0
        case "dead layer":
            weights["deep"].weight[:] = -1.0
            weights["deep"].bias[:] = -1.0
        case "constant":
            weights["deep"].weight[:] = 0.0
            weights["deep"].bias[:] = 0.5
        case "tiny channel":
            weights["conv"].weight[1] = 1e-11
            weights["conv"].bias[1] = 0.4
    expected = logits(GRAPH, weights, IMAGES)
    errors = []

    def score(model: IntegerModel) -> float:
        read = model.tensors["y"]
        values = (trace(model, quantise_input(IMAGES, model.tensors["x"]))["y"].astype(int) - read.zero_point) * read.scale
        errors.append(float(np.abs(values - expected).max()) / max(read.scale, 1e-3))
        return -errors[-1]

    steps = Steps(EVERY.methods, equalise=True, bias_correction=True)
    best_variant(GRAPH, weights, IMAGES, score, steps)
    assert len(errors) == 5 and max(errors) < 6.0, errors
