"""Anybody's model: every operator with its shape, parameters, multiply-accumulates and live bytes, of any type, from the file.

What is counted. macs: multiply-accumulates of convolutions, transposed ones, fully connected layers and matrix products. other:
one a value that pooling, sums, products and the like read or write. Operators that only move or convert values have 0 of both.
All others have None, and are listed as uncounted: never zero for what is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from microzoo.errors import MeasurementError
from microzoo.measure.activations import live_totals
from microzoo.measure.tflite_file import TfliteModel, TfliteOp, TfliteTensor

Tensors = tuple[TfliteTensor | None, ...]
Rule = Callable[[Tensors, TfliteTensor, TfliteOp], int]
"""(inputs, first output, operator) -> operations. May raise IndexError or _UnfitError on shapes that do not fit."""


@dataclass(frozen=True)
class InspectedLayer:
    """One operator. name: the tensor that it writes; shape: with batch, as in the file; weight_bytes: constants in flash;
    live_bytes: live activations while it runs, nothing in place; macs, other: see above.
    """

    index: int
    kind: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    kernel: tuple[int, int] | None
    stride: tuple[int, int] | None
    parameters: int
    weight_bytes: int
    macs: int | None
    other: int | None
    live_bytes: int


class _UnfitError(Exception):
    """Shapes that no such operator has."""


def _of(tensors: Tensors, place: int, rank: int) -> TfliteTensor:
    found = tensors[place] if place < len(tensors) else None
    if found is None or len(found.shape) != rank:
        raise _UnfitError(f"input {place} should have {rank} dimensions, not {found.shape if found else 'be left out'}")
    return found


def _last_axes(tensors: Tensors, output: TfliteTensor, op: TfliteOp) -> int:
    """Weights with output channels first: every output element takes all of one channel's."""
    place, rank = (1, 2) if op.kind == "FULLY_CONNECTED" else (1, 4)
    return output.elements * prod(_of(tensors, place, rank).shape[1:])


def _depthwise(tensors: Tensors, output: TfliteTensor, _: TfliteOp) -> int:
    return output.elements * prod(_of(tensors, 1, 4).shape[1:3])


def _transposed(tensors: Tensors, _: TfliteTensor, __: TfliteOp) -> int:
    """Weights (K, kh, kw, C): every input element meets kh * kw * K of them."""
    weights, source = _of(tensors, 1, 4), _of(tensors, 2, 4)
    return source.elements * prod(weights.shape[:3])


def _product(tensors: Tensors, output: TfliteTensor, _: TfliteOp) -> int:
    """(..., rows, n) by (..., n, columns)."""
    left = tensors[0] if tensors else None
    if left is None or not left.shape:
        raise _UnfitError("a product needs matrices")
    return output.elements * left.shape[-1]


def _onnx_conv(place: int) -> Rule:
    def rule(tensors: Tensors, output: TfliteTensor, _: TfliteOp) -> int:
        weights = tensors[place] if place < len(tensors) else None
        if weights is None or len(weights.shape) < 3:
            raise _UnfitError(f"input {place} should be weights (K, C, ...)")
        return output.elements * prod(weights.shape[1:])

    return rule


def _onnx_transposed(tensors: Tensors, _: TfliteTensor, __: TfliteOp) -> int:
    source, weights = (tensors[place] if place < len(tensors) else None for place in (0, 1))
    if source is None or weights is None or len(weights.shape) < 3:
        raise _UnfitError("input 1 should be weights (C, K, ...)")
    return source.elements * prod(weights.shape[1:])


