"""TFLite export: enters an IntegerModel, leaves the bytes of a fully-int8 .tflite, written directly as a flatbuffer.

Source: TensorFlow Lite's schema.fbs (version 3) and 8-bit quantisation specification. The memory plan travels along as TFLM's
`OfflineMemoryAllocation` metadata (tensorflow/lite/micro/docs/memory_management.md), so that the arena's head is the live peak
with each tensor filled up to 16 bytes, and additions happen in place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from microzoo.errors import ExportError
from microzoo.export.metadata import Normalisation, normalisation_text
from microzoo.export.plan import plan
from microzoo.graph.check import check
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, Quantisation
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, same_padding

ARENA_ALIGNMENT = 16
"""TFLM's MicroArenaBufferAlignment. TFLM takes offline offsets of any alignment, but it puts the kernels' scratch buffers right
behind offline tensors without aligning them again, and CMSIS-NN and NPUs read those and the tensors in words and vectors.
"""

OFFLINE_PLAN_VERSION = 1

Builtin = schema.BuiltinOperator
VERSIONS: dict[int, int] = {
    Builtin.CONV_2D: 3,
    Builtin.DEPTHWISE_CONV_2D: 3,
    Builtin.FULLY_CONNECTED: 4,
    Builtin.MAX_POOL_2D: 2,
    Builtin.AVERAGE_POOL_2D: 2,
    Builtin.ADD: 2,
    Builtin.PAD: 2,
    Builtin.RESHAPE: 1,
}
"""Builtin operator -> the first version of it with int8 tensors (per-channel weights for convolutions)."""


MIN_RUNTIME: dict[int, str] = dict.fromkeys(VERSIONS, "1.14.0") | {Builtin.RESHAPE: "1.5.0"}
"""Builtin operator -> first TensorFlow whose TFLite runtime has it in that version (TensorFlow's runtime_version.cc)."""

RUNTIME_BYTES = 16
"""TFLite's converter fills the metadata min_runtime_version up to so many bytes with zeros."""


def tflite(
    model: IntegerModel,
    *,
    description: str = "Microzoo int8 model",
    labels: tuple[str, ...] = (),
    normalisation: Normalisation | None = None,
) -> bytes:
    """The model as .tflite: input int8 (1, H, W, C), output int8 (1, classes), operators in the graph's order.

    labels: class names in the order of the logits; given, they are the metadata "labels", one a line. normalisation: from raw
    values to the real input; given, it is the metadata "input_normalization", a formula. Biases of convolutions carry no scale
    of their own (it is input * weight, and no runtime reads it), constants no name. The same model gives the same bytes.
    Raises ExportError where `graph.check` does, and on a padding that TFLite cannot express (neither valid nor same).
    """
    check(model, labels)
    return _Writer(model).write(description, labels, normalisation)


def padding_kind(graph: Graph, op: Conv | Depthwise) -> int:
    """VALID or SAME of the schema. Raises ExportError on any other padding."""
    height, width, _ = graph.shapes[op.input]
    if not any(op.padding):
        return int(schema.Padding.VALID)
    if op.padding == same_padding(height, width, op.kernel, op.stride):
        return int(schema.Padding.SAME)
    raise ExportError(f"layer {op.name}: padding {op.padding} is neither valid nor same", "put a Pad operator before it")


def min_runtime_version(builtins: Iterable[int]) -> str:
    """The newest of the versions that `builtins` need."""
    return max((MIN_RUNTIME[builtin] for builtin in builtins), key=lambda text: tuple(map(int, text.split("."))))


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data starts at a multiple of 16 bytes, as schema.fbs demands and microcontrollers need.

    The generated class packs bytes unaligned.
    """

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the generated name
        if self.data is None:
            return int(super().Pack(builder))
        data: bytes = self.data
        builder.StartVector(1, len(data), 16)
        builder.head = builder.Head() - len(data)
        builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class _Writer:
    """Collects the tables of one model; used once."""

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.buffers: list[Any] = [_Buffer()]  # buffer 0 is empty by convention and stands for "no data"
        self.tensors: list[Any] = []
        self.codes: list[int] = []
        self.metadata: list[Any] = []

    def write(self, description: str, labels: tuple[str, ...], normalisation: Normalisation | None) -> bytes:
        graph = self.model.graph
        index: dict[str, int] = {}
        for name, shape in graph.shapes.items():
            index[name] = self._tensor(name, (1, *shape), schema.TensorType.INT8, _per_tensor(self.model.tensors[name]))
        operators = [self._operator(op, index) for op in graph.ops]
        self._embed_plan(index)
        self._metadata("min_runtime_version", min_runtime_version(self.codes).encode().ljust(RUNTIME_BYTES, b"\0"))
        if labels:
            self._metadata("labels", "\n".join(labels).encode())
        if normalisation is not None:
            self._metadata("input_normalization", normalisation_text(normalisation).encode())
        subgraph = schema.SubGraphT(
            tensors=self.tensors, inputs=[index[graph.input]], outputs=[index[graph.output]], operators=operators, name="main"
        )
        root = schema.ModelT(
            version=3,
            operatorCodes=[_code(builtin) for builtin in self.codes],
            subgraphs=[subgraph],
            description=description,
            buffers=self.buffers,
            metadata=self.metadata,
        )
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(root.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _operator(self, op: Op, index: dict[str, int]) -> Any:
        inputs = [index[name] for name in op.inputs]
        if isinstance(op, Conv | Depthwise | Dense):
            inputs += self._parameters(op)
        elif isinstance(op, Pad):
            top, bottom, left, right = op.padding
            margins = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], "<i4")
            inputs.append(self._constant(margins, schema.TensorType.INT32))
        builtin, kind, options = _options(self.model.graph, op)
        if builtin not in self.codes:
            self.codes.append(builtin)
        return schema.OperatorT(
            opcodeIndex=self.codes.index(builtin),
            inputs=inputs,
            outputs=[index[op.output]],
            builtinOptionsType=kind,
            builtinOptions=options,
        )

    def _parameters(self, op: Conv | Depthwise | Dense) -> list[int]:
        """Weight and bias tensors of one layer: (K, kh, kw, C), (1, kh, kw, C) or (units, F), and (K,)."""
        layer = self.model.weights[op.name]
        weight, axis = (layer.weight[None], 3) if isinstance(op, Depthwise) else (layer.weight, 0)
        scales = schema.QuantizationParametersT(
            scale=[float(scale) for scale in layer.scales], zeroPoint=[0] * len(layer.scales), quantizedDimension=axis
        )
        bias_scale = None
        if isinstance(op, Dense):  # TFLM compares this one with input * weight, and refuses the model where they differ
            product = np.float32(self.model.tensors[op.input].scale) * layer.scales[0]
            bias_scale = schema.QuantizationParametersT(scale=[float(product)], zeroPoint=[0])
        return [
            self._constant(weight, schema.TensorType.INT8, scales),
            self._constant(layer.bias.astype("<i4"), schema.TensorType.INT32, bias_scale),
        ]

    def _constant(self, values: NDArray[Any], kind: int, quantisation: Any = None) -> int:
        """A tensor without a name: names are bytes of flash, and a layer is known by the tensor that it writes."""
        return self._tensor(None, values.shape, kind, quantisation, self._buffer(values.tobytes()))

    def _tensor(self, name: str | None, shape: tuple[int, ...], kind: int, quantisation: Any, buffer: int = 0) -> int:
        self.tensors.append(schema.TensorT(shape=list(shape), type=kind, buffer=buffer, name=name, quantization=quantisation))
        return len(self.tensors) - 1

    def _buffer(self, data: bytes) -> int:
        self.buffers.append(_Buffer(data=data))
        return len(self.buffers) - 1

    def _metadata(self, name: str, data: bytes) -> None:
        self.metadata.append(schema.MetadataT(name=name, buffer=self._buffer(data)))

    def _embed_plan(self, index: dict[str, int]) -> None:
        """int32: version, subgraph, number of tensors, then an offset for each tensor, -1 for constants."""
        offsets = np.full(len(self.tensors), -1, "<i4")
        for name, offset in plan(self.model.graph, ARENA_ALIGNMENT).offsets.items():
            offsets[index[name]] = offset
        header = np.array([OFFLINE_PLAN_VERSION, 0, len(offsets)], "<i4")
        self._metadata("OfflineMemoryAllocation", header.tobytes() + offsets.tobytes())


def _per_tensor(quantisation: Quantisation) -> Any:
    return schema.QuantizationParametersT(scale=[quantisation.scale], zeroPoint=[quantisation.zero_point])


def _code(builtin: int) -> Any:
    return schema.OperatorCodeT(deprecatedBuiltinCode=min(builtin, 127), version=VERSIONS[builtin], builtinCode=builtin)


def _options(graph: Graph, op: Op) -> tuple[int, int, Any]:
    """Builtin operator, kind of its options table, and that table."""
    kinds, relu = schema.BuiltinOptions, schema.ActivationFunctionType.RELU if getattr(op, "relu", False) else 0
    match op:
        case Conv():
            conv = schema.Conv2DOptionsT(
                padding=padding_kind(graph, op), strideH=op.stride[0], strideW=op.stride[1], fusedActivationFunction=relu
            )
            return Builtin.CONV_2D, kinds.Conv2DOptions, conv
        case Depthwise():
            depthwise = schema.DepthwiseConv2DOptionsT(
                padding=padding_kind(graph, op),
                strideH=op.stride[0],
                strideW=op.stride[1],
                depthMultiplier=1,
                fusedActivationFunction=relu,
            )
            return Builtin.DEPTHWISE_CONV_2D, kinds.DepthwiseConv2DOptions, depthwise
        case Dense():
            return (
                Builtin.FULLY_CONNECTED,
                kinds.FullyConnectedOptions,
                schema.FullyConnectedOptionsT(fusedActivationFunction=relu),
            )
        case MaxPool() | AvgPool():
            pool = schema.Pool2DOptionsT(
                padding=schema.Padding.VALID,
                strideH=op.stride[0],
                strideW=op.stride[1],
                filterHeight=op.kernel[0],
                filterWidth=op.kernel[1],
            )
            return (Builtin.MAX_POOL_2D if isinstance(op, MaxPool) else Builtin.AVERAGE_POOL_2D), kinds.Pool2DOptions, pool
        case Add():
            return Builtin.ADD, kinds.AddOptions, schema.AddOptionsT(fusedActivationFunction=relu, potScaleInt16=False)
        case Pad():
            return Builtin.PAD, kinds.PadOptions, schema.PadOptionsT()
        case Flatten():
            return Builtin.RESHAPE, kinds.ReshapeOptions, schema.ReshapeOptionsT(newShape=[1, *graph.shapes[op.output]])
