"""The interpreters that the conformance suite compares with the reference, each on many networks in one call."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from microzoo.export.onnx import onnx
from microzoo.export.tflite import tflite
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Flatten
from microzoo.measure.activations import peak_bytes
from microzoo.measure.runtimes import arena_budget
from microzoo.measure.tflite_file import read_tflite

Int8 = NDArray[np.int8]
Values = dict[str, Int8]
"""Tensor -> int8 (N, ...), as a runtime computed it."""

TFLM_CHILD = """
import os, sys
import numpy as np
from tflite_micro import runtime
cases = np.load(sys.argv[1])
results = {}
for index in range(len(cases.files) // 3):
    os.write(2, f"network {index}\\n".encode())
    arena = int(cases[f"arena{index}"])
    interpreter = runtime.Interpreter.from_bytes(cases[f"model{index}"].tobytes(), arena_size=arena)
    outputs = []
    for image in cases[f"input{index}"]:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0))[0])
    results[f"output{index}"] = np.stack(outputs)
    interpreter.print_allocations()
np.savez(sys.argv[2], **results)
"""

VELA_CHILD = """
import contextlib, io, sys
from pathlib import Path
from ethosu.vela.vela import main
for path in sorted(Path(sys.argv[1]).glob("n*.tflite")):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = main([str(path), "--accelerator-config", "ethos-u55-128", "--output-dir", sys.argv[2]])
    if status:
        sys.exit(f"{path.name}: {status}\\n{out.getvalue()[-1000:]}")
"""


def tflm(models: Sequence[IntegerModel], inputs: Sequence[Int8], folder: Path) -> tuple[list[Int8], list[int]]:
    """TensorFlow Lite Micro's logits of each network, and the head of its arena in bytes as its recorder reports it.

    In a child process: the interpreter kills its process on what it does not like.
    """
    arrays: dict[str, Any] = {}
    for index, (model, images) in enumerate(zip(models, inputs, strict=True)):
        path = folder / f"{index}.tflite"
        path.write_bytes(tflite(model))
        arena = arena_budget(peak_bytes(read_tflite(path)), path.stat().st_size)
        arrays |= {f"model{index}": np.fromfile(path, np.uint8), f"input{index}": images, f"arena{index}": np.array(arena)}
    np.savez(folder / "cases.npz", **arrays)
    log = _child(TFLM_CHILD, folder / "cases.npz", folder / "results.npz")
    heads = [int(head) for head in re.findall(r"Arena allocation head (\d+) bytes", log)]
    assert len(heads) == len(models), log[-1000:]
    with np.load(folder / "results.npz") as results:
        return [results[f"output{index}"] for index in range(len(models))], heads


def vela(files: Sequence[bytes], folder: Path) -> list[float]:
    """Compiles each .tflite for an Ethos-U55; the share of its operators that became one command stream for the NPU.

    1 where nothing but the "ethos-u" operator is left.
    """
    compiled = folder / "compiled"
    for index, content in enumerate(files):
        (folder / f"n{index:04}.tflite").write_bytes(content)
    _child(VELA_CHILD, folder, compiled)
    shares = []
    for index in range(len(files)):
        before, after = read_kinds(folder / f"n{index:04}.tflite"), read_kinds(compiled / f"n{index:04}_vela.tflite")
        left = [kind for kind in after if kind != "ethos-u"]
        shares.append(1 - len(left) / len(before) if len(left) < len(after) else 0.0)
    return shares


def read_kinds(path: Path) -> list[str]:
    """The operators of a .tflite: "ethos-u", or the number of a builtin one."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    codes = [model.operatorCodes[op.opcodeIndex] for op in model.subgraphs[0].operators]
    return [code.customCode.decode() if code.customCode else str(code.builtinCode) for code in codes]


