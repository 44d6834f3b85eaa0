"""The child process that reads an .onnx: `python -m microzoo.measure.onnx_child MODEL GRAPH CONSTANTS SECONDS`.

MODEL: any file. GRAPH: where the graph goes as JSON, with all shapes inferred for a batch of 1. CONSTANTS: where the values of
initialisers go (.npz, by index), or "-". SECONDS: of processor time. What cannot be read ends the process with one line.
In place of all of them "-": see `microzoo.measure.ahead`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from microzoo.measure.ahead import told
from microzoo.measure.runtime_child import limit
from microzoo.measure.tflite_file import printable

TYPES = {
    1: "FLOAT32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "FLOAT16", 11: "FLOAT64",
    12: "UINT32", 13: "UINT64",
}  # fmt: skip
"""ONNX's numbers of element types -> the names that `measure.tflite_file` has for them."""
MAX_NODES = 10_000
DOMAINS = ("", "ai.onnx")


class Refusal(Exception):  # noqa: N818 - said to the user as it is
    """Why the file is not read."""


def read(data: bytes) -> onnx.ModelProto:
    """The model, if it is one that can be inspected: static but for the batch, without other files, functions or branches."""
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except Exception as error:
        raise Refusal("not an .onnx file: its bytes are no protobuf message of a model") from error
    graph = model.graph
    if not graph.node or not graph.output:
        raise Refusal("not an .onnx file: it holds no graph")
    if len(graph.node) > MAX_NODES:
        raise Refusal(f"{len(graph.node)} operators; at most {MAX_NODES:,} are read")
    if model.functions:
        raise Refusal(f'it defines the function "{model.functions[0].name}"; inline functions before')
    for node in graph.node:
        if node.domain not in DOMAINS:
            raise Refusal(f'the custom operator {node.domain}.{node.op_type}, written to "{"".join(node.output[:1])}"')
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise Refusal(f"{node.op_type} holds graphs of its own; only straight graphs are read")
    tensors = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise Refusal(f'the values of "{tensor.name}" are in another file; save the model as one file')
    if graph.sparse_initializer:
        raise Refusal("it holds sparse constants, which are not read")
    return model


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model for a batch of 1, every shape inferred anew from those of its inputs."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name in constants:
            continue
        if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
            raise Refusal(f'the input "{value.name}" is not a tensor of known rank')
        for place, size in enumerate(value.type.tensor_type.shape.dim):
            if size.WhichOneof("value") != "dim_value" or size.dim_value < 1:
                if place:
                    named = size.dim_param or size.dim_value or "?"
                    raise Refusal(
                        f'the input "{value.name}" has the dynamic dimension {place} ({named}); fix it and export again'
                    )
                size.dim_value = 1
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred: onnx.ModelProto = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise Refusal(f"its shapes do not hold together ({first[:200]})") from error
    return inferred


def described(model: onnx.ModelProto) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    """The graph as JSON holds it, and the values of its constants in the order of `constants`."""
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].HasField("t"):
            values[node.output[0]] = node.attribute[0].t
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if not a.HasField("t")}
        kept = {key: value.decode() if isinstance(value, bytes) else value for key, value in attributes.items()}
        nodes.append([node.op_type, list(node.input), list(node.output), {k: _plain(v) for k, v in kept.items()}])
    tensors = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        kind = value.type.tensor_type
        shape = [size.dim_value if size.WhichOneof("value") == "dim_value" else -1 for size in kind.shape.dim]
        tensors[value.name] = [TYPES.get(kind.elem_type, f"type {kind.elem_type}"), shape if kind.HasField("shape") else None]
    for name, tensor in values.items():
        tensors[name] = [TYPES.get(tensor.data_type, f"type {tensor.data_type}"), list(tensor.dims)]
    opset = max((entry.version for entry in model.opset_import if entry.domain in DOMAINS), default=0)
    inputs = [value.name for value in graph.input if value.name not in values]
    about = {
        "opset": opset, "nodes": nodes, "tensors": tensors, "inputs": inputs, "outputs": [value.name for value in graph.output],
        "constants": list(values),
    }  # fmt: skip
    try:
        return about, [numpy_helper.to_array(tensor) for tensor in values.values()]
    except Exception as error:
        raise Refusal(f"a constant cannot be read ({type(error).__name__})") from error


def _plain(value: Any) -> Any:
    return list(value) if not isinstance(value, str | int | float) else value


def main(arguments: list[str]) -> None:
    """Read one file within the limits."""
    source, to, constants, seconds = told(arguments)
    limit(int(seconds))
    about, values = described(with_shapes(read(Path(source).read_bytes())))
    if constants != "-":
        np.savez(constants, *values)
    Path(to).write_text(json.dumps(about))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refusal as refusal:
        sys.exit(printable(str(refusal)))
    except MemoryError:
        sys.exit("reading it takes more memory than is allowed")
    except Exception as error:  # noqa: BLE001 - a child answers its parent with one line and an exit code
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        sys.exit(printable(f"not a sound .onnx file ({first[:200]})"))
