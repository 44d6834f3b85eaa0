"""Small .onnx files in QDQ format, written node by node: what onnxruntime's quantizer never writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class OnnxModel:
    """Every method returns the name of what it writes. The input is "x"."""

    def __init__(self, shape: tuple[int, ...], *, opset: int = 13) -> None:
        self.rng = np.random.default_rng(0)
        self.shape, self.opset = shape, opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def quantised(self, x: str, scale: float = 0.05, zero: int = 0) -> str:
        """A QDQ pair."""
        parameters = self.constant(np.float32(scale)), self.constant(np.int8(zero))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *parameters), *parameters)

    def weights(self, *shape: int) -> str:
        values = self.constant(self.rng.integers(-127, 128, shape, dtype=np.int8))
        return self.node("DequantizeLinear", values, self.constant(np.float32(0.01)), self.constant(np.int8(0)))

    def conv(self, x: str, channels: int, filters: int, kernel: int = 1, scale: float = 0.2) -> str:
        return self.quantised(self.node("Conv", x, self.weights(filters, channels, kernel, kernel)), scale)

    def gemm(self, x: str, features: int, units: int, scale: float = 0.3) -> str:
        return self.quantised(self.node("Gemm", x, self.weights(units, features), transB=1), scale)

    def find(self, kind: str, place: int = 0) -> Any:
        return [node for node in self.nodes if node.op_type == kind][place]

    def data(self, output: str, kind: int = TensorProto.FLOAT) -> bytes:
        """kind: element type of the input."""
        ends = [
            helper.make_tensor_value_info("x", kind, self.shape),
            helper.make_tensor_value_info(output, TensorProto.FLOAT, None),
        ]
        graph = helper.make_graph(self.nodes, "g", ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)
        return bytes(model.SerializeToString())


def flat_sum() -> bytes:
    """The elements of a flattened map added to those of a product: the orders differ once maps are channels last."""
    m = OnnxModel((1, 2, 3, 3))
    flat = m.node("Flatten", m.conv(m.quantised("x"), 2, 2))
    return m.data(m.quantised(m.node("Add", flat, m.gemm(flat, 18, 18)), 0.4))


def broadcast_sum() -> bytes:
    """(1, 8, 1, 1) + (1, 8) is (1, 8, 1, 8)."""
    m = OnnxModel((1, 8, 1, 1))
    x = m.quantised("x")
    flat = m.node("Flatten", m.conv(x, 8, 8))
    return m.data(m.node("Flatten", m.quantised(m.node("Add", m.conv(x, 8, 8), flat), 0.4)))


def after_transpose(make: Callable[[OnnxModel, str], str]) -> bytes:
    """An operator of maps that reads what a Transpose has put channels last: 4 x 4 x 4, so that every shape fits."""
    m = OnnxModel((1, 4, 4, 4))
    moved = m.node("Transpose", m.conv(m.quantised("x"), 4, 4), perm=[0, 2, 3, 1])
    return m.data(make(m, moved))


def transposed_and_flat(*, added: bool) -> bytes:
    """Flattened with channels last, as the file says, then a product; added: to a product's elements, in the same order."""
    m = OnnxModel((1, 4, 3, 3))
    flat = m.node("Flatten", m.node("Transpose", m.conv(m.quantised("x"), 4, 4), perm=[0, 2, 3, 1]))
    if added:
        return m.data(m.quantised(m.node("Add", flat, m.gemm(flat, 36, 36)), 0.4))
    return m.data(m.gemm(flat, 36, 5))


def without_zero_point(*, opset: int) -> bytes:
    """int8 by the type alone: of the input (opset 13), or by output_dtype of a QuantizeLinear (21)."""
    m = OnnxModel((1, 2, 3, 3), opset=opset)
    q = "x" if opset == 13 else m.node("QuantizeLinear", "x", m.constant(np.float32(0.05)), output_dtype=TensorProto.INT8)
    x = m.node("DequantizeLinear", q, m.constant(np.float32(0.05)))
    flat = m.node("Flatten", m.conv(x, 2, 4, 3))
    return m.data(m.gemm(flat, 4, 5), TensorProto.INT8 if opset == 13 else TensorProto.FLOAT)
