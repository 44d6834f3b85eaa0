"""The door of the exports: what is refused, by name, and that what is let in overflows nowhere."""

from dataclasses import replace

import numpy as np
import pytest

from microzoo.errors import ExportError
from microzoo.export.c import c_sources
from microzoo.export.onnx import onnx
from microzoo.export.tflite import tflite
from microzoo.graph.check import check
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Flatten, MaxPool
from microzoo.quantise.reference import run

from ..conformance.interpreters import tflm  # noqa: TID252  # tests are no package with a name
from ..export.c_program import build_program, run_program  # noqa: TID252
from ..export.networks import Builder, random_model  # noqa: TID252

EXPORTS = {"tflite": tflite, "onnx": onnx, "c": c_sources}


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    b = Builder((6, 6, 2))
    x = b.conv("input", 3, 3, same=True)
    x = b.add(x, b.depthwise(x, 3, same=True))
    b.dense(b.flatten(b.pool(x, "max", 2)), 4)
    return random_model(b.graph(), 0)


def test_a_good_model_passes(model):
    check(model)
    check(model, ("a", "b", "c", "d"))


def _op(model, index, **fields):
    ops = list(model.graph.ops)
    ops[index] = replace(ops[index], **fields)
    return replace(model, graph=replace(model.graph, ops=tuple(ops)))


def _graph(model, **fields):
    return replace(model, graph=replace(model.graph, **fields))


def _tensor(model, name, scale=None, zero_point=None):
    old = model.tensors[name]
    new = Quantisation(old.scale if scale is None else scale, old.zero_point if zero_point is None else zero_point)
    return replace(model, tensors=model.tensors | {name: new})


def _layer(model, name, **parts):
    return replace(model, weights=model.weights | {name: replace(model.weights[name], **parts)})


def _changed(values, index, value):
    values = values.copy()
    values.flat[index] = value
    return values


