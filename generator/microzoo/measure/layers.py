"""Layer rows of a .tflite: shapes, parameters, MACs and live bytes of every operator, counted from the file."""

from __future__ import annotations

from collections.abc import Callable

from microzoo.catalog.card import LayerRow
from microzoo.errors import MeasurementError
from microzoo.measure.activations import live_bytes
from microzoo.measure.tflite_file import TfliteModel, TfliteOp, TfliteTensor

MacRule = Callable[[TfliteTensor, TfliteTensor], int]
"""(weights, output) -> multiply-accumulates."""


def _conv(weights: TfliteTensor, output: TfliteTensor) -> int:
    """Weights (K, kh, kw, C): every output element takes kh * kw * C."""
    return output.elements * weights.shape[1] * weights.shape[2] * weights.shape[3]


def _depthwise(weights: TfliteTensor, output: TfliteTensor) -> int:
    """Weights (1, kh, kw, C): every output element takes kh * kw."""
    return output.elements * weights.shape[1] * weights.shape[2]


def _dense(weights: TfliteTensor, output: TfliteTensor) -> int:
    """Weights (units, F): every output element takes F."""
    return output.elements * weights.shape[1]


WEIGHTED: dict[str, tuple[int, int, MacRule]] = {
    "CONV_2D": (4, 0, _conv),
    "DEPTHWISE_CONV_2D": (4, 3, _depthwise),
    "FULLY_CONNECTED": (2, 0, _dense),
}
"""Builtin name -> rank of its weights, their axis of output channels, and its rule for MACs."""

WITHOUT_MACS = frozenset({"MAX_POOL_2D", "AVERAGE_POOL_2D", "ADD", "PAD", "RESHAPE"})
"""Operators that multiply nothing by weights: zero by rule."""


def layer_rows(model: TfliteModel) -> tuple[LayerRow, ...]:
    """One row an operator, in file order; an operator is named by the tensor it writes, its kind is TFLite's builtin name.

    Shapes are without batch. Raises MeasurementError on an operator without a rule, naming it, and on weights of the wrong shape.
    """
    for index, op in enumerate(model.ops):
        if op.kind not in WEIGHTED and op.kind not in WITHOUT_MACS:
            known, name = ", ".join(sorted((*WEIGHTED, *WITHOUT_MACS))), model.tensors[op.outputs[0]].name
            raise MeasurementError(f'operator {index} is {op.kind}, written to "{name}": no rule counts it; known are {known}')
    return tuple(_row(model, index, op, live) for (index, op), live in zip(enumerate(model.ops), live_bytes(model), strict=True))


def parameter_count(model: TfliteModel) -> int:
    """Weights and biases of the weighted operators, as elements."""
    return sum(row.parameters for row in layer_rows(model))


def mac_count(model: TfliteModel) -> int:
    """Multiply-accumulates of one inference."""
    return sum(row.macs for row in layer_rows(model))


def weighted_channels(model: TfliteModel) -> int:
    """Output channels of all convolutions, depthwise ones included: each has its own requantisation in a runtime's tables."""
    return sum(sum(model.tensors[op.outputs[0]].shape[-1:]) for op in model.ops if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"))


def _row(model: TfliteModel, index: int, op: TfliteOp, live: int) -> LayerRow:
    output = model.tensors[op.outputs[0]]
    parameters, macs, kernel = 0, 0, op.kernel
    if op.kind in WEIGHTED:
        weights = _weights(model, index, op)
        parameters = sum(model.tensors[tensor].elements for tensor in set(op.inputs[1:]) if tensor >= 0)
        macs = WEIGHTED[op.kind][2](weights, output)
        kernel = (weights.shape[1], weights.shape[2]) if op.kind != "FULLY_CONNECTED" else None
    return LayerRow(
        name=output.name,
        kind=op.kind,
        inputs=tuple(model.tensors[i].name for i in op.inputs if i >= 0 and not model.tensors[i].constant),
        output=output.name,
        output_shape=output.shape[1:],
        kernel=kernel,
        stride=op.stride,
        relu=op.relu,
        parameters=parameters,
        macs=macs,
        live_bytes=live,
    )


def _weights(model: TfliteModel, index: int, op: TfliteOp) -> TfliteTensor:
    """The operator's constant weights, their shape checked against what it writes."""
    rank, axis, _ = WEIGHTED[op.kind]
    output = model.tensors[op.outputs[0]]
    if len(op.inputs) < 2 or op.inputs[1] < 0 or not model.tensors[op.inputs[1]].constant:
        raise MeasurementError(f"operator {index} ({op.kind}) has no constant weights")
    weights = model.tensors[op.inputs[1]]
    if len(weights.shape) != rank or not output.shape or weights.shape[axis] != output.shape[-1]:
        raise MeasurementError(f"operator {index} ({op.kind}): weights {weights.shape} do not fit its output {output.shape}")
    return weights
