"""Bias correction: the means of every channel come back to those of the float network, and int32 is never left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from tests.export.networks import random_graph, random_weights

from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Conv, Dense, Depthwise, Flatten
from microzoo.graph.weights import LayerWeights, Weights
from microzoo.quantise.calibrate import calibrate
from microzoo.quantise.correct import correct_biases
from microzoo.quantise.forward import activations, channels_first, channels_last, evaluate, parameters
from microzoo.quantise.integer import check_headroom, integer_model, largest_biases
from microzoo.quantise.reference import accumulate, quantise_input, trace


def _shifts(model: IntegerModel, weights: Weights, images: np.ndarray) -> dict[str, np.ndarray]:
    """Layer -> mean integer sum of each channel minus the float one, in steps of the output; without layers that are dead."""
    integers = trace(model, quantise_input(images, model.tensors[model.graph.input]))
    parts = list(activations(model.graph, weights, images))
    floats = {name: np.concatenate([values[name] for values in parts]) for name in model.graph.shapes}
    found = {}
    for op in model.graph.ops:
        if isinstance(op, Conv | Depthwise | Dense) and floats[op.output].any():
            # The float input comes from the network with its ReLUs, the sum from the layer without.
            alone = evaluate(replace(op, relu=False), [_first(floats[op.input])], parameters(model.graph, weights))
            wanted = channels_last(alone).numpy().astype(np.float64)
            sums = accumulate(model, op, integers[op.input]) + model.weights[op.name].bias
            real = sums * model.tensors[op.input].scale * model.weights[op.name].scales.astype(np.float64)
            axes = tuple(range(wanted.ndim - 1))
            found[op.name] = (real.mean(axes) - wanted.mean(axes)) / model.tensors[op.output].scale
    return found


def _first(values: np.ndarray) -> torch.Tensor:
    return channels_first(values) if values.ndim == 4 else torch.from_numpy(values)


def test_the_means_of_every_channel_are_those_of_the_float_network() -> None:
    moved = 0
    for seed in range(8):
        graph = random_graph(seed)
        weights = random_weights(graph, seed)
        images = np.random.default_rng(seed).uniform(-1, 1, (40, *graph.input_shape)).astype(np.float32)
        model = integer_model(graph, weights, calibrate(graph, weights, images, method="percentile", percentile=98.0))
        before = _shifts(model, weights, images)
        after = _shifts(correct_biases(model, weights, images), weights, images)
        for name in after:
            assert (np.abs(after[name]) <= 0.5 * _bias_step(model, name) + 1e-3).all(), (seed, name, after[name])
            moved += int((np.abs(before[name]) > 0.1).sum())
    assert moved > 20  # there was something to correct


def _bias_step(model: IntegerModel, name: str) -> np.ndarray:
    """What one step of a bias moves, in steps of the output: nothing finer can be corrected."""
    (op,) = [op for op in model.graph.ops if op.name == name]
    return model.tensors[op.inputs[0]].scale * model.weights[name].scales / model.tensors[op.output].scale


GRAPH = Graph(
    "x",
    (2, 2, 1),
    (Conv("conv", "x", "c", 2, (1, 1), relu=True), Flatten("flat", "c", "f"), Dense("head", "f", "y", 2)),
    "y",
)
IMAGES = np.random.default_rng(0).uniform(0, 1, (30, 2, 2, 1)).astype(np.float32)


def test_by_hand() -> None:
    # Weights 1 and 0.5: the second is 63.5 steps of 1 / 127, 64 once rounded, so that every input counts 0.5 / 127 too much.
    graph = Graph("x", (1, 1, 2), (Flatten("flat", "x", "f"), Dense("head", "f", "y", 1)), "y")
    weights = {"head": LayerWeights(np.array([[1.0, 0.5]], np.float32), np.zeros(1, np.float32))}
    images = np.random.default_rng(0).integers(0, 256, (200, 1, 1, 2)).astype(np.float32) / 255
    model = integer_model(graph, weights, {"x": (0.0, 1.0), "y": (0.0, 1.5)})
    assert model.weights["head"].weight.tolist() == [[127, 64]]  # halves to even
    step = model.tensors["x"].scale * float(model.weights["head"].scales[0])
    expected = round(-images[..., 1].mean() * 0.5 / 127 / step)
    corrected = correct_biases(model, weights, images).weights["head"].bias
    assert abs(int(corrected[0]) - expected) <= 1
    assert expected < -50


def test_a_layer_that_is_dead_on_the_images_keeps_its_biases() -> None:
    weights = {
        "conv": LayerWeights(np.array([[[[-1.0]]], [[[-1e20]]]], np.float32), np.array([-0.1, -1e20], np.float32)),
        "head": LayerWeights(np.ones((2, 8), np.float32), np.array([0.5, -0.25], np.float32)),
    }
    model = integer_model(GRAPH, weights, calibrate(GRAPH, weights, IMAGES))
    corrected = correct_biases(model, weights, IMAGES)
    assert np.array_equal(corrected.weights["conv"].bias, model.weights["conv"].bias)
    assert np.abs(corrected.weights["head"].bias.astype(int) - model.weights["head"].bias).max() <= 1


def test_a_correction_stops_where_int32_ends() -> None:
    weights = {
        "conv": LayerWeights(np.array([[[[1.0]]], [[[0.0]]]], np.float32), np.array([0.1, 0.3], np.float32)),
        "head": LayerWeights(np.ones((2, 8), np.float32), np.zeros(2, np.float32)),
    }
    model = integer_model(GRAPH, weights, calibrate(GRAPH, weights, IMAGES))
    # A float network that is 10**12 times larger asks for a correction that no bias can hold.
    far = weights | {"conv": LayerWeights(weights["conv"].weight, np.array([1e12, -1e12], np.float32))}
    corrected = correct_biases(model, far, IMAGES)
    check_headroom(corrected)
    (conv,) = [op for op in GRAPH.ops if op.name == "conv"]
    assert isinstance(conv, Conv)
    most = largest_biases(model, conv)
    bias = corrected.weights["conv"].bias.astype(np.float64)
    assert bias[0] == most[0] and (np.abs(bias) <= most).all()


def test_all_zero_channels_and_constant_activations_give_what_float_gives() -> None:
    weights = {
        "conv": LayerWeights(np.array([[[[0.5]]], [[[0.0]]]], np.float32), np.array([0.25, 0.4], np.float32)),
        "head": LayerWeights(np.zeros((2, 8), np.float32), np.array([0.7, -0.7], np.float32)),
    }
    model = correct_biases(integer_model(GRAPH, weights, calibrate(GRAPH, weights, IMAGES)), weights, IMAGES)
    values = trace(model, quantise_input(IMAGES, model.tensors["x"]))
    real = (values["c"].astype(int) - model.tensors["c"].zero_point) * model.tensors["c"].scale
    assert np.abs(real[..., 1] - 0.4).max() <= 0.51 * model.tensors["c"].scale
    logits = (values["y"].astype(int) - model.tensors["y"].zero_point) * model.tensors["y"].scale
    np.testing.assert_allclose(logits, np.broadcast_to([0.7, -0.7], logits.shape), atol=0.51 * model.tensors["y"].scale)
