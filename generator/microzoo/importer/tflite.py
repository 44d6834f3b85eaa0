"""A .tflite made by anybody in, an IntegerModel out whose arithmetic is TFLM's on that file, bit for bit.

Source of every rule: the `Prepare` functions and reference kernels of TensorFlow Lite Micro. What they compute and this project's
operators cannot is refused by name. Reshapes are views; a fully connected layer with a scale for each unit is a convolution whose
kernel is as large as its input; a depthwise convolution that multiplies one channel is a convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microzoo.errors import ImportedModelError
from microzoo.graph.integer import IntegerModel, IntegerWeights, Quantisation
from microzoo.graph.ops import AvgPool, Conv, Depthwise, MaxPool, Pads, Shape, same_padding, windows
from microzoo.importer.builder import MALFORMED, Builder, fused_relu
from microzoo.importer.mean import same_mean
from microzoo.measure.tflite_file import TfliteModel, TfliteOp, TfliteTensor, constants, parse_tflite

SUPPORTED = (
    "ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED", "MAX_POOL_2D",
    "MEAN of height and width where its rounding allows", "PAD", "RESHAPE",
    "SQUEEZE", "DEQUANTIZE at the end", "QUANTIZE at either end", "SOFTMAX at the end with --drop-softmax",
)  # fmt: skip
VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
TYPES = {"INT8": np.int8, "INT32": np.int32, "INT64": np.int64}


@dataclass(frozen=True)
class Imported:
    """model; notes: what its user must know, a sentence each: what was left out at its ends."""

    model: IntegerModel
    notes: tuple[str, ...] = ()


def import_tflite(data: bytes, where: str = ".tflite", *, drop_softmax: bool = False) -> Imported:
    """The file as an IntegerModel. `where` names it in errors; drop_softmax: leave out a softmax at the end: logits come out.

    Raises MeasurementError where it is no sound .tflite, ImportedModelError where it holds what cannot be taken over exactly.
    """
    return _Importer(data, where, drop_softmax).run()


class _Importer:
    """Walks the operators of one file; used once."""

    def __init__(self, data: bytes, where: str, drop_softmax: bool) -> None:
        self.file: TfliteModel = parse_tflite(data, where)
        self.constants = constants(data, where)
        self.where, self.drop_softmax = where, drop_softmax
        self.builder = Builder(where)
        self.names: dict[int, str] = {}
        self.notes: list[str] = []
        self.rules: dict[str, Callable[[TfliteOp], str]] = {
            "CONV_2D": self.conv,
            "DEPTHWISE_CONV_2D": self.depthwise,
            "FULLY_CONNECTED": self.dense,
            "MAX_POOL_2D": self.pool,
            "AVERAGE_POOL_2D": self.pool,
            "ADD": self.add,
            "PAD": self.pad,
            "MEAN": self.mean,
            **dict.fromkeys(VIEWS, self.view),
        }

    def run(self) -> Imported:
        try:
            return self.walk()
        except MALFORMED as error:
            raise self.builder.malformed(error) from error

    def walk(self) -> Imported:
        if len(self.file.inputs) != 1 or len(self.file.outputs) != 1:
            ends = f"{len(self.file.inputs)} inputs and {len(self.file.outputs)} outputs"
            raise ImportedModelError(f"{self.where}: it has {ends}", "one of each is supported")
        ops = list(enumerate(self.file.ops))
        source = self.at_start(ops)
        result = self.at_end(ops)
        self.start(source, ops)
        for index, op in ops:
            self.builder.place = self.place(index, op)
            rule = self.rules.get(op.kind)
            if rule is None:
                raise self.builder.refuse("this operator is not supported", f"supported are {', '.join(SUPPORTED)}")
            if len(op.outputs) != 1:
                raise self.builder.refuse(f"it has {len(op.outputs)} outputs")
            self.names[op.outputs[0]] = rule(op)
        self.builder.place = ""
        self.activation(result)
        if result not in self.names:
            raise self.builder.refuse(f'its output "{self.file.tensors[result].name}" is a constant; it must be computed')
        return Imported(self.builder.finish(self.names[result]), tuple(self.notes))

    def place(self, index: int, op: TfliteOp) -> str:
        return f'{self.where}: operator {index} ({op.kind}, "{self.file.tensors[op.outputs[0]].name}")'

    def readers(self, tensor: int) -> int:
        return sum(op.inputs.count(tensor) for op in self.file.ops) + self.file.outputs.count(tensor)

    def at_start(self, ops: list[tuple[int, TfliteOp]]) -> int:
        """The first int8 tensor: what a QUANTIZE of the input alone writes, or the input. Takes that operator off `ops`."""
        source = self.file.inputs[0]
        if ops and ops[0][1].kind == "QUANTIZE" and ops[0][1].inputs == (source,) and self.readers(source) == 1:
            place, op = self.place(*ops[0]), ops.pop(0)[1]
            self.note_end(place, "input", self.file.tensors[source], self.file.tensors[op.outputs[0]])
            return op.outputs[0]
        return source

    def at_end(self, ops: list[tuple[int, TfliteOp]]) -> int:
        """The last int8 tensor before what only dresses it: DEQUANTIZE, QUANTIZE, SOFTMAX. Takes those operators off `ops`."""
        result = self.file.outputs[0]
        for kinds in (("DEQUANTIZE", "QUANTIZE"), ("SOFTMAX",)):
            if not ops or ops[-1][1].kind not in kinds or ops[-1][1].outputs != (result,):
                continue
            place, op = self.place(*ops[-1]), ops[-1][1]
            if not op.inputs or op.inputs[0] < 0:
                raise ImportedModelError(f"{place}: it reads nothing", "export the model again")
            if self.readers(result) != 1 or self.readers(op.inputs[0]) != 1:
                continue
            if op.kind == "SOFTMAX" and not self.drop_softmax:
                raise ImportedModelError(
                    f"{place}: a softmax has no int8 kernel here", "--drop-softmax leaves it out: logits in the same order"
                )
            ops.pop()
            if op.kind == "SOFTMAX":
                self.notes.append("the softmax at the end is left out: the output is logits, the largest one is the same")
            else:
                self.note_end(place, "output", self.file.tensors[result], self.file.tensors[op.inputs[0]])
            result = op.inputs[0]
        return result

    def note_end(self, place: str, end: str, outer: TfliteTensor, inner: TfliteTensor) -> None:
        """Say how the values of an end that was dressed as `outer` relate to its int8 tensor `inner`."""
        scales = len(outer.scales) == len(inner.scales) == len(outer.zero_points) == len(inner.zero_points) == 1
        if inner.dtype == "INT8" and outer.dtype == "FLOAT32":
            self.notes.append(f"the file's {end} is float32; here it is int8 with the scale and zero point of the header")
        elif (
            inner.dtype == "INT8"
            and outer.dtype == "UINT8"
            and scales
            and outer.scales == inner.scales
            and outer.zero_points[0] - inner.zero_points[0] == 128
        ):
            self.notes.append(f"the file's {end} is uint8; here it is int8, which is the same byte minus 128")
        else:
            raise ImportedModelError(
                f"{place}: from {outer.dtype} to {inner.dtype} at the {end}", "only float32 and uint8 are known"
            )

    def start(self, source: int, ops: list[tuple[int, TfliteOp]]) -> None:
        """The builder's input. Reshapes that alone read the input only give it its shape."""
        first = source
        while ops and ops[0][1].kind in VIEWS and ops[0][1].inputs[:1] == (source,) and self.readers(source) == 1:
            following = ops[0][1].outputs[0]
            if len(self.file.tensors[following].shape) < len(self.file.tensors[source].shape):
                break
            ops.pop(0)
            source = following
        tensor = self.file.tensors[source]
        if self.file.tensors[first].scales != tensor.scales or self.file.tensors[first].zero_points != tensor.zero_points:
            raise ImportedModelError(f'{self.where}: "{tensor.name}" reshapes the input to another scale')
        quantisation = self.activation(source)
        if not 2 <= len(tensor.shape) <= 4:
            raise ImportedModelError(
                f'{self.where}: the input "{tensor.name}" has the shape {tensor.shape}', "2 to 4 dimensions are"
            )
        self.names[source] = self.builder.input((1,) * (4 - len(tensor.shape)) + tensor.shape[1:], quantisation)

    def activation(self, index: int) -> Quantisation:
        """The parameters of an int8 activation of one image."""
        tensor = self.file.tensors[index]
        if tensor.dtype != "INT8":
            raise self.builder.refuse(
                f'"{tensor.name}" is {tensor.dtype.lower()}, supported is int8',
                "quantise the model to int8 with a current converter",
            )
        if not tensor.shape or tensor.shape[0] != 1:
            raise self.builder.refuse(f'"{tensor.name}" has the shape {tensor.shape}', "the first dimension must be a batch of 1")
        return self.builder.quantisation(tensor.name, tensor.scales, tensor.zero_points)

    def source(self, op: TfliteOp, index: int = 0) -> str:
        """The builder's tensor for an input of `op`, as the map that the file states where it states one."""
        if index >= len(op.inputs) or op.inputs[index] < 0 or op.inputs[index] not in self.names:
            raise self.builder.refuse(f"its input {index} is a constant or missing; it must be computed")
        self.activation(op.inputs[index])
        name, shape = self.names[op.inputs[index]], self.file.tensors[op.inputs[index]].shape
        return self.builder.map(name, shape[1:]) if len(shape) == 4 and op.kind not in (*VIEWS, "FULLY_CONNECTED") else name

    def checked(self, op: TfliteOp, name: str) -> str:
        """The newest tensor, if it has as many elements as the file states."""
        stated = self.file.tensors[op.outputs[0]].shape
        found = self.builder.shapes[name]
        if prod(found) != prod(stated) or (len(stated) == 4 and len(found) == 3 and stated[1:] != found):
            raise self.builder.refuse(f"its output is stated as {stated}, its inputs make it {found}")
        return name

    def relu(self, op: TfliteOp) -> bool:
        to = self.activation(op.outputs[0])
        relu = fused_relu(op.activation, to)
        if relu is None:
            raise self.builder.refuse(
                f"its fused {op.activation} cuts off within the int8 range (scale {to.scale:.6g}, zero point {to.zero_point})",
                "calibrate so that its range ends at the bound, or use RELU",
            )
        return relu

    def unchanged(self, op: TfliteOp) -> None:
        """Operators that only move values must not change what these mean."""
        before, after = self.activation(op.inputs[0]), self.activation(op.outputs[0])
        if before != after:
            raise self.builder.refuse("its output has another scale or zero point than its input")
        if not self.relu(op) and op.activation == "NONE":
            return
        if after.zero_point != -128:
            raise self.builder.refuse(f"its fused {op.activation} would clip", "fuse it into the layer before")

    def constant(self, op: TfliteOp, index: int, dtype: str) -> NDArray[Any] | None:
        """Values of a constant input; None where it is left out."""
        if index >= len(op.inputs) or op.inputs[index] < 0:
            return None
        tensor = self.file.tensors[op.inputs[index]]
        if op.inputs[index] not in self.constants:
            raise self.builder.refuse(f'its input {index}, "{tensor.name}", is not a constant')
        if tensor.dtype != dtype:
            raise self.builder.refuse(f'"{tensor.name}" is {tensor.dtype.lower()}, supported is {dtype.lower()}')
        return np.frombuffer(self.constants[op.inputs[index]], np.dtype(TYPES[dtype]).newbyteorder("<")).reshape(tensor.shape)

    def layer(self, op: TfliteOp, rank: int, axis: int) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.float32]]:
        """Weights as stored, biases (K,), scales (K,) or (1,), with K units along `axis`."""
        weight = self.constant(op, 1, "INT8")
        if weight is None or weight.ndim != rank:
            raise self.builder.refuse(f"its weights must have {rank} dimensions")
        tensor, units = self.file.tensors[op.inputs[1]], weight.shape[axis]
        if any(tensor.zero_points) or len(tensor.scales) not in (1, units):
            raise self.builder.refuse(f'"{tensor.name}" has {len(tensor.scales)} scales for {units} units, or a zero point not 0')
        if len(tensor.scales) > 1 and tensor.axis != axis:
            raise self.builder.refuse(f'"{tensor.name}" has its scales along dimension {tensor.axis} instead of {axis}')
        bias = self.constant(op, 2, "INT32")
        bias = np.zeros(units, np.int32) if bias is None else bias.reshape(-1).astype(np.int32)
        if len(bias) != units:
            raise self.builder.refuse(f"{len(bias)} biases for {units} units")
        return weight, bias, np.array(tensor.scales, np.float32)

    def window(self, op: TfliteOp, shape: Shape, kernel: tuple[int, int]) -> tuple[tuple[int, int], Pads]:
        """Stride and padding."""
        if op.stride is None or min(op.stride) < 1 or min(kernel) < 1:
            raise self.builder.refuse(f"kernel {kernel} and stride {op.stride} must be 1 or more")
        if op.dilation != (1, 1):
            raise self.builder.refuse(f"its dilation is {op.dilation}; only 1 is supported")
        if op.padding not in ("SAME", "VALID"):
            raise self.builder.refuse(f"its padding is {op.padding}")
        if op.padding == "VALID":
            return op.stride, (0, 0, 0, 0)
        if len(shape) != 3:
            raise self.builder.refuse(f"its input has the shape {shape}")
        return op.stride, same_padding(shape[0], shape[1], kernel, op.stride)

    def conv(self, op: TfliteOp) -> str:
        source, (weight, bias, scales) = self.source(op), self.layer(op, 4, 0)
        shape = self.builder.shapes[source]
        if len(shape) != 3 or weight.shape[3] != shape[2]:
            raise self.builder.refuse(f"weights {weight.shape} for an input {shape}; groups are not supported")
        return self.convolved(op, source, weight, bias, scales)

    def convolved(
        self, op: TfliteOp, source: str, weight: NDArray[np.int8], bias: NDArray[np.int32], scales: NDArray[np.float32]
    ) -> str:
        kernel = (weight.shape[1], weight.shape[2])
        stride, padding = self.window(op, self.builder.shapes[source], kernel)
        relu, to = self.relu(op), self.activation(op.outputs[0])
        layer = IntegerWeights(np.ascontiguousarray(weight), bias, np.broadcast_to(scales, len(weight)).copy())
        options = {"filters": len(weight), "kernel": kernel, "stride": stride, "padding": padding, "relu": relu}
        return self.checked(op, self.builder.weighted(Conv, source, to, layer, **options))

    def depthwise(self, op: TfliteOp) -> str:
        source, (weight, bias, scales) = self.source(op), self.layer(op, 4, 3)
        shape = self.builder.shapes[source]
        if len(shape) == 3 and weight.shape[0] == 1 and shape[2] == 1 and weight.shape[3] > 1:
            return self.convolved(op, source, weight.transpose(3, 1, 2, 0), bias, scales)
        if len(shape) != 3 or weight.shape[0] != 1 or weight.shape[3] != shape[2]:
            raise self.builder.refuse(f"weights {weight.shape} for an input {shape}; the depth multiplier must be 1")
        kernel = (weight.shape[1], weight.shape[2])
        stride, padding = self.window(op, shape, kernel)
        relu, to = self.relu(op), self.activation(op.outputs[0])
        layer = IntegerWeights(weight[0].copy(), bias, np.broadcast_to(scales, len(bias)).copy())
        return self.checked(
            op, self.builder.weighted(Depthwise, source, to, layer, kernel=kernel, stride=stride, padding=padding, relu=relu)
        )

    def dense(self, op: TfliteOp) -> str:
        source, (weight, bias, scales) = self.source(op), self.layer(op, 2, 0)
        shape = self.builder.shapes[source]
        if prod(shape) != weight.shape[1]:
            raise self.builder.refuse(f"weights {weight.shape} for an input {shape}: one row for the whole input is supported")
        relu, to = self.relu(op), self.activation(op.outputs[0])
        return self.checked(op, self.builder.dense(source, to, IntegerWeights(weight.copy(), bias, scales), relu))

    def pool(self, op: TfliteOp) -> str:
        source = self.source(op)
        shape, kernel = self.builder.shapes[source], op.kernel or (0, 0)
        if len(shape) != 3:
            raise self.builder.refuse(f"its input has the shape {shape}")
        self.unchanged(op)
        stride, padding = self.window(op, shape, kernel)
        if any(padding):
            raise self.builder.refuse(f"its SAME padding {padding} has an effect; pooling is supported over whole windows only")
        if op.padding == "SAME" and [windows(n, k, s) for n, k, s in zip(shape[:2], kernel, stride, strict=True)] != [
            -(-n // s) for n, s in zip(shape[:2], stride, strict=True)
        ]:
            raise self.builder.refuse("its SAME padding has an effect; pooling is supported over whole windows only")
        return self.checked(op, self.builder.pool(MaxPool if op.kind == "MAX_POOL_2D" else AvgPool, source, kernel, stride))

    def mean(self, op: TfliteOp) -> str:
        """A mean over height and width, if one of our operators rounds as TFLM's does for every sum that there can be."""
        source, axes = self.source(op), self.constant(op, 1, "INT32")
        shape, to = self.builder.shapes[source], self.activation(op.outputs[0])
        rank = len(self.file.tensors[op.inputs[0]].shape)
        if axes is None or rank != 4 or len(shape) != 3 or sorted(int(axis) % rank for axis in axes.reshape(-1)) != [1, 2]:
            raise self.builder.refuse("only the mean over height and width together is supported")
        same = same_mean(shape[0] * shape[1], self.builder.tensors[source], to)
        if same is None:
            raise self.builder.refuse(
                f"its mean of {shape[0]} x {shape[1]} values rounds otherwise than any operator here",
                "replace it by AveragePooling2D over the whole map",
            )
        return self.checked(op, self.builder.mean(source, (shape[0], shape[1]), (1, 1), to, relu=False, pool=same == "pool"))

    def add(self, op: TfliteOp) -> str:
        left, right = self.source(op, 0), self.source(op, 1)
        return self.checked(op, self.builder.add(left, right, self.activation(op.outputs[0]), self.relu(op)))

    def pad(self, op: TfliteOp) -> str:
        source = self.source(op)
        self.unchanged(op)
        kind = self.file.tensors[op.inputs[1]].dtype if len(op.inputs) == 2 and op.inputs[1] >= 0 else "INT32"
        margins = self.constant(op, 1, kind if kind in ("INT32", "INT64") else "INT32")
        if margins is None or margins.shape != (4, 2) or margins[[0, 3]].any() or margins.min() < 0:
            raise self.builder.refuse("its paddings must be constant, 4 x 2, and 0 for batch and channels")
        (top, bottom), (left, right) = margins[1:3].tolist()
        return self.checked(op, self.builder.pad(source, (top, bottom, left, right)))

    def view(self, op: TfliteOp) -> str:
        source = self.source(op)
        self.unchanged(op)
        shape = self.file.tensors[op.outputs[0]].shape
        if prod(shape) != prod(self.builder.shapes[source]):
            raise self.builder.refuse(f"it reshapes {self.builder.shapes[source]} to {shape}")
        return source
