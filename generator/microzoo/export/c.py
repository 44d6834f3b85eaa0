"""C99 export: enters an IntegerModel, leaves the text of the model's source and header and of the kernel library.

The model is constant data, one static arena laid out by the memory plan, and a list of kernel calls. Stored in flash:
int8 weights, and for each output channel an int32 bias, an int32 mantissa and an int8 shift.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from math import prod

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import ExportError
from microzoo.export.literals import float_literal, wrapped
from microzoo.export.plan import MemoryPlan, plan
from microzoo.graph.check import check
from microzoo.graph.fixed_point import Multiplier
from microzoo.graph.graph import Graph
from microzoo.graph.integer import IntegerModel
from microzoo.graph.ops import Add, AvgPool, Conv, Dense, Depthwise, Flatten, MaxPool, Op, Pad, Shape, WeightedOp
from microzoo.graph.requantisation import ADD_LEFT_SHIFT, activation_range, add_multipliers, output_multipliers

KERNEL_FILES = ("microzoo_nn.c", "microzoo_nn.h")
"""The kernel library: the same for every model, and shared by all models of one program."""

MAX_EXTENT = 2**16 - 1
"""Heights, widths, channels, kernels and strides are uint16_t in C."""

TAKEN = frozenset({"arm_mve", "math", "stddef", "stdint", "stdio", "stdlib", "string"})
"""Headers that the C of a model or of a program around it includes: a model's own must not take their place."""

TAKEN = frozenset({"arm_mve", "math", "stddef", "stdint", "stdio", "stdlib", "string"})
"""Headers that the C of a model or of a program around it includes: a model's own must not take their place."""
MAX_OFFSET = 255
"""Largest distance of an int8 value from a zero point."""
INT32_MAX = 2**31 - 1


def c_sources(model: IntegerModel, *, name: str = "model", labels: tuple[str, ...] = ()) -> dict[str, str]:
    """File name -> text: `<name>.c`, `<name>.h` and KERNEL_FILES. Symbols and macros begin with `name`, made an identifier.

    labels: class names in the order of the logits, or empty; given, the source holds them as `<name>_labels`.
    The same model gives the same text. Raises ExportError where `graph.check` does, on a dimension over MAX_EXTENT, and on a
    layer padded by more than its kernel.
    """
    identifier = c_identifier(name)
    check(model, labels)
    for op in model.graph.ops:
        _check(model, op)
    memory = c_plan(model.graph)
    library = resources.files("microzoo.export") / "runtime"
    return {
        f"{identifier}.c": _source(model, identifier, memory, labels),
        f"{identifier}.h": _header(model, identifier, memory, bool(labels)),
        **{file: (library / file).read_text("utf-8") for file in KERNEL_FILES},
    }


def c_identifier(name: str) -> str:
    """`name` as a C identifier in lower case: other characters become "_", and a leading digit gets a prefix."""
    identifier = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")
    if not identifier or identifier[0].isdigit():
        identifier = f"model_{identifier}".rstrip("_")
    return f"{identifier}_model" if identifier.startswith("microzoo_nn") or identifier in TAKEN else identifier


def c_plan(graph: Graph) -> MemoryPlan:
    """The plan that the C export uses: offsets at multiples of four where that costs no byte, else packed."""
    aligned = plan(graph, alignment=4)
    if aligned.total_bytes == aligned.peak_bytes:
        return aligned
    packed = plan(graph, alignment=1)
    return packed if packed.total_bytes < aligned.total_bytes else aligned


def _check(model: IntegerModel, op: Op) -> None:
    shapes = (*(model.graph.shapes[name] for name in op.inputs), model.graph.shapes[op.output])
    if not isinstance(op, Add | Flatten) and max(max(shape) for shape in shapes) > MAX_EXTENT:
        raise ExportError(
            f"layer {op.name}: shapes {shapes} exceed {MAX_EXTENT} in a dimension", "the C export cannot hold this model"
        )
    if isinstance(op, Conv | Depthwise | MaxPool | AvgPool) and max(*op.kernel, *op.stride) > MAX_EXTENT:
        sizes = f"kernel {op.kernel} or stride {op.stride}"
        raise ExportError(f"layer {op.name}: {sizes} exceeds {MAX_EXTENT}", "the C export cannot hold this model")
    if isinstance(op, Conv | Depthwise):
        top, bottom, left, right = op.padding
        if max(top, bottom) >= op.kernel[0] or max(left, right) >= op.kernel[1]:
            raise ExportError(f"layer {op.name}: padding {op.padding} reaches past its kernel {op.kernel}", "use a Pad operator")


