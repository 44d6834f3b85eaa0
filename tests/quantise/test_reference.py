"""The integer reference against plain Python integers, written from the quantisation specification."""

import math
from fractions import Fraction

import numpy as np
import pytest

from microzoo.graph.fixed_point import Multiplier, quantise_multiplier, requantise
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad
from microzoo.graph.requantisation import activation_range, add_multipliers, output_multipliers
from microzoo.quantise.reference import evaluate, quantise_input


def test_requantisation_by_hand():
    # 0.0123 = 0.7872 * 2**-6; mantissa = round(0.7872 * 2**31) = 1690499128.
    multiplier = quantise_multiplier(0.0123)
    assert multiplier == Multiplier(1690499128, -6)
    # 1000 * 1690499128 / 2**31 = 787.2, rounded 787; 787 / 2**6 = 12.30, rounded 12.
    assert requantise(np.array([1000]), multiplier.mantissa, multiplier.shift).tolist() == [12]


def test_requantisation_rounds_twice():
    # 0.375 = 0.75 * 2**-1. One rounding of 0.375 gives 0; two give round(round(0.75) / 2) = round(0.5) = 1, away from zero.
    multiplier = quantise_multiplier(0.375)
    assert multiplier == Multiplier(3 << 29, -1)
    assert requantise(np.array([1, -1, 2, 3]), multiplier.mantissa, multiplier.shift).tolist() == [1, -1, 1, 1]


def _requantised(value: int, multiplier: Multiplier) -> int:
    """TFLite's two roundings in rational numbers: halves up, then halves away from zero."""
    scaled = Fraction(value * 2 ** max(multiplier.shift, 0) * multiplier.mantissa, 2**31)
    high = Fraction(math.floor(scaled + Fraction(1, 2)), 2 ** max(-multiplier.shift, 0))
    return int(math.copysign(math.floor(abs(high) + Fraction(1, 2)), high))


def test_requantisation_equals_rational_numbers():
    rng = np.random.default_rng(0)
    for _ in range(300):
        multiplier = quantise_multiplier(float(2.0 ** rng.uniform(-20, 3)))
        values = np.r_[rng.integers(-(2**27), 2**27, 20), np.arange(-4, 5)]
        expected = [_requantised(int(value), multiplier) for value in values]
        assert requantise(values, multiplier.mantissa, multiplier.shift).tolist() == expected


def _model(op: Op, shape: tuple[int, ...], seed: int, side: tuple[Op, ...] = ()) -> IntegerModel:
    """A model around one operator with random parameters; pools and pads keep their quantisation."""
    rng = np.random.default_rng(seed)
    graph = Graph("x", shape, (*side, op), op.output)
    tensors = {
        name: Quantisation(float(np.float32(rng.uniform(0.01, 0.05))), int(rng.integers(-128, 128))) for name in graph.shapes
    }
    if isinstance(op, MaxPool | AvgPool | Pad | Flatten):
        tensors[op.output] = tensors["x"]
    weights = {}
    if isinstance(op, Conv | Depthwise | Dense):
        size = {"Conv": lambda: (op.filters, *op.kernel, shape[2]), "Depthwise": lambda: (*op.kernel, shape[2])}
        dims = size.get(type(op).__name__, lambda: (op.units, shape[0]))()
        channels = dims[-1] if isinstance(op, Depthwise) else dims[0]
        weights[op.name] = IntegerWeights(
            rng.integers(-127, 128, dims, dtype=np.int8),
            rng.integers(-5000, 5000, channels, dtype=np.int32),
            rng.uniform(1e-4, 1e-3, 1 if isinstance(op, Dense) else channels).astype(np.float32),
        )
    return IntegerModel(graph, tensors, weights)


def _clamped(model: IntegerModel, op: Op, value: int) -> int:
    low, high = activation_range(model, op)
    return min(max(value, low), high)


def _window_sum(model: IntegerModel, op: Conv | Depthwise, x: np.ndarray, y: int, z: int, k: int) -> int:
    """One accumulator by definition; what lies off the map adds nothing."""
    total = int(model.weights[op.name].bias[k])
    for row in range(op.kernel[0]):
        for column in range(op.kernel[1]):
            i, j = y * op.stride[0] - op.padding[0] + row, z * op.stride[1] - op.padding[2] + column
            if 0 <= i < x.shape[0] and 0 <= j < x.shape[1]:
                for c in range(x.shape[2]) if isinstance(op, Conv) else [k]:
                    w = model.weights[op.name].weight[k, row, column, c] if isinstance(op, Conv) else None
                    w = model.weights[op.name].weight[row, column, k] if w is None else w
                    total += (int(x[i, j, c]) - model.tensors["x"].zero_point) * int(w)
    return total


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    "op",
    [
        Conv("op", "x", "y", 3, (3, 2)),
        Conv("op", "x", "y", 2, (3, 3), (2, 2), (0, 1, 1, 1)),
        Conv("op", "x", "y", 4, (5, 5), (1, 1), (2, 2, 2, 2)),
        Depthwise("op", "x", "y", (3, 3), (1, 2), (1, 1, 0, 1)),
        Depthwise("op", "x", "y", (2, 4), (2, 1)),
    ],
)
def test_convolutions(op, relu):
    op = type(op)(**{**op.__dict__, "relu": relu})
    for seed in range(3):
        model = _model(op, (5, 6, 3), seed)
        x = np.random.default_rng(seed).integers(-128, 128, (2, 5, 6, 3), dtype=np.int8)
        result = evaluate(model, op, [x])
        multipliers, zero_point = output_multipliers(model, op), model.tensors["y"].zero_point
        for n, y, z, k in np.ndindex(result.shape):
            scaled = _requantised(_window_sum(model, op, x[n], y, z, k), multipliers[k])
            assert result[n, y, z, k] == _clamped(model, op, scaled + zero_point), (seed, n, y, z, k)


