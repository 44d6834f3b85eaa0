"""What stands in the .tflite besides the numbers that the conformance tests compare."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from microzoo.errors import ExportError
from microzoo.export.metadata import normalisation_text
from microzoo.export.plan import plan
from microzoo.export.tflite import VERSIONS, Builtin, min_runtime_version, tflite
from microzoo.graph.ops import Conv
from microzoo.measure.runtimes import TflmRuntime
from microzoo.quantise.reference import run
from microzoo.spec.dataset import Preprocess

from ..conformance.interpreters import vela  # noqa: TID252  # tests are no package with a name
from .networks import Builder, random_inputs, random_model


@pytest.fixture(scope="module")
def model(models):
    return models["branches of four"]


@pytest.fixture(scope="module")
def parsed(model):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(tflite(model, labels=("a", "é", "c", "d")), 0))


def _metadata(parsed, name: str) -> bytes:
    (entry,) = [entry for entry in parsed.metadata if entry.name == name.encode()]
    return bytes(parsed.buffers[entry.buffer].data)


def test_the_same_model_gives_the_same_bytes(model):
    data = tflite(model)
    assert data == tflite(model)
    assert data[4:8] == b"TFL3"


def test_signature_and_description(model, parsed):
    (graph,) = parsed.subgraphs
    source, target = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (list(source.shape), list(target.shape)) == ([1, 8, 8, 3], [1, 4])
    assert source.type == target.type == schema.TensorType.INT8
    assert source.quantization.scale[0] == np.float32(model.tensors["input"].scale)
    assert parsed.description == b"Microzoo int8 model"
    assert _metadata(parsed, "labels").decode() == "a\né\nc\nd"


def test_the_minimum_runtime_version_is_what_the_newest_operator_needs(parsed):
    assert _metadata(parsed, "min_runtime_version") == b"1.14.0" + bytes(10)
    assert min_runtime_version([Builtin.RESHAPE]) == "1.5.0"
    assert min_runtime_version([Builtin.RESHAPE, Builtin.ADD]) == "1.14.0"
    versions = {code.builtinCode: code.version for code in parsed.operatorCodes}
    assert versions == {builtin: VERSIONS[builtin] for builtin in versions}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "real = raw"),
        ({"scale": 1 / 255}, "real = raw * 0.00392156863"),
        ({"mean": 0.5, "std": 0.25}, "real = (raw - 0.5) / 0.25"),
        ({"scale": 0.5, "mean": -3.0}, "real = raw * 0.5 + 3"),
        ({"std": 2.0}, "real = raw / 2"),
    ],
)
def test_the_normalisation_is_a_formula_that_computes_the_real_input(fields, text):
    preprocess = Preprocess(raw_min=0.0, raw_max=255.0, **fields)
    assert normalisation_text(preprocess) == text
    for raw in (0.0, 1.0, 77.0, 255.0):
        real = (raw * preprocess.scale - preprocess.mean) / preprocess.std
        assert eval(text.removeprefix("real = "), {"raw": raw}) == pytest.approx(real, rel=1e-7)


@pytest.fixture(scope="module")
def full(model):
    """The file with everything that it can say."""
    preprocess = Preprocess(raw_min=0.0, raw_max=255.0, scale=1 / 255, mean=0.2860, std=0.3530)
    return tflite(model, labels=("a", "b", "c", "d"), normalisation=preprocess)


def test_metadata_are_few_bytes(model, full):
    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(full, 0))
    names = [entry.name.decode() for entry in parsed.metadata]
    assert names == ["OfflineMemoryAllocation", "min_runtime_version", "labels", "input_normalization"]
    assert _metadata(parsed, "input_normalization") == b"real = (raw * 0.00392156863 - 0.286) / 0.353"
    assert len(full) - len(tflite(model)) <= 256


def test_metadata_change_nothing_in_litert(model, full):
    images = random_inputs(model, 2, 0)
    for resolver in (OpResolverType.BUILTIN_REF, OpResolverType.AUTO):
        assert np.array_equal(litert_logits(full, images, resolver), litert_logits(tflite(model), images, resolver))


@pytest.mark.tflm
def test_metadata_change_nothing_in_tensorflow_lite_micro(model, full, tmp_path):
    images = random_inputs(model, 2, 0)
    (tmp_path / "model.tflite").write_bytes(full)
    assert np.array_equal(TflmRuntime().run(tmp_path / "model.tflite", images), run(model, images))


@pytest.mark.tflm  # the compiler's wheel exists for the same machines
def test_metadata_pass_the_ethos_u_compiler(full, tmp_path):
    assert vela([full], tmp_path) == [1.0]


def litert_logits(data: bytes, images: np.ndarray, resolver: OpResolverType) -> np.ndarray:
    interpreter = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    rows = []
    for image in images:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(rows)


def test_the_memory_plan_travels_along(model, parsed):
    values = np.frombuffer(_metadata(parsed, "OfflineMemoryAllocation"), "<i4")
    tensors = parsed.subgraphs[0].tensors
    assert values[:3].tolist() == [1, 0, len(tensors)]
    expected = plan(model.graph, 16).offsets
    assert [-1 if tensor.name is None else expected[tensor.name.decode()] for tensor in tensors] == values[3:].tolist()


def test_constants_are_aligned_to_sixteen_bytes(model):
    data = tflite(model)
    root = schema.Model.GetRootAsModel(data, 0)
    starts = []
    for index in range(root.BuffersLength()):
        buffer = root.Buffers(index)
        if not buffer.DataIsNone():
            starts.append(buffer.DataAsNumpy().ctypes.data - np.frombuffer(data, np.uint8).ctypes.data)
    assert len(starts) > 10
    assert all(start % 16 == 0 for start in starts)


def test_no_superfluous_quantisation_tables_and_names(parsed):
    (graph,) = parsed.subgraphs
    kinds = {Builtin.CONV_2D: False, Builtin.DEPTHWISE_CONV_2D: False, Builtin.FULLY_CONNECTED: True}
    seen = set()
    for op in graph.operators:
        builtin = parsed.operatorCodes[op.opcodeIndex].builtinCode
        if builtin in kinds:
            weight, bias = (graph.tensors[index] for index in op.inputs[1:])
            assert weight.name is None and bias.name is None
            assert len(weight.quantization.scale) == (1 if builtin == Builtin.FULLY_CONNECTED else bias.shape[0])
            assert (bias.quantization is not None) == kinds[builtin]  # TFLM compares that of a fully connected layer
            seen.add(builtin)
    assert seen == set(kinds)


def test_litert_runs_it_with_its_default_kernels_too(model):
    interpreter = Interpreter(model_content=tflite(model), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], random_inputs(model, 2, 0)[:1])
    interpreter.invoke()
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).shape == (1, 4)


def test_a_padding_that_tflite_lacks_is_refused(model):
    ops = tuple(
        replace(op, padding=(2, 0, 1, 1)) if isinstance(op, Conv) and op.name == "conv0" else op for op in model.graph.ops
    )
    with pytest.raises(ExportError, match=r"layer conv0: padding \(2, 0, 1, 1\) is neither valid nor same; put a Pad"):
        tflite(replace(model, graph=replace(model.graph, ops=ops)))


ARENA_CHILD = """
import sys
import numpy as np
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 20)
interpreter.set_input(np.zeros(interpreter.get_input_details(0)["shape"], np.int8), 0)
interpreter.invoke()
interpreter.print_allocations()
"""


@pytest.mark.tflm
def test_the_arena_head_of_tflm_is_the_planned_peak(tmp_path):
    # Sizes that are multiples of 16, so that alignment costs nothing: the head must be the live peak to the byte.
    b = Builder((16, 16, 1))
    x = b.conv("input", 16, 3, same=True)
    x = b.add(x, b.conv(x, 16, 3, same=True))
    b.dense(b.flatten(b.pool(x, "max", 4)), 10)
    model = random_model(b.graph(), 5)
    (tmp_path / "m.tflite").write_bytes(tflite(model))
    child = subprocess.run(
        [sys.executable, "-c", ARENA_CHILD, str(tmp_path / "m.tflite")], check=False, capture_output=True, text=True, timeout=60
    )
    assert child.returncode == 0, child.stderr
    head = int(re.search(r"head (\d+) bytes", child.stderr + child.stdout)[1])
    # Both maps of 16 x 16 x 16; the addition in place. Not in place it would be three of them.
    assert head == plan(model.graph, 16).peak_bytes == 2 * 16 * 16 * 16
