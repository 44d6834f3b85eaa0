"""Bytes of a .tflite in, a checked `TfliteModel` out: the graph as the file states it, for every figure that is counted from it.

The flatbuffer is read through the lazy accessors of ai_edge_litert's generated schema, never through its object API: an accessor
reads within the bytes or fails, whereas the object API walks whatever length a damaged vector claims. Every count is checked
against the size of the file before anything loops over it, so that time and memory stay bounded on any bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from microzoo.errors import MeasurementError

IDENTIFIER = b"TFL3"
OFFLINE_PLAN = "OfflineMemoryAllocation"
MAX_FILE_BYTES = 1 << 28
MAX_OPERATORS = 10_000
MAX_RANK = 8
MAX_TENSOR_BYTES = 1 << 40
ELEMENT_BYTES = {
    "FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "UINT8": 1, "INT64": 8, "BOOL": 1, "INT16": 2, "INT8": 1, "FLOAT64": 8,
    "UINT64": 8, "UINT32": 4, "UINT16": 2,
}  # fmt: skip
"""Bytes of an element by the schema's type name. Strings, resources and packed 4-bit types have no row: they are refused."""

# What flatbuffers, struct and numpy raise when an offset, a length or a text in the file is wrong.
DAMAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, KeyError, AssertionError)


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor of the file. `shape` with batch; `bytes` of its elements; `constant` where the file holds its values;
    `axis`: the dimension along which several `scales` lie.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class TfliteOp:
    """One operator. `kind` is TFLite's builtin name; tensors by index, -1 an input that is left out; `kernel` of pooling only,
    since a convolution's stands in the shape of its weights. `activation`: the fused one by its name in the schema, or NONE.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    dilation: tuple[int, int] = (1, 1)
    padding: str | None = None
    activation: str = "NONE"

    @property
    def relu(self) -> bool:
        """Whether a fused activation clips below."""
        return self.activation in ("RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True)
class TfliteModel:
    """One .tflite with one subgraph, operators in file order, which is the order of execution.

    offline_offsets: per tensor its byte offset in TFLM's arena as the file's OfflineMemoryAllocation metadata places it, -1 where
    it leaves that to the runtime; None without such metadata. file_bytes: size of the file.
    """

    tensors: tuple[TfliteTensor, ...]
    ops: tuple[TfliteOp, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    offline_offsets: tuple[int, ...] | None
    file_bytes: int


def printable(name: str) -> str:
    """A name from a file, safe for a terminal and a line of text: control characters, other unprintable ones and backslashes are
    escaped as Python does. Different names stay different.
    """
    return "".join(char if char.isprintable() and char != "\\" else char.encode("unicode_escape").decode() for char in name)


def read_tflite(path: Path) -> TfliteModel:
    """Parse the file. Raises MeasurementError where it cannot be read or is not a model that can be measured."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise MeasurementError(f"{path}: {size:,} bytes; at most {MAX_FILE_BYTES:,} are read", "give a smaller model")
        data = path.read_bytes()
    except OSError as error:
        raise MeasurementError(f"{path}: cannot be read ({error.strerror})", "check the path") from error
    return parse_tflite(data, str(path))


def parse_tflite(data: bytes, where: str = ".tflite") -> TfliteModel:
    """Parse the bytes of a .tflite; `where` names them in errors.

    Raises MeasurementError, one line, on anything that is not a flatbuffer with TFLite's identifier, one subgraph, static shapes,
    known element types, and indices, offsets and constant sizes that hold together.
    """
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise MeasurementError(f"{where}: not a .tflite file: bytes 4 to 7 are {data[4:8]!r} instead of {IDENTIFIER!r}")
    try:
        return _Parser(data, where).model()
    except DAMAGE as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MeasurementError(f"{where}: damaged flatbuffer ({cause})", "export or download the file again") from error