def _header(model: IntegerModel, name: str, memory: MemoryPlan, labelled: bool) -> str:
    graph, upper = model.graph, name.upper()
    height, width, channels = graph.input_shape
    source, target = model.tensors[graph.input], model.tensors[graph.output]
    classes = graph.shapes[graph.output][0]
    labels = f"\nextern const char *const {name}_labels[{upper}_CLASSES];\n" if labelled else ""
    return f"""/* Generated by Microzoo. Int8 in, int8 out: real value = SCALE * (q - ZERO_POINT). */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* Input: int8, height x width x channels, channels last. */
#define {upper}_INPUT_HEIGHT {height}
#define {upper}_INPUT_WIDTH {width}
#define {upper}_INPUT_CHANNELS {channels}
#define {upper}_INPUT_BYTES {height * width * channels}
#define {upper}_INPUT_SCALE {float_literal(source.scale)}
#define {upper}_INPUT_ZERO_POINT ({source.zero_point})

/* Output: one int8 logit a class; the largest wins. */
#define {upper}_CLASSES {classes}
#define {upper}_OUTPUT_BYTES {classes}
#define {upper}_OUTPUT_SCALE {float_literal(target.scale)}
#define {upper}_OUTPUT_ZERO_POINT ({target.zero_point})

/* All the RAM that the model needs besides the stack. */
#define {upper}_ARENA_BYTES {memory.total_bytes}
{labels}
/* Where to write the input before each call of {name}_invoke, which overwrites it. */
int8_t *{name}_input(void);

/* The logits of the last call, valid until the next input is written. */
const int8_t *{name}_output(void);

/* One inference. Not reentrant: the arena is static. */
void {name}_invoke(void);

#ifdef __cplusplus
}}
#endif

#endif /* {upper}_H */
"""


def _source(model: IntegerModel, name: str, memory: MemoryPlan, labels: tuple[str, ...]) -> str:
    graph = model.graph
    data: list[str] = []
    calls: list[str] = []
    for index, op in enumerate(graph.ops):
        layer = f"{name}_layer{index}"
        data += _data(model, op, layer)
        call = _call(model, op, layer, {key: f"arena + {offset}" for key, offset in memory.offsets.items()})
        calls += [f"    {call} /* {_comment(op, graph.shapes[op.output])} */"] if call else []
    names = ""
    if labels:
        text = ",\n    ".join(_string(label) for label in labels)
        names = f"const char *const {name}_labels[{name.upper()}_CLASSES] = {{\n    {text}\n}};\n\n"
    arena = f"{name}_arena"
    body = "\n".join(line.replace("arena + ", f"{arena} + ") for line in calls)
    return f"""/* Generated by Microzoo: weights, memory plan and order of the layers. The kernels are in microzoo_nn.c. */
#include "{name}.h"

#include "microzoo_nn.h"

{names}static MICROZOO_ALIGNED int8_t {arena}[{name.upper()}_ARENA_BYTES];

{"".join(data)}
int8_t *{name}_input(void) {{
    return {arena} + {memory.offsets[graph.input]};
}}

const int8_t *{name}_output(void) {{
    return {arena} + {memory.offsets[graph.output]};
}}

void {name}_invoke(void) {{
{body}
}}
"""


def _data(model: IntegerModel, op: Op, layer: str) -> list[str]:
    """The constants of one operator, as definitions."""
    match op:
        case Conv() | Depthwise() | Dense():
            return _weighted_data(model, op, layer)
        case Add():
            return [_add_data(model, op, layer)]
        case MaxPool() | AvgPool() | Pad():
            return [f"static const microzoo_window {layer} = {_window(model, op)};\n"]
        case Flatten():
            return []


def _weighted_data(model: IntegerModel, op: WeightedOp, layer: str) -> list[str]:
    """Weights, bias, mantissa and shift of each channel, and the layer. Where nothing is padded, the bias holds what the zero
    point of the input adds to every sum.
    """
    weight, bias = (values.astype(np.int64) for values in (model.weights[op.name].weight, model.weights[op.name].bias))
    axes = (0, 1) if isinstance(op, Depthwise) else tuple(range(1, weight.ndim))
    reach, zero_point = np.abs(bias) + MAX_OFFSET * np.abs(weight).sum(axis=axes), model.tensors[op.input].zero_point
    if isinstance(op, Dense) or not any(op.padding):
        bias, zero_point = bias - zero_point * weight.sum(axis=axes), 0
    multipliers = output_multipliers(model, op)
    if isinstance(op, Dense):
        multipliers *= op.units
    shifts = [stored_shift(multiplier, int(most)) for multiplier, most in zip(multipliers, reach, strict=True)]
    output = (
        f"{layer}_bias, {layer}_mantissa, {layer}_shift, {model.tensors[op.output].zero_point}, {activation_range(model, op)[0]}"
    )
    return [
        _array("int8_t", f"{layer}_weight", weight),
        _array("int32_t", f"{layer}_bias", bias),
        _array("int32_t", f"{layer}_mantissa", [multiplier.mantissa for multiplier in multipliers]),
        _array("int8_t", f"{layer}_shift", shifts),
        (
            f"static const microzoo_conv_layer {layer} = {{\n    {_window(model, op)},\n"
            f"    {zero_point}, {layer}_weight,\n    {{{output}}}\n}};\n"
        ),
    ]


