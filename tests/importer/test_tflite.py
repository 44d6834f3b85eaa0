"""Files as TensorFlow's converter writes them: what is taken over computes what TFLM computes on the file, bit for bit."""

import numpy as np
import pytest

from microzoo.errors import ImportedModelError
from microzoo.export.tflite import tflite
from microzoo.graph.fixed_point import quantise_multiplier
from microzoo.graph.integer import Quantisation
from microzoo.importer.builder import fused_relu
from microzoo.importer.mean import same_mean
from microzoo.importer.tflite import SUPPORTED, import_tflite
from microzoo.measure.tflite_file import parse_tflite
from microzoo.quantise.reference import run

from ..export.c_program import build_program, run_program  # noqa: TID252  # tests are no package with a name
from ..export.networks import corner_graphs, random_graph, random_inputs  # noqa: TID252
from ..measure.files import rewritten  # noqa: TID252
from .integer import integer_model
from .runs import images, outputs
from .tf_like import TfModel, corners, mobile


@pytest.fixture(scope="module")
def cases():
    """Name -> (file, its IntegerModel, inputs in the file's shape, the reference's outputs)."""
    found = {}
    for seed, (name, data) in enumerate(corners().items()):
        parsed = parse_tflite(data)
        x = images(parsed.tensors[parsed.inputs[0]].shape[1:], 12, seed)
        model = import_tflite(data).model
        found[name] = data, model, x, run(model, x.reshape(len(x), *model.graph.input_shape))
    return found


def test_the_outputs_vary(cases):
    for name, (_, _, _, y) in cases.items():
        assert len(np.unique(y[2:])) > 10, name
        assert np.mean((y > -128) & (y < 127)) > 0.1, name


@pytest.mark.tflm
def test_tensorflow_lite_micro_on_the_original_file_gives_the_same(cases, tmp_path):
    files, inputs = [case[0] for case in cases.values()], [case[2] for case in cases.values()]
    found = outputs("tflm", files, inputs, tmp_path)
    different = [
        (name, int((y != case[3].reshape(y.shape)).sum())) for y, (name, case) in zip(found, cases.items(), strict=True)
        if not np.array_equal(y.reshape(len(y), -1), case[3])
    ]  # fmt: skip
    assert different == []