def _gemm(tensors: Tensors, output: TfliteTensor, _: TfliteOp) -> int:
    """Rows by columns by what is summed over: elements of one factor / those of its sides that come out."""
    left = _of(tensors, 0, 2)
    if not output.shape or left.elements % output.shape[0]:
        raise _UnfitError(f"factors do not fit {output.shape}")
    return output.elements * (left.elements // output.shape[0])


MACS: dict[str, Rule] = {
    "CONV_2D": _last_axes, "DEPTHWISE_CONV_2D": _depthwise, "TRANSPOSE_CONV": _transposed, "FULLY_CONNECTED": _last_axes,
    "BATCH_MATMUL": _product,
    "Conv": _onnx_conv(1), "ConvInteger": _onnx_conv(1), "QLinearConv": _onnx_conv(3), "ConvTranspose": _onnx_transposed,
    "Gemm": _gemm, "MatMul": _product, "MatMulInteger": _product, "QLinearMatMul": _product,
}  # fmt: skip


def _window(_: Tensors, output: TfliteTensor, op: TfliteOp) -> int:
    if op.kernel is None:
        raise _UnfitError("pooling needs a window of two dimensions")
    return output.elements * prod(op.kernel)


def _read(tensors: Tensors, _: TfliteTensor, __: TfliteOp) -> int:
    if not tensors or tensors[0] is None:
        raise _UnfitError("it reads nothing")
    return tensors[0].elements


def _written(_: Tensors, output: TfliteTensor, __: TfliteOp) -> int:
    return output.elements


OTHER: dict[str, Rule] = {
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D", "MaxPool", "AveragePool"), _window),
    **dict.fromkeys(
        ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "ARG_MAX", "ARG_MIN", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean",
         "ReduceSum", "ReduceMax", "ReduceMin", "ArgMax", "ArgMin"), _read,
    ),
    **dict.fromkeys(
        ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "ABS", "NEG", "SQUARE", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU",
         "PRELU", "EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "Add", "Sub", "Mul", "Max", "Min",
         "Abs", "Neg", "Relu", "Clip", "LeakyRelu", "PRelu"), _written,
    ),
}  # fmt: skip
"""Additions, comparisons and single products: one a value of a window, one a value read, one a value written."""

MOVES = frozenset({
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "PAD", "PADV2", "MIRROR_PAD", "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE",
    "STRIDED_SLICE", "PACK", "UNPACK", "TRANSPOSE", "GATHER", "TILE", "BROADCAST_TO", "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH",
    "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "REVERSE_V2", "SHAPE", "FILL", "ZEROS_LIKE", "CAST",
    "QUANTIZE", "DEQUANTIZE",
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Pad", "Concat", "Split", "Slice", "Transpose", "Gather",
    "Tile", "Expand", "DepthToSpace", "SpaceToDepth", "Shape", "Cast", "QuantizeLinear", "DequantizeLinear",
})  # fmt: skip
"""Operators that move or convert values: zero by rule."""


def inspected_layers(model: TfliteModel) -> tuple[InspectedLayer, ...]:
    """A row for each operator, in file order. Raises MeasurementError where an operator's shapes do not fit its kind."""
    seen: set[int] = set()
    rows = []
    for index, (op, live) in enumerate(zip(model.ops, live_totals(model), strict=True)):
        output = model.tensors[op.outputs[0]]
        held = [tensor for tensor in dict.fromkeys(op.inputs) if tensor >= 0 and model.tensors[tensor].constant]
        new = [model.tensors[tensor] for tensor in held if tensor not in seen]
        seen.update(held)
        macs, other = _operations(model, index, op, output)
        rows.append(
            InspectedLayer(
                index=index,
                kind=op.kind,
                name=output.name,
                shape=output.shape,
                dtype=output.dtype,
                kernel=op.kernel or _kernel(model, op),
                stride=op.stride,
                parameters=sum(tensor.elements for tensor in new) if op.kind in MACS or op.kind in OTHER else 0,
                weight_bytes=sum(tensor.bytes for tensor in new),
                macs=macs,
                other=other,
                live_bytes=live,
            )
        )
    return tuple(rows)


def uncounted(layers: tuple[InspectedLayer, ...]) -> dict[str, int]:
    """Kinds of operators that no rule counts, and how many of each there are."""
    return dict(Counter(layer.kind for layer in layers if layer.macs is None))


def _operations(model: TfliteModel, index: int, op: TfliteOp, output: TfliteTensor) -> tuple[int | None, int | None]:
    tensors = tuple(model.tensors[tensor] if tensor >= 0 else None for tensor in op.inputs)
    try:
        if op.kind in MACS:
            return MACS[op.kind](tensors, output, op), 0
        if op.kind in OTHER:
            return 0, OTHER[op.kind](tensors, output, op)
    except _UnfitError as error:
        raise MeasurementError(f'operator {index} ({op.kind}, "{output.name}"): {error}') from error
    return (0, 0) if op.kind in MOVES else (None, None)


def _kernel(model: TfliteModel, op: TfliteOp) -> tuple[int, int] | None:
    if op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        return None
    shape = model.tensors[op.inputs[1]].shape
    return shape[1], shape[2]
