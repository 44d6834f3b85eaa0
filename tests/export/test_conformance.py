"""One IntegerModel, the same outputs everywhere: numpy, C, TensorFlow Lite Micro, LiteRT's reference kernels, ONNX Runtime."""

import subprocess
import sys

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from microzoo.export.onnx import onnx
from microzoo.export.tflite import tflite
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Pad
from microzoo.quantise.reference import evaluate, run, trace

from .c_program import build_program, run_program
from .networks import random_inputs

IMAGES = 4


@pytest.fixture(scope="module")
def cases(models):
    """Name -> (model, int8 inputs, the golden reference's int8 outputs)."""
    inputs = {name: random_inputs(model, IMAGES, seed) for seed, (name, model) in enumerate(models.items())}
    return {name: (model, inputs[name], run(model, inputs[name])) for name, model in models.items()}


def test_the_networks_hold_every_operator_and_varied_outputs(cases):
    kinds = {type(op) for model, _, _ in cases.values() for op in model.graph.ops}
    assert kinds == {Conv, Depthwise, Dense, MaxPool, AvgPool, Add, Pad, Flatten}
    assert np.mean([len(np.unique(outputs)) > 3 for _, _, outputs in cases.values()]) > 0.8


def test_the_dead_layers_are_zero_when_calibrated_and_wake_up_on_the_inputs(cases):
    for name, tensor in (
        ("a dead depthwise layer", "t0"),
        ("a dead branch of an addition", "t1"),
        ("a dead addition", "t2"),
    ):
        model, inputs, _ = cases[name]
        zero = model.tensors[tensor].zero_point
        calibrated = np.clip(inputs, model.tensors["input"].zero_point - 21, model.tensors["input"].zero_point + 21)
        assert (trace(model, calibrated)[tensor] == zero).all(), name  # 21 steps of 12 / 255: within [-1, 1]
        assert (trace(model, inputs)[tensor] > zero).any(), name


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("gcc", ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")),
        ("gcc", ("-O2",)),
        ("clang", ("-O2",)),
    ],
    ids=["gcc sanitised", "gcc", "clang"],
)
def test_generated_c_equals_the_reference(cases, tmp_path, compiler, flags):
    models = {name: model for name, (model, _, _) in cases.items()}
    program = build_program(models, tmp_path, compiler, flags)
    results = run_program(program, {name: inputs for name, (_, inputs, _) in cases.items()}, models)
    assert [name for name, (_, _, expected) in cases.items() if not np.array_equal(results[name], expected)] == []


TFLM_CHILD = """
import sys
import numpy as np
from tflite_micro import runtime
cases = np.load(sys.argv[1])
results = {}
for key in cases.files:
    if key.startswith("model"):
        interpreter = runtime.Interpreter.from_bytes(cases[key].tobytes(), arena_size=1 << 20)
        outputs = []
        for image in cases[key.replace("model", "input")]:
            interpreter.set_input(image[None], 0)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0)[0].copy())
        results[key.replace("model", "output")] = np.stack(outputs)
np.savez(sys.argv[2], **results)
"""


@pytest.mark.tflm
def test_tensorflow_lite_micro_equals_the_reference(cases, tmp_path):
    # In a child process: the interpreter kills its process on what it does not like.
    arrays = {}
    for index, (model, inputs, _) in enumerate(cases.values()):
        arrays |= {f"model{index}": np.frombuffer(tflite(model), np.uint8), f"input{index}": inputs}
    np.savez(tmp_path / "cases.npz", **arrays)
    command = [sys.executable, "-c", TFLM_CHILD, str(tmp_path / "cases.npz"), str(tmp_path / "results.npz")]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert child.returncode == 0, child.stderr[-2000:]
    results = np.load(tmp_path / "results.npz")
    different = [name for i, (name, case) in enumerate(cases.items()) if not np.array_equal(results[f"output{i}"], case[2])]
    assert different == []


def test_litert_reference_kernels_equal_the_reference_layer_by_layer(cases):
    # They round a fully connected layer once, TFLM and the reference twice: at most one step apart there.
    for name, (model, inputs, _) in cases.items():
        interpreter = Interpreter(
            model_content=tflite(model),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
            num_threads=1,
        )
        interpreter.allocate_tensors()
        index = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
        for image in inputs:
            interpreter.set_tensor(index[model.graph.input], image[None])
            interpreter.invoke()
            values = {tensor: interpreter.get_tensor(index[tensor]) for tensor in model.graph.shapes}
            for op in model.graph.ops:
                expected = evaluate(model, op, [values[tensor] for tensor in op.inputs])
                difference = np.abs(values[op.output].astype(int) - expected).max()
                assert difference <= isinstance(op, Dense), (name, op.name, difference)


def _session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def test_onnx_runtime_is_within_one_step_a_layer(cases):
    for name, (model, inputs, _) in cases.items():
        proto = onnx_library.load_from_string(onnx(model))
        known = {model.graph.input, model.graph.output}
        for tensor, shape in model.graph.shapes.items():
            if tensor not in known:
                dims = ["N", *([shape[2], *shape[:2]] if len(shape) == 3 else shape)]
                proto.graph.output.append(onnx_library.helper.make_tensor_value_info(tensor, onnx_library.TensorProto.INT8, dims))
        outputs = [output.name for output in proto.graph.output]
        results = _session(proto.SerializeToString()).run(outputs, {model.graph.input: inputs.transpose(0, 3, 1, 2)})
        values = {
            tensor: value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
            for tensor, value in zip(outputs, results, strict=True)
        }
        values[model.graph.input] = inputs
        for op in model.graph.ops:
            if isinstance(op, Flatten):  # in channels-first order for the dense layers that read it
                values[op.output] = values[op.input].reshape(len(inputs), -1)
                continue
            expected = evaluate(model, op, [values[tensor] for tensor in op.inputs])
            difference = np.abs(values[op.output].astype(int) - expected).max()
            assert difference <= 1, (name, op.name, difference)


def test_onnx_with_float_ends_is_the_same_network(cases):
    for name in list(cases)[::6]:
        model, inputs, _ = cases[name]
        source, target = (model.tensors[tensor] for tensor in (model.graph.input, model.graph.output))
        images = inputs.transpose(0, 3, 1, 2)
        (expected,) = _session(onnx(model)).run(None, {model.graph.input: images})
        real = ((images.astype(np.float32) - source.zero_point) * np.float32(source.scale)).astype(np.float32)
        (logits,) = _session(onnx(model, float_io=True)).run(None, {model.graph.input: real})
        assert logits.dtype == np.float32
        # The runtime fuses the two networks differently: one step of the output.
        real_logits = (expected.astype(np.float32) - target.zero_point) * target.scale
        np.testing.assert_allclose(logits, real_logits, rtol=1e-6, atol=1.001 * target.scale)


def test_trace_ends_in_run_and_does_not_depend_on_the_batch(cases, monkeypatch):
    for name in list(cases)[::10]:
        model, inputs, expected = cases[name]
        monkeypatch.setattr("microzoo.quantise.reference.BATCH_BYTES", 1)  # one image at a time
        one_by_one = trace(model, inputs)
        monkeypatch.undo()
        assert set(one_by_one) == set(model.graph.shapes)
        assert np.array_equal(one_by_one[model.graph.output], expected)
