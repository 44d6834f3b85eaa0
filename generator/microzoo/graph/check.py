"""The door of every export: whether an IntegerModel means one thing, and the same in every runtime.

Enters an IntegerModel that anybody may have built; nothing leaves but an ExportError that names layer, cause and remedy. What
passes can be computed by the reference, TensorFlow Lite Micro and the generated C without leaving int32, whatever the input is.
"""

from __future__ import annotations

import numpy as np

from microzoo.errors import ExportError
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import Add, Conv, Dense, Depthwise, Flatten, Op, Shape, WeightedOp, output_shape, weight_shape
from microzoo.graph.requantisation import ADD_LEFT_SHIFT, add_multipliers, output_multipliers

INT32_MAX = 2**31 - 1
MAX_LEFT_SHIFT = 30
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Scales are normal float32 values: some runtimes take smaller ones for zero."""


def check(model: IntegerModel, labels: tuple[str, ...] = ()) -> None:
    """Raises ExportError unless every format can hold `model` and all runtimes agree on it.

    labels: class names or nothing. Checked: operators read what is there and fit together; every tensor has a float32 scale and
    an int8 zero point; pooling, padding and Flatten keep them; weights are int8 of the right shape, biases int32,
    with positive float32 scales; no sum and no requantisation can leave int32.
    """
    check_graph(model.graph)
    for name in model.graph.shapes:
        if name not in model.tensors:
            raise ExportError(f"tensor {name}: it has no quantisation", "give it a scale and a zero point")
        _check_quantisation(name, model.tensors[name])
    known = {op.name for op in model.graph.ops if isinstance(op, Conv | Depthwise | Dense)}
    for name in model.weights:
        if name not in known:
            raise ExportError(f"weights {name}: no layer of this name has any", f"those that have: {', '.join(sorted(known))}")
    for op in model.graph.ops:
        if isinstance(op, Conv | Depthwise | Dense):
            _check_weights(model, op)
        elif isinstance(op, Add):
            _check_add(model, op)
        elif model.tensors[op.input] != model.tensors[op.output]:
            raise ExportError(
                f"layer {op.name}: its output is quantised as {_text(model.tensors[op.output])}, its input as "
                f"{_text(model.tensors[op.input])}",
                f"{type(op).__name__} moves int8 values as they are, so both must be equal",
            )
    classes = model.graph.shapes[model.graph.output][0]
    if labels and len(labels) != classes:
        raise ExportError(f"{len(labels)} labels for {classes} classes", "give one label a class")
    for label in labels:
        if "\n" in label:
            raise ExportError(f"label {label!r}: it holds a line break", "labels are stored one a line")


def check_graph(graph: Graph) -> None:
    """The part of `check` that needs no numbers: operators, tensors and shapes. Raises ExportError."""
    if len(graph.input_shape) != 3 or min(graph.input_shape) < 1:
        raise ExportError(
            f"input {graph.input}: its shape is {graph.input_shape}", "give height, width and channels, all positive"
        )
    shapes: dict[str, Shape] = {graph.input: graph.input_shape}
    names: set[str] = set()
    for op in graph.ops:
        if op.name in names:
            raise ExportError(f"layer {op.name}: another layer has this name", "give each layer its own")
        names.add(op.name)
        _check_op(op, shapes)
    if graph.output not in shapes or graph.output == graph.input:
        raise ExportError(f"output {graph.output}: no layer writes it", "name the tensor of the last layer")
    if len(shapes[graph.output]) != 1:
        raise ExportError(f"output {graph.output}: its shape is {shapes[graph.output]}", "end with a Flatten or a Dense layer")


def _check_op(op: Op, shapes: dict[str, Shape]) -> None:
    """Adds the shape of what `op` writes to `shapes`."""
    for name in op.inputs:
        if name not in shapes:
            raise ExportError(f"layer {op.name}: it reads {name}, which nothing has written", "put its writer before it")
    if op.output in shapes:
        raise ExportError(f"layer {op.name}: it writes {op.output}, which is written already", "give each layer its own output")
    if isinstance(op, Conv | Depthwise) and op.batch_norm:
        raise ExportError(f"layer {op.name}: it has a BatchNorm", "fold it into weights and bias first")
    sizes = {
        "filters": getattr(op, "filters", 1),
        "units": getattr(op, "units", 1),
        "kernel": min(getattr(op, "kernel", (1,))),
        "stride": min(getattr(op, "stride", (1,))),
        "padding": min(getattr(op, "padding", (1,))) + 1,
    }
    for field, least in sizes.items():
        if least < 1:
            raise ExportError(f"layer {op.name}: {field} = {getattr(op, field)}", "sizes are positive, a padding is 0 or more")
    read = tuple(shapes[name] for name in op.inputs)
    wanted = {Dense: 1, Add: len(read[0])}.get(type(op), 3)
    if any(len(shape) != wanted for shape in read) and not isinstance(op, Flatten):
        raise ExportError(f"layer {op.name}: it reads {_shapes(read)}", f"a {type(op).__name__} reads {wanted} dimensions")
    try:
        shapes[op.output] = output_shape(op, read)
    except AssertionError:
        raise ExportError(f"layer {op.name}: {type(op).__name__} cannot read {_shapes(read)}", _remedy(op)) from None


def _remedy(op: Op) -> str:
    return "both sides of an Add have one shape" if isinstance(op, Add) else "the window must fit into the map"


def _shapes(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(map(str, shapes))


def _text(quantisation: Quantisation) -> str:
    return f"(scale {quantisation.scale:g}, zero point {quantisation.zero_point})"


def _check_quantisation(name: str, quantisation: Quantisation) -> None:
    scale, zero_point = quantisation.scale, quantisation.zero_point
    whole: object = zero_point  # whatever the annotation says
    if not SMALLEST <= scale <= LARGEST:  # NaN as well
        raise ExportError(f"tensor {name}: scale = {scale}", f"a scale is a number from {SMALLEST:.3g} to {LARGEST:.3g}")
    if float(np.float32(scale)) != scale:
        raise ExportError(f"tensor {name}: scale = {scale!r} is no float32", f"files store float32: {float(np.float32(scale))!r}")
    if not isinstance(whole, int | np.integer) or isinstance(whole, bool) or not -128 <= whole <= 127:
        raise ExportError(f"tensor {name}: zero point = {zero_point!r}", "it is an integer in [-128, 127]")


def _check_weights(model: IntegerModel, op: WeightedOp) -> None:
    if op.name not in model.weights:
        raise ExportError(f"layer {op.name}: it has no weights", "give it weight, bias and scales")
    layer = model.weights[op.name]
    shape = weight_shape(op, model.graph.shapes[op.input])
    channels = shape[-1] if isinstance(op, Depthwise) else shape[0]
    _check_array(op, "weight", layer.weight, np.int8, shape)
    _check_array(op, "bias", layer.bias, np.int32, (channels,))
    _check_array(op, "scales", layer.scales, np.float32, (1,) if isinstance(op, Dense) else (channels,))
    bad = ~((layer.scales >= SMALLEST) & (layer.scales <= LARGEST))
    if bad.any():
        channel = int(bad.argmax())
        raise ExportError(
            f"layer {op.name}, channel {channel}: weight scale = {layer.scales[channel]}",
            f"a scale is a number from {SMALLEST:.3g} to {LARGEST:.3g}, of an all-zero channel too",
        )
    _check_sums(model, op, layer)


def _check_array(op: WeightedOp, part: str, values: object, kind: type[np.generic], shape: Shape) -> None:
    if not isinstance(values, np.ndarray) or values.dtype != kind or values.shape != shape:
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise ExportError(f"layer {op.name}: its {part} is {found}", f"it must be {np.dtype(kind)} {shape}")


def _check_sums(model: IntegerModel, op: WeightedOp, layer: IntegerWeights) -> None:
    """The largest sum of each channel, and what requantisation makes of it, stay in int32."""
    axes = {Conv: (1, 2, 3), Depthwise: (0, 1), Dense: (1,)}[type(op)]
    zero_point = model.tensors[op.input].zero_point
    offset = max(127 - zero_point, zero_point + 128)
    reach = np.abs(layer.bias.astype(np.int64)) + offset * np.abs(layer.weight.astype(np.int64)).sum(axis=axes)
    shifts = np.array([multiplier.shift for multiplier in output_multipliers(model, op)])
    for channel, (largest, shift) in enumerate(zip(reach.tolist(), np.broadcast_to(shifts, reach.shape).tolist(), strict=True)):
        if largest > INT32_MAX:
            raise ExportError(
                f"layer {op.name}, channel {channel}: its sum can reach {largest:,}, beyond int32",
                "make its bias or weights smaller",
            )
        if shift > MAX_LEFT_SHIFT or largest << max(shift, 0) > INT32_MAX:
            raise ExportError(
                f"layer {op.name}, channel {channel}: its output scale is so small beside input scale * weight scale that "
                f"requantisation (left shift {shift}) overflows int32",
                "give its output a larger scale",
            )


def _check_add(model: IntegerModel, op: Add) -> None:
    """TFLM takes no factor of 1 or more here; below it, sums of two operands of 2**28 at most stay in int32."""
    output = add_multipliers(model, op).output
    if output.shift > 0:
        raise ExportError(
            f"layer {op.name}: its output scale is less than 2**-{ADD_LEFT_SHIFT - 1} of the larger scale of its inputs, beyond "
            "what requantisation can hold",
            "give its output a larger scale",
        )
