"""The fast integers against the reference, bit for bit, and the simulation that fine-tuning trains in against both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.export.networks import conformance_models, random_inputs

from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Add, Conv, Dense, Depthwise
from microzoo.graph.requantisation import output_multipliers
from microzoo.quantise import exact
from microzoo.quantise.reference import run, trace
from microzoo.quantise.simulate import apply, fixed_layers

MODELS = conformance_models(30)


@pytest.mark.parametrize("name", MODELS)
def test_the_fast_integers_are_those_of_the_reference(name: str) -> None:
    inputs = random_inputs(MODELS[name], 24, seed=1)
    assert np.array_equal(exact.run(MODELS[name], inputs), run(MODELS[name], inputs))


def test_both_ways_of_requantising_were_compared() -> None:
    """Or the test above says nothing of the float64 path, of its limit, or of sums that float32 cannot hold."""
    layers = [(model, op) for model in MODELS.values() for op in model.graph.ops if isinstance(op, Conv | Depthwise | Dense)]
    fits = [exact._Layer(model, op).fits for model, op in layers]
    assert any(fits) and not all(fits)
    shifts = {-multiplier.shift for model, op in layers for multiplier in output_multipliers(model, op)}
    assert {7, 8, 9, 10, 11, 12, 13} <= shifts


def test_accuracy_counts_the_first_of_equal_logits() -> None:
    model = MODELS["one pixel, one channel"]
    images = np.linspace(-1.0, 1.0, 9, dtype=np.float32).reshape(9, 1, 1, 1)
    logits = exact.run(model, np.rint(images * 0).astype(np.int8) + model.tensors["input"].zero_point)
    expected = np.full(9, int(logits[0].argmax()))
    assert exact.accuracy(model, images * 0, expected) == 1.0
    assert exact.accuracy(model, images * 0, 1 - expected) == 0.0


def _differences(model: IntegerModel, seed: int) -> dict[str, np.ndarray]:
    """Operator -> simulated minus golden output, for the golden inputs of that operator."""
    values = trace(model, random_inputs(model, 24, seed))
    layers = fixed_layers(model)
    found = {}
    for op in model.graph.ops:
        inputs = [exact._centred(values[name], model.tensors[name].zero_point) for name in op.inputs]
        with torch.inference_mode():
            result = exact._int8(apply(op, inputs, model.tensors, layers), model.tensors[op.output].zero_point)
        found[op.name] = result.astype(int) - values[op.output]
    return found


def test_the_simulation_differs_only_where_a_sum_lies_at_a_tie_and_then_by_one_step() -> None:
    """Measured: 99.8 % of the outputs of convolutions and 98.8 % of those of dense layers are the same, all of the others."""
    same: dict[str, list[np.ndarray]] = {}
    for seed, (name, model) in enumerate(MODELS.items()):
        if name.startswith(("a dead", "dead")):  # what wakes up there is far beyond anything that is trained
            continue
        for op in model.graph.ops:
            same.setdefault(type(op).__name__, [])
        for op, difference in zip(model.graph.ops, _differences(model, seed).values(), strict=True):
            assert np.abs(difference).max() <= 1, (name, op)
            same[type(op).__name__].append((difference == 0).ravel())
    shares = {kind: float(np.concatenate(parts).mean()) for kind, parts in same.items()}
    for kind in ("MaxPool", "AvgPool", "Pad", "Flatten"):
        assert shares[kind] == 1.0
    for kind, least in (("Conv", 0.995), ("Depthwise", 0.995), ("Dense", 0.975), ("Add", 0.99)):
        assert shares[kind] > least, shares
    assert {type(op) for model in MODELS.values() for op in model.graph.ops} >= {Add, Conv, Depthwise, Dense}
