"""Models quantised by onnxruntime itself, and our own: the reference's arithmetic within one step of onnxruntime's a layer."""

import json
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from microzoo.errors import ExportError, ImportedModelError
from microzoo.export.onnx import onnx as exported
from microzoo.export.tflite import tflite
from microzoo.importer.builder import with_pads
from microzoo.importer.onnx import import_onnx
from microzoo.measure import onnx_child
from microzoo.measure.onnx_file import _graph, fused, read_onnx
from microzoo.quantise.reference import run

from ..export.networks import corner_graphs, random_graph, random_inputs  # noqa: TID252  # tests are no package with a name
from .integer import integer_model
from .onnx_like import OnnxModel, after_transpose, broadcast_sum, flat_sum, transposed_and_flat, without_zero_point


class Images(CalibrationDataReader):
    def __init__(self, shape, seed=0):
        self.left = iter(np.random.default_rng(seed).uniform(-1, 1, (16, 1, *shape)).astype(np.float32))

    def get_next(self):
        image = next(self.left, None)
        return None if image is None else {"x": image}


def float_model(seed: int = 0, *, softmax: bool = False) -> onnx.ModelProto:
    """As PyTorch exports: symmetric padding with a stride, a depthwise layer, a residual sum, global pooling, Flatten, Gemm."""
    rng = np.random.default_rng(seed)
    constants = []

    def weight(name, *shape):
        values = rng.normal(0, 1.4 / np.sqrt(np.prod(shape[1:]) or 1), shape).astype(np.float32)
        constants.append(numpy_helper.from_array(values, name))
        return name

    nodes = [
        helper.make_node("Conv", ["x", weight("w0", 8, 3, 3, 3), weight("b0", 8)], ["c0"], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", weight("w1", 8, 1, 3, 3), weight("b1", 8)], ["c1"], pads=[1] * 4, group=8),
        helper.make_node("Clip", ["c1", "zero", "six"], ["r1"]),
        helper.make_node("Conv", ["r1", weight("w2", 8, 8, 1, 1), weight("b2", 8)], ["c2"]),
        helper.make_node("Add", ["r0", "c2"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["m", weight("w3", 6, 8, 2, 2), weight("b3", 6)], ["c3"]),
        helper.make_node("Relu", ["c3"], ["r3"]),
        helper.make_node("GlobalAveragePool", ["r3"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", weight("w4", 5, 6), weight("b4", 5)], ["l" if softmax else "y"], transB=1),
    ]
    nodes += [helper.make_node("Softmax", ["l"], ["y"])] if softmax else []
    constants += [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("zero", 0), ("six", 6))]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["batch", 3, 12, 12]), ("y", ["batch", 5]))]
    graph = helper.make_graph(nodes, "torch", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantised(model, path, shape=(3, 12, 12), **options):
    """The file that onnxruntime's quantize_static writes."""
    onnx.save(model, path.with_suffix(".float.onnx"))
    settings = {"quant_format": QuantFormat.QDQ, "per_channel": True, "weight_type": QuantType.QInt8} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnxruntime's own
        quantize_static(str(path.with_suffix(".float.onnx")), str(path), Images(shape), **settings)
    return path


def in_onnxruntime(path, images):
    """Real outputs for real images (N, C, H, W), one by one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])


@pytest.mark.parametrize(
    "options",
    [
        {"activation_type": QuantType.QUInt8},
        {"activation_type": QuantType.QInt8},
        {"activation_type": QuantType.QInt8, "per_channel": False},
    ],
    ids=["uint8", "int8", "one scale"],
)
def test_what_quantize_static_writes(tmp_path, options):
    path = quantised(float_model(), tmp_path / "m.onnx", **options)
    found = import_onnx(path)
    model = found.model
    source, target = model.tensors["input"], model.tensors[model.graph.output]
    images = np.random.default_rng(5).uniform(-1, 1, (40, 3, 12, 12)).astype(np.float32)
    q = np.clip(np.rint(images.transpose(0, 2, 3, 1) / np.float32(source.scale)) + source.zero_point, -128, 127).astype(np.int8)
    ours = (run(model, q).astype(np.float64) - target.zero_point) * target.scale
    steps = np.abs(ours - in_onnxruntime(path, images)) / target.scale
    # Eight layers of at most a step each; a step of an early one is less than one of the output.
    assert steps.max() < 3.01 and np.mean(steps > 0.5) < 0.5, (steps.max(), np.mean(steps > 0.5))
    assert np.unique(run(model, q)).size > 40
    assert any("within" in note or "at most one step" in note for note in found.notes)
    with pytest.raises(ExportError, match="neither valid nor same"):
        tflite(model)
    assert np.array_equal(run(with_pads(model), q), run(model, q)) and tflite(with_pads(model))


def test_a_softmax_at_the_end(tmp_path):
    path = quantised(float_model(softmax=True), tmp_path / "m.onnx")
    with pytest.raises(ImportedModelError, match=r"\(Softmax, .*--drop-softmax"):
        import_onnx(path)
    assert any("softmax" in note for note in import_onnx(path, drop_softmax=True).notes)


def test_our_own_exports_come_back_with_the_same_arithmetic(tmp_path):
    graphs = {**corner_graphs(), "seed 3": random_graph(3)}
    for seed, name in enumerate(["branches of four", "kernel wider than the map, odd channels", "seed 3"]):
        model = integer_model(graphs[name], seed)
        (tmp_path / "m.onnx").write_bytes(exported(model, float_io=bool(seed % 2)))
        x = random_inputs(model, 4, seed)
        assert np.array_equal(run(import_onnx(tmp_path / "m.onnx").model, x), run(model, x)), name


def test_a_float_model_is_refused(tmp_path):
    onnx.save(float_model(), tmp_path / "m.onnx")
    with pytest.raises(
        ImportedModelError, match=r'operator 0 \(Conv, "c0"\): it reads "x", which is not a quantised tensor'
    ) as caught:
        import_onnx(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


def test_uint8_weights_are_refused(tmp_path):
    path = quantised(
        float_model(), tmp_path / "m.onnx", activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8, per_channel=False
    )
    with pytest.raises(ImportedModelError, match="quantise weights to int8, symmetric"):
        import_onnx(path)


MOVED = {
    "Conv": lambda m, x: m.conv(x, 4, 4, 3),
    "MaxPool": lambda m, x: m.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]),
    "AveragePool": lambda m, x: m.quantised(m.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), 0.2),
    "GlobalAveragePool": lambda m, x: m.quantised(m.node("GlobalAveragePool", x), 0.2),
    "ReduceMean": lambda m, x: m.quantised(m.node("ReduceMean", x, axes=[2, 3]), 0.2),
    "Pad": lambda m, x: m.node("Pad", x, m.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))),
}


@pytest.fixture
def in_process(monkeypatch):
    """What the child reads, read in this process: only its limits and its start are left out."""

    def read(path, *, values):
        assert values
        about, arrays = onnx_child.described(onnx_child.with_shapes(onnx_child.read(path.read_bytes())))
        held = dict(zip(about["constants"], arrays, strict=True))
        return _graph(json.loads(json.dumps(about)), held, path.stat().st_size, str(path))

    monkeypatch.setattr("microzoo.importer.onnx.read_onnx", read)


@pytest.fixture
def written(tmp_path):
    def write(data):
        (tmp_path / "m.onnx").write_bytes(data)
        return tmp_path / "m.onnx"

    return write


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("kind", MOVED)
def test_maps_that_a_transpose_put_channels_last_are_refused(written, kind):
    with pytest.raises(ImportedModelError, match=rf"\({kind}, .*was transposed to channels last; after that only"):
        import_onnx(written(after_transpose(MOVED[kind])))


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(("make", "text"), [(flat_sum, "the file's own order"), (broadcast_sum, r"\(1, 8, 1, 1\) and \(1, 8\)")])
def test_sums_of_elements_in_different_orders_are_refused(written, make, text):
    with pytest.raises(ImportedModelError, match=rf"\(Add, .*{text}"):
        import_onnx(written(make()))


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    "data",
    [
        without_zero_point(opset=13),
        without_zero_point(opset=21),
        transposed_and_flat(added=False),
        transposed_and_flat(added=True),
    ],
    ids=["int8 input", "output_dtype", "channels last and flat", "channels last, flat and added"],
)
def test_what_is_written_by_hand_is_within_a_step_a_layer_of_onnxruntime(written, data):
    path = written(data)
    model = import_onnx(path).model
    source, target = model.tensors["input"], model.tensors[model.graph.output]
    q = np.random.default_rng(2).integers(-128, 128, (30, *model.graph.input_shape), dtype=np.int8)
    images = q.transpose(0, 3, 1, 2)
    if onnx.load(path).graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT:
        images = (images.astype(np.float32) - source.zero_point) * np.float32(source.scale)
    ours = (run(model, q).astype(np.float64) - target.zero_point) * target.scale
    steps = np.abs(ours - in_onnxruntime(path, images)) / target.scale
    # A step of an early layer is less than one of the output, and clipped ones are equal.
    assert steps.max() < 2.01 and np.mean(steps > 0.5) < 0.5, (steps.max(), np.mean(steps > 0.5))
    assert np.unique(run(model, q)).size > 20


def test_the_shape_that_the_file_states_is_compared(written, monkeypatch):
    m = OnnxModel((1, 2, 3, 3))
    path = written(m.data(m.conv(m.quantised("x"), 2, 4)))
    graph = read_onnx(path, values=True)
    (output,) = graph.outputs
    monkeypatch.setattr("microzoo.importer.onnx.read_onnx", lambda *_, **__: graph)
    import_onnx(path)
    graph.shapes[output] = (1, 3, 4, 3)
    with pytest.raises(ImportedModelError, match=r"has the shape \(1, 3, 4, 3\) in the file, its inputs make it \(1, 4, 3, 3\)"):
        import_onnx(path)


def _attribute(kind, name, value):
    return lambda m: m.find(kind).attribute.append(helper.make_attribute(name, value))


def _one_input(kind):
    return lambda m: [m.find(kind).input.pop() for _ in range(2)]


def _mean_over(m):
    m.node("ReduceMean", m.find("DequantizeLinear").output[0], axes=3)


def _weights_without_scale(m):
    name = m.find("DequantizeLinear", 1).input[1]
    constant = next(each for each in m.constants if each.name == name)
    constant.CopyFrom(numpy_helper.from_array(np.zeros(0, np.float32), name))


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_one_input("QuantizeLinear"), r"operator 0 \(QuantizeLinear, .*malformed"),
        (_one_input("DequantizeLinear"), r"operator 1 \(DequantizeLinear, .*malformed"),
        (_attribute("Conv", "group", "abc"), r"operator 3 \(Conv, .*malformed .*'abc'\); export the model again"),
        (_mean_over, r"\(ReduceMean, .*malformed"),
        (_weights_without_scale, r"\(Conv, .*its weights have no scale"),
    ],
)
def test_malformed_operators_are_one_line(written, change, text):
    m = OnnxModel((1, 2, 3, 3))
    output = m.gemm(m.node("Flatten", m.conv(m.quantised("x"), 2, 4, 3)), 4, 5)
    change(m)
    with pytest.raises(ImportedModelError, match=text) as caught:
        import_onnx(written(m.data(output)))
    assert "\n" not in str(caught.value)


def test_an_attribute_of_another_type_is_no_window(written):
    m = OnnxModel((1, 4))
    path = written(m.data(m.node("Relu", "x", strides=[1.5, 0.0], kernel_shape=[0.5, 2.5])))
    (op,) = fused(read_onnx(path)).ops
    assert (op.kernel, op.stride) == (None, None)
