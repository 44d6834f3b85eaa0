"""Pruning while training, on reference designs: a network with half of its channels gone still works."""

from __future__ import annotations

from pathlib import Path

import pytest

from microzoo.build.job import problem_of
from microzoo.cost.macs import macs
from microzoo.data.load import load
from microzoo.prune.schedule import PruningPlan
from microzoo.space.lowering import lower
from microzoo.space.reference import reference_designs
from microzoo.spec.load import load_jobs
from microzoo.train.data import TrainingData
from microzoo.train.loop import fit
from microzoo.train.recipe import Recipe

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("saliency", ["relative", "l2"])
@pytest.mark.parametrize("name", ["mobilenet", "depthwise_separable", "plain"])
def test_half_the_channels_can_go(name: str, saliency: str) -> None:
    """With gradients that leaked through cut channels, the separable designs fell to guessing at 30 to 50 %."""
    job = load_jobs([ROOT / "specs/demo.toml"])[1]
    problem = problem_of(job)
    designs = dict(reference_designs(problem.input_shape, problem.classes, problem.fits))
    graph = lower(designs[next(key for key in designs if key.replace("-", "_").startswith(name))], problem.input_shape, 10)
    data = load("digits", job.dataset)
    training = TrainingData(data.train.x, data.train.y, data.validation.x, data.validation.y)
    trained = fit(graph, training, Recipe(epochs=12), seed=1, pruning=PruningPlan(0.5, 0.2, 0.7, saliency=saliency))
    assert trained.failure is None
    assert trained.validation_accuracy > 0.9, trained.validation_accuracy
    assert macs(trained.graph) < 0.6 * macs(graph)