@pytest.mark.parametrize("features", [7, 900])  # 900 products of 127 * 255 need more than float32's 24 bits
def test_dense(features):
    op = Dense("op", "x", "y", 4)
    model = _model(op, (features,), features)
    x = np.random.default_rng(0).integers(-128, 128, (3, features), dtype=np.int8)
    x[0], x[1] = -128, 127
    result = evaluate(model, op, [x])
    weights, (multiplier,) = model.weights["op"], output_multipliers(model, op)
    for n, k in np.ndindex(result.shape):
        products = [(int(a) - model.tensors["x"].zero_point) * int(w) for a, w in zip(x[n], weights.weight[k], strict=True)]
        total = int(weights.bias[k]) + sum(products)
        assert result[n, k] == _clamped(model, op, _requantised(total, multiplier) + model.tensors["y"].zero_point)


@pytest.mark.parametrize("relu", [False, True])
def test_add(relu):
    op = Add("op", "x", "z", "y", relu=relu)
    model = _model(op, (16, 16, 1), 3, side=(Conv("side", "x", "z", 1, (1, 1)),))
    left = np.repeat(np.arange(-128, 128, dtype=np.int8), 256).reshape(256, 16, 16, 1)
    right = np.tile(np.arange(-128, 128, dtype=np.int8), 256).reshape(256, 16, 16, 1)  # every pair of values
    result = evaluate(model, op, [left, right])
    parts = add_multipliers(model, op)
    zeros = [model.tensors[name].zero_point for name in ("x", "z", "y")]
    a = {q: _requantised((q - zeros[0]) << 20, parts.left) for q in range(-128, 128)}
    b = {q: _requantised((q - zeros[1]) << 20, parts.right) for q in range(-128, 128)}
    for index in np.random.default_rng(0).integers(0, left.size, 5000):
        total = a[int(left.flat[index])] + b[int(right.flat[index])]
        assert result.flat[index] == _clamped(model, op, _requantised(total, parts.output) + zeros[2])
    # And it is an addition: within a step and a half of the real sum, clamped.
    scale = [model.tensors[name].scale for name in ("x", "z", "y")]
    real = ((left.astype(int) - zeros[0]) * scale[0] + (right.astype(int) - zeros[1]) * scale[1]) / scale[2] + zeros[2]
    low, high = activation_range(model, op)
    assert np.abs(np.clip(real, low, high) - result).max() <= 1.5


def test_average_pooling_rounds_halves_away_from_zero():
    op = AvgPool("op", "x", "y", (2, 2), (2, 2))
    model = _model(op, (2, 4, 1), 0)
    x = np.array([[[1], [1], [-1], [-1]], [[1], [3], [-1], [-3]]], np.int8)[None]  # 6 / 4 = 1.5 and -6 / 4 = -1.5
    assert evaluate(model, op, [x]).ravel().tolist() == [2, -2]
    for kernel in ((2, 2), (3, 3), (1, 4), (5, 6)):
        op = AvgPool("op", "x", "y", kernel, (1, 1))
        model = _model(op, (5, 6, 2), 1)
        x = np.random.default_rng(4).integers(-128, 128, (2, 5, 6, 2), dtype=np.int8)
        result = evaluate(model, op, [x])
        for n, y, z, c in np.ndindex(result.shape):
            mean = Fraction(int(x[n, y : y + kernel[0], z : z + kernel[1], c].sum(dtype=int)), kernel[0] * kernel[1])
            assert result[n, y, z, c] == int(math.copysign(math.floor(abs(mean) + Fraction(1, 2)), mean))


def test_max_pooling_drops_what_does_not_fill_a_window():
    op = MaxPool("op", "x", "y", (2, 3), (2, 3))
    x = np.arange(-30, 5, dtype=np.int8).reshape(1, 5, 7, 1)
    assert evaluate(_model(op, (5, 7, 1), 0), op, [x])[0, ..., 0].tolist() == [[-21, -18], [-7, -4]]


def test_pad_writes_the_zero_point_and_flatten_is_row_major():
    op = Pad("op", "x", "y", (1, 0, 0, 2))
    model = _model(op, (1, 1, 2), 5)
    z = model.tensors["x"].zero_point
    x = np.array([[[[3, 4]]]], np.int8)
    assert evaluate(model, op, [x])[0].tolist() == [[[z, z]] * 3, [[3, 4], [z, z], [z, z]]]
    flat = Flatten("op", "x", "y")
    y = np.arange(12, dtype=np.int8).reshape(1, 2, 3, 2)
    assert evaluate(_model(flat, (2, 3, 2), 0), flat, [y])[0].tolist() == list(range(12))


def test_input_quantisation_rounds_halves_to_even_and_saturates():
    q = Quantisation(0.5, 3)
    assert quantise_input(np.array([0.0, 0.25, 0.75, -0.25, 1e6, -1e6], np.float32), q).tolist() == [3, 3, 5, 3, 127, -128]
