"""ONNX export: enters an IntegerModel, leaves the bytes of a quantise-dequantise (QDQ) model, channels first.

Source: ONNX operator set 17 and ONNX Runtime's QDQ format: every activation and weight passes through QuantizeLinear and
DequantizeLinear with the IntegerModel's parameters; a runtime fuses them into int8 kernels. Per-tensor scales are 0-d.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

from microzoo.export.metadata import Normalisation, normalisation_text
from microzoo.graph.check import check
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, Shape

OPSET = 17
IR_VERSION = 8


def onnx(
    model: IntegerModel,
    *,
    float_io: bool = False,
    labels: tuple[str, ...] = (),
    normalisation: Normalisation | None = None,
) -> bytes:
    """The model as .onnx: input (N, C, H, W), output (N, classes), named as in the graph; any batch size.

    int8 in and out, or with `float_io` float32 in and out (quantised and dequantised inside). Opset, layout, scales and zero
    points of both ends, and, if given, the labels (one a line) and how raw values become the real input, stand in the model's
    metadata. The same model gives the same bytes. Raises ExportError where `graph.check` does.
    """
    check(model, labels)
    return _Writer(model, float_io).write(labels, normalisation)


def _channels_first(shape: Shape) -> list[int]:
    return [shape[2], shape[0], shape[1]] if len(shape) == 3 else list(shape)


class _Writer:
    """Collects nodes and constants of one model; used once."""

    def __init__(self, model: IntegerModel, float_io: bool) -> None:
        self.model, self.float_io = model, float_io
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.dequantised: dict[str, str] = {}

    def write(self, labels: tuple[str, ...], normalisation: Normalisation | None) -> bytes:
        graph = self.model.graph
        # With float ends the graph's own names belong to the float tensors that a user sees.
        self.inner = {
            name: f"{name}/int8" if self.float_io and name in (graph.input, graph.output) else name for name in graph.shapes
        }
        for name, quantisation in self.model.tensors.items():
            self._constant(f"{name}/scale", np.array(quantisation.scale, np.float32))
            self._constant(f"{name}/zero_point", np.array(quantisation.zero_point, np.int8))
        if self.float_io:
            self._quantise(graph.input, graph.input)
        for op in graph.ops:
            self._operator(op)
        if self.float_io:
            self._node("DequantizeLinear", self._quantised(graph.output), graph.output)
        kind = TensorProto.FLOAT if self.float_io else TensorProto.INT8
        ends = [
            helper.make_tensor_value_info(name, kind, ["N", *_channels_first(graph.shapes[name])])
            for name in (graph.input, graph.output)
        ]
        body = helper.make_graph(self.nodes, "microzoo", ends[:1], ends[1:], self.constants)
        proto = helper.make_model(
            body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="microzoo"
        )
        helper.set_model_props(proto, self._properties(labels, normalisation))
        checker.check_model(proto, full_check=True)
        data: bytes = proto.SerializeToString(deterministic=True)
        return data

    def _properties(self, labels: tuple[str, ...], normalisation: Normalisation | None) -> dict[str, str]:
        graph = self.model.graph
        properties = {
            "input_layout": "NCHW",
            "output_layout": "NC",
            "signature": "float32" if self.float_io else "int8",
            "opset": str(OPSET),
            "quantization": "real = scale * (q - zero_point)",
        }
        for end, name in (("input", graph.input), ("output", graph.output)):
            properties[f"{end}_scale"] = f"{np.float32(self.model.tensors[name].scale):.9g}"
            properties[f"{end}_zero_point"] = str(self.model.tensors[name].zero_point)
        if labels:
            properties["labels"] = "\n".join(labels)
        if normalisation is not None:
            properties["input_normalization"] = normalisation_text(normalisation)
        return properties

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def _quantised(self, name: str) -> list[str]:
        return [self.inner[name], f"{name}/scale", f"{name}/zero_point"]

    def _quantise(self, real: str, name: str) -> None:
        self._node("QuantizeLinear", [real, f"{name}/scale", f"{name}/zero_point"], self.inner[name])

    def _real(self, name: str, reader: str) -> str:
        """The dequantised form of a tensor for one reader: QDQ fusion wants a DequantizeLinear of its own for each."""
        return self._node("DequantizeLinear", self._quantised(name), f"{name}/for/{reader}")

    def _operator(self, op: Op) -> None:
        graph = self.model.graph
        # Add may read one tensor twice; each of its sides gets its own DequantizeLinear.
        inputs = [self._real(name, f"{op.name}/{side}") for side, name in enumerate(op.inputs)]
        result = f"{op.name}/real"
        match op:
            case Conv() | Depthwise():
                top, bottom, left, right = op.padding
                self._node(
                    "Conv",
                    inputs + self._parameters(op),
                    result,
                    kernel_shape=list(op.kernel),
                    strides=list(op.stride),
                    pads=[top, left, bottom, right],
                    group=graph.shapes[op.input][2] if isinstance(op, Depthwise) else 1,
                )
            case Dense():
                self._node("Gemm", inputs + self._parameters(op), result, transB=1)
            case Add():
                self._node("Add", inputs, result)
            case MaxPool():
                self._node("MaxPool", inputs, result, kernel_shape=list(op.kernel), strides=list(op.stride))
            case AvgPool():
                self._node("AveragePool", inputs, result, kernel_shape=list(op.kernel), strides=list(op.stride))
            case Pad():
                top, bottom, left, right = op.padding
                margins = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
                self._node("Pad", [*inputs, self._constant(f"{op.name}/pads", margins)], result)
            case Flatten():
                self._flatten(op, inputs[0], result)
        if getattr(op, "relu", False):
            result = self._node("Relu", [result], f"{op.name}/relu")
        self._quantise(result, op.output)

    def _flatten(self, op: Flatten, source: str, result: str) -> None:
        """Into (C, H, W) order where only dense layers read it (their weights are permuted), else into the graph's own."""
        if len(self.model.graph.shapes[op.input]) == 3 and not self._permuted(op):
            source = self._node("Transpose", [source], f"{op.name}/channels_last", perm=[0, 2, 3, 1])
        size = self.model.graph.shapes[op.output][0]
        self._node("Reshape", [source, self._constant(f"{op.name}/shape", np.array([-1, size], np.int64))], result)

    def _permuted(self, op: Flatten) -> bool:
        graph = self.model.graph
        return op.output != graph.output and all(isinstance(reader, Dense) for reader in graph.consumers(op.output))

    def _parameters(self, op: Conv | Depthwise | Dense) -> list[str]:
        """Dequantised weight, (K, C, kh, kw), (C, 1, kh, kw) or (units, F), and bias (K,)."""
        layer = self.model.weights[op.name]
        match op:
            case Conv():
                weight = layer.weight.transpose(0, 3, 1, 2)
            case Depthwise():
                weight = layer.weight.transpose(2, 0, 1)[:, None]
            case Dense():
                weight = self._dense_weight(op)
        scales = layer.scales[0] if isinstance(op, Dense) else layer.scales
        bias_scales = np.float32(self.model.tensors[op.input].scale) * scales
        return [
            self._parameter(f"{op.name}/weight", weight, np.asarray(scales, np.float32)),
            self._parameter(f"{op.name}/bias", layer.bias, np.asarray(bias_scales, np.float32)),
        ]

    def _dense_weight(self, op: Dense) -> NDArray[np.int8]:
        weight = self.model.weights[op.name].weight
        graph = self.model.graph
        for source in graph.ops:
            if isinstance(source, Flatten) and source.output == op.input and self._permuted(source):
                shape = graph.shapes[source.input]
                if len(shape) == 3:
                    return weight.reshape(-1, *shape).transpose(0, 3, 1, 2).reshape(len(weight), -1)
        return weight

    def _parameter(self, name: str, values: NDArray[Any], scales: NDArray[np.float32]) -> str:
        quantised = [
            self._constant(f"{name}/quantised", values),
            self._constant(f"{name}/scale", scales),
            self._constant(f"{name}/zero_point", np.zeros(scales.shape, values.dtype)),
        ]
        return self._node("DequantizeLinear", quantised, name, **({"axis": 0} if scales.ndim else {}))
