"""Which int8 form of a trained network to keep: enters the network, leaves the IntegerModel that scores best.

A ladder, not a grid, so that few variants are compared: each step starts from the best of the steps before it and is kept only if
it scores strictly better, so of equal ones the simpler. Every calibration is tried; what comes after them only while the score is
below that of the float network, since there is nothing to repair otherwise; and fine-tuning, which takes as long as all others
together and longer, only where more than TUNE_ABOVE is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.weights import Weights
from microzoo.quantise.calibrate import Method, Range, Ranges, channel_reach, observe, ranges_by
from microzoo.quantise.correct import correct_biases
from microzoo.quantise.equalise import equalise, pairs
from microzoo.quantise.fold import fold
from microzoo.quantise.integer import integer_model, with_input

Float32 = NDArray[np.float32]
Score = Callable[[IntegerModel], float]
Tune = Callable[[Graph, Weights, Ranges], Weights | None]
"""Folded network and ranges -> other weights for the same ranges (`finetune.fine_tune`), or None where that failed."""

TUNE_ABOVE = 0.003
"""Share of correct answers below the float network that is left as it is: 0.3 points, what int8 may lose in this project."""


@dataclass(frozen=True)
class Steps:
    """What is tried: calibrations in the order of preference, and what may follow. tune: None for no fine-tuning."""

    methods: Sequence[Method] = ("minmax",)
    equalise: bool = False
    bias_correction: bool = False
    tune: Tune | None = None
    tuned: str = "fine-tuned"
    """What `Variant.words` says of a fine-tuned network."""


@dataclass(frozen=True)
class Variant:
    """An int8 form. words: how it came about, as in "mse, bias corrected". score: what it was kept for."""

    model: IntegerModel
    score: float
    words: str
    method: Method
    weights: Weights
    ranges: Ranges


def best_variant(
    graph: Graph,
    weights: Weights,
    calibration: Float32,
    score: Score,
    steps: Steps,
    *,
    goal: float = np.inf,
    input_range: Range | None = None,
) -> Variant:
    """The best of the variants that `steps` names; see the module for which are tried.

    calibration, input_range: see `integer.quantise`. score: of a model, on data that is not the test split; higher is better.
    goal: the score of the float network. Raises QuantisationError, the first one, where no calibration gives a model; a later
    step that gives none is passed over.
    """
    graph, weights = fold(graph, weights)
    best = _calibrated(graph, weights, calibration, score, steps, input_range)
    followers: list[tuple[float, Callable[[Variant], Variant | None]]] = []
    if steps.equalise and pairs(graph):
        followers.append((0.0, lambda best: _equalised(graph, best, calibration, score, input_range)))
    if steps.bias_correction:
        followers.append((0.0, lambda best: _corrected(best, calibration, score)))
    if steps.tune is not None:
        followers.append((TUNE_ABOVE, lambda best: _tuned(graph, best, steps, score)))
    for above, follow in followers:
        if best.score >= goal - above:
            break
        try:
            tried = follow(best)
        except QuantisationError:
            continue
        if tried is not None and tried.score > best.score:
            best = tried
    return best


def _calibrated(
    graph: Graph, weights: Weights, calibration: Float32, score: Score, steps: Steps, input_range: Range | None
) -> Variant:
    """The best calibration; of equal ones the first."""
    assert steps.methods
    observed = observe(graph, weights, calibration, histograms=tuple(steps.methods) != ("minmax",))
    best: Variant | None = None
    failure: QuantisationError | None = None
    for method in steps.methods:
        try:
            ranges = with_input(graph, ranges_by(method, observed), input_range)
            model = integer_model(graph, weights, ranges)
        except QuantisationError as error:
            failure = failure or error
            continue
        found = Variant(model, score(model), method, method, weights, ranges)
        if best is None or found.score > best.score:
            best = found
    if best is None:
        assert failure is not None
        raise failure
    return best


def _equalised(graph: Graph, best: Variant, calibration: Float32, score: Score, input_range: Range | None) -> Variant:
    weights = equalise(graph, best.weights, channel_reach(graph, best.weights, calibration))
    observed = observe(graph, weights, calibration, histograms=best.method != "minmax")
    ranges = with_input(graph, ranges_by(best.method, observed), input_range)
    model = integer_model(graph, weights, ranges)
    return Variant(model, score(model), f"{best.words}, equalised", best.method, weights, ranges)


def _corrected(best: Variant, calibration: Float32, score: Score) -> Variant:
    model = correct_biases(best.model, best.weights, calibration)
    return replace(best, model=model, score=score(model), words=f"{best.words}, bias corrected")


def _tuned(graph: Graph, best: Variant, steps: Steps, score: Score) -> Variant | None:
    """From the float weights: fine-tuning finds the biases by itself, so that a correction before it is dropped."""
    assert steps.tune is not None
    weights = steps.tune(graph, best.weights, best.ranges)
    if weights is None:
        return None
    model = integer_model(graph, weights, best.ranges)
    words = f"{best.words.removesuffix(', bias corrected')}, {steps.tuned}"
    return Variant(model, score(model), words, best.method, weights, best.ranges)
