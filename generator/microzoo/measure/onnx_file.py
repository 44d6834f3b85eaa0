"""An .onnx in, its graph out, as it stands (`OnnxGraph`) and with quantisation fused (`fused`) for every figure that is counted.

How quantise-dequantise (QDQ) pairs are counted: a runtime that knows them runs int8 kernels, so what an operator reads through a
DequantizeLinear is the int8 tensor before it, and where the one reader of an operator's float output is a QuantizeLinear (a
Relu or Clip in between), what it writes is the int8 tensor after that. Those float tensors have no bytes; every other one has
four an element. A QuantizeLinear of the model's input and a DequantizeLinear before its output stay operators.

onnx itself runs in a child process with limits (`onnx_child`): this one never imports it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import MeasurementError
from microzoo.measure.ahead import ONNX_CHILD, Ahead, run_ahead
from microzoo.measure.scratch import scratch_folder
from microzoo.measure.tflite_file import ELEMENT_BYTES, MAX_FILE_BYTES, MAX_RANK, TfliteModel, TfliteOp, TfliteTensor, printable

SECONDS = 60.0
ACTIVATIONS = ("Relu", "Clip")


@dataclass(frozen=True)
class OnnxNode:
    """One operator; "" an input that is left out."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """One .onnx: nodes in file order, which is an order of execution; shapes with a batch of 1. values: of constants, if read."""

    nodes: tuple[OnnxNode, ...]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]
    values: dict[str, NDArray[Any]]
    file_bytes: int
    opset: int


def read_onnx(path: Path, *, values: bool = False, ahead: Ahead | None = None) -> OnnxGraph:
    """Read the file. values: its constants too; ahead: an `onnx_child` that waits already.

    Raises MeasurementError, one line, where it is no model that can be measured.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read ({error.strerror})", "check the path") from error
    if size > MAX_FILE_BYTES:
        raise MeasurementError(f"{path}: {size:,} bytes; at most {MAX_FILE_BYTES:,} are read", "give a smaller model")
    with scratch_folder() as scratch:
        graph, arrays = scratch / "graph.json", scratch / "constants.npz"
        command: list[str | Path] = [
            sys.executable,
            "-m",
            ONNX_CHILD,
            path.absolute(),
            graph,
            arrays if values else "-",
        ]
        run_ahead(ahead, [*command, str(int(SECONDS))], str(path), SECONDS)
        about = json.loads(graph.read_text())
        held: dict[str, NDArray[Any]] = {}
        if values:
            with np.load(arrays) as file:
                held = {name: file[f"arr_{index}"] for index, name in enumerate(about["constants"])}
    return _graph(about, held, size, str(path))


def _graph(about: dict[str, Any], values: dict[str, NDArray[Any]], size: int, where: str) -> OnnxGraph:
    """The graph that `onnx_child` describes, checked; names and texts are printable from here on."""
    about, values = _printable(about), {printable(name): array for name, array in values.items()}
    nodes = tuple(OnnxNode(kind, tuple(reads), tuple(writes), options) for kind, reads, writes, options in about["nodes"])
    shapes, dtypes = {}, {}
    used = {*about["inputs"], *about["outputs"], *(name for node in nodes for name in (*node.inputs, *node.outputs) if name)}
    for name in used:
        dtype, shape = about["tensors"].get(name, ["unknown", None])
        if shape is None or len(shape) > MAX_RANK or any(extent < (0 if name in about["constants"] else 1) for extent in shape):
            raise MeasurementError(f'{where}: the shape of "{name}" is not fixed by that of the inputs ({shape})')
        if dtype not in ELEMENT_BYTES:
            raise MeasurementError(f'{where}: tensor "{name}" is {dtype}; known are {", ".join(ELEMENT_BYTES)}')
        shapes[name], dtypes[name] = tuple(shape), dtype
    written = {*about["inputs"], *about["constants"]}
    for node in nodes:
        for name in node.inputs:
            if name and name not in written:
                raise MeasurementError(f'{where}: {node.kind} reads "{name}" before it is written')
        if not node.outputs or written.intersection(node.outputs) or not node.outputs[0]:
            raise MeasurementError(
                f'{where}: {node.kind} writes "{node.outputs[0] if node.outputs else ""}" a second time, or nothing'
            )
        written.update(name for name in node.outputs if name)
    if not about["inputs"] or not written.issuperset(about["outputs"]):
        raise MeasurementError(f"{where}: the graph lacks an input, or an output is never written")
    return OnnxGraph(
        nodes, shapes, dtypes, tuple(about["inputs"]), tuple(about["outputs"]), frozenset(about["constants"]), values, size,
        about["opset"],
    )  # fmt: skip


