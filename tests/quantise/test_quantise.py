"""Scales, zero points, weights and biases, by hand; the errors; and the accuracy that a small classifier keeps."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from microzoo.errors import QuantisationError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Flatten, MaxPool
from microzoo.graph.requantisation import output_multipliers
from microzoo.graph.weights import LayerWeights
from microzoo.quantise.calibrate import calibrate
from microzoo.quantise.forward import activations, logits
from microzoo.quantise.integer import check_headroom, quantise
from microzoo.quantise.reference import quantise_input, run, trace

HEAD = (Flatten("flat", "c", "f"), Dense("head", "f", "logits", 2))
GRAPH = Graph("input", (2, 2, 1), (Conv("conv", "input", "c", 2, (1, 1)), *HEAD), "logits")


def _layer(weight: object, bias: object) -> LayerWeights:
    return LayerWeights(np.array(weight, np.float32), np.array(bias, np.float32))


def _weights() -> dict[str, LayerWeights]:
    return {
        "conv": _layer([[[[0.5]]], [[[-2.0]]]], [0.25, 0.1]),
        "head": _layer([[1, 0, 0, 0, 0.5, 0, 0, 0], [0, -1, 0, 0, 0, 0, 0, 0]], [0.0, 0.0]),
    }


IMAGES = np.array([[[0.0], [1.0]], [[0.5], [0.25]]], np.float32)[None]


def test_by_hand():
    model = quantise(GRAPH, _weights(), IMAGES, input_range=(0.0, 1.0))
    # Input [0, 1]: scale 1/255, zero point -128.
    assert model.tensors["input"].scale == float(np.float32(1 / 255))
    assert model.tensors["input"].zero_point == -128
    # conv: channel 0 is 0.5 x + 0.25 in [0.25, 0.75], channel 1 is -2 x + 0.1 in [-1.9, 0.1]: range [-1.9, 0.75], scale
    # 2.65 / 255 = 0.010392; zero point round(-128 + 1.9 / 0.010392) = round(54.83) = 55.
    assert model.tensors["c"].scale == pytest.approx(2.65 / 255, rel=1e-6)
    assert model.tensors["c"].zero_point == 55
    assert model.tensors["f"] == model.tensors["c"]
    # Weights per channel: 0.5 / 127 and 2 / 127, so 127 and -127. Biases at 1/255 * scale: 0.25 * 255 * 127 / 0.5 = 16192.5
    # and 0.1 * 255 * 127 / 2 = 1619.25.
    conv = model.weights["conv"]
    np.testing.assert_allclose(conv.scales, [0.5 / 127, 2 / 127], rtol=1e-6)
    assert conv.weight.ravel().tolist() == [127, -127]
    assert abs(int(conv.bias[0]) - 16192.5) <= 0.51
    assert int(conv.bias[1]) == 1619
    # Dense: one scale, 1 / 127; 0.5 is 63.5 of it, halves to even or what float32 leaves of them.
    assert model.weights["head"].scales.shape == (1,)
    assert model.weights["head"].weight[0, 4] in (63, 64)


def test_raw_bytes_are_quantised_without_loss():
    model = quantise(GRAPH, _weights(), IMAGES, input_range=(0.0, 1.0))
    pixels = np.arange(256)
    assert np.array_equal(quantise_input((pixels / 255).astype(np.float32), model.tensors["input"]), pixels - 128)


def test_zero_is_exact_in_every_tensor():
    weights = _weights()
    model = quantise(GRAPH, weights, IMAGES + 3.0)  # a range that leaves zero out is widened
    for quantisation in model.tensors.values():
        assert -128 <= quantisation.zero_point <= 127
    assert model.tensors["input"].scale == pytest.approx(4.0 / 255, rel=1e-6)


def test_channels_that_are_all_zero_give_their_bias():
    weights = _weights() | {"conv": _layer([[[[0.5]]], [[[0.0]]]], [0.25, 0.4])}
    model = quantise(GRAPH, weights, IMAGES)
    assert model.weights["conv"].weight[1] == 0
    output = quantise_input(IMAGES, model.tensors["input"])
    values = _tensor(model, output, "c")
    expected = 0.4 / model.tensors["c"].scale + model.tensors["c"].zero_point
    assert np.abs(values[..., 1] - expected).max() <= 0.51


def _tensor(model, inputs: np.ndarray, name: str) -> np.ndarray:
    return trace(model, inputs)[name].astype(int)


def test_a_channel_that_is_all_but_switched_off_survives_its_bias():
    # What BatchNorm leaves with gamma near zero: at the natural weight scale the bias would be 5e12.
    weights = _weights() | {"conv": _layer([[[[0.5]]], [[[1e-11]]]], [0.25, 0.4])}
    model = quantise(GRAPH, weights, IMAGES)
    values = _tensor(model, quantise_input(IMAGES, model.tensors["input"]), "c")
    expected = 0.4 / model.tensors["c"].scale + model.tensors["c"].zero_point
    assert np.abs(values[..., 1] - expected).max() <= 0.51


def test_percentile_clips_outliers_and_minmax_does_not():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (500, 2, 2, 1)).astype(np.float32)
    images[0, 0, 0, 0] = 50.0
    exact = calibrate(GRAPH, _weights(), images)
    clipped = calibrate(GRAPH, _weights(), images, method="percentile", percentile=99.0)
    assert exact["input"][1] == 50.0
    assert 0.9 < clipped["input"][1] < 1.1
    assert set(exact) == set(clipped) == {"input", "c", "logits"}  # flatten shares its input's
    everything = calibrate(GRAPH, _weights(), images, method="percentile", percentile=100.0)
    for name, bounds in exact.items():
        np.testing.assert_allclose(everything[name], bounds, rtol=1e-6)


def _expect(match: str, graph: Graph = GRAPH, weights: object = None, images: np.ndarray = IMAGES, **options: object) -> None:
    with pytest.raises(QuantisationError, match=match):
        quantise(graph, weights or _weights(), images, **options)


def test_parameters_that_are_not_finite_are_named():
    for bad in (np.nan, np.inf):
        weights = _weights()
        weights["head"].weight[1, 3] = bad
        _expect("layer head: 1 of 16 weights are NaN or infinite", weights=weights)
        weights = _weights()
        weights["conv"].bias[0] = bad
        _expect("layer conv: 1 of 2 biases are NaN or infinite", weights=weights)


def test_calibration_images_that_are_all_zero_are_named():
    _expect("tensor input: zero on every calibration image", images=IMAGES * 0)


def test_a_layer_that_is_dead_on_the_calibration_images_is_exactly_zero_and_saturates_when_it_wakes_up():
    weights = _weights() | {"conv": _layer([[[[-1.0]]], [[[-4.0]]]], [-0.1, -0.1])}
    weights["head"].bias[:] = [0.5, -0.25]
    graph = replace(GRAPH, ops=(replace(GRAPH.ops[0], relu=True), *HEAD))
    model = quantise(graph, weights, IMAGES, input_range=(-1.0, 1.0))
    # The scale of the input, 2 / 255; after a ReLU zero is -128, so that 2 is the largest value.
    assert model.tensors["c"] == Quantisation(float(np.float32(2 / 255)), -128)
    values = trace(model, quantise_input(IMAGES, model.tensors["input"]))
    assert (values["c"] == -128).all()
    real = (values["logits"].astype(int) - model.tensors["logits"].zero_point) * model.tensors["logits"].scale
    np.testing.assert_allclose(real, [[0.5, -0.25]], atol=0.51 * model.tensors["logits"].scale)
    # At -0.6 the layer gives 0.5 and 2.3: within a step, and the largest value.
    awake = _tensor(model, quantise_input(np.full((1, 2, 2, 1), -0.6, np.float32), model.tensors["input"]), "c")
    assert abs(awake[0, 0, 0, 0] - (0.5 * 255 / 2 - 128)) <= 1
    assert awake[0, 0, 0, 1] == 127


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (0.0, -1.0),  # no weights at all
        (1e-12, -1.0),  # a bias that int32 cannot hold at the scale of such weights
        (1e-9, -1e6),
        (-1e9, -1e9),  # one step of the input is a million steps of the output
        (-1e30, 0.0),
    ],
)
def test_dead_layers_of_any_size_and_what_follows_them_pass(weight, bias):
    ops = (
        Conv("dead", "input", "a", 1, (1, 1), relu=True),
        Depthwise("after", "a", "b", (1, 1), relu=True),
        Conv("live", "input", "c", 1, (1, 1)),
        Add("one dead", "b", "c", "d"),
        Add("both dead", "a", "b", "e", relu=True),
        Add("sum", "d", "e", "g"),
        Flatten("flat", "g", "f"),
        Dense("head", "f", "logits", 2),
    )
    weights = {
        "dead": _layer([[[[weight]]]], [bias]),
        # A BatchNorm behind a constant divides by the root of its epsilon: weights of 30 to 300.
        "after": _layer([[[300.0]]], [-0.1]),
        "live": _layer([[[[1.0]]]], [0.0]),
        "head": _layer(np.ones((2, 4)), [0.0, 1.0]),
    }
    model = quantise(Graph("input", (2, 2, 1), ops, "logits"), weights, IMAGES, input_range=(0.0, 1.0))
    values = trace(model, quantise_input(IMAGES, model.tensors["input"]))
    for dead in ("a", "b", "e"):
        assert (values[dead] == model.tensors[dead].zero_point).all()
    real = (values["logits"].astype(int) - model.tensors["logits"].zero_point) * model.tensors["logits"].scale
    np.testing.assert_allclose(real, [[1.75, 2.75]], atol=0.03)


def test_a_bias_that_dwarfs_its_weights_is_kept():
    # At the weights' own scale of 1e-3 / 127 these biases would be 3e13. The output cannot tell the weights from zero.
    weights = _weights() | {"conv": _layer([[[[1e-3]]], [[[1e-3]]]], [1e6, -1e6])}
    model = quantise(GRAPH, weights, IMAGES)
    assert np.abs(model.weights["conv"].bias.astype(int)).max() <= 2**30 + 2**8  # and what rounding to float32 adds
    values = _tensor(model, quantise_input(IMAGES, model.tensors["input"]), "c") - model.tensors["c"].zero_point
    np.testing.assert_allclose(values * model.tensors["c"].scale, np.broadcast_to([1e6, -1e6], values.shape), rtol=0.005)


def test_a_bias_beyond_int32_is_named():
    # 40,000 features: weights as coarse as the bias demands would move the output by more than a step.
    ops = (Flatten("flat", "input", "f"), Dense("head", "f", "logits", 1))
    graph = Graph("input", (200, 200, 1), ops, "logits")
    weights = {"head": _layer(np.full((1, 40000), 1e-9), [1.0])}
    images = np.ones((1, 200, 200, 1), np.float32)
    _expect(r"layer head, channel 0: bias 1 against weights up to 1e-09 overflows int32", graph, weights, images)


def test_an_accumulator_beyond_int32_is_named():
    # 70,000 products of up to 127 * 255.
    ops = (Flatten("flat", "input", "f"), Dense("head", "f", "logits", 1))
    graph = Graph("input", (1, 70000, 1), ops, "logits")
    weights = {"head": _layer(np.ones((1, 70000)), [0.0])}
    _expect("layer head, channel 0: its sum can reach 2.27e", graph, weights, np.ones((1, 1, 70000, 1), np.float32))


def test_an_output_far_smaller_than_its_inputs_gets_no_finer_step_than_they_can_tell():
    # The two products cancel to the last bits: the output is 2**-23 of them, and a step of its own would multiply sums by 2**15.
    ops = (Flatten("flat", "input", "f"), Dense("head", "f", "logits", 1))
    graph = Graph("input", (1, 2, 1), ops, "logits")
    images = np.array([[[1.0], [1.0]]], np.float32)[None] * np.linspace(0.5, 1, 8, dtype=np.float32)[:, None, None, None]
    model = quantise(graph, {"head": _layer([[1.0, -1.0 + 1.2e-7]], [0.0])}, images)
    (multiplier,) = output_multipliers(model, graph.ops[1])
    assert abs(multiplier.mantissa / 2**31 * 2.0**multiplier.shift - 1.0) < 1e-5
    # Within a step of zero on these images, and right where the inputs differ: 1 - 0.5 is 255 * 127 / 2 steps, so it saturates.
    values = trace(model, quantise_input(np.concatenate([images, [[[[1.0], [0.5]]]]]), model.tensors["input"]))["logits"]
    assert np.abs(values[:-1].astype(int) - model.tensors["logits"].zero_point).max() <= 1
    assert values[-1] == 127


def test_an_addition_that_cancels_keeps_a_sixteenth_of_its_operands_step():
    ops = (
        Conv("one", "input", "a", 1, (1, 1)),
        Conv("two", "input", "b", 1, (1, 1)),
        Add("sum", "a", "b", "c"),
        Flatten("flat", "c", "f"),
        Dense("head", "f", "logits", 2),
    )
    weights = {
        "one": _layer([[[[1.0]]]], [0.0]),
        "two": _layer([[[[-1.0]]]], [1e-7]),
        "head": _layer(np.ones((2, 4)), [0.0, 1.0]),
    }
    model = quantise(Graph("input", (2, 2, 1), ops, "logits"), weights, IMAGES)
    tensors = model.tensors
    assert tensors["c"].scale == pytest.approx(max(tensors["a"].scale, tensors["b"].scale) / 16, rel=1e-5)
    logits = trace(model, quantise_input(IMAGES, tensors["input"]))["logits"]
    real = (logits.astype(int) - tensors["logits"].zero_point) * tensors["logits"].scale
    # Each of the four sums is off by at most half a step of either operand.
    np.testing.assert_allclose(real, np.tile([0.0, 1.0], (len(real), 1)), atol=4 * max(tensors["a"].scale, tensors["b"].scale))


def test_a_requantisation_beyond_int32_is_named():
    model = quantise(GRAPH, _weights(), IMAGES)
    for name, tensor in (("conv", "c"), ("head", "logits")):
        tensors = model.tensors | {tensor: Quantisation(1e-9, 0)}
        with pytest.raises(QuantisationError, match=f"layer {name}: its output is so small beside its inputs"):
            check_headroom(replace(model, tensors=tensors))


def test_bad_calibration_is_named():
    _expect("calibration: 0 images", images=IMAGES[:0])
    _expect("1 values NaN or infinite", images=np.where(IMAGES == 1.0, np.nan, IMAGES).astype(np.float32))
    _expect('method = "best"', method="best")
    _expect("percentile = 0.0", method="percentile", percentile=0.0)
    _expect(r"input_range = \(1.0, 1.0\)", input_range=(1.0, 1.0))


def test_a_digit_classifier_keeps_its_decisions():
    digits, labels = load_digits(return_X_y=True)
    images = (digits.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    rng = np.random.default_rng(0)
    ops = (
        Conv("conv", "input", "a", 24, (3, 3), relu=True),
        MaxPool("pool", "a", "b", (2, 2), (2, 2)),
        Flatten("flat", "b", "f"),
        Dense("head", "f", "logits", 10),
    )
    graph = Graph("input", (8, 8, 1), ops, "logits")
    weights = {
        "conv": _layer(rng.normal(0, 0.5, (24, 3, 3, 1)), rng.normal(0, 0.2, 24)),
        "head": _layer(np.zeros((10, 216)), np.zeros(10)),
    }
    # Random features, and a classifier by least squares on the first 1,000 images.
    features = np.concatenate([values["f"] for values in activations(graph, weights, images)])
    x = np.c_[features, np.ones(len(features))].astype(np.float64)
    solution = np.linalg.solve(x[:1000].T @ x[:1000] + 1.0 * np.eye(217), x[:1000].T @ np.eye(10)[labels[:1000]])
    weights["head"] = _layer(solution[:-1].T, solution[-1])
    test, truth = images[1000:], labels[1000:]
    decided = logits(graph, weights, test).argmax(1)
    assert (decided == truth).mean() > 0.9
    for options in ({"input_range": (0.0, 1.0)}, {"method": "percentile"}):
        model = quantise(graph, weights, images[:200], **options)
        integer = run(model, quantise_input(test, model.tensors["input"])).argmax(1)
        assert (integer == decided).mean() > 0.97
        assert abs((integer == truth).mean() - (decided == truth).mean()) < 0.015