def test_the_generated_c_gives_the_same(cases, tmp_path):
    models = {name: case[1] for name, case in cases.items()}
    program = build_program(models, tmp_path, "gcc", ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"))
    inputs = {name: case[2].reshape(12, *case[1].graph.input_shape) for name, case in cases.items()}
    found = run_program(program, inputs, models)
    assert [name for name, case in cases.items() if not np.array_equal(found[name], case[3])] == []


def test_our_own_exports_come_back_with_the_same_arithmetic():
    for seed, (name, graph) in enumerate([*corner_graphs().items(), *((f"seed {n}", random_graph(n)) for n in range(20))]):
        model = integer_model(graph, seed)
        back = import_tflite(tflite(model)).model
        x = random_inputs(model, 4, seed)
        assert np.array_equal(run(back, x), run(model, x)), name


@pytest.mark.tflm
def test_float_ends_are_left_to_the_caller(tmp_path):
    m = TfModel(9)
    f = m.tensor((1, 6, 6, 2), dtype=np.float32)
    x = m.op("QUANTIZE", [f], m.tensor((1, 6, 6, 2), 0.05, 7), "QuantizeOptions")
    y = m.dense(m.conv(x, 4, 3, 1, "SAME", "RELU"), 3)
    scale, zero = m.scale(y), m.zero(y)
    data = m.data([f], [m.op("DEQUANTIZE", [y], m.tensor((1, 3), dtype=np.float32), "DequantizeOptions")])
    imported = import_tflite(data)
    assert [note.split(";")[0] for note in imported.notes] == ["the file's input is float32", "the file's output is float32"]
    q = images((6, 6, 2), 6, 0)
    (real,) = outputs("tflm", [data], [((q.astype(np.float32) - 7) * np.float32(0.05)).astype(np.float32)], tmp_path)
    expected = (run(imported.model, q).astype(np.float32) - zero) * np.float32(scale)
    np.testing.assert_allclose(real, expected, rtol=1e-6, atol=1e-6)


def test_uint8_ends_are_the_same_byte_minus_128():
    m = TfModel(9)
    u = m.tensor((1, 6, 6, 2), 0.05, 135, np.uint8)
    x = m.op("QUANTIZE", [u], m.tensor((1, 6, 6, 2), 0.05, 7), "QuantizeOptions")
    assert import_tflite(m.data([u], [m.dense(x, 3)])).notes == (
        "the file's input is uint8; here it is int8, which is the same byte minus 128",
    )


def test_a_softmax_is_left_out_only_when_asked():
    with pytest.raises(ImportedModelError, match=r'operator 6 \(SOFTMAX, ".*"\): .*; --drop-softmax leaves it out'):
        import_tflite(mobile(), "m.tflite")
    dropped, bare = import_tflite(mobile(), drop_softmax=True), import_tflite(mobile(softmax=False))
    assert "softmax" in dropped.notes[0] and not bare.notes
    x = images((12, 12, 3), 4, 0)
    assert np.array_equal(run(dropped.model, x), run(bare.model, x))


def _started(shape=(1, 6, 6, 4), scale=0.05, zero=3, dtype=np.int8):
    m = TfModel(1)
    return m, m.tensor(shape, scale, zero, dtype)


def _relu6():
    m, x = _started()
    return m.data([x], [m.dense(m.conv(x, 4, 3, activation="RELU6", scale=0.1), 3)])


def _dilated():
    m, x = _started()
    return m.data([x], [m.dense(m.conv(x, 4, 3, dilation=2), 3)])


def _grouped():
    m, x = _started()
    return m.data([x], [m.dense(m.conv(x, 4, 3, groups=2), 3)])


def _padded_pool():
    m, x = _started()
    return m.data([x], [m.dense(m.pool(x, "AVERAGE_POOL_2D", 3, 2, "SAME"), 3)])


def _rescaling_pool():
    m, x = _started()
    return m.data([x], [m.dense(m.pool(x, "MAX_POOL_2D", 2, 2, scale=0.01), 3)])


def _logistic():
    m, x = _started()
    y = m.dense(x, 3)
    return m.data([x], [m.op("LOGISTIC", [y], m.tensor((1, 3), 1 / 256, -128))])


def _broadcast():
    m, x = _started()
    return m.data([x], [m.dense(m.add(x, m.pool(x, "MAX_POOL_2D", 6, 6)), 3)])


def _mean():
    m, x = _started((1, 5, 3, 4), 0.031, -3)
    return m.data([x], [m.dense(m.mean(x, 0.031, -3), 3)])


def _uint8():
    m, x = _started(dtype=np.uint8)
    return m.data([x], [m.dense(x, 3)])


def _batch():
    m, x = _started((2, 6, 6, 4))
    return rewritten(
        m.data([x], [m.conv(x, 4, 3)]), lambda r: [setattr(t, "shapeSignature", None) for t in r.subgraphs[0].tensors]
    )


def _two_outputs():
    m, x = _started()
    return m.data([x], [m.dense(x, 3), m.dense(x, 3)])


def _zero_scale():
    m, x = _started(scale=0.0)
    return m.data([x], [m.dense(x, 3)])


def _far_scales():
    m, x = _started(scale=1e9)
    return m.data([x], [m.conv(x, 4, 3, scale=1e-6)])


def _overflow():
    m, x = _started()
    return m.data([x], [m.conv(x, 4, 3, scale=1e-9)])


def _reshaped():
    m, x = _started()
    return m.data([x], [m.dense(m.conv(m.reshape(m.conv(x, 4, 1), (1, 9, 4, 4)), 2, 1), 3)])


def _wrong_shape():
    m, x = _started()
    y = m.conv(x, 4, 3)
    m.tensors[y].shape = [1, 3, 4, 4]
    return m.data([x], [m.dense(y, 3)])


def _constant_output():
    m, x = _started(shape=(1, 6, 6, 3))
    m.conv(x, 4)
    return m.data([x], [m.constant(np.zeros((1, 4), np.int8), 0.1)])


def _reshape_of_nothing():
    m, x = _started(shape=(1, 6, 6, 3))
    y = m.op("RESHAPE", [], m.tensor((1, 6, 6, 3), 0.05, 1))
    return m.data([x], [m.conv(y, 4)])


def _end_of_nothing(kind, *inputs):
    m, x = _started(shape=(1, 6, 6, 3))
    m.conv(x, 4)
    return m.data([x], [m.op(kind, list(inputs), m.tensor((1, 4), 1 / 256, -128))])


def _tiny_relu6():
    m, x = _started(shape=(1, 6, 6, 3))
    return m.data([x], [m.conv(x, 4, activation="RELU6", scale=1.2e-38)])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_constant_output, r'its output "functional/tensor:\d+" is a constant'),
        (_reshape_of_nothing, r"operator 0 \(RESHAPE, .*its input 0 is a constant or missing"),
        (lambda: _end_of_nothing("SOFTMAX"), r"operator 1 \(SOFTMAX, .*reads nothing"),
        (lambda: _end_of_nothing("QUANTIZE", -1), r"operator 1 \(QUANTIZE, .*reads nothing"),
        (_tiny_relu6, "too far apart"),
        (_relu6, r"operator 0 \(CONV_2D, .*fused RELU6 cuts off within the int8 range"),
        (_dilated, r"operator 0 \(CONV_2D, .*dilation is \(2, 2\)"),
        (_grouped, r"groups are not supported"),
        (_padded_pool, r"operator 0 \(AVERAGE_POOL_2D, .*SAME padding .* has an effect"),
        (_rescaling_pool, r"operator 0 \(MAX_POOL_2D, .*another scale"),
        (_logistic, r'operator 1 \(LOGISTIC, "functional/tensor:\d+"\): this operator is not supported; supported are ADD, AV'),
        (_broadcast, r"it adds shapes \(6, 6, 4\) and \(1, 1, 4\); only equal shapes"),
        (_mean, r"operator 0 \(MEAN, .*rounds otherwise"),
        (_uint8, r'"functional/tensor:0" is uint8, supported is int8; quantise'),
        (_batch, r"the first dimension must be a batch of 1"),
        (_two_outputs, "1 inputs and 2 outputs; one of each"),
        (_zero_scale, "has the scale 0"),
        (_far_scales, "too far apart"),
        (_overflow, "beyond int32"),
        (_reshaped, r"operator 2 .*reshaping is supported to flat and back only"),
        (_wrong_shape, r"its output is stated as \(1, 3, 4, 4\), its inputs make it \(4, 4, 4\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_named(make, text):
    with pytest.raises(ImportedModelError, match=text) as caught:
        import_tflite(make(), "their.tflite")
    assert str(caught.value).startswith("their.tflite: ") and "\n" not in str(caught.value)


def test_the_list_of_what_is_supported_holds_every_operator_of_the_corners():
    kinds = {op.kind for data in corners().values() for op in parse_tflite(data).ops}
    named = " ".join(SUPPORTED)
    assert all(kind in named for kind in kinds)


def test_fused_activations_by_hand():
    to = Quantisation(float(np.float32(6 / 255)), -128)  # 0 is -128, 6 is 127
    assert fused_relu("RELU6", to) is True
    assert fused_relu("NONE", to) is False
    assert fused_relu("RELU6", Quantisation(0.1, -128)) is None  # 6 is -68
    assert fused_relu("RELU", Quantisation(0.1, 5)) is True
    assert fused_relu("RELU_N1_TO_1", Quantisation(1 / 127, 0)) is None  # -1 is -127
    assert fused_relu("RELU_N1_TO_1", Quantisation(1 / 128, 0)) is False  # -1 is -128, 1 is 128
    assert fused_relu("TANH", to) is None
    assert fused_relu("RELU6", Quantisation(1.2e-38, 3)) is True  # 6 is beyond any number
    assert fused_relu("RELU_N1_TO_1", Quantisation(1.2e-38, 3)) is False


def test_means_of_few_values_by_brute_force():
    """Where "pool" or "ones" is said, an independent mean in exact fractions rounds alike wherever it is not near a tie."""
    same = Quantisation(0.05, -128)
    assert same_mean(4, same, Quantisation(0.04, -128)) == "ones"  # a power of two divides the multiplier exactly
    assert same_mean(15, Quantisation(0.031, -3), Quantisation(0.031, -3)) is None
    assert same_mean(1, same, same) == "pool"
    assert quantise_multiplier(1.0).mantissa == 1 << 30