def _printable(value: Any) -> Any:
    """JSON with every text in it printable, keys too."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return {printable(key): _printable(each) for key, each in value.items()} if isinstance(value, dict) else value


def folded(graph: OnnxGraph) -> tuple[list[OnnxNode], dict[str, str]]:
    """The nodes without QDQ pairs, and for every tensor that fell away the one that stands for it (itself for all others)."""
    alias = {name: name for name in graph.shapes}
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(graph.outputs)
    nodes: list[OnnxNode] = []
    writer: dict[str, int] = {}
    for node in graph.nodes:
        source, result = node.inputs[0] if node.inputs else "", node.outputs[0]
        if node.kind == "DequantizeLinear" and result not in graph.outputs:
            alias[result] = alias[source]
            continue
        if node.kind == "QuantizeLinear" and source in writer and uses[source] == 1:
            index = writer[source]
            former = nodes[index]
            while former.kind in ACTIVATIONS and former.inputs[0] in writer and uses[former.inputs[0]] == 1:
                nodes[index] = OnnxNode("", (), (), {})
                index = writer[former.inputs[0]]
                former = nodes[index]
            nodes[index] = OnnxNode(former.kind, former.inputs, (result, *former.outputs[1:]), former.attributes)
            writer[result] = index
            continue
        writer |= dict.fromkeys(node.outputs, len(nodes))
        nodes.append(node)
    return [node for node in nodes if node.kind], alias


def fused(graph: OnnxGraph) -> TfliteModel:
    """The graph as figures are counted from it: `TfliteModel` with ONNX's operator names, QDQ pairs fused, channels first."""
    nodes, alias = folded(graph)
    order: dict[str, int] = {}
    for name in (*graph.inputs, *(each for node in nodes for each in (*node.inputs, *node.outputs) if each), *graph.outputs):
        order.setdefault(alias[name], len(order))
    constants = set(graph.constants)
    tensors = tuple(_tensor(graph, name, constant=name in constants) for name in order)
    ops = tuple(
        TfliteOp(
            node.kind,
            tuple(order[alias[name]] if name else -1 for name in node.inputs),
            tuple(order[alias[name]] for name in node.outputs if name),
            kernel=_pair(node.attributes.get("kernel_shape")),
            stride=_pair(node.attributes.get("strides")),
        )
        for node in nodes
    )
    inputs = tuple(order[alias[name]] for name in graph.inputs)
    return TfliteModel(tensors, ops, inputs, tuple(order[alias[name]] for name in graph.outputs), None, graph.file_bytes)


def _tensor(graph: OnnxGraph, name: str, *, constant: bool) -> TfliteTensor:
    shape, dtype = graph.shapes[name], graph.dtypes[name]
    return TfliteTensor(name, shape, dtype, prod(shape) * ELEMENT_BYTES[dtype], constant, (), ())


def _pair(values: Any) -> tuple[int, int] | None:
    """Two whole numbers; None for what any other operator may call so."""
    if not isinstance(values, list) or len(values) != 2 or not all(isinstance(each, int) for each in values):
        return None
    return values[0], values[1]
