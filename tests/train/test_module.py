from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from microzoo.graph.graph import Graph
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad
from microzoo.train.evaluate import logits
from microzoo.train.module import GraphModule, load, weights


def numpy_forward(graph: Graph, parameters, x: np.ndarray) -> np.ndarray:
    """One sample (H, W, C) in float64, window by window, from the definitions in graph.ops."""
    tensors = {graph.input: x.astype(np.float64)}
    for op in graph.ops:
        value = tensors[op.inputs[0]]
        match op:
            case Conv() | Depthwise():
                layer = parameters[op.name]
                padded = np.pad(value, (op.padding[:2], op.padding[2:], (0, 0)))
                if isinstance(op, Conv):
                    value = over_windows(padded, op, lambda w, k=layer.weight: np.einsum("khwc,hwc->k", k, w))
                else:
                    value = over_windows(padded, op, lambda w, k=layer.weight: (k * w).sum(axis=(0, 1)))
                value = value + layer.bias
                if (norm := layer.batch_norm) is not None:
                    value = norm.gamma * (value - norm.mean) / np.sqrt(norm.variance + norm.epsilon) + norm.beta
            case Dense():
                value = parameters[op.name].weight @ value + parameters[op.name].bias
            case MaxPool():
                value = over_windows(value, op, lambda w: w.max(axis=(0, 1)))
            case AvgPool():
                value = over_windows(value, op, lambda w: w.mean(axis=(0, 1)))
            case Pad():
                value = np.pad(value, (op.padding[:2], op.padding[2:], (0, 0)))
            case Add():
                value = value + tensors[op.right]
            case Flatten():
                value = value.ravel()
        if getattr(op, "relu", False):
            value = np.maximum(value, 0)
        assert value.shape == graph.shapes[op.output]
        tensors[op.output] = value
    return tensors[graph.output]


def over_windows(value, op, function):
    (kh, kw), (sh, sw) = op.kernel, op.stride
    rows = range(0, value.shape[0] - kh + 1, sh)
    columns = range(0, value.shape[1] - kw + 1, sw)
    return np.array([[function(value[r : r + kh, c : c + kw]) for c in columns] for r in rows])


def shaken(graph: Graph, seed: int):
    """Weights whose biases, gammas, betas, means and variances are all far from their initial values."""
    generator = np.random.default_rng(seed)
    result = weights(GraphModule(graph, generator))

    def noise(array):
        return generator.standard_normal(array.shape).astype(np.float32)

    for name, layer in result.items():
        norm = layer.batch_norm
        if norm is not None:
            norm = replace(
                norm, gamma=noise(norm.gamma), beta=noise(norm.beta), mean=noise(norm.mean), variance=noise(norm.variance) ** 2
            )
        result[name] = replace(layer, bias=noise(layer.bias) if norm is None else layer.bias, batch_norm=norm)
    return result


def test_every_operator_equals_its_definition(every_operator):
    parameters = shaken(every_operator, 1)
    x = np.random.default_rng(2).standard_normal((3, 9, 8, 2)).astype(np.float32)
    expected = np.stack([numpy_forward(every_operator, parameters, sample) for sample in x])
    np.testing.assert_allclose(logits(every_operator, parameters, x), expected, rtol=1e-4, atol=1e-4)


def test_weights_survive_the_round_trip_bit_for_bit(every_operator):
    parameters = shaken(every_operator, 3)
    module = GraphModule(every_operator, np.random.default_rng(0))
    load(module, parameters)
    returned = weights(module)
    assert returned.keys() == parameters.keys()
    for name, layer in parameters.items():
        np.testing.assert_array_equal(returned[name].weight, layer.weight)
        np.testing.assert_array_equal(returned[name].bias, layer.bias)
        assert (returned[name].batch_norm is None) == (layer.batch_norm is None)
        if layer.batch_norm is not None:
            for field in ("gamma", "beta", "mean", "variance"):
                np.testing.assert_array_equal(getattr(returned[name].batch_norm, field), getattr(layer.batch_norm, field))


def test_weights_are_copies(every_operator):
    module = GraphModule(every_operator, np.random.default_rng(0))
    before = weights(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert np.abs(before["stem"].weight).min() > 0


def test_a_bias_before_batch_norm_and_another_epsilon_mean_the_same_network(every_operator):
    parameters = shaken(every_operator, 4)
    stem = parameters["stem"]
    assert stem.batch_norm is not None
    norm = replace(stem.batch_norm, epsilon=0.05)
    parameters["stem"] = replace(stem, bias=np.arange(5, dtype=np.float32), batch_norm=norm)
    x = np.random.default_rng(2).standard_normal((1, 9, 8, 2)).astype(np.float32)
    expected = numpy_forward(every_operator, parameters, x[0])
    np.testing.assert_allclose(logits(every_operator, parameters, x)[0], expected, rtol=1e-4, atol=1e-4)


def test_initial_weights_have_he_deviation():
    graph = Graph(
        "x",
        (8, 8, 16),
        (
            Conv("relu", "x", "a", 64, (3, 3), relu=True),
            Depthwise("depthwise", "a", "b", (5, 5), relu=False),
            AvgPool("pool", "b", "c", (2, 2), (2, 2)),
            Flatten("flatten", "c", "d"),
            Dense("dense", "d", "y", 100),
        ),
        "y",
    )
    initial = weights(GraphModule(graph, np.random.default_rng(0)))
    # fan-in 9 * 16 = 144 before a ReLU; 25; 64 features: the standard errors are 0.7 %, 1.8 % and 0.9 %.
    assert initial["relu"].weight.std() == pytest.approx((2 / 144) ** 0.5, rel=0.03)
    assert initial["depthwise"].weight.std() == pytest.approx((1 / 25) ** 0.5, rel=0.06)
    assert initial["dense"].weight.std() == pytest.approx((1 / 64) ** 0.5, rel=0.03)


def test_training_normalises_with_the_batch_and_leaves_the_statistics_alone(every_operator):
    module = GraphModule(every_operator, np.random.default_rng(0)).train()
    x = torch.randn(8, 9, 8, 2, generator=torch.Generator().manual_seed(0))
    normalised = []
    module.layers["stem"].register_forward_hook(lambda *arguments: normalised.append(arguments[-1].detach()))
    module(x)
    # After BatchNorm a channel is N(0, 1) over the batch; the ReLU behind it cuts its lower half off, the mean stays below 1.
    assert 0.2 < float(normalised[0].mean()) < 0.6
    norm = weights(module)["stem"].batch_norm
    assert norm is not None
    np.testing.assert_array_equal(norm.mean, np.zeros(5))
    np.testing.assert_array_equal(norm.variance, np.ones(5))