F32 = float(np.float32(0.01))
BAD = {
    "scale of zero": (lambda m: _tensor(m, "t0", scale=0.0), r"tensor t0: scale = 0\.0; a scale is a number from"),
    "negative scale": (lambda m: _tensor(m, "t0", scale=-F32), r"tensor t0: scale = -0\.0"),
    "scale that is NaN": (lambda m: _tensor(m, "input", scale=np.nan), r"tensor input: scale = nan"),
    "infinite scale": (lambda m: _tensor(m, "t1", scale=np.inf), r"tensor t1: scale = inf"),
    "scale under float32": (lambda m: _tensor(m, "t1", scale=1e-39), r"tensor t1: scale = 1e-39"),
    "scale beyond float32": (lambda m: _tensor(m, "t1", scale=1e39), r"tensor t1: scale = 1e\+39"),
    "scale that float32 cannot hold": (lambda m: _tensor(m, "t0", scale=0.1), r"tensor t0: scale = 0\.1 is no float32; files"),
    "zero point under int8": (lambda m: _tensor(m, "t0", zero_point=-129), r"tensor t0: zero point = -129; it is an integer"),
    "zero point over int8": (lambda m: _tensor(m, "t0", zero_point=128), r"tensor t0: zero point = 128"),
    "zero point with a fraction": (lambda m: _tensor(m, "t0", zero_point=0.5), r"tensor t0: zero point = 0\.5"),
    "pooling that requantises": (lambda m: _tensor(m, "t3", scale=F32), r"layer maxpool3: its output is quantised as .*equal"),
    "Flatten that requantises": (lambda m: _tensor(m, "t4", zero_point=5), r"layer flatten4: its output is quantised as"),
    "no quantisation": (
        lambda m: replace(m, tensors={k: v for k, v in m.tensors.items() if k != "t2"}),
        r"tensor t2: it has no quantisation",
    ),
    "weights that are float": (
        lambda m: _layer(m, "conv0", weight=np.full(m.weights["conv0"].weight.shape, np.nan, np.float32)),
        r"layer conv0: its weight is float32 .* it must be int8",
    ),
    "weights of another shape": (
        lambda m: _layer(m, "conv0", weight=m.weights["conv0"].weight[:, :2]),
        r"layer conv0: its weight is int8 \(3, 2, 3, 2\); it must be int8 \(3, 3, 3, 2\)",
    ),
    "depthwise weights of a convolution": (
        lambda m: _layer(m, "depthwise1", weight=m.weights["depthwise1"].weight[None]),
        r"layer depthwise1: its weight is int8 \(1, 3, 3, 3\)",
    ),
    "bias of 64 bits": (
        lambda m: _layer(m, "dense5", bias=m.weights["dense5"].bias.astype(np.int64)),
        r"layer dense5: its bias is int64 \(4,\); it must be int32 \(4,\)",
    ),
    "bias for another number of channels": (
        lambda m: _layer(m, "dense5", bias=m.weights["dense5"].bias[:3]),
        r"layer dense5: its bias is int32 \(3,\)",
    ),
    "no bias": (lambda m: _layer(m, "dense5", bias=None), r"layer dense5: its bias is NoneType"),
    "scales a channel for a Dense": (
        lambda m: _layer(m, "dense5", scales=np.full(4, 0.01, np.float32)),
        r"layer dense5: its scales is float32 \(4,\); it must be float32 \(1,\)",
    ),
    "scales of 64 bits": (
        lambda m: _layer(m, "conv0", scales=m.weights["conv0"].scales.astype(np.float64)),
        r"layer conv0: its scales is float64",
    ),
    "weight scale of an all-zero channel": (
        lambda m: _layer(m, "conv0", scales=_changed(m.weights["conv0"].scales, 1, 0.0)),
        r"layer conv0, channel 1: weight scale = 0\.0; .* of an all-zero channel too",
    ),
    "weight scale that is NaN": (
        lambda m: _layer(m, "depthwise1", scales=_changed(m.weights["depthwise1"].scales, 2, np.nan)),
        r"layer depthwise1, channel 2: weight scale = nan",
    ),
    "negative weight scale": (
        lambda m: _layer(m, "dense5", scales=-m.weights["dense5"].scales),
        r"layer dense5, channel 0: weight scale = -",
    ),
    "bias that overflows": (
        lambda m: _layer(m, "conv0", bias=_changed(m.weights["conv0"].bias, 2, -(2**31))),
        r"layer conv0, channel 2: its sum can reach 2,147,.*beyond int32; make",
    ),
    "output scale far too small": (
        lambda m: _tensor(m, "t5", scale=float(np.float32(1e-12))),
        r"layer dense5, channel \d: its output scale is so small .*left shift \d+\) overflows int32; give",
    ),
    "output scale of an Add far too small": (
        lambda m: _tensor(
            _tensor(_tensor(m, "t2", scale=float(np.float32(1e-10))), "t3", scale=float(np.float32(1e-10))),
            "t4",
            scale=float(np.float32(1e-10)),
        ),
        r"layer add2: its output scale is less than 2\*\*-19",
    ),
    "weights missing": (
        lambda m: replace(m, weights={k: v for k, v in m.weights.items() if k != "conv0"}),
        r"layer conv0: it has no weights",
    ),
    "weights of no layer": (
        lambda m: replace(m, weights=m.weights | {"conv9": m.weights["conv0"]}),
        r"weights conv9: no layer of this name has any; those that have: conv0, dense5, depthwise1",
    ),
    "BatchNorm": (lambda m: _op(m, 0, batch_norm=True), r"layer conv0: it has a BatchNorm; fold"),
    "stride of zero": (lambda m: _op(m, 0, stride=(1, 0)), r"layer conv0: stride = \(1, 0\); sizes are positive"),
    "negative padding": (lambda m: _op(m, 0, padding=(1, 1, -1, 1)), r"layer conv0: padding = \(1, 1, -1, 1\)"),
    "no filters": (lambda m: _op(m, 0, filters=0), r"layer conv0: filters = 0"),
    "window beyond the map": (lambda m: _op(m, 3, kernel=(7, 2)), r"layer maxpool3: MaxPool cannot read \(6, 6, 3\); the window"),
    "sides of two shapes": (lambda m: _op(m, 2, left="input"), r"layer add2: Add cannot read \(6, 6, 2\) and \(6, 6, 3\); both"),
    "tensor from nowhere": (lambda m: _op(m, 1, input="t7"), r"layer depthwise1: it reads t7, which nothing has written"),
    "order upside down": (lambda m: _graph(m, ops=m.graph.ops[::-1]), r"layer dense5: it reads t4, which nothing has written"),
    "tensor written twice": (lambda m: _op(m, 1, output="t0"), r"layer depthwise1: it writes t0, which is written already"),
    "two layers of one name": (lambda m: _op(m, 1, name="conv0"), r"layer conv0: another layer has this name"),
    "Dense on a map": (lambda m: _op(m, 5, input="t3"), r"layer dense5: it reads \(3, 3, 3\); a Dense reads 1 dimensions"),
    "convolution of a vector": (
        lambda m: _graph(m, ops=(*m.graph.ops, Conv("c", "t5", "c", 2, (1, 1))), output="c"),
        r"layer c: it reads \(4,\); a Conv reads 3 dimensions",
    ),
    "output that nobody writes": (lambda m: _graph(m, output="t9"), r"output t9: no layer writes it"),
    "output that is the input": (lambda m: _graph(m, output="input"), r"output input: no layer writes it"),
    "output that is a map": (lambda m: _graph(m, output="t3"), r"output t3: its shape is \(3, 3, 3\); end with"),
    "input without channels": (lambda m: _graph(m, input_shape=(6, 6)), r"input input: its shape is \(6, 6\); give height"),
    "input without rows": (lambda m: _graph(m, input_shape=(0, 6, 2)), r"input input: its shape is \(0, 6, 2\)"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("export", EXPORTS)
def test_a_bad_model_is_refused_by_every_export_with_layer_and_cause(model, kind, export):
    spoil, match = BAD[kind]
    with pytest.raises(ExportError, match=match):
        EXPORTS[export](spoil(model))


@pytest.mark.parametrize("export", EXPORTS)
def test_labels_that_do_not_fit_are_refused(model, export):
    with pytest.raises(ExportError, match="2 labels for 4 classes"):
        EXPORTS[export](model, labels=("a", "b"))
    with pytest.raises(ExportError, match=r"label 'a\\nb': it holds a line break"):
        EXPORTS[export](model, labels=("a\nb", "c", "d", "e"))


def random_scales(seed: int) -> IntegerModel:
    """A convolution, an addition and two dense layers, with scales from up to sixty powers of two and extreme weights."""
    rng = np.random.default_rng(seed)
    ops = (
        Conv("conv", "input", "c", 3, (2, 2), relu=bool(seed % 2)),
        MaxPool("pool", "c", "p", (1, 1), (1, 1)),
        Flatten("flat", "p", "f"),
        Dense("left", "f", "l", 6),
        Add("add", "f", "l", "a"),
        Dense("head", "a", "out", 4),
    )
    graph = Graph("input", (2, 3, 2), ops, "out")
    width = (2, 8, 20, 60)[seed % 4]

    def scale():
        return float(np.float32(2.0 ** rng.uniform(-width / 2, width / 2)))

    tensors = {
        name: Quantisation(scale(), int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))) for name in graph.shapes
    }
    tensors["p"] = tensors["f"] = tensors["c"]
    weights = {}
    for name, shape in (("conv", (3, 2, 2, 2)), ("left", (6, 6)), ("head", (4, 6))):
        extreme = rng.choice([-128, 127], shape) if rng.random() < 0.5 else rng.integers(-128, 128, shape)
        channels = 1 if len(shape) == 2 else shape[0]
        bias = rng.integers(-(2 ** int(rng.integers(1, 32))), 2 ** int(rng.integers(1, 32)), shape[0])
        weights[name] = IntegerWeights(
            extreme.astype(np.int8), bias.astype(np.int32), np.array([scale() for _ in range(channels)], np.float32)
        )
    return IntegerModel(graph, tensors, weights)


