"""What stands in the .onnx besides the numbers that the conformance tests compare."""

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest

from microzoo.export.onnx import IR_VERSION, OPSET, onnx
from microzoo.quantise.reference import run
from microzoo.spec.dataset import Preprocess

from .networks import Builder, random_inputs, random_model


@pytest.fixture(scope="module")
def model(models):
    return models["branches of four"]


def test_the_same_model_gives_the_same_bytes(model):
    assert onnx(model) == onnx(model)


@pytest.mark.parametrize("float_io", [False, True])
def test_signature_opset_and_metadata(model, float_io):
    proto = onnx_library.load_from_string(onnx(model, float_io=float_io, labels=("a", "b", "c", "d")))
    onnx_library.checker.check_model(proto, full_check=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", OPSET)]
    assert proto.ir_version == IR_VERSION
    (source,), (target,) = proto.graph.input, proto.graph.output
    kind = onnx_library.TensorProto.FLOAT if float_io else onnx_library.TensorProto.INT8
    assert source.type.tensor_type.elem_type == target.type.tensor_type.elem_type == kind
    assert [d.dim_param or d.dim_value for d in source.type.tensor_type.shape.dim] == ["N", 3, 8, 8]
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert np.float32(properties["input_scale"]) == np.float32(model.tensors["input"].scale)
    assert int(properties["output_zero_point"]) == model.tensors[model.graph.output].zero_point
    assert properties["input_layout"] == "NCHW"
    assert properties["labels"] == "a\nb\nc\nd"
    assert properties["opset"] == str(OPSET)
    assert properties["signature"] == ("float32" if float_io else "int8")
    assert "input_normalization" not in properties


def test_the_normalisation_stands_in_the_metadata(model):
    preprocess = Preprocess(raw_min=0.0, raw_max=255.0, scale=1 / 255, mean=0.5)
    proto = onnx_library.load_from_string(onnx(model, normalisation=preprocess))
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert properties["input_normalization"] == "real = raw * 0.00392156863 - 0.5"
    assert properties["quantization"] == "real = scale * (q - zero_point)"


def test_scales_of_activations_have_no_dimension(model):
    proto = onnx_library.load_from_string(onnx(model))
    dims = {constant.name: list(constant.dims) for constant in proto.graph.initializer}
    assert all(dims[f"{tensor}/scale"] == [] for tensor in model.graph.shapes)
    assert dims["conv0/weight/scale"] == [6]
    assert dims[f"{model.graph.ops[-1].name}/weight/scale"] == []


def test_what_is_flat_already_may_be_flattened_again():
    b = Builder((3, 2, 2))
    b.flatten(b.dense(b.flatten(b.flatten("input")), 4))
    model = random_model(b.graph(), 0)
    inputs = random_inputs(model, 5, 0)
    session = onnxruntime.InferenceSession(onnx(model))
    (found,) = session.run(None, {"input": inputs.transpose(0, 3, 1, 2)})
    assert np.abs(found.astype(int) - run(model, inputs)).max() <= 1
