"""Counts of anybody's operators, worked by hand, on files of several types, and what no rule counts."""

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from microzoo.errors import MeasurementError
from microzoo.measure.activations import peak_bytes
from microzoo.measure.inspect import MACS, MOVES, OTHER, inspected_layers, uncounted
from microzoo.measure.onnx_file import fused, read_onnx
from microzoo.measure.tflite_file import parse_tflite

from ..importer.tf_like import KINDS, TfModel, mobile  # noqa: TID252  # tests are no package with a name


def test_a_small_network_by_hand():
    layers = inspected_layers(parse_tflite(mobile()))
    # (12, 12, 3) -> conv 3x3/2 to (6, 6, 8): 288 values x 27; depthwise 3x3: 288 x 9; pointwise: 288 x 8; sum: 288; average of
    # 6 x 6: 288 reads; dense 8 to 5: 40; a softmax, which nothing counts.
    assert [layer.macs for layer in layers] == [7776, 2592, 2304, 0, 0, 40, None]
    assert [layer.other for layer in layers] == [0, 0, 0, 288, 288, 0, None]
    # 3 x 3 x 3 x 8 + 8; 3 x 3 x 8 + 8; 8 x 8 + 8; 8 x 5 + 5.
    assert [layer.parameters for layer in layers] == [224, 80, 72, 0, 0, 45, 0]
    assert [layer.weight_bytes for layer in layers] == [216 + 32, 72 + 32, 64 + 32, 0, 0, 40 + 20, 0]
    # input 432, maps 288, then 8, 5 and 5 bytes; the first map is kept for the sum.
    assert [layer.live_bytes for layer in layers] == [720, 576, 864, 864, 296, 13, 10]
    assert uncounted(layers) == {"SOFTMAX": 1}


def test_types_are_counted_by_their_size():
    for dtype, size in ((np.float32, 4), (np.uint8, 1), (np.int32, 4)):
        m = TfModel()
        x = m.tensor((1, 4, 4, 2), dtype=dtype)
        y = m.op("MUL", [x, x], m.tensor((1, 4, 4, 2), dtype=dtype), "MulOptions")
        model = parse_tflite(m.data([x], [y]))
        assert peak_bytes(model) == 2 * 32 * size
        assert [layer.other for layer in inspected_layers(model)] == [32]


def test_transposed_convolution_and_matrix_product_by_hand():
    m = TfModel()
    shape, weights = m.constant(np.array([1, 6, 6, 4], np.int32)), m.constant(np.ones((4, 2, 2, 3), np.float32))
    x = m.tensor((1, 3, 3, 3), dtype=np.float32)
    y = m.op(
        "TRANSPOSE_CONV",
        [shape, weights, x],
        m.tensor((1, 6, 6, 4), dtype=np.float32),
        "TransposeConvOptions",
        strideH=2,
        strideW=2,
    )
    z = m.op("BATCH_MATMUL", [y, y], m.tensor((1, 6, 6, 6), dtype=np.float32), "BatchMatMulOptions")
    # 27 inputs each meet 2 x 2 x 4 weights; 216 outputs are sums of 4 products.
    assert [layer.macs for layer in inspected_layers(parse_tflite(m.data([x], [z])))] == [27 * 16, 216 * 4]


def test_weights_that_no_such_operator_has_are_one_line():
    m = TfModel()
    x = m.tensor((1, 3, 3, 3), 0.1)
    y = m.op("CONV_2D", [x, m.constant(np.ones((2, 2), np.int8), 0.1)], m.tensor((1, 3, 3, 2), 0.1), "Conv2DOptions", strideH=1)
    with pytest.raises(MeasurementError, match=r"operator 0 \(CONV_2D, .*input 1 should have 4 dimensions"):
        inspected_layers(parse_tflite(m.data([x], [y])))


def test_the_rules_name_operators_that_exist():
    onnx_names = {each.name for each in onnx.defs.get_all_schemas()}
    for table in (MACS, OTHER, MOVES):
        assert {name for name in table if name not in KINDS and name not in onnx_names} == set()
    assert not set(MACS) & set(OTHER) and not MOVES & (set(MACS) | set(OTHER))


def test_a_batch_of_unknown_size_is_one():
    data = mobile()
    assert schema.Model.GetRootAsModel(data, 0).Subgraphs(0).Tensors(0).ShapeSignature(0) == -1
    assert parse_tflite(data).tensors[0].shape == (1, 12, 12, 3)


def _qdq() -> onnx.ModelProto:
    """float x -> Q -> DQ -> Conv -> Relu -> Q -> DQ -> Add with itself -> Q -> DQ -> float y."""
    w = numpy_helper.from_array(np.ones((4, 2, 3, 3), np.int8), "w")
    constants = [w, *(numpy_helper.from_array(np.array(v, t), n) for n, v, t in (("s", 0.1, np.float32), ("z", 0, np.int8)))]
    nodes = []
    for real, quantised in (("x", "xq"), ("r", "rq"), ("a", "aq")):
        nodes.append(helper.make_node("QuantizeLinear", [real, "s", "z"], [quantised]))
        nodes.append(helper.make_node("DequantizeLinear", [quantised, "s", "z"], [f"{quantised}d" if quantised != "aq" else "y"]))
    nodes.insert(2, helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wd"]))
    nodes.insert(3, helper.make_node("Conv", ["xqd", "wd"], ["c"]))
    nodes.insert(4, helper.make_node("Relu", ["c"], ["r"]))
    nodes.insert(7, helper.make_node("Add", ["rqd", "rqd"], ["a"]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["N", 2, 8, 8]), ("y", ["N", 4, 6, 6]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_quantised_onnx_is_counted_as_its_fused_kernels(tmp_path):
    (tmp_path / "m.onnx").write_bytes(_qdq().SerializeToString())
    model = fused(read_onnx(tmp_path / "m.onnx"))
    layers = inspected_layers(model)
    assert [layer.kind for layer in layers] == ["QuantizeLinear", "Conv", "Add", "DequantizeLinear"]
    assert [layer.macs for layer in layers] == [0, 6 * 6 * 4 * 2 * 9, 0, 0]
    # float x 512 B and its int8 form 128 B; conv 128 + 144; sum 144 + 144; int8 144 B and float y 576 B.
    assert [layer.live_bytes for layer in layers] == [640, 272, 288, 720]
    assert [layer.weight_bytes for layer in layers][1] == 72