def _child(program: str, *arguments: Path) -> str:
    """What the Python program wrote to standard error."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=560)
    assert child.returncode == 0, f"exit {child.returncode}: {child.stderr[-2000:]}"
    return child.stderr


def litert(model: IntegerModel, inputs: Int8) -> Values:
    """Every tensor as LiteRT's reference kernels compute it."""
    interpreter = Interpreter(
        model_content=tflite(model),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    index = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
    rows: dict[str, list[Int8]] = {name: [] for name in model.graph.shapes}
    for image in inputs:
        interpreter.set_tensor(index[model.graph.input], image[None])
        interpreter.invoke()
        for name, values in rows.items():
            values.append(interpreter.get_tensor(index[name]))
    return {name: np.concatenate(values) for name, values in rows.items()}


XNNPACK_FACTOR = 256.0
"""XNNPACK refuses an operator whose input scale * weight scale / output scale reaches this, and LiteRT the whole file with it."""


def largest_factor(model: IntegerModel) -> float:
    """Largest input scale * weight scale / output scale of any channel of any layer."""
    return max(
        float(model.weights[op.name].scales.max()) * model.tensors[op.inputs[0]].scale / model.tensors[op.output].scale
        for op in model.graph.ops
        if op.name in model.weights
    )


def litert_default(model: IntegerModel, inputs: Int8) -> Int8 | None:
    """Logits of LiteRT as it comes, with its XNNPACK kernels; None where these refuse the file."""
    interpreter = Interpreter(model_content=tflite(model), num_threads=1)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        if "XNNPACK" not in str(error):
            raise
        return None
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rows = []
    for image in inputs:
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(target))
    return np.concatenate(rows)


def session(data: bytes, *, optimised: bool = True) -> onnxruntime.InferenceSession:
    """One thread of the CPU; with all graph optimisations, which fuse QDQ into int8 kernels, or with none."""
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def onnx_layers(model: IntegerModel, inputs: Int8, *, optimised: bool) -> Values:
    """Every tensor as onnxruntime computes it, channels last; what Flatten writes is taken from what it reads."""
    graph = model.graph
    proto = onnx_library.load_from_string(onnx(model))
    outputs = [op.output for op in graph.ops if not isinstance(op, Flatten) or op.output == graph.output]
    for tensor in outputs:
        if tensor != graph.output:
            shape = graph.shapes[tensor]
            dims = ["N", *([shape[2], *shape[:2]] if len(shape) == 3 else shape)]
            proto.graph.output.append(onnx_library.helper.make_tensor_value_info(tensor, onnx_library.TensorProto.INT8, dims))
    results = session(proto.SerializeToString(), optimised=optimised).run(outputs, {graph.input: inputs.transpose(0, 3, 1, 2)})
    values = {graph.input: inputs}
    found = dict(zip(outputs, results, strict=True))
    for op in graph.ops:
        if op.output not in found:  # in channels-first order for the dense layers that read it
            values[op.output] = values[op.input].reshape(len(inputs), -1)
        else:
            value = found[op.output]
            values[op.output] = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    return values


def onnx_logits(model: IntegerModel, inputs: Int8, *, optimised: bool = True) -> Int8:
    """Logits of the file as published, int8 in and out."""
    planes = inputs.transpose(0, 3, 1, 2)
    (logits,) = session(onnx(model), optimised=optimised).run(None, {model.graph.input: planes})
    return logits


def onnx_float_logits(model: IntegerModel, inputs: Int8, *, optimised: bool = True) -> NDArray[np.float32]:
    """Logits of the file with float32 in and out, for the real values of `inputs`."""
    source = model.tensors[model.graph.input]
    real = (inputs.astype(np.float32) - np.float32(source.zero_point)) * np.float32(source.scale)
    (logits,) = session(onnx(model, float_io=True), optimised=optimised).run(
        None, {model.graph.input: real.transpose(0, 3, 1, 2)}
    )
    return logits


def versions() -> dict[str, str]:
    """Of the runtimes, and of the C compiler."""
    packages = ("tflite-micro", "ai-edge-litert", "onnx", "onnxruntime", "ethos-u-vela", "numpy")
    first = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()[0]
    return {package: version(package) for package in packages} | {"gcc": first.split()[-1]}