@pytest.fixture(scope="module")
def accepted() -> dict[str, IntegerModel]:
    """Those of 400 such models that pass."""
    found, refused = {}, 0
    for seed in range(400):
        model = random_scales(seed)
        try:
            check(model)
        except ExportError:
            refused += 1
        else:
            found[f"seed {seed}"] = model
    assert len(found) > 60 and refused > 60, (len(found), refused)
    return found


@pytest.fixture(scope="module")
def extremes() -> np.ndarray:
    """Images of nothing but -128 and 127."""
    return np.random.default_rng(0).choice(np.array([-128, 127], np.int8), (40, 2, 3, 2))


def test_what_is_let_in_overflows_nowhere_in_c(accepted, extremes, tmp_path):
    # The reference counts in 64 bits, C in 32 under the sanitizer.
    program = build_program(accepted, tmp_path, "gcc", ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"))
    results = run_program(program, dict.fromkeys(accepted, extremes), accepted)
    assert [name for name, found in results.items() if not np.array_equal(found, run(accepted[name], extremes))] == []


@pytest.mark.tflm
def test_what_is_let_in_is_the_same_in_tensorflow_lite_micro(accepted, extremes, tmp_path):
    results, _ = tflm(list(accepted.values()), [extremes] * len(accepted), tmp_path)
    wrong = [
        name for found, (name, model) in zip(results, accepted.items(), strict=True) if (found != run(model, extremes)).any()
    ]
    assert wrong == []