def constants(data: bytes, where: str = ".tflite") -> dict[int, bytes]:
    """Tensor index -> the bytes that the file holds for it, little-endian, of each constant tensor.

    Raises what `parse_tflite` does, since nothing is read before everything has been checked.
    """
    model = parse_tflite(data, where)
    parser = _Parser(data, where)
    graph = parser.root.Subgraphs(0)
    found = {}
    for index, tensor in enumerate(model.tensors):
        if tensor.constant:
            buffer = parser.root.Buffers(graph.Tensors(index).Buffer())
            outside = buffer.Offset() > 1
            start, size = buffer.Offset(), buffer.Size()
            found[index] = data[start : start + size] if outside else buffer.DataAsNumpy().tobytes()
    return found


class _Parser:
    """Reads one flatbuffer. `where` names it in errors."""

    def __init__(self, data: bytes, where: str) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.data = data
        self.where = where
        self.schema: Any = schema
        self.root: Any = schema.Model.GetRootAsModel(data, 0)
        self.types = _names(schema.TensorType)
        self.kinds = _names(schema.BuiltinOperator)
        self.activations = _names(schema.ActivationFunctionType)
        self.paddings = _names(schema.Padding)
        self.operands = 0

    def refuse(self, problem: str) -> MeasurementError:
        return MeasurementError(f"{self.where}: {problem}")

    def count(self, what: str, length: int) -> range:
        """Indices of a vector whose elements take four bytes or more. Refuses a length that the file cannot hold."""
        if not 0 <= length <= len(self.data) // 4:
            raise self.refuse(f"damaged flatbuffer: {length} {what} in a file of {len(self.data)} bytes")
        return range(length)

    def model(self) -> TfliteModel:
        if self.root.SubgraphsLength() != 1:
            raise self.refuse(f"{self.root.SubgraphsLength()} subgraphs; models of exactly one can be measured")
        graph = self.root.Subgraphs(0)
        if graph.OperatorsLength() > MAX_OPERATORS:
            raise self.refuse(f"{graph.OperatorsLength()} operators; at most {MAX_OPERATORS:,} can be measured")
        tensors = self.tensors(graph)
        ops = tuple(self.op(graph.Operators(i), i, len(tensors)) for i in self.count("operators", graph.OperatorsLength()))
        inputs = self.indices("graph inputs", graph.InputsLength(), graph.InputsAsNumpy, len(tensors), absent=False)
        outputs = self.indices("graph outputs", graph.OutputsLength(), graph.OutputsAsNumpy, len(tensors), absent=False)
        self.check_order(tensors, ops, inputs, outputs)
        return TfliteModel(tensors, ops, inputs, outputs, self.offline_offsets(len(tensors)), len(self.data))

    def tensors(self, graph: Any) -> tuple[TfliteTensor, ...]:
        buffers = self.root.BuffersLength()
        self.count("buffers", buffers)
        tensors, name_bytes = [], 0
        for index in self.count("tensors", graph.TensorsLength()):
            tensor = graph.Tensors(index)
            raw_name: bytes = tensor.Name() or b""
            name_bytes += len(raw_name)
            if name_bytes > len(self.data):
                raise self.refuse("damaged flatbuffer: the names of the tensors are longer than the file")
            tensors.append(self.tensor(tensor, printable(raw_name.decode()) or f"tensor{index}", buffers))
        return tuple(tensors)

    def tensor(self, tensor: Any, name: str, buffers: int) -> TfliteTensor:
        shape = self.shape(tensor, name)
        dtype = self.types.get(tensor.Type(), f"type {tensor.Type()}")
        if dtype not in ELEMENT_BYTES:
            raise self.refuse(f'tensor "{name}" is {dtype}; known are {", ".join(ELEMENT_BYTES)}')
        size = prod(shape) * ELEMENT_BYTES[dtype]
        if size > MAX_TENSOR_BYTES:
            raise self.refuse(f'tensor "{name}" of shape {shape} would take {size:,} bytes')
        if not 0 <= tensor.Buffer() < buffers:
            raise self.refuse(f'tensor "{name}" names buffer {tensor.Buffer()} of {buffers}')
        stored = self.buffer_bytes(self.root.Buffers(tensor.Buffer()), name)
        if stored not in (0, size):
            raise self.refuse(f'tensor "{name}" of shape {shape} needs {size} bytes, its buffer holds {stored}')
        quantisation = tensor.Quantization()
        scales, zero_points = self.quantisation(quantisation, name)
        axis = quantisation.QuantizedDimension() if quantisation is not None else 0
        return TfliteTensor(name, shape, dtype, size, stored > 0, scales, zero_points, axis)

    def shape(self, tensor: Any, name: str) -> tuple[int, ...]:
        if not 0 <= tensor.ShapeLength() <= MAX_RANK or not 0 <= tensor.ShapeSignatureLength() <= MAX_RANK:
            raise self.refuse(f'tensor "{name}" has {tensor.ShapeLength()} dimensions; at most {MAX_RANK} are known')
        shape = tuple(tensor.Shape(i) for i in range(tensor.ShapeLength()))
        signature = tuple(tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength()))
        if -1 in signature[1:] or (signature[:1] == (-1,) and shape[:1] != (1,)):
            raise self.refuse(f'tensor "{name}" has the dynamic shape {signature}; fix its dimensions and convert again')
        if any(size < 1 for size in shape):
            raise self.refuse(f'tensor "{name}" has the shape {shape}; dimensions must be at least 1')
        return shape

    def buffer_bytes(self, buffer: Any, name: str) -> int:
        """Bytes that a buffer holds in the flatbuffer, or behind it by offset and size as files over 2 GB do."""
        if buffer.Offset() > 1:
            if buffer.Offset() + buffer.Size() > len(self.data):
                raise self.refuse(f'the buffer of tensor "{name}" ends behind the file')
            return int(buffer.Size())
        return 0 if buffer.DataLength() == 0 else int(np.size(buffer.DataAsNumpy()))

    def quantisation(self, quantisation: Any, name: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
        if quantisation is None:
            return (), ()
        scales = quantisation.ScaleAsNumpy() if quantisation.ScaleLength() else np.empty(0, np.float32)
        zeros = quantisation.ZeroPointAsNumpy() if quantisation.ZeroPointLength() else np.empty(0, np.int64)
        if not np.all(np.isfinite(scales)) or np.any(scales < 0):
            raise self.refuse(f'tensor "{name}" has a scale that is negative or not finite')
        return tuple(scales.tolist()), tuple(zeros.tolist())

    def indices(self, what: str, length: int, values: Callable[[], Any], tensors: int, *, absent: bool) -> tuple[int, ...]:
        """Tensor indices of a vector; -1 is allowed only where an input may be `absent`."""
        self.operands += len(self.count(what, length))
        if self.operands > len(self.data) // 4:
            raise self.refuse("damaged flatbuffer: its operators name more tensors than the file can hold")
        found: tuple[int, ...] = tuple(values().tolist()) if length else ()
        for index in found:
            if not (-1 if absent else 0) <= index < tensors:
                raise self.refuse(f"{what} name tensor {index} of {tensors}")
        return found

    def op(self, op: Any, index: int, tensors: int) -> TfliteOp:
        if not 0 <= op.OpcodeIndex() < self.root.OperatorCodesLength():
            raise self.refuse(f"operator {index} names operator code {op.OpcodeIndex()} of {self.root.OperatorCodesLength()}")
        code = self.root.OperatorCodes(op.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = self.kinds.get(number, f"builtin {number}")
        if kind == "CUSTOM":
            raise self.refuse(f"operator {index} is the custom operator {(code.CustomCode() or b'').decode()!r}")
        inputs = self.indices(f"inputs of operator {index}", op.InputsLength(), op.InputsAsNumpy, tensors, absent=True)
        outputs = self.indices(f"outputs of operator {index}", op.OutputsLength(), op.OutputsAsNumpy, tensors, absent=False)
        if not outputs:
            raise self.refuse(f"operator {index} ({kind}) has no output")
        return TfliteOp(kind, inputs, outputs, **self.options(op, kind, index))

    def options(self, op: Any, kind: str, index: int) -> dict[str, Any]:
        """Kernel, stride, dilation, padding and fused activation where the operator has them."""
        name = _OPTIONS.get(kind)
        if name is None or op.BuiltinOptions() is None:
            return {}
        if op.BuiltinOptionsType() != getattr(self.schema.BuiltinOptions, name):
            raise self.refuse(f"operator {index} ({kind}) carries options of another operator")
        options = getattr(self.schema, name)()
        table = op.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        found: dict[str, Any] = {}
        if hasattr(options, "FusedActivationFunction"):
            number = options.FusedActivationFunction()
            found["activation"] = self.activations.get(number, f"activation {number}")
        if hasattr(options, "Padding"):
            found["padding"] = self.paddings.get(options.Padding(), f"padding {options.Padding()}")
        if hasattr(options, "DilationHFactor"):
            found["dilation"] = (options.DilationHFactor(), options.DilationWFactor())
        if hasattr(options, "StrideH"):
            found["stride"] = (options.StrideH(), options.StrideW())
        if hasattr(options, "FilterHeight"):
            found["kernel"] = (options.FilterHeight(), options.FilterWidth())
        return found

    def check_order(
        self, tensors: tuple[TfliteTensor, ...], ops: tuple[TfliteOp, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]
    ) -> None:
        """Every tensor is written once, and before it is read."""
        written = {*inputs, *(i for i, tensor in enumerate(tensors) if tensor.constant)}
        for index, op in enumerate(ops):
            for tensor in op.inputs:
                if tensor >= 0 and tensor not in written:
                    raise self.refuse(f'operator {index} ({op.kind}) reads "{tensors[tensor].name}" before it is written')
            for tensor in op.outputs:
                if tensor in written:
                    raise self.refuse(f'operator {index} ({op.kind}) writes "{tensors[tensor].name}" a second time')
                written.add(tensor)
        if not inputs or not outputs or not written.issuperset(outputs):
            raise self.refuse("the graph lacks an input or an output, or an output is never written")

    def offline_offsets(self, tensors: int) -> tuple[int, ...] | None:
        """The plan in the metadata: int32 words version, subgraph, count, then offsets (TFLM, memory_management.md).

        Of several the last, as TFLM has it (GetOfflinePlannedOffsets).
        """
        found: tuple[int, ...] | None = None
        for index in self.count("metadata", self.root.MetadataLength()):
            entry = self.root.Metadata(index)
            if entry.Name() != OFFLINE_PLAN.encode():
                continue
            if not 0 <= entry.Buffer() < self.root.BuffersLength():
                raise self.refuse(f"{OFFLINE_PLAN} names buffer {entry.Buffer()} of {self.root.BuffersLength()}")
            buffer = self.root.Buffers(entry.Buffer())
            raw = buffer.DataAsNumpy().tobytes() if buffer.DataLength() else b""
            if len(raw) != 4 * (3 + tensors):
                raise self.refuse(f"{OFFLINE_PLAN} has {len(raw)} bytes; {tensors} tensors need {4 * (3 + tensors)}")
            words = np.frombuffer(raw, "<i4").tolist()
            if words[2] != tensors or min(words[3:]) < -1:
                raise self.refuse(f"{OFFLINE_PLAN} counts {words[2]} tensors of {tensors}, least offset {min(words[3:])}")
            found = tuple(words[3:])
        return found


_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "CONCATENATION": "ConcatenationOptions",
}


def _names(enumeration: type) -> dict[int, str]:
    """Number -> name of one of the schema's enumerations."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