def stored_shift(multiplier: Multiplier, reach: int) -> int:
    """The shift of `microzoo_output`, for sums of at most `reach`: to the right, less one; minus 64 where 2 * reach overflows."""
    if multiplier.mantissa == 0:
        return 0
    return -multiplier.shift - 1 - (64 if multiplier.shift < 0 and 2 * reach > INT32_MAX else 0)


def _add_data(model: IntegerModel, op: Add, layer: str) -> str:
    left, right, output = add_multipliers(model, op)
    shift = stored_shift(output, 2 * MAX_OFFSET << ADD_LEFT_SHIFT)
    size, (lowest, _) = prod(model.graph.shapes[op.output]), activation_range(model, op)
    return (
        f"static const microzoo_add_layer {layer} = {{\n    {size},\n"
        f"    {_operand(left, model.tensors[op.left].zero_point)},\n    {_operand(right, model.tensors[op.right].zero_point)},\n"
        f"    {output.mantissa}, {model.tensors[op.output].zero_point}, {shift}, {lowest}\n}};\n"
    )


def _operand(multiplier: Multiplier, zero_point: int) -> str:
    """Initialiser of a microzoo_operand. For 1/2, the largest multiplier, a quarter of twice the value is exact too."""
    bits, shift = (ADD_LEFT_SHIFT, -multiplier.shift - 1) if multiplier.shift < 0 else (ADD_LEFT_SHIFT + 1, 0)
    assert multiplier.shift < 0 or multiplier in (Multiplier(1 << 30, 0), Multiplier(0, 0)), multiplier
    return f"{{{1 << bits}, {zero_point << bits}, {multiplier.mantissa}, {shift}}}"


def _window(model: IntegerModel, op: WeightedOp | MaxPool | AvgPool | Pad) -> str:
    """Initialiser of a microzoo_window. A dense layer is a 1x1 convolution of one pixel."""
    source, target = model.graph.shapes[op.input], model.graph.shapes[op.output]
    if isinstance(op, Dense):
        source, target = (1, 1, *source), (1, 1, *target)
    kernel, stride = ((1, 1), (1, 1)) if isinstance(op, Dense | Pad) else (op.kernel, op.stride)
    top, _, left, _ = (0, 0, 0, 0) if isinstance(op, Dense | MaxPool | AvgPool) else op.padding
    return "{" + ", ".join(map(str, (*source, *target, *kernel, *stride, top, left))) + "}"


def _call(model: IntegerModel, op: Op, layer: str, at: dict[str, str]) -> str:
    """The statement that runs one operator; empty for Flatten, whose output is its input."""
    match op:
        case Conv() | Dense():
            return f"microzoo_conv(&{layer}, {at[op.input]}, {at[op.output]});"
        case Depthwise():
            return f"microzoo_depthwise(&{layer}, {at[op.input]}, {at[op.output]});"
        case Add():
            return f"microzoo_add(&{layer}, {at[op.left]}, {at[op.right]}, {at[op.output]});"
        case MaxPool():
            return f"microzoo_max_pool(&{layer}, {at[op.input]}, {at[op.output]});"
        case AvgPool():
            return f"microzoo_average_pool(&{layer}, {at[op.input]}, {at[op.output]});"
        case Pad():
            return f"microzoo_pad(&{layer}, {model.tensors[op.input].zero_point}, {at[op.input]}, {at[op.output]});"
        case Flatten():
            assert at[op.input] == at[op.output], op.name
            return ""


def _comment(op: Op, shape: Shape) -> str:
    return f"{type(op).__name__.lower()} -> {'x'.join(map(str, shape))}"


def _array(kind: str, name: str, values: NDArray[np.integer] | Iterable[int]) -> str:
    """An aligned constant array, its numbers in lines."""
    numbers = [str(value) for value in (values.ravel().tolist() if isinstance(values, np.ndarray) else values)]
    return f"static const MICROZOO_ALIGNED {kind} {name}[{len(numbers)}] = {{\n{wrapped(numbers)}\n}};\n"


def _string(text: str) -> str:
    """A C string literal in plain ASCII: other bytes of its UTF-8 in octal, and "?" escaped against trigraphs."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode("utf-8")
    )
    return f'"{escaped}"'
